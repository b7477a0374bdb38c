"""Small closed worlds, each about one of the things that must not go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evolution_simulator.version import ConnectionState
from simulation import deeds
from simulation import setup as setups
from simulation.exhaustive.play import Scenario
from simulation.kubernetes import kinds
from simulation.sight import Sight
from simulation.stage import Stage
from whatsapp_operator.cli import options as cli_options

SERVER = "main"
LONG = 100_000
"""Seconds of a pairing window that does not end."""
OPTIONS = cli_options.Options(
    workers=2,
    lease_duration_seconds=25,
    renew_deadline_seconds=15,
    renew_period_seconds=10,
    status_period_seconds=10,
    stable_close_seconds=1,
    stable_close_samples=2,
    absence_seconds=5,
    flapping_seconds=20,
    qr_wait_seconds=20,
    frozen_seconds=50,
    warm_up_growth_seconds=20,
    reachable_seconds=20,
    orphan_release_seconds=20,
    delete_retry_seconds=20,
    recreate_wait_seconds=20,
    recreate_wait_max_seconds=40,
)
HEALTH = {"databasePeriodSeconds": 10, "stuckTimeoutSeconds": 1, "minHealthySeconds": 20}
SLOW = {**HEALTH, "checkPeriodSeconds": 15}
"""What is read stays fresh for longer than a process stands still."""
RECOVERY = {"stepTimeoutSeconds": 30, "sessionLossDelaySeconds": 20, "lastResortDelaySeconds": 40, "maxAttempts": 6}

IMPATIENT = {**RECOVERY, "stepTimeoutSeconds": 5}
"""In rounds no Lease is renewed while a DELETE is waited for: it must not lapse meanwhile."""


def setup(
    *,
    instances: int = 2,
    replicas: int = 2,
    release: str = "2.3.7",
    scans: float | None = 5.0,
    recovery: Mapping[str, Any] = RECOVERY,
    namespace: str = setups.HOME,
    window: int = 60,
    workload: Mapping[str, Any] | None = None,
    **spec: Any,
) -> setups.Setup:
    """Instances on one server.

    `workload` says when the one that runs it is restarted, `window` for how many seconds a new pairing is wanted.
    """
    least = {
        "url": f"http://{SERVER}.{setups.HOME}.svc:8080",
        "apiKeySecretRef": {"name": f"{SERVER}-key"},
        "clientName": setups.CLIENT_NAME,
        "health": HEALTH,
        "recovery": recovery,
        "allowedNamespaces": [setups.TENANT],
    }
    if workload is not None:
        least["workloadRef"] = {"kind": "Deployment", "name": SERVER} | dict(workload)
    server = setups.ServerSetup(
        name=SERVER,
        version=release,
        metrics=True,
        workload=workload is not None,
        load_seconds=0.0,
        auto_scan=scans,
        spec=least | spec,
    )
    known = tuple(
        setups.InstanceSetup(
            namespace=namespace,
            name=f"i{number}",
            server=SERVER,
            at=0.0,
            spec={"serverRef": {"name": SERVER, "namespace": setups.HOME}, "pairing": {"windowSeconds": window}},
        )
        for number in range(instances)
    )
    return setups.Setup(servers=(server,), instances=known, replicas=replicas, options=OPTIONS)


def breaks(stage: Stage, *states: str) -> None:
    """Instances are paused, and get into broken states, one each; so that everything is known of them but the cure."""
    stage.user("patch", kinds.SERVERS, setups.HOME, SERVER, {"spec": {"pause": {"reason": "work"}}})
    for number, state in enumerate(states):
        deeds.servers.break_instance(stage, server=SERVER, name=f"i{number}", state=state)


def resume(stage: Stage) -> None:
    """The pause ends."""
    deeds.people.resume_server(stage, SERVER)


def not_open(sight: Sight) -> str | None:
    """Not every instance is open."""
    names = [one.name for one in sight.stage.setup.instances]
    closed = [name for name in names if sight.state_since((SERVER, name))[1] is not ConnectionState.OPEN]
    return f"{', '.join(closed)} not open" if closed else None


def budget(*, seconds: int = 30) -> Mapping[str, Any]:
    """One gentle step at a time, and within so long."""
    return {"maxInFlight": 1, "windows": [{"class": "Soft", "max": 1, "periodSeconds": seconds}]}


def vanishes(stage: Stage) -> None:
    """Somebody deletes the first instance past the operator."""
    model = stage.hosts[SERVER].model
    gone = model.memory.pop("i0", None)
    if gone is not None:
        gone.destroy()
    model.database.delete("i0")
    model.memory_changed()


def rests(_: Stage) -> None:
    """Nothing has happened."""


def is_deleted(stage: Stage) -> None:
    """A user deletes the first instance."""
    deeds.people.delete(stage, namespace=setups.HOME, name="i0")


def is_there(sight: Sight) -> bool:
    """Whether a witness has the first instance."""
    return sight.row((SERVER, "i0")) is not None or sight.memory((SERVER, "i0")) is not None


def not_deleted(sight: Sight) -> str | None:
    """The first instance is still there, or the other one is no longer open."""
    if sight.stage.api.find(kinds.INSTANCES, setups.HOME, "i0") is not None:
        return "the resource is still there"
    if is_there(sight):
        return "the instance is still there"
    return None if sight.state_since((SERVER, "i1"))[1] is ConnectionState.OPEN else "another instance has changed"


def is_created(stage: Stage) -> None:
    """A user creates one more."""
    spec = {"serverRef": {"name": SERVER}, "pairing": {"windowSeconds": 100_000}}
    deeds.people.create(stage, namespace=setups.HOME, name="n0", spec=spec)


def not_created(sight: Sight) -> str | None:
    """It is not there, or not open."""
    if sight.state_since((SERVER, "n0"))[1] is not ConnectionState.OPEN:
        return "n0 not open"
    return not_open(sight)


BUDGET = Scenario(
    shows="two paired instances hang in connecting, and one gentle step at a time is allowed",
    setup=setup(budget=budget()),
    before=lambda stage: breaks(stage, "S17", "S17"),
    begin=resume,
    wrong=not_open,
    remembered=45.0,
)
RESTART = Scenario(
    shows="one of two paired instances hangs in connecting",
    setup=setup(budget=budget()),
    before=lambda stage: breaks(stage, "S17"),
    begin=resume,
    wrong=not_open,
    remembered=45.0,
)

SCENARIOS: Mapping[str, Scenario] = {
    "budget": BUDGET,
    "restart": RESTART,
    "deletion": Scenario(
        shows="a paired instance is deleted with its resource",
        setup=setup(),
        before=rests,
        begin=is_deleted,
        wrong=not_deleted,
        remembered=45.0,
    ),
    "recreation": Scenario(
        shows="a paired instance has lost its row, and another one vouches for WhatsApp",
        setup=setup(window=LONG),
        before=lambda stage: breaks(stage, "S2"),
        begin=resume,
        wrong=not_open,
        remembered=190.0,
    ),
    "creation": Scenario(
        shows="an instance is created",
        setup=setup(instances=1),
        before=rests,
        begin=is_created,
        wrong=not_created,
        remembered=45.0,
    ),
}
