"""What the perturbations disturb: a creation, two ways of healing, a deletion.

Each is played for an instance of its own beside one that is paired and must never be touched.
"""

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import yaml

from e2e import kube, stage

BYSTANDER = "bystander"
HOOK = "http://127.0.0.1:9/hook"
SETTINGS = {"rejectCall": True, "msgCall": "Please write.", "groupsIgnore": True}
WEBHOOK = {"url": HOOK, "events": ["MESSAGES_UPSERT"], "headersSecretRef": {"name": "hook"}, "byEvents": True}

Deed = Callable[[stage.Stage, str], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`begin` is what a person does, or what breaks; `ended` what must be so in the end, whoever died on the way."""

    prepare: Deed
    begin: Deed
    ended: Callable[[stage.Stage, str], bool]
    allowed: Mapping[str, int]
    """How often a changing call may have had an effect, by route; one that does not stand here may not be made."""
    keeps_the_pairing: bool


def succeeded(staged: stage.Stage, name: str) -> Counter[str]:
    """Changing calls for an instance that had an effect, as far as the status of their answers tells."""
    calls = staged.simulator.calls(instance=name, mutating=True)
    return Counter(call["route"] for call in calls if call["status"] is None or call["status"] < 300)


def forbidden(staged: stage.Stage, scenario: Scenario, name: str) -> list[str]:
    """What the journal has that must never be there."""
    made = succeeded(staged, name)
    found = [f"{route} x{count}" for route, count in made.items() if count > scenario.allowed.get(route, 0)]
    if staged.mutating_calls(BYSTANDER):
        found.append(f"the bystander was changed: {staged.mutating_calls(BYSTANDER)}")
    if scenario.keeps_the_pairing and staged.simulator.instance(name)["session"] != "paired":
        found.append("the pairing is lost")
    return found


def _nothing(staged: stage.Stage, name: str) -> None:
    """A creation begins with nothing."""


def _create(staged: stage.Stage, name: str) -> None:
    staged.instance(name, settings=SETTINGS, webhook=WEBHOOK)


def _paired(staged: stage.Stage, name: str) -> None:
    staged.paired_instances(name, settings=SETTINGS, webhook=WEBHOOK)


def _unpaired_with_a_webhook_by_hand(staged: stage.Stage, name: str) -> None:
    staged.unpaired_instance(name)
    by_hand = {"enabled": True, "url": HOOK, "events": ["MESSAGES_UPSERT"], "headers": {"X-Shop": "1"}}
    with httpx.Client(base_url=staged.simulator.url, headers={"apikey": stage.API_KEY}, trust_env=False) as person:
        person.post(f"/webhook/set/{name}", json={"webhook": by_hand}).raise_for_status()
    staged.simulator.reset_calls()


def _hang(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S17")


def _become_a_ghost(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S1")


def _delete(staged: stage.Stage, name: str) -> None:
    staged.delete(name)


def _waits_for_its_scan(staged: stage.Stage, name: str) -> bool:
    known = staged.kubectl.exists("secret", f"{name}-pairing")
    return staged.reason(name) == "AwaitingScan" and known and staged.status(name).get("keepsake") is None


def _is_recreated(staged: stage.Stage, name: str) -> bool:
    recovery = staged.status(name).get("recovery", {})
    is_over = bool(recovery.get("history")) and not recovery.get("inFlight")
    return is_over and staged.simulator.instance(name)["memory"] is not None and _waits_for_its_scan(staged, name)


def _is_healed(staged: stage.Stage, name: str) -> bool:
    recovery = staged.status(name).get("recovery", {})
    is_over = bool(recovery.get("history")) and not recovery.get("inFlight")
    return is_over and staged.simulator.instance(name)["memory"] == "open" and staged.reason(name) == "Healthy"


def _is_gone(staged: stage.Stage, name: str) -> bool:
    secrets = [one["metadata"]["name"] for one in staged.kubectl.json("get", "secrets")["items"]]
    belonging = [one for one in secrets if one.startswith(f"{name}-")]
    return not staged.kubectl.exists("wai", name) and not staged.lives(name) and not belonging


_READS_A_CODE = 99

SCENARIOS = {
    "create": Scenario(
        prepare=_nothing,
        begin=_create,
        ended=_waits_for_its_scan,
        allowed={"create": 1, "connect": _READS_A_CODE, "settingsSet": 1, "webhookSet": 1},
        keeps_the_pairing=False,
    ),
    "restart": Scenario(
        prepare=_paired,
        begin=_hang,
        ended=_is_healed,
        allowed={"restart": 2},
        keeps_the_pairing=True,
    ),
    "recreate": Scenario(
        prepare=_unpaired_with_a_webhook_by_hand,
        begin=_become_a_ghost,
        ended=_is_recreated,
        allowed={"create": 1, "delete": 2, "connect": _READS_A_CODE, "settingsSet": 2, "webhookSet": 2},
        keeps_the_pairing=False,
    ),
    "delete": Scenario(
        prepare=_paired,
        begin=_delete,
        ended=_is_gone,
        allowed={"webhookSet": 2, "logout": 2, "delete": 2},
        keeps_the_pairing=False,
    ),
}


def set_the_stage(staged: stage.Stage) -> None:
    """A paired instance that nothing happens to, and the headers of the webhooks."""
    headers: Sequence[object] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hook"},
            "data": {"Authorization": base64.b64encode(b"Bearer hush").decode()},
        }
    ]
    staged.kubectl.apply(yaml.safe_dump_all(headers))
    staged.paired_instances(BYSTANDER)


def wait_for_the_end(staged: stage.Stage, scenario: Scenario, name: str, *, timeout: float) -> None:
    """Wait until it ended as it must."""
    kube.wait_until(lambda: scenario.ended(staged, name), timeout=timeout, message=f"{name} did not come to its end")
