"""The restart of a server's workload: when it begins, in which order, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from support import servers, simulated
from support.servers import SAFE, Cluster
from support.simulated import START
from support.surroundings import AllHeld
from support.world import a_row, state
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import ports, reporting, server_restart, treasury
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.server_restart import ServerRestarts
from whatsapp_operator.engine.standing import Standing
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass, StepResult

REFERENCE = {"kind": "Deployment", "name": "evolution-api", "minInstances": 3, "maxWaitSeconds": 600}
WAITING = ("i0", "i1", "i2")
OTHER = ports.Key("messaging", "i9")


@dataclass
class Stage:
    """A server that waits for its restart, and everything around it."""

    time: simulated.Time
    one: Server
    cluster: Cluster
    context: contexts.Context
    restarts: ServerRestarts

    async def look(self) -> float | None:
        return await self.restarts.look(self.one)

    async def look_after(self, seconds: float) -> float | None:
        self.time.advance(seconds)
        return await self.look()

    def rolled_out(self, *, at: str | None = None) -> None:
        """The new pod is there."""
        self.cluster.workload = replace(SAFE, restarted_at=at or self.cluster.restarted[-1], resource_version="2")

    def rolls_out(self) -> None:
        """The workload was told, and the new pod is not there yet."""
        self.rolled_out()
        assert self.cluster.workload is not None
        self.cluster.workload = replace(self.cluster.workload, rolled_out=False)

    def spent(self) -> int:
        ledger = treasury.ledger_of(self.context, self.one, now=self.time.now())
        return len(ledger.spent.get(StepClass.SERVER_RESTART, ()))

    @property
    def results(self) -> list[StepResult]:
        return [entry.result for entry in self.one.history]


def stage(*waiting: str, instances: int = 5, status: object = None, **spec: Any) -> Stage:
    time, cluster = simulated.Time(), Cluster()
    one = servers.a_server(instances=instances, status=status, workloadRef=REFERENCE, **spec)
    servers.wish(one, *waiting)
    context = servers.a_context(time, one, cluster)
    restarts = ServerRestarts(context, StatusWriter(context), Announcer(context))
    return Stage(time, one, cluster, context, restarts)


async def test_restart_is_entered_and_announced_before_the_workload_is_changed() -> None:
    here = stage(*WAITING)
    saved = list[str | None]()
    here.cluster.during["write status"] = lambda: saved.append(here.context.claims.ledger(here.one.key))

    await here.look()

    changes = [call for call in here.cluster.calls if call != "read workload"]
    assert changes == ["write status", "restart workload"]
    assert saved[0] is not None
    assert "ServerRestart" in saved[0]
    shown = here.cluster.statuses[0]["recovery"]["inFlight"]
    assert (shown["step"], shown["since"]) == ("RestartServer", here.cluster.restarted[0])
    assert here.one.flying is not None


async def test_workload_that_changed_meanwhile_is_not_restarted() -> None:
    here = stage(*WAITING)
    here.cluster.during["write status"] = lambda: setattr(here.cluster, "workload", replace(SAFE, resource_version="2"))

    await here.look()

    assert here.cluster.restarted == []
    assert (here.one.flying, here.results) == (None, [StepResult.INTERRUPTED])
    assert here.one.restarted_at is None
    assert here.spent() == 0
    assert "ServerRestart" not in json.loads(here.context.claims.ledger(here.one.key) or "{}").get("spent", {})


async def test_restart_that_another_write_prevented_is_tried_again_at_the_next_look() -> None:
    here = stage(*WAITING)
    here.cluster.during["write status"] = lambda: setattr(here.cluster, "workload", replace(SAFE, resource_version="2"))
    await here.look()
    servers.wish(here.one, *WAITING)

    await here.look_after(1)

    assert len(here.cluster.restarted) == 1
    assert here.spent() == 1


async def test_workload_that_somebody_else_rolls_out_is_not_restarted_until_that_is_over() -> None:
    here = stage(*WAITING)
    here.cluster.workload = replace(SAFE, rolled_out=False)

    await here.look()

    held = server_restart.refusals(here.context, here.one, now=here.time.now())
    assert Reason.SERVER_RESTARTING in [hold.reason for hold in held]
    assert (here.cluster.restarted, here.spent()) == ([], 0)
    here.cluster.workload = SAFE
    servers.seen(here.one, at=here.time.now() + timedelta(seconds=61))
    await here.look_after(61)
    assert len(here.cluster.restarted) == 1


@pytest.mark.parametrize("error", [ports.Forbidden(), ports.NotFound(), ports.Rejected()])
async def test_restart_that_is_refused_is_interrupted(error: ports.KubernetesError) -> None:
    here = stage(*WAITING)
    here.cluster.fails["restart workload"] = error

    await here.look()

    assert (here.one.flying, here.results) == (None, [StepResult.INTERRUPTED])


async def test_announcement_that_fails_leaves_nothing_spent_or_in_flight() -> None:
    here = stage(*WAITING)
    here.cluster.fails["write status"] = ports.Conflict()

    with pytest.raises(ports.Conflict):
        await here.look()

    assert "restart workload" not in here.cluster.calls
    assert (here.one.flying, here.spent(), here.results) == (None, 0, [])


async def test_ledger_that_cannot_be_saved_leaves_nothing_in_flight() -> None:
    here = stage(*WAITING)
    here.context.claims = Lost()

    with pytest.raises(ports.Conflict):
        await here.look()

    assert here.cluster.statuses == []
    assert (here.one.flying, here.spent()) == (None, 0)


class Lost(AllHeld):
    """The claim is another's by now."""

    async def save_ledger(self, _server: ports.Key, _text: str, /) -> None:
        raise ports.Conflict


async def test_step_that_began_while_the_workload_was_read_holds_the_restart_back() -> None:
    here = stage("i0")
    await here.look()
    servers.wish(here.one, *WAITING)
    here.cluster.during["read workload"] = lambda: here.one.in_flight.add(OTHER)

    await here.look()

    assert OTHER in here.one.in_flight
    assert here.cluster.restarted == []
    assert (here.one.flying, here.spent()) == (None, 0)


async def test_step_on_an_instance_finds_the_server_restarting_before_the_restart_is_announced() -> None:
    here = stage(*WAITING)
    found = list[bool]()

    class Watching(Lost):
        async def save_ledger(self, _server: ports.Key, _text: str, /) -> None:
            found.append(treasury.guard(here.context, here.one, key=OTHER, now=here.time.now()).restarting)

    here.context.claims = Watching()
    await here.look()

    assert found == [True]


async def test_evidence_from_before_the_restart_is_forgotten() -> None:
    here = stage(*WAITING)
    subject = here.one.subjects["i0"]
    subject.record = records.saw_database(subject.record, a_row("open"), at=START)
    subject.record = replace(
        subject.record, memory=witnesses.Memory(state=state("connecting"), since=START, seen_at=START)
    )

    await here.look()

    assert subject.record.memory is None
    assert subject.record.observations == 0
    assert here.one.observed.memory_at is None
    assert here.one.observed.version == "2.3.7"
    assert not here.one.warm


async def test_restart_succeeds_when_the_workload_is_rolled_out_and_the_server_is_read_and_warm_again() -> None:
    here = stage(*WAITING)
    await here.look()

    here.rolls_out()
    servers.seen(here.one, at=here.time.now())
    await here.look_after(5)
    assert here.results == []

    here.rolled_out()
    await here.look_after(5)
    assert here.results == []  # what was read before may have been read from the old pod

    here.one.observed.client_name = "evolution"
    servers.seen(here.one, at=here.time.now())
    await here.look_after(5)
    assert here.one.flying is None
    assert here.results == [StepResult.SUCCEEDED]
    assert here.one.restarted_at == START
    assert here.one.wishes == {}
    assert len(here.cluster.restarted) == 1


async def test_restart_that_takes_too_long_has_failed_and_counts_as_one() -> None:
    here = stage(*WAITING)
    await here.look()
    here.rolls_out()

    await here.look_after(600)
    assert here.one.flying is not None
    await here.look_after(1)

    assert here.one.flying is None
    assert here.results == [StepResult.FAILED]
    assert here.one.restarted_at == START


def in_flight(since: str = "2026-11-23T09:59:00Z") -> dict[str, Any]:
    step = {"step": "RestartServer", "class": "ServerRestart", "reason": "Connecting", "since": since}
    return {"clientName": "evolution", "recovery": {"inFlight": step}}


async def test_restart_that_a_crash_prevented_is_interrupted_and_not_made_up_for() -> None:
    here = stage(status=in_flight())
    here.one.restore()

    await here.look()

    assert here.results == [StepResult.INTERRUPTED]
    assert here.cluster.restarted == []
    assert here.one.restarted_at is None


async def test_restart_that_was_carried_out_before_a_crash_is_watched_to_its_end() -> None:
    here = stage(status=in_flight())
    here.one.restore()
    here.rolled_out(at="2026-11-23T09:59:00Z")

    await here.look()
    here.one.observed.client_name = "evolution"
    servers.seen(here.one, at=here.time.now())
    await here.look_after(1)

    assert here.results == [StepResult.SUCCEEDED]
    assert here.cluster.restarted == []


async def test_restart_whose_workload_is_no_longer_named_is_interrupted() -> None:
    here = stage(status=in_flight())
    here.one.restore()
    assert here.one.resource is not None
    here.one.resource = here.one.resource.replace(spec=here.one.resource.spec.replace(workload_ref=None))

    await here.look()

    assert here.results == [StepResult.INTERRUPTED]


async def test_server_is_restarted_for_one_instance_only_after_it_waited_long() -> None:
    here = stage("i0")

    servers.seen(here.one, at=START + timedelta(seconds=599))
    await here.look_after(599)
    assert here.cluster.restarted == []

    servers.seen(here.one, at=START + timedelta(seconds=600))
    await here.look_after(1)
    assert len(here.cluster.restarted) == 1


async def test_server_for_which_nobody_waits_is_not_restarted() -> None:
    here = stage()

    assert await here.look() is None
    assert here.cluster.restarted == []


UNSAFE: dict[str, ports.Workload | None] = {
    "two replicas": replace(SAFE, replicas=2),
    "none": replace(SAFE, replicas=0),
    "rolling": replace(SAFE, one_at_a_time=False),
    "paused": replace(SAFE, paused=True),
    "gone": None,
}


@pytest.mark.parametrize("workload", UNSAFE.values(), ids=UNSAFE)
async def test_unsafe_workload_is_never_restarted(workload: ports.Workload | None) -> None:
    here = stage(*WAITING)
    here.cluster.workload = workload

    for _ in range(3):
        servers.seen(here.one, at=here.time.now())
        await here.look_after(20)

    assert here.cluster.calls.count("restart workload") == 0
    wrong = Reason.WORKLOAD_NOT_FOUND if workload is None else Reason.UNSAFE_ROLLOUT
    refused = server_restart.refusals(here.context, here.one, now=here.time.now())
    assert wrong in [hold.reason for hold in refused]


async def test_workload_that_became_unsafe_since_it_was_read_last_is_not_restarted() -> None:
    here = stage("i0")
    await here.look()
    servers.wish(here.one, *WAITING)
    here.cluster.workload = replace(SAFE, replicas=2)

    await here.look()

    assert here.cluster.restarted == []
    assert here.spent() == 0


def _paused(here: Stage) -> None:
    here.context.pause = Pause(reason="moving house")


def _without_session(here: Stage) -> None:
    here.one.note_standing(here.one.subjects["i4"], Standing.WITHOUT_SESSION)


def _stale(here: Stage) -> None:
    here.time.advance(3600)


def _old_version(here: Stage) -> None:
    here.one.observed.version = "2.2.0"


def _step_under_way(here: Stage) -> None:
    here.one.in_flight.add(OTHER)


def _cold(here: Stage) -> None:
    here.one.warm_up = replace(here.one.warm_up, done=False)


@pytest.mark.parametrize(
    ("against", "reason"),
    [
        (_paused, Reason.PAUSED),
        (_without_session, Reason.SESSION_MISSING),
        (_stale, Reason.WARMING_UP),
        (_cold, Reason.WARMING_UP),
        (_old_version, Reason.UNSUPPORTED_VERSION),
        (_step_under_way, Reason.TOO_MANY_IN_FLIGHT),
    ],
)
async def test_server_is_not_restarted_while(against: Callable[[Stage], None], reason: Reason) -> None:
    here = stage(*WAITING)
    against(here)

    await here.look()

    assert here.cluster.restarted == []
    assert [hold.reason for hold in server_restart.refusals(here.context, here.one, now=here.time.now())] == [reason]


async def test_server_that_is_paused_itself_is_not_restarted() -> None:
    here = stage(*WAITING, pause={"reason": "moving house"})

    await here.look()

    assert here.cluster.restarted == []


async def test_server_is_restarted_no_more_often_than_its_budget_says() -> None:
    here = stage(*WAITING, budget={"windows": [{"class": "ServerRestart", "max": 1, "periodSeconds": 3600}]})
    await here.look()
    here.rolled_out()
    await here.look_after(1)
    here.one.observed.client_name = "evolution"
    servers.seen(here.one, at=here.time.now())
    await here.look_after(1)
    assert here.results == [StepResult.SUCCEEDED]

    servers.wish(here.one, *WAITING, since=here.time.now())
    await here.look()

    assert len(here.cluster.restarted) == 1


async def test_restart_is_in_the_audit_trail_before_and_after() -> None:
    here = stage(*WAITING)
    here.cluster.fails["restart workload"] = ports.Forbidden()
    told = here.context.telemetry
    assert isinstance(told, servers.Told)

    await here.look()

    assert [(entry.phase, entry.step, entry.result) for entry in told.audits] == [
        (reporting.Phase.INTENT, str(Step.RESTART_SERVER), None),
        (reporting.Phase.RESULT, str(Step.RESTART_SERVER), "Interrupted"),
    ]


async def test_server_is_not_restarted_before_every_instance_was_looked_at() -> None:
    here = stage(*WAITING)
    here.one.note_standing(here.one.subjects["i4"], None)

    await here.look()

    assert here.cluster.restarted == []
    held = server_restart.refusals(here.context, here.one, now=here.time.now())
    assert Reason.AWAITING_OBSERVATION in [hold.reason for hold in held]


@pytest.mark.parametrize("comes", ["pause", "session missing"])
async def test_what_comes_between_announcement_and_change_stops_it_and_costs_nothing(comes: str) -> None:
    here = stage(*WAITING)

    def come() -> None:
        if comes == "pause":
            here.context.pause = Pause(reason="now")
        else:
            here.one.note_standing(here.one.subjects["i4"], Standing.WITHOUT_SESSION)

    here.cluster.during["write status"] = come
    await here.look()

    assert (here.cluster.restarted, here.spent()) == ([], 0)
    assert here.results == [StepResult.INTERRUPTED]


async def test_server_that_is_lost_between_announcement_and_change_is_not_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = stage(*WAITING)

    def lose() -> None:
        monkeypatch.setattr(AllHeld, "holds", lambda *_: False)

    here.cluster.during["write status"] = lose
    await here.look()

    assert here.cluster.restarted == []
    assert here.results == [StepResult.INTERRUPTED]


async def test_rollout_by_somebody_else_is_noticed_with_the_moment_from_which_on_it_may_have_come() -> None:
    here = stage()
    await here.look()
    assert here.one.replaced_since is None
    await here.look_after(61)
    last_seen = here.time.now()
    assert here.one.replaced_since is None

    here.cluster.workload = replace(SAFE, restarted_at="by hand", rolled_out=False)
    await here.look_after(61)
    assert not here.one.has_restarted_since(last_seen)

    here.cluster.workload = replace(SAFE, restarted_at="by hand")
    await here.look_after(61)
    assert here.one.replaced_since == last_seen
    assert here.one.has_restarted_since(last_seen)
    assert not here.one.has_restarted_since(last_seen + timedelta(seconds=1))


@pytest.mark.parametrize("comes", ["another workload", "a time in which there was none"])
async def test_workload_that_was_another_before_proves_no_rollout(comes: str) -> None:
    here = stage()
    await here.look()
    if comes == "another workload":
        here.one.resource = servers.a_server(workloadRef=REFERENCE | {"name": "other"}).resource
    else:
        here.cluster.workload = None
        await here.look_after(61)

    here.cluster.workload = replace(SAFE, restarted_at="by hand")
    await here.look_after(61)

    assert here.one.workload == here.cluster.workload
    assert here.one.replaced_since is None
