"""No key, token, QR code or phone number in logs, Events, metrics or status, whatever goes wrong.

Each secret is a word that occurs nowhere else. A life with all its mishaps is lived at the most talkative log level;
every version of every status is kept, since a leak may be written over a moment later.
"""

import base64
import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import kube, stage
from evolution_simulator.control_client import Simulator

PHONE = "5511987650123"
PLANTED = {
    "the server's key": stage.API_KEY,
    "the next key": "canary-next-key",
    "the password of /metrics": "canary-metrics-password",
    "a token that a user chose": "canary-token",
    "the token of an instance that is not ours": "canary-foreign-token",
    "a header of the webhook": "canary-header",
    "the query of the webhook": "canary-query",
    "the text for callers": "canary-text-for-callers",
    "why it is paused": "canary-reason-of-the-pause",
    "the phone number": PHONE,
}


@pytest.fixture
def talkative(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> Iterator[stage.Stage]:
    """A stage whose operator logs all that it ever would."""
    stage.install_roles(kubectl, namespace)
    with stage.opened(
        namespace=namespace,
        kubectl=kubectl,
        simulator=simulator,
        kubeconfig=kubeconfig_for("whatsapp-operator"),
        log_file=tmp_path / "operator.log",
        flags=stage.quick(f"--namespace={namespace}", "--log-level=debug", "--log-format=json"),
    ) as opened:
        yield opened


@contextlib.contextmanager
def recorded(kubectl: kube.Kubectl, target: Path) -> Iterator[None]:
    """Record every version of both kinds of resources, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        for kind in ("wai", "evs"):
            output = stack.enter_context((target / kind).open("w"))
            command = kubectl.command("get", kind, "--watch", "--output=json")
            process = subprocess.Popen(command, stdout=output, env=kubectl.environment())
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield


def versions(recording: Path) -> list[dict[str, Any]]:
    """The objects of a recording; one that was cut off at its end is left out."""
    text, decoder, found = recording.read_text().lstrip(), json.JSONDecoder(), []
    with contextlib.suppress(json.JSONDecodeError):
        while text:
            one, end = decoder.raw_decode(text)
            found.append(one)
            text = text[end:].lstrip()
    return found


def plant(house: stage.Stage) -> None:
    """Everything secret that a user can give."""
    secrets = {
        "metrics": {"username": "scraper", "password": PLANTED["the password of /metrics"]},
        "user-1-token": {"token": PLANTED["a token that a user chose"]},
        "headers": {"Authorization": f"Bearer {PLANTED['a header of the webhook']}"},
    }
    for name, values in secrets.items():
        house.kubectl.apply(
            yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})
        )
    house.server(metricsAuthSecretRef={"name": "metrics"})
    house.simulator.insert_row("user-2", token=PLANTED["the token of an instance that is not ours"])
    house.instance(
        "user-1",
        settings={"rejectCall": True, "msgCall": PLANTED["the text for callers"]},
        webhook={
            "url": f"http://127.0.0.1:9/hook?secret={PLANTED['the query of the webhook']}",
            "events": ["MESSAGES_UPSERT"],
            "headersSecretRef": {"name": "headers"},
        },
    )
    house.instance("user-2")
    house.instance("user-3")


def pair_and_note_codes(house: stage.Stage) -> dict[str, str]:
    """Scan two QR codes; returns what was secret about it, tokens that were generated among it."""
    secrets = {}
    for name in ("user-1", "user-3"):
        house.wait_for_reason(name, "AwaitingScan")
        kube.wait_until(lambda name=name: house.kubectl.exists("secret", f"{name}-pairing"), message="no QR code")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        secrets[f"the QR code of {name}"] = _value(house, f"{name}-pairing", "qr.txt")
        secrets[f"the token of {name}"] = _value(house, f"{name}-token", "token")
    house.simulator.scan("user-1", owner_jid=f"{PHONE}:7@s.whatsapp.net")
    house.simulator.scan("user-3", owner_jid=f"{PHONE}9@s.whatsapp.net")
    house.wait_ready("user-1")
    house.wait_ready("user-3")
    return secrets


def _value(house: stage.Stage, secret: str, key: str) -> str:
    return base64.b64decode(house.kubectl.json("get", "secret", secret)["data"][key]).decode()


def suffer(house: stage.Stage) -> None:
    """Everything that makes a server answer with more than it was asked for, or a resource that cannot be used."""
    simulator = house.simulator
    simulator.database_down()
    house.told("user-1", "Ready", "ServerUnreachable")
    simulator.database_up()
    house.wait_ready("user-1")
    for kind in ("html", "truncated"):
        simulator.fault(kind, route="fetchInstances", count=2, status=502)
    simulator.log_out("user-3")
    house.wait_for_reason("user-3", "AwaitingScan")
    simulator.set_api_key(PLANTED["the next key"])
    house.told("main", "Authenticated", "KeyRejected", kind="evs")
    house.kubectl("patch", "secret", "main-key", "-p", f'{{"stringData": {{"apikey": "{PLANTED["the next key"]}"}}}}')
    house.update("user-1", pause={"reason": PLANTED["why it is paused"]})
    house.told("user-1", "Paused", "Paused")
    house.update("user-1", pause=None)
    simulator.fault("status", route="settingsSet", count=2, status=400)
    house.update("user-1", settings={"rejectCall": False})
    house.wait_ready("user-1")
    house.told("user-2", "Synced", "AlreadyExists")


def said(house: stage.Stage, recordings: Path) -> dict[str, str]:
    """All that the operator has told anybody."""
    found = [*versions(recordings / "wai"), *versions(recordings / "evs")]
    assert {one["metadata"]["name"] for one in found} == {"main", "user-1", "user-2", "user-3"}
    events = house.kubectl.json("get", "events")["items"]
    assert any(event["involvedObject"]["name"] == "user-1" for event in events)
    return {
        "log": house.operator.log(),
        "Events": json.dumps(events),
        "status": json.dumps([one.get("status") for one in found]),
        "metrics": house.operator.metrics(),
    }


def test_secrets_are_found_in_nothing_that_is_told(talkative: stage.Stage, tmp_path: Path) -> None:
    with recorded(talkative.kubectl, tmp_path):
        plant(talkative)
        secrets = PLANTED | pair_and_note_codes(talkative)
        suffer(talkative)
        held = yaml.safe_dump(talkative.simulator.state()) + talkative.kubectl("get", "wai,secrets", "-o", "yaml")
        for name in ("user-1", "user-2", "user-3"):
            talkative.delete(name)
            talkative.wait_gone(name)
    told = said(talkative, tmp_path)

    for what, secret in secrets.items():
        assert [where for where, text in told.items() if secret in text] == [], f"{what} leaked"
        encoded = base64.b64encode(secret.encode()).decode()
        assert [where for where, text in told.items() if encoded in text] == [], f"{what} leaked, encoded"
    for what in ("the token of user-3", "the text for callers", "the query of the webhook", "the phone number"):
        assert secrets[what] in held, f"{what} was never planted"
