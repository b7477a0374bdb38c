"""The code of plugins in the engine: on the same path as ours, and with its mistakes kept to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from support import servers, simulated, surroundings
from support.servers import Cluster
from support.world import START, a_row, concluded
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import plugged, ports, seeing, treasury
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.codes import Codes
from whatsapp_operator.engine.existence import Existence
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.steps import Steps
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.plugins import Evidence, Instance
from whatsapp_operator.plugins.plugged import Origin, Plugged, PluggedState, PluggedStrategy
from whatsapp_operator.recovery import incident
from whatsapp_operator.recovery.ladder import Offer
from whatsapp_operator.recovery.planner import Plan
from whatsapp_operator.resources import parsing
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight, StepResult

LOUD, HUSH = Reason("TooLoud"), Step("Hush")
MADE_LOUD = Verdict(HealthState.DEGRADED, LOUD)
ORIGIN = Origin("whatsapp_operator.recovery_strategies", "hush", "hush 1.0")
SPENT = {"windows": [{"class": str(one), "max": 0, "periodSeconds": 60} for one in StepClass]}
LOSSES = {"logout", "delete", "create", "connect"}
TURNS = 20
"""So many turns of the loop does a sleep take: everything goes on meanwhile that needs no time."""


@dataclass
class Told(servers.Told):
    """Telemetry that remembers what plugins did wrong."""

    failures: list[tuple[str, str, str, type[BaseException]]] = field(default_factory=list)

    def plugin_failed(self, part: str, word: str, origin: str, error: BaseException, /) -> None:
        self.failures.append((part, word, origin, type(error)))


class Evolution:
    """A server that holds the instance, open at first, and takes everything that it is asked."""

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.on_read: Callable[[], object] = lambda: None
        self.state = evidence.ConnectionState.OPEN
        self.there = True

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        self.on_read()
        return evidence.InMemory(self.state) if self.there else evidence.Absent()

    async def find_settings(self, _name: str) -> Mapping[str, object]:
        return {"alwaysOnline": True}

    async def find_webhook(self, _name: str) -> None:
        return None

    def __getattr__(self, call: str) -> Callable[..., Awaitable[evidence.Outcome]]:
        async def taken(*_: object, **__: object) -> evidence.Outcome:
            self.journal.append(call)
            return evidence.Accepted()

        return taken


@dataclass
class Stage:
    """One instance that a plugin finds not well, and everything around it."""

    context: contexts.Context
    server: Server
    draft: drafts.Draft
    steps: Steps
    evolution: Evolution
    told: Told
    cluster: Cluster
    plan: Plan
    journal: list[str]

    async def take(self) -> None:
        await self.steps.take(self.server, self.draft, self.plan)


class Time(simulated.Time):
    """A limit does not overtake what needs no time at all."""

    async def sleep(self, seconds: float, /) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self.advance(seconds)


def stage(run: Callable[[Instance], Awaitable[object]], cost: StepClass = StepClass.SOFT, **spec: Any) -> Stage:
    time, journal, told, cluster = Time(), list[str](), Told(), Cluster()
    one, evolution = servers.a_server(**spec), Evolution(journal)
    cluster.during["write status"] = lambda: journal.append("status")
    offered = Offer(HUSH, cost, frozenset({LOUD}))
    context = servers.a_context(
        time, one, cluster, telemetry=told, plugged=Plugged(strategies=(PluggedStrategy(ORIGIN, offered, run),))
    )
    client: Any = evolution
    one.client = client
    subject = one.subjects["i0"]
    context.subjects.update({each.key: each for each in one.subjects.values()})
    row = replace(a_row("open", owner=True), settings={"alwaysOnline": True, "wavoipToken": "canary"})
    subject.record = records.saw_database(records.Record(paired=True), row, at=START)
    subject.record = records.saw_memory(subject.record, evidence.InMemory(evidence.ConnectionState.OPEN), at=START)
    assert subject.instance is not None
    draft = drafts.begin(subject, subject.instance, one, pause=None, now=time.now())
    draft.verdict = MADE_LOUD
    writer, announcer = StatusWriter(context), Announcer(context)
    steps = Steps(context, writer, Existence(context, writer, announcer), announcer)
    plan = Plan(step=HUSH, step_class=StepClass.SESSION_LOSS if cost is StepClass.RECREATE else cost)
    return Stage(context, one, draft, steps, evolution, told, cluster, plan, journal)


async def restart(instance: Instance) -> None:
    await instance.restart()


def written(house: Stage) -> Any:
    """The step in flight, as it stands in the status that was written last."""
    recovery = parsing.parse_instance_status({"status": house.cluster.statuses[-1]}).recovery
    return recovery.in_flight if recovery is not None else None


async def test_step_is_entered_in_the_ledger_and_written_to_status_before_it_is_taken() -> None:
    house = stage(restart)

    await house.take()

    assert house.journal == ["status", "restart"]
    flying = written(house)
    assert (flying.step, flying.step_class, flying.reason) == (HUSH, StepClass.SOFT, LOUD)
    claims: Any = house.context.claims
    assert '"Soft":[' in claims.ledgers[house.server.key]
    assert house.server.in_flight == {house.draft.subject.key}
    assert [(one.phase.value, one.step, one.step_class) for one in house.told.audits] == [("intent", "Hush", "Soft")]


async def test_what_was_seen_before_the_step_counts_for_nothing_after_it() -> None:
    house = stage(restart)

    await house.take()

    assert house.draft.subject.record.memory is None


@pytest.mark.parametrize("comes", ["pause", "budget", "others", "cold", "claim", "status"])
async def test_step_that_something_came_between_is_not_taken(comes: str) -> None:
    house = stage(restart, budget=SPENT if comes == "budget" else {})
    match comes:
        case "pause":
            house.context.pause = Pause(reason="now")
        case "others":
            house.server.in_flight.update({ports.Key("messaging", "a"), ports.Key("messaging", "b")})
        case "cold":
            house.evolution.on_read = lambda: setattr(house.server, "warm_up", type(house.server.warm_up)())
        case "claim":
            house.context.claims = Lost()
        case "status":
            house.cluster.fails["write status"] = ports.Conflict()

    if comes in ("claim", "status"):
        with pytest.raises(ports.Conflict):
            await house.take()
    else:
        await house.take()

    assert "restart" not in house.journal
    assert house.draft.subject.key not in house.server.in_flight
    assert not (house.server.ledger and house.server.ledger.spent.get(StepClass.SOFT))


class Lost(surroundings.AllHeld):
    """Claims of which this one was taken by another replica."""

    async def save_ledger(self, _server: ports.Key, _text: str, /) -> None:
        raise ports.Conflict


async def never(_: Instance) -> None:
    await asyncio.Event().wait()


async def fail(_: Instance) -> None:
    raise LookupError


async def leave(_: Instance) -> None:
    raise SystemExit


async def boast(_: Instance) -> object:
    return True


async def overreach(instance: Instance) -> None:
    await instance.recreate()


@pytest.mark.parametrize(
    ("run", "error"),
    [(never, "TimeoutError"), (fail, "LookupError"), (leave, "SystemExit"), (boast, "Nonsense")],
)
async def test_strategy_that_fails_is_told_and_its_step_is_judged_like_any_other(
    run: Callable[[Instance], Awaitable[object]], error: str
) -> None:
    house = stage(run)

    await house.take()

    ((part, word, origin, kind),) = house.told.failures
    assert (part, word, origin, kind.__name__) == ("strategy", "Hush", str(ORIGIN), error)
    assert house.draft.recovery.in_flight is not None
    assert house.draft.subject.record.memory is None


async def test_strategy_that_takes_too_long_is_ended_and_can_do_nothing_any_more() -> None:
    kept: list[Instance] = []
    refused: list[str] = []

    async def stubborn(instance: Instance) -> None:
        kept.append(instance)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await instance.restart()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked at
                refused.append(type(error).__name__)

    house = stage(stubborn)
    await house.take()
    await asyncio.sleep(0)

    assert refused == ["StepIsOver"]
    assert house.journal == ["status"]


@pytest.mark.parametrize("cost", [StepClass.SOFT, StepClass.SERVER_RESTART])
async def test_strategy_that_asks_for_more_than_its_class_has_changes_nothing(cost: StepClass) -> None:
    house = stage(overreach, cost, workloadRef={"kind": "Deployment", "name": "evolution-api"})

    await house.take()

    assert LOSSES.isdisjoint(house.journal)
    assert [one[3].__name__ for one in house.told.failures] == ["CallNotAllowed"]


async def test_costly_strategy_on_a_pairing_is_a_loss_in_ledger_status_and_audit_trail() -> None:
    async def nothing(instance: Instance) -> None:
        assert instance.step_class is StepClass.SESSION_LOSS

    house = stage(nothing, StepClass.RECREATE)

    await house.take()

    assert house.told.failures == []
    assert written(house).step_class is StepClass.SESSION_LOSS
    assert [one.step_class for one in house.told.audits] == ["SessionLoss"]
    assert house.server.ledger is not None
    assert len(house.server.ledger.spent[StepClass.SESSION_LOSS]) == 1


async def test_costly_strategy_that_deletes_keeps_what_is_put_back_and_the_deletion_is_waited_for() -> None:
    house = stage(overreach, StepClass.RECREATE)

    await house.take()

    assert house.told.failures == []
    assert [call for call in house.journal if call in LOSSES] == ["logout", "delete"]
    assert house.draft.keepsake is not None
    deletion = house.draft.subject.deletion
    assert deletion is not None
    assert not deletion.spares_protected
    assert house.draft.subject.create_asked_at is not None


class Others:
    """An observer of a server whose list has all but the one instance."""

    def hurry(self) -> None:
        """There is nothing to see."""

    async def list_rows(self) -> evidence.DatabaseList:
        return evidence.DatabaseList({name: a_row() for name in ("i1", "i2")})


def takes_long_to_delete(house: Stage) -> asyncio.Event:
    """DELETE is answered only when every limit of a plugin's own code is long over; then the instance is gone.

    Returns what tells that it was asked for.
    """
    asked = asyncio.Event()

    async def delete(_name: str) -> evidence.Outcome:
        asked.set()
        for _ in range(5):
            await house.context.sleep(200)
        house.evolution.there = False
        house.journal.append("delete")
        return evidence.Accepted()

    evolution: Any = house.evolution
    evolution.delete = delete
    house.context.observers[house.server.key] = Others()
    return asked


async def relent(instance: Instance) -> None:
    await instance.sleep(29)
    await instance.recreate()
    await instance.sleep(0.5)


async def leave_behind(instance: Instance) -> None:
    task = asyncio.ensure_future(instance.recreate())
    await asyncio.sleep(0)
    del task


async def lose_patience(instance: Instance) -> None:
    task = asyncio.ensure_future(instance.recreate())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.Event().wait()


async def lose_its_way(instance: Instance) -> None:
    await instance.recreate()
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("run", "errors"),
    [
        (overreach, []),
        (relent, []),
        (leave_behind, []),
        (lose_patience, ["TimeoutError"]),
        (lose_its_way, ["TimeoutError"]),
    ],
)
async def test_recreate_of_a_strategy_is_carried_to_its_end_however_long_it_takes(
    run: Callable[[Instance], Awaitable[object]], errors: list[str]
) -> None:
    house = stage(run, StepClass.RECREATE)
    takes_long_to_delete(house)

    await house.take()

    assert [call for call in house.journal if call in LOSSES] == ["logout", "delete", "create"]
    assert [kind.__name__ for *_, kind in house.told.failures] == errors
    assert house.draft.subject.create_asked_at is not None
    assert not house.draft.subject.create_unanswered
    assert house.draft.instance_id is None


async def test_operator_that_stops_waits_for_no_recreate_of_a_strategy() -> None:
    house = stage(overreach, StepClass.RECREATE)
    asked = takes_long_to_delete(house)
    taking = asyncio.create_task(house.take())
    await asked.wait()

    taking.cancel()
    await asyncio.wait({taking})
    for _ in range(10):
        await house.context.sleep(200)

    assert taking.cancelled()
    assert "delete" not in house.journal


async def configure(instance: Instance) -> None:
    await instance.change_settings({"alwaysOnline": False})


@pytest.mark.parametrize(("run", "verified"), [(restart, 3), (configure, None)])
async def test_what_a_strategy_has_configured_is_verified_against_the_spec_afterwards(
    run: Callable[[Instance], Awaitable[None]], verified: int | None
) -> None:
    house = stage(run)
    house.draft.configured_generation = 3

    await house.take()

    assert house.draft.configured_generation == verified
    assert house.draft.subject.create_asked_at is None


async def test_gentle_strategy_takes_no_configuration_so_none_is_kept_before_it() -> None:
    house = stage(configure)

    await house.take()

    assert house.draft.keepsake is None
    assert house.cluster.secrets == {}


async def test_what_a_strategy_configures_is_verified_also_by_a_process_that_finds_its_step_interrupted() -> None:
    """What is only said after it would be lost with the process."""
    house = stage(configure)
    house.draft.configured_generation = 3

    await house.take()

    (announced,) = house.cluster.statuses
    assert announced["recovery"]["inFlight"]["step"] == "Hush"
    assert "configuredGeneration" not in announced


@pytest.mark.parametrize("step", [Step.RESTART, HUSH])
async def test_no_code_is_read_in_the_gap_that_a_step_may_leave(step: Step) -> None:
    house = stage(restart)
    draft, house.evolution.state = house.draft, evidence.ConnectionState.CONNECTING
    connecting = evidence.InMemory(house.evolution.state)
    draft.subject.record = records.saw_memory(records.Record(paired=False), connecting, at=START)
    draft.window_opened_at = START
    done = incident.announced(draft.recovery, step, step_class=StepClass.SOFT, reason=LOUD, now=START)
    draft.recovery = concluded(done, StepResult.FAILED, now=START)
    codes = Codes(house.context)

    await codes.keep(house.server, draft)
    assert house.journal == []

    draft.now = START + timedelta(seconds=6)
    await codes.keep(house.server, draft)
    assert house.journal == ["connect"]


async def test_step_that_costs_all_instances_waits_for_each_and_lets_none_begin_meanwhile() -> None:
    house = stage(restart, StepClass.SERVER_RESTART)
    house.server.in_flight.add(ports.Key("messaging", "i1"))
    await house.take()
    assert house.journal == []

    house.server.in_flight.clear()
    await house.take()
    assert house.journal == ["status", "restart"]

    now, other = house.context.clock.now(), ports.Key("messaging", "i1")
    assert treasury.guard(house.context, house.server, key=other, now=now).restarting
    assert not treasury.guard(house.context, house.server, key=house.draft.subject.key, now=now).restarting


async def test_step_in_flight_of_a_plugin_that_is_gone_is_judged_interrupted() -> None:
    house = stage(restart)
    flying = StepInFlight(step=Step("Gone"), step_class=StepClass.SOFT, reason=LOUD, since=START)
    house.draft.recovery = house.draft.recovery.replace(in_flight=flying)

    house.steps.judge(house.server, house.draft)

    (last,) = house.draft.recovery.history
    assert (last.step, str(last.result)) == (Step("Gone"), "Interrupted")
    assert [(one.phase.value, one.step_class, one.result) for one in house.told.audits] == [
        ("result", "Soft", "Interrupted")
    ]


def a_state(name: str, matches: Callable[[Evidence], object]) -> PluggedState:
    verdict = Verdict(HealthState.STUCK, Reason(name))
    return PluggedState(replace(ORIGIN, name=name), verdict, "A sentence.", matches)


class Looks:
    """A rule that keeps what it is shown, and never matches."""

    def __init__(self) -> None:
        self.shown: list[Evidence] = []

    def __call__(self, shown: Evidence) -> bool:
        self.shown.append(shown)
        return False


def asked(house: Stage, *states: PluggedState) -> Verdict | None:
    house.context.plugged = Plugged(states=states)
    given = seeing.seen(house.context, house.server, house.draft)
    return plugged.Rules(house.context).verdict(house.draft, given)


def raises(_: Evidence) -> bool:
    raise LookupError


def exits(_: Evidence) -> bool:
    raise SystemExit


@pytest.mark.parametrize("failing", [raises, exits, lambda _: "yes", lambda _: None])
def test_rule_that_fails_or_talks_nonsense_is_passed_over_and_the_next_one_asked(
    failing: Callable[[Evidence], object],
) -> None:
    house = stage(restart)

    verdict = asked(house, a_state("Failing", failing), a_state("Works", lambda _: True))

    assert verdict == Verdict(HealthState.STUCK, Reason("Works"))
    ((part, word, origin, _),) = house.told.failures
    assert (part, word) == ("rule", "Failing")
    assert origin.startswith("Failing (")


def test_first_rule_that_matches_wins_and_none_is_no_verdict() -> None:
    house = stage(restart)

    first, second = a_state("First", lambda _: True), a_state("Second", lambda _: True)

    assert asked(house, a_state("Never", lambda _: False), first, second) == first.verdict
    assert asked(house, a_state("Never", lambda _: False)) is None
    assert asked(house) is None


def test_rule_sees_what_was_read_and_none_of_its_secrets() -> None:
    house, looks = stage(restart), Looks()

    asked(house, a_state("Looks", looks))

    (shown,) = looks.shown
    assert shown.settings == {"alwaysOnline": True}
    assert (shown.memory.value, shown.database.value, shown.paired) == ("open", "open", True)
    assert (shown.memory_since, shown.database_read_at, shown.integration) == (START, START, "WHATSAPP-BAILEYS")
    assert "canary" not in repr(shown)
    assert "owner" not in repr(shown)


def test_rule_is_told_which_settings_the_spec_asks_for() -> None:
    house, looks = stage(restart), Looks()
    subject = servers.a_subject("i0", settings={"alwaysOnline": True})
    assert subject.instance is not None
    house.draft.instance = subject.instance

    asked(house, a_state("Looks", looks))

    assert looks.shown[0].wanted_settings["alwaysOnline"] is True
