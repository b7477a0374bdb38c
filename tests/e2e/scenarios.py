"""What the perturbations disturb: a creation, the ways of healing, the deletions.

Each is played for an instance of its own beside one that is paired and must never be touched.
"""

import base64
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import yaml

from e2e import crashing, kube, rights, stage, workloads

BYSTANDER = "bystander"
HOOK = "http://127.0.0.1:9/hook"
SETTINGS = {"rejectCall": True, "msgCall": "Please write.", "groupsIgnore": True}
WEBHOOK = {"url": HOOK, "events": ["MESSAGES_UPSERT"], "headersSecretRef": {"name": "hook"}, "byEvents": True}

UNBOUNDED = {
    "maxInFlight": 100,
    "windows": [
        {"class": each, "max": 1000, "periodSeconds": 1}
        for each in ("Soft", "Recreate", "SessionLoss", "ServerRestart")
    ],
}
"""What is spent on one death must not be missed by the next."""
AT_ONCE = {"sessionLossDelaySeconds": 1, "maxAttempts": 1}
WORKLOAD = {"kind": "Deployment", "name": "evolution", "minInstances": 1}
_BEFORE = "whatsapp-operator.dev/test-revision-before"

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
    flags: tuple[str, ...] = ()
    server: Mapping[str, Any] = field(default_factory=dict)
    """What else the spec of the server has; it is one with a workload where a `workloadRef` is among it."""
    bystander: Mapping[str, Any] = field(default_factory=dict)
    dies_at: str = crashing.ACTS
    """The calls after which it dies also where no campaign is run, each with the number of its occurrence."""


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
    if "workloadRef" in scenario.server and _restarts(staged) > 1:
        found.append(f"the server was restarted {_restarts(staged)} times")
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


def _paired_to_be_risked(staged: stage.Stage, name: str) -> None:
    staged.paired_instances(name, settings=SETTINGS, webhook=WEBHOOK, recovery=AT_ONCE)


def _paired_on_a_workload(staged: stage.Stage, name: str) -> None:
    _paired(staged, name)
    staged.kubectl("annotate", "--overwrite", "deployment", "evolution", f"{_BEFORE}={_revision(staged)[0]}")


def _revision(staged: stage.Stage) -> tuple[int, int]:
    """How many templates the workload has had by now, and before the scenario began."""
    told = staged.kubectl.json("get", "deployment", "evolution")["metadata"]["annotations"]
    return int(told["deployment.kubernetes.io/revision"]), int(told.get(_BEFORE, 0))


def _restarts(staged: stage.Stage) -> int:
    now, before = _revision(staged)
    return now - before


def _paired_on_a_server_anew(staged: stage.Stage, name: str) -> None:
    staged.server(budget=UNBOUNDED)
    staged.wait_ready(BYSTANDER)
    _paired(staged, name)


def _close(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S5")


def _spoil_its_credentials(staged: stage.Stage, name: str) -> None:
    staged.simulator.break_(name, "S7")


def _delete_but_retain(staged: stage.Stage, name: str) -> None:
    staged.update(name, deletionPolicy="Retain")
    staged.delete(name)


def _delete_with_its_server(staged: stage.Stage, name: str) -> None:
    staged.delete(stage.SERVER, "evs")
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


def _is_healed_with_its_server(staged: stage.Stage, name: str) -> bool:
    server = staged.kubectl.json("get", "evs", stage.SERVER).get("status", {}).get("recovery", {})
    is_over = _restarts(staged) > 0 and bool(server.get("history")) and not server.get("inFlight")
    return is_over and staged.simulator.instance(name)["memory"] == "open" and staged.reason(name) == "Healthy"


def _is_let_go(staged: stage.Stage, name: str) -> bool:
    return not staged.kubectl.exists("wai", name)


def _is_gone_with_its_server(staged: stage.Stage, name: str) -> bool:
    return _is_gone(staged, name) and not staged.kubectl.exists("evs", stage.SERVER)


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
        dies_at="",
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
    "reconnect": Scenario(
        prepare=_paired,
        begin=_close,
        ended=_is_healed,
        allowed={"connect": 2},
        keeps_the_pairing=True,
        dies_at="PATCH leases/|GET /instance/connect/",
    ),
    "relogin": Scenario(
        prepare=_paired_to_be_risked,
        begin=_spoil_its_credentials,
        ended=_is_recreated,
        allowed={"logout": 2, "connect": _READS_A_CODE, "settingsSet": 2, "webhookSet": 4},
        keeps_the_pairing=False,
        flags=("--flapping-seconds=3",),
        dies_at="DELETE /",  # such a death takes long
    ),
    "restart-server": Scenario(
        prepare=_paired_on_a_workload,
        begin=_become_a_ghost,
        ended=_is_healed_with_its_server,
        allowed={},
        keeps_the_pairing=True,
        server={"workloadRef": WORKLOAD},
        dies_at="PATCH (deployments/|.* of a restart )",
    ),
    "delete": Scenario(
        prepare=_paired,
        begin=_delete,
        ended=_is_gone,
        allowed={"webhookSet": 2, "logout": 2, "delete": 2},
        keeps_the_pairing=False,
    ),
    "retain": Scenario(
        prepare=_paired,
        begin=_delete_but_retain,
        ended=_is_let_go,
        allowed={},
        keeps_the_pairing=True,
        dies_at="PATCH (secrets|whatsappinstances)/[^/]+$",
    ),
    "delete-server": Scenario(
        prepare=_paired_on_a_server_anew,
        begin=_delete_with_its_server,
        ended=_is_gone_with_its_server,
        allowed={"webhookSet": 2, "logout": 2, "delete": 2},
        keeps_the_pairing=False,
        bystander={"deletionPolicy": "Retain"},
        dies_at=r"PATCH (evolutionservers|whatsappinstances)/[^/]+$",
    ),
}


@contextlib.contextmanager
def set_the_stage(staged: stage.Stage, scenario: Scenario) -> Iterator[None]:
    """A server, a paired instance on it that nothing happens to, and the headers of the webhooks."""
    headers = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hook"},
        "data": {"Authorization": base64.b64encode(b"Bearer hush").decode()},
    }
    staged.kubectl.apply(yaml.safe_dump(headers))
    with _workload(staged) if "workloadRef" in scenario.server else contextlib.nullcontext():
        staged.server(budget=UNBOUNDED, **scenario.server)
        staged.paired_instances(BYSTANDER, **scenario.bystander)
        yield


@contextlib.contextmanager
def _workload(staged: stage.Stage) -> Iterator[None]:
    """A Deployment that the operator may restart, and by whose pod the server lives and dies."""
    staged.kubectl.apply(yaml.safe_dump_all(rights.for_server_restart(staged.namespace)))
    found = workloads.Workload(staged.kubectl, "Deployment", "evolution")
    found.apply()
    found.wait_rolled_out()
    with workloads.PodFollower(found, staged.simulator, load_seconds=0.05).following():
        yield


def wait_for_the_end(staged: stage.Stage, scenario: Scenario, name: str, *, timeout: float) -> None:
    """Wait until it ended as it must."""
    kube.wait_until(lambda: scenario.ended(staged, name), timeout=timeout, message=f"{name} did not come to its end")
