"""Short scenarios, written down instead of drawn: each is the place where one kind of bug shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation import schedule
from simulation import setup as setups
from simulation.run import Scenario

from whatsapp_operator.cli import options as cli_options

PAIRED = 80.0
"""By then all instances are paired."""


def scenario(
    *deeds: tuple[float, str, Mapping[str, Any]],
    instances: int = 3,
    replicas: int = 1,
    ends: float = 600.0,
    scans: float | None = 5.0,
    **spec: Any,
) -> Scenario:
    """Instances on one server, paired where somebody `scans`, and deeds with their seconds after `PAIRED`."""
    least = {"url": f"http://main.{setups.HOME}.svc:8080", "apiKeySecretRef": {"name": "main-key"}}
    server = setups.ServerSetup(
        name="main",
        version="2.3.7",
        metrics=True,
        workload="workloadRef" in spec,
        load_seconds=0.5,
        auto_scan=scans,
        spec=least | spec,
    )
    known = [
        setups.InstanceSetup(
            namespace=setups.HOME, name=f"i{number}", server="main", at=1.0, spec={"serverRef": {"name": "main"}}
        )
        for number in range(instances)
    ]
    setup = setups.Setup(
        servers=(server,),
        instances=tuple(known),
        replicas=replicas,
        options=cli_options.Options(stable_close_samples=60, workers=4),
    )
    entries = [schedule.Entry(number, PAIRED + at, what, args) for number, (at, what, args) in enumerate(deeds)]
    return Scenario(setup, schedule.Schedule(tuple(entries), PAIRED + ends))


def broken(name: str, state: str) -> tuple[str, Mapping[str, Any]]:
    """An instance gets into a broken state."""
    return "break_instance", {"server": "main", "name": name, "state": state}


def late(route: str, seconds: float) -> tuple[str, Mapping[str, Any]]:
    """The next request of a route has its effect this much later."""
    args = {"server": "main", "fault": "latency", "route": route, "count": 1, "status": 500, "seconds": seconds}
    return "evolution_fault", args


SMALL_BUDGET = {"windows": [{"class": "Soft", "max": 1, "periodSeconds": 600}], "maxInFlight": 1}
SOON = {"lastResortDelaySeconds": 60, "sessionLossDelaySeconds": 200, "maxAttempts": 1}

SCENARIOS: dict[str, Scenario] = {
    "finalizer goes early": scenario((0, "delete", {"namespace": setups.HOME, "name": "i0"})),
    "token of the one before": scenario(
        (0, "recreate", {"namespace": setups.HOME, "name": "i0", "spec": {"serverRef": {"name": "main"}}})
    ),
    "no dry run": scenario((0, *broken("i0", "S17")), recovery={"mode": "DryRun"}),
    "no budget": scenario((0, *broken("i0", "S17")), (90, *broken("i1", "S17")), budget=SMALL_BUDGET),
    "no limit at once": scenario((0, *broken("i0", "S4")), (0.5, *broken("i1", "S4")), budget={"maxInFlight": 1}),
    "no voucher": scenario(
        (0, *broken("i0", "S2")), instances=1, ends=400.0, recovery=SOON | {"lastResortDelaySeconds": 900}
    ),
    "no sessionLoss Never": scenario((0, *broken("i0", "S2")), recovery=SOON | {"sessionLoss": "Never"}),
    "no approval": scenario((0, *broken("i0", "S2")), recovery=SOON | {"sessionLoss": "RequireApproval"}),
    "no delay": scenario((0, *broken("i0", "S2")), recovery=SOON),
    "creates again": scenario(
        (0, *late("create", 12.0)),
        (0.1, "create", {"namespace": setups.HOME, "name": "n1", "spec": {"serverRef": {"name": "main"}}}),
    ),
    "no fence": scenario((0, "partition", {"slot": 0, "seconds": 150.0}), replicas=2, scans=None),
    "no storm": scenario(
        *((0, *broken(f"i{number}", "S1")) for number in range(3)),
        instances=6,
        budget={"storm": {"percent": 30, "floor": 1, "cooldownSeconds": 60}},
        recovery=SOON,
    ),
    "retain is forgotten": scenario(
        (0, "edit", {"namespace": setups.HOME, "name": "i0", "spec": {"deletionPolicy": "Retain"}}),
        (60, "delete", {"namespace": setups.HOME, "name": "i0"}),
    ),
}
