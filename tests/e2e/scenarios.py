"""What the perturbations disturb: a creation, the ways of healing, the deletions.

Each is played for an instance of its own beside one that is paired and must never be touched.
"""

import base64
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from e2e import crashing, deeds, kube, rights, stage, workloads

WORKLOAD = {"kind": "Deployment", "name": "evolution", "minInstances": 1}

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
    meanwhile: Deed | None = None
    """What a person does again, for as long as it has not ended."""
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
    if staged.mutating_calls(deeds.BYSTANDER):
        found.append(f"the bystander was changed: {staged.mutating_calls(deeds.BYSTANDER)}")
    if scenario.keeps_the_pairing and staged.simulator.instance(name)["session"] != "paired":
        found.append("the pairing is lost")
    if "workloadRef" in scenario.server and deeds.restarts(staged) > 1:
        found.append(f"the server was restarted {deeds.restarts(staged)} times")
    return found


_READS_A_CODE = 99

SCENARIOS = {
    "create": Scenario(
        prepare=deeds.nothing,
        begin=deeds.create,
        ended=deeds.waits_for_its_scan,
        allowed={"create": 1, "connect": _READS_A_CODE, "settingsSet": 1, "webhookSet": 1},
        keeps_the_pairing=False,
        dies_at="",
    ),
    "restart": Scenario(
        prepare=deeds.paired,
        begin=deeds.hang,
        ended=deeds.is_healed,
        allowed={"restart": 2},
        keeps_the_pairing=True,
    ),
    "recreate": Scenario(
        prepare=deeds.unpaired_with_a_webhook_by_hand,
        begin=deeds.become_a_ghost,
        ended=deeds.is_recreated,
        allowed={"create": 1, "delete": 2, "connect": _READS_A_CODE, "settingsSet": 2, "webhookSet": 2},
        keeps_the_pairing=False,
    ),
    "reconnect": Scenario(
        prepare=deeds.paired,
        begin=deeds.close,
        ended=deeds.is_healed,
        allowed={"connect": 2},
        keeps_the_pairing=True,
        dies_at="PATCH leases/|GET /instance/connect/",
    ),
    "relogin": Scenario(
        prepare=deeds.paired_to_be_risked,
        begin=deeds.spoil_its_credentials,
        ended=deeds.is_recreated,
        allowed={"logout": 2, "connect": _READS_A_CODE, "settingsSet": 2, "webhookSet": 4},
        keeps_the_pairing=False,
        flags=("--flapping-seconds=3",),
        dies_at="DELETE /",  # such a death takes long
    ),
    "restart-server": Scenario(
        prepare=deeds.paired_on_a_workload,
        begin=deeds.become_a_ghost,
        ended=deeds.is_healed_with_its_server,
        allowed={},
        keeps_the_pairing=True,
        server={"workloadRef": WORKLOAD},
        dies_at="PATCH (deployments/|.* of a restart )",
    ),
    "delete": Scenario(
        prepare=deeds.paired,
        begin=deeds.delete,
        ended=deeds.is_gone,
        allowed={"webhookSet": 2, "logout": 2, "delete": 2},
        keeps_the_pairing=False,
    ),
    "retain": Scenario(
        prepare=deeds.paired,
        begin=deeds.delete_but_retain,
        ended=deeds.is_let_go,
        allowed={},
        keeps_the_pairing=True,
        dies_at="PATCH (secrets|whatsappinstances)/[^/]+$",
    ),
    "delete-server": Scenario(
        prepare=deeds.paired_on_a_server_anew,
        begin=deeds.delete_with_its_server,
        ended=deeds.is_gone_with_its_server,
        allowed={"webhookSet": 2, "logout": 2, "delete": 2},
        keeps_the_pairing=False,
        bystander={"deletionPolicy": "Retain"},
        dies_at=r"PATCH (evolutionservers|whatsappinstances)/[^/]+$",
    ),
    "adopt": Scenario(
        prepare=deeds.paired_by_hand_with_its_token,
        begin=deeds.create,
        ended=deeds.is_adopted,
        allowed={"settingsSet": 1, "webhookSet": 1},
        keeps_the_pairing=True,
        dies_at="POST /",
    ),
    "scan": Scenario(
        prepare=deeds.awaits_its_scan,
        begin=deeds.scan,
        ended=deeds.is_in_use,
        allowed={"connect": _READS_A_CODE},
        keeps_the_pairing=True,
        dies_at="DELETE secrets/",
    ),
    "log-out": Scenario(
        prepare=deeds.paired,
        begin=deeds.end_its_session,
        ended=deeds.is_recreated,
        allowed={"connect": _READS_A_CODE},
        keeps_the_pairing=False,
        dies_at="POST secrets",
    ),
    "asked-restart": Scenario(
        prepare=deeds.paired,
        begin=deeds.ask_for_a_restart,
        ended=deeds.is_restarted_as_asked,
        allowed={"restart": 1},
        keeps_the_pairing=True,
        dies_at="POST /",
    ),
    "approved-recreate": Scenario(
        prepare=deeds.asks_for_an_approval,
        begin=deeds.approve,
        ended=deeds.is_recreated,
        allowed={"logout": 2, "delete": 2, "create": 1, "connect": _READS_A_CODE, "settingsSet": 2, "webhookSet": 4},
        keeps_the_pairing=False,
        meanwhile=deeds.approve,
        dies_at="DELETE /instance/delete/",
    ),
    "give-up": Scenario(
        prepare=deeds.refuses_its_deletion,
        begin=deeds.retain,
        ended=deeds.is_let_go,
        allowed={"webhookSet": 3},
        keeps_the_pairing=True,
        dies_at="POST /",
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
        staged.server(budget=deeds.UNBOUNDED, health=deeds.HEALTH, **scenario.server)
        staged.paired_instances(deeds.BYSTANDER, **scenario.bystander)
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

    def is_over() -> bool:
        if scenario.meanwhile is not None:
            scenario.meanwhile(staged, name)
        return scenario.ended(staged, name)

    kube.wait_until(is_over, timeout=timeout, message=f"{name} did not come to its end")
