"""Short scenarios, written down instead of drawn: each is the place where one kind of bug shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation import deeds, schedule
from simulation import setup as setups
from simulation.run import Scenario, run
from simulation.stage import Stage

from whatsapp_operator.cli import options as cli_options

PAIRED = 80.0
"""By then all instances are paired."""
Deed = tuple[float, str, Mapping[str, Any]]
"""When, what, and with what."""


def scenario(
    *deeds: Deed,
    instances: int = 3,
    replicas: int = 1,
    ends: float = 600.0,
    scans: float | None = 5.0,
    wanted: dict[str, Any] | None = None,
    load_seconds: float = 0.5,
    metrics: bool = True,
    version: str = "2.3.7",
    **spec: Any,
) -> Scenario:
    """Instances on one server, paired where somebody `scans`, and deeds with their seconds after `PAIRED`.

    `wanted` is what the spec of each instance says besides, `spec` what the server's does.
    """
    least = {"url": f"http://main.{setups.HOME}.svc:8080", "apiKeySecretRef": {"name": "main-key"}}
    server = setups.ServerSetup(
        name="main",
        version=version,
        metrics=metrics,
        workload="workloadRef" in spec,
        load_seconds=load_seconds,
        auto_scan=scans,
        spec=least | spec,
    )
    known = [
        setups.InstanceSetup(
            namespace=setups.HOME, name=f"i{number}", server="main", at=1.0, spec=ON_MAIN | (wanted or {})
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


def told(scene: Scenario) -> str:
    """The history of a scenario in which nothing goes wrong."""
    outcome = run(1, scenario=scene)
    assert outcome.broken is None
    return outcome.history.text()


def broken(name: str, state: str) -> tuple[str, Mapping[str, Any]]:
    """An instance gets into a broken state."""
    return "break_instance", {"server": "main", "name": name, "state": state}


def late(route: str, seconds: float) -> tuple[str, Mapping[str, Any]]:
    """The next request of a route has its effect this much later."""
    return spoilt("latency", route, seconds=seconds)


def spoilt(fault: str, route: str, *, count: int = 1, seconds: float = 1.0) -> tuple[str, Mapping[str, Any]]:
    """The next requests of a route meet a fault."""
    args = {"server": "main", "fault": fault, "route": route, "count": count, "status": 500, "seconds": seconds}
    return "evolution_fault", args


def refused(fault: str, verb: str, resource: str, *, count: int) -> tuple[str, Mapping[str, Any]]:
    """The next calls to the API server fail."""
    return "kubernetes_fault", {"fault": fault, "verb": verb, "resource": resource, "count": count}


def created(name: str, **spec: Any) -> tuple[str, Mapping[str, Any]]:
    """A user creates an instance."""
    return "create", {"namespace": setups.HOME, "name": name, "spec": ON_MAIN | spec}


def named(what: str, name: str, **args: Any) -> tuple[str, Mapping[str, Any]]:
    """Something is done to the resource of an instance."""
    return what, {"namespace": setups.HOME, "name": name, **args}


def of_server(what: str, **args: Any) -> tuple[str, Mapping[str, Any]]:
    """Something happens to the server, or to an instance there."""
    return what, {"server": "main", **args}


@deeds.doing.deed
def wipe(stage: Stage, *, server: str, names: tuple[str, ...]) -> None:
    """Somebody deletes instances on the server by hand, past the operator."""
    model = stage.hosts[server].model
    for name in names:
        del model.database.rows[name], model.memory[name]
    model.memory_changed()


ON_MAIN: dict[str, Any] = {"serverRef": {"name": "main"}}
ALWAYS: dict[str, Any] = {"pairing": {"mode": "Always"}}
SMALL_BUDGET = {"windows": [{"class": "Soft", "max": 1, "periodSeconds": 600}], "maxInFlight": 1}
SOON = {"lastResortDelaySeconds": 60, "sessionLossDelaySeconds": 200, "maxAttempts": 1}
ROOMY = {"storm": {"percent": 100, "floor": 10, "cooldownSeconds": 60}}
QUICK_STORM = {"storm": {"percent": 30, "floor": 1, "cooldownSeconds": 60}}
ROLLED_OUT = {"kind": "Deployment", "name": "main", "minInstances": 1, "maxWaitSeconds": 60}
BACK_AFTER_AN_OUTAGE = scenario(
    (0, *broken("i0", "S2")),
    (10, *of_server("reach", how="refused", seconds=400.0)),
    recovery=SOON | {"lastResortDelaySeconds": 900},
    budget=ROOMY,
)

WAITING: dict[str, Scenario] = {
    "no dry run": scenario((0, *broken("i0", "S17")), recovery={"mode": "DryRun"}),
    "no budget": scenario((0, *broken("i0", "S17")), (90, *broken("i1", "S17")), budget=SMALL_BUDGET),
    "no limit at once": scenario((0, *broken("i0", "S4")), (0.5, *broken("i1", "S4")), budget={"maxInFlight": 1}),
    "no voucher": scenario(
        (0, *broken("i0", "S2")), instances=1, ends=400.0, recovery=SOON | {"lastResortDelaySeconds": 900}
    ),
    "first voucher is enough": BACK_AFTER_AN_OUTAGE,
    "gap between vouchers": BACK_AFTER_AN_OUTAGE,
    "voucher of another proxy": scenario(
        (0, *of_server("hand_proxy", name="i0")),
        (60, *broken("i0", "S7")),
        ends=1500.0,
        recovery=SOON | {"lastResortDelaySeconds": 3600},
        budget=ROOMY,
    ),
    "no sessionLoss Never": scenario((0, *broken("i0", "S2")), recovery=SOON | {"sessionLoss": "Never"}),
    "no approval": scenario((0, *broken("i0", "S2")), recovery=SOON | {"sessionLoss": "RequireApproval"}),
    "no delay": scenario((0, *broken("i0", "S2")), recovery=SOON),
    "no storm": scenario(
        *((0, *broken(f"i{number}", "S1")) for number in range(3)),
        instances=6,
        budget=QUICK_STORM,
        recovery=SOON,
    ),
    "no stable close": scenario((0, *broken("i0", "S13")), wanted=ALWAYS),
    "approval used twice": scenario(
        (0, *broken("i0", "S2")),
        (120, *named("approve", "i0")),
        (200, *broken("i0", "S2")),
        ends=1500.0,
        recovery=SOON | {"sessionLoss": "RequireApproval"},
        health={"minHealthySeconds": 3600},
    ),
    "budget refilled by a restart": scenario(
        (0, *broken("i0", "S17")),
        (80, "crash", {"slot": 0, "points": 1}),
        (90, *broken("i1", "S17")),
        budget=SMALL_BUDGET,
    ),
    "cool-down lost": scenario(
        (0, *broken("i0", "S2")),
        (330, *broken("i0", "S2")),
        ends=1500.0,
        recovery=SOON | {"sessionLossDelaySeconds": 60},
        health={"minHealthySeconds": 3600},
        budget=ROOMY,
    ),
    "attempts reset by a moment of health": scenario((0, *broken("i0", "S5")), health={"minHealthySeconds": 300}),
    "two steps at once": scenario((0, *broken("i0", "S4")), recovery={"stepTimeoutSeconds": 120}),
    "pause forgotten by a restart": scenario(
        (0, "pause_everything", {"seconds": 400.0}),
        (20, "crash", {"slot": 0, "points": 1}),
        (60, *broken("i0", "S17")),
    ),
    "pause of a server not heard": scenario((0, *of_server("pause_server", seconds=400.0)), (60, *broken("i0", "S17"))),
    "restart of a server costs pairings": scenario(
        (0, *broken("i0", "S19")), (120, *broken("i1", "S1")), workloadRef=ROLLED_OUT, budget=ROOMY
    ),
    "restart of a server amid steps": scenario(
        (0, *broken("i1", "S1")),
        (100, *broken("i0", "S4")),
        workloadRef=ROLLED_OUT | {"minInstances": 2},
        budget=ROOMY,
        recovery={"stepTimeoutSeconds": 120},
    ),
    "restart of a server before its incident is written": scenario(
        # Whether a status was written just before, so that the next one waits, hangs on the moment.
        (2, *broken("i0", "S15")),
        workloadRef=ROLLED_OUT,
        budget=ROOMY,
    ),
    "no budget for restarts of a server": scenario(
        (0, *broken("i0", "S1")),
        (500, *broken("i1", "S1")),
        workloadRef=ROLLED_OUT,
        budget=ROOMY | {"windows": [{"class": "ServerRestart", "max": 1, "periodSeconds": 3600}]},
    ),
    "server that does not answer restarted": scenario(
        (0, *broken("i0", "S1")),
        (360, *of_server("server_down", seconds=400.0, listener_only=True)),
        workloadRef=ROLLED_OUT | {"minInstances": 3, "maxWaitSeconds": 120},
        budget=ROOMY,
    ),
    "refused account recreated": scenario(
        (0, *of_server("disconnect", name="i0", code=403)), (30, *broken("i0", "S1")), wanted=ALWAYS, recovery=SOON
    ),
    "nothing is protected": scenario(
        (0, *broken("i0", "S4")), version="2.3.6", recovery=SOON | {"sessionLoss": "Never"}, budget=ROOMY
    ),
    "storm has no end": scenario(
        *((0, *broken(f"i{number}", "S17")) for number in range(3)), instances=4, ends=120.0, budget=QUICK_STORM
    ),
    "nothing is ever a storm": scenario(
        *((0, *broken(f"i{number}", "S1")) for number in range(3)),
        instances=6,
        budget=QUICK_STORM,
        recovery=SOON,
    ),
    "who waits for a scan makes a storm": scenario(
        *((200 + number, *broken(f"i{number}", "S13")) for number in range(3)),
        instances=6,
        budget=QUICK_STORM,
    ),
}
BELIEVED: dict[str, Scenario] = {
    "error read as absence": scenario(
        (0, *spoilt("status", "connectionState", count=400)),
        (0, *spoilt("status", "fetchInstances", count=40)),
        instances=2,
        metrics=False,
    ),
    "refused key read as logged out": scenario(
        (0, *of_server("rotate_key", seconds=300.0)), metrics=False, wanted=ALWAYS
    ),
    "unknown shown as Ready": scenario((0, *of_server("server_down", seconds=400.0, listener_only=False))),
    "refused account asked again": scenario(
        (0, *named("pause", "i0", seconds=400.0)),
        (0, *of_server("disconnect", name="i0", code=403)),
        wanted=ALWAYS,
    ),
    "old evidence counts": scenario((0, *broken("i0", "S4")), recovery={"stepTimeoutSeconds": 10}),
    "warm-up skipped": scenario(
        (0, *of_server("server_down", seconds=5.0, listener_only=False)),
        load_seconds=100.0,
        recovery=SOON | {"sessionLossDelaySeconds": 60},
        budget=ROOMY,
    ),
    "restart reply believed": scenario((0, *broken("i0", "S4"))),
    "relogin reply believed": scenario(
        # WhatsApp answers no login from the logout on: no code is to be had.
        (0, *broken("i0", "S7")),
        (630, *of_server("reach", how="silent", seconds=400.0, name="i0")),
        ends=1200.0,
        recovery=SOON | {"stepTimeoutSeconds": 120},
        budget=ROOMY,
    ),
    "rollout believed": scenario(
        (0, *of_server("slow_rollout", name="i0", seconds=60.0)), workloadRef=ROLLED_OUT, budget=ROOMY
    ),
    "restart posted again": scenario((0, *broken("i0", "S17")), (0.5, *spoilt("reset", "restart"))),
    "clock that went back not noticed": scenario(
        (0, *broken("i0", "S17")), (15, "clock_jump", {"slot": 0, "seconds": -3600.0}), ends=20.0
    ),
    "acts before it writes": scenario((0, *broken("i0", "S17"))),
    # Where a process has only begun to look there is but one observation, and it lasts.
    "one observation is enough": scenario(
        (0, "crash", {"slot": 0, "points": 1}), (1, *broken("i0", "S13")), wanted=ALWAYS
    ),
    "missing session taken for stuck": scenario((0, *named("pause", "i0", seconds=120.0)), (0, *broken("i0", "S19"))),
    "database believed": scenario(
        (0, *broken("i0", "S17")), (100, *named("edit", "i0", spec={"pairing": {"windowSeconds": 700}}))
    ),
    "code read in any state": scenario((0, *broken("i0", "S13")), wanted=ALWAYS),
    "restart begins with a logout": scenario((0, *broken("i0", "S17"))),
}
DELETED: dict[str, Scenario] = {
    "finalizer goes early": scenario((0, *named("delete", "i0"))),
    "namespace taken for going": scenario(
        (0, *of_server("server_down", seconds=1500.0, listener_only=False)), (10, *named("delete", "i0")), ends=1600.0
    ),
    "server that goes takes new instances": scenario(
        *((number, *created(f"n{number}", instanceName="i0")) for number in range(1, 9)),
        # Each makes room for the next as the server goes; whose look comes first is chance.
        *((20 + 40 * number, *of_server("recreate_server", seconds=5.0)) for number in range(8)),
        *((25 + 40 * number, *named("delete", f"n{number}" if number else "i0")) for number in range(8)),
        instances=1,
    ),
    "creates again": scenario((0, *late("create", 12.0)), (0.1, *created("n1"))),
    "token stored later": scenario(ends=10.0),
    "what is gone is new": scenario((0, *of_server("wipe", names=("i0",))), ends=200.0),
    "recreate does not wait": scenario((0, *broken("i0", "S4")), version="2.3.6", recovery=SOON, budget=ROOMY),
    "deletion of another process not known": scenario(
        (0, *refused("500", "patch", "whatsappinstances", count=40)),
        *((0.1, *named("delete", f"i{number}")) for number in range(3)),
        (4, "crash", {"slot": 0, "points": 1}),
        instances=4,
        ends=60.0,
    ),
    "recreate not known to delete": scenario(
        (0, *named("edit", "i0", spec={"recovery": {"sessionLoss": "Never"}})),
        (1, *broken("i0", "S2")),
        (2, *broken("i1", "S4")),
        version="2.3.6",
        recovery=SOON,
        budget=ROOMY,
    ),
    "deletes before it writes": scenario((0, *named("delete", "i0"))),
    "what is to go created again": scenario(
        (0, *broken("i0", "S2")),
        (1, *late("delete", 8.0)),
        (267, *named("delete", "i0")),
        recovery=SOON,
        budget=ROOMY,
    ),
    "retain is forgotten": scenario(
        (0, *named("edit", "i0", spec={"deletionPolicy": "Retain"})), (60, *named("delete", "i0"))
    ),
    "adopted deleted by default": scenario(
        (0, *of_server("outsider_instance", name="n1")),
        (1, *named("hand_secret", "mine", server="main", of="n1")),
        (2, *created("n1", tokenSecretRef={"name": "mine", "key": "token"})),
        (90, *named("delete", "n1")),
    ),
    "latest resource acts": scenario(
        (0, *named("hand_secret", "mine", server="main", of="i0")),
        (1, *created("n1", instanceName="i0", tokenSecretRef={"name": "mine", "key": "token"})),
        (60, *broken("i0", "S17")),
    ),
    "takes what is another's": scenario(
        (0, *of_server("outsider_instance", name="n1")), (100, *created("n1", settings={"rejectCall": True}))
    ),
}
KEPT: dict[str, Scenario] = {
    "token of the one before": scenario((0, *named("recreate", "i0", spec=ON_MAIN))),
    "token written over": scenario(
        (0, *named("hand_secret", "n1-token", server="main", of="nobody")), (2, *created("n1"))
    ),
    "token goes with what is retained": scenario(
        (0, *named("edit", "i0", spec={"deletionPolicy": "Retain"})), (60, *named("delete", "i0"))
    ),
    "token audited": scenario((0, *broken("i0", "S17"))),
    "token told": scenario((0, *broken("i0", "S17"))),
    "keepsake not kept": scenario(
        (0, *of_server("hand_webhook", name="i0")),
        (10, *broken("i0", "S4")),
        version="2.3.6",
        recovery=SOON | {"sessionLossDelaySeconds": 60},
        budget=ROOMY,
    ),
    "webhook stays off": scenario(
        (0, *broken("i0", "S7")),
        ends=2400.0,
        wanted={"webhook": {"url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT"]}},
        recovery=SOON,
    ),
    "settings set at each look": scenario(ends=60.0, wanted={"settings": {"rejectCall": True}}),
    "status written at each look": scenario(ends=10.0),
    "generations counted": scenario(ends=10.0),
    "defaults written into the spec": scenario(ends=10.0),
    "status tells the time": scenario(ends=60.0),
}
SHARED: dict[str, Scenario] = {
    "no fence": scenario((0, "partition", {"slot": 0, "seconds": 150.0}), replicas=2, scans=None),
    "restarts a server that it lost": scenario(
        (0, *of_server("stall_in_restart", name="i0", seconds=60.0)), replicas=2, workloadRef=ROLLED_OUT, budget=ROOMY
    ),
    "conflict swallowed": scenario(
        (0, *broken("i0", "S17")), (32, *refused("409", "patch", "whatsappinstances/status", count=3))
    ),
    "retry lost": scenario(
        (0, *refused("500", "patch", "whatsappinstances/status", count=1)),
        (0.1, *created("n1", serverRef={"name": "none"})),
    ),
    "retry without a pause": scenario(
        (0, *refused("500", "patch", "whatsappinstances/status", count=2000)),
        (0.1, *created("n1", serverRef={"name": "none"})),
    ),
    "retry after an hour": scenario((0, *broken("i0", "S4")), ends=200.0),
    "holder that never reads": scenario(
        (0, *of_server("server_down", seconds=400.0, listener_only=False)), (5, "crash", {"slot": 0, "points": 1})
    ),
    "look that fails": scenario((0, *broken("i0", "S17"))),
    "sweep that ends": scenario((0, *refused("500", "list", "whatsappinstances", count=3)), ends=400.0),
    "event told twice": scenario(
        (0, "watch_trouble", {"slot": 0, "what": "repeated", "count": 9}), (1, *named("delete", "i0")), ends=60.0
    ),
    "nobody lists again": scenario(
        (0, "watch_trouble", {"slot": 0, "what": "lost", "count": 1}), (1, *named("delete", "i0"))
    ),
    "key read once": scenario((0, *of_server("rotate_key", seconds=5.0))),
    "wall clock believed": scenario(
        (0, "clock_jump", {"slot": 0, "seconds": -3600.0}),
        (5, *of_server("server_down", seconds=400.0, listener_only=False)),
    ),
}
SCENARIOS = WAITING | BELIEVED | DELETED | KEPT | SHARED
