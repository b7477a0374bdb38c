"""What an instance's plan leads to: a step, a question, a wish for a restart of the server, or a word to a human."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.test_vouching import a_subject as well
from support import servers, simulated
from support.servers import Cluster
from support.world import START, a_row, state
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import ports, warmup
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.existence import Existence
from whatsapp_operator.engine.planning import Planning
from whatsapp_operator.engine.server import Server, Wish
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.steps import Steps
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY, Verdict
from whatsapp_operator.health.rules import Symptom
from whatsapp_operator.recovery import incident
from whatsapp_operator.recovery.planner import NOTHING, Plan
from whatsapp_operator.resources import names
from whatsapp_operator.resources import server as server_resources
from whatsapp_operator.resources.pause import Pause, PausedBy, PauseInForce
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import Approval, HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepRecord, StepResult

GHOST = Verdict(HealthState.CORRUPTED, Reason.GHOST)
WORKLOAD = {"workloadRef": {"kind": "Deployment", "name": "evolution-api"}}


def stage(**spec: Any) -> tuple[contexts.Context, Server, drafts.Draft, Planning]:
    """An instance that was found a ghost twice, on a server that may be restarted for it."""
    time, one = simulated.Time(), servers.a_server(**WORKLOAD | spec)
    context = servers.a_context(time, one, Cluster())
    subject = one.subjects["i0"]
    context.subjects.update({each.key: each for each in one.subjects.values()})
    record = records.saw_database(records.Record(paired=True), a_row("open", owner=True), at=START)
    opinion = None
    for second in range(3):
        at = START + timedelta(seconds=second)
        record = records.saw_memory(record, evidence.NotInMemory(), at=at)
        opinion = opinions.consider(opinion, GHOST, reads=record.reads, at=at)
    subject.record, subject.opinion = record, opinion
    assert subject.instance is not None
    time.advance(3)
    servers.seen(one, at=time.now())
    draft = drafts.begin(subject, subject.instance, one, pause=None, now=time.now())
    draft.verdict = GHOST
    writer, announcer = StatusWriter(context), Announcer(context)
    steps = Steps(context, writer, Existence(context, writer, announcer), announcer)
    return context, one, draft, Planning(context, announcer, steps)


def begin_incident(draft: drafts.Draft) -> None:
    draft.recovery = incident.opened(draft.recovery, incident="1", now=START)


def is_queued(context: contexts.Context, one: Server) -> bool:
    return contexts.Item(server_resources.KIND, one.key) in context.queue


async def test_restart_of_the_server_is_not_asked_for_before_an_incident_counts_it() -> None:
    context, one, draft, planning = stage()

    await planning.plan(one, draft)

    assert draft.plan.step == "RestartServer"
    assert one.wishes == {}
    assert not is_queued(context, one)


async def test_restart_of_the_server_is_asked_for_once_by_who_has_an_incident() -> None:
    context, one, draft, planning = stage()
    begin_incident(draft)

    await planning.plan(one, draft)
    await planning.plan(one, draft)

    assert one.wishes == {draft.subject.key: Wish(since=START, reason=Reason.GHOST)}
    assert is_queued(context, one)
    assert draft.recovery.in_flight is None


def cluster_of(context: contexts.Context, one: Server) -> Cluster:
    cluster = context.kubernetes
    assert isinstance(cluster, Cluster)
    cluster.resource = dict(one.subjects["i0"].body)
    return cluster


async def test_incident_is_written_down_before_a_restart_of_the_server_is_asked_for() -> None:
    """A restart makes all that was seen before it worth nothing: only a status can tell afterwards that it was done."""
    context, one, draft, planning = stage()
    cluster = cluster_of(context, one)
    begin_incident(draft)

    await planning.plan(one, draft)
    await planning.plan(one, draft)

    assert [status["recovery"]["incident"] for status in cluster.statuses] == ["1"]
    stored = draft.subject.status.recovery
    assert stored is not None
    assert (stored.incident, stored.started_at) == ("1", START)


async def test_whose_incident_stands_in_the_status_asks_also_where_its_resource_has_changed_during_the_look() -> None:
    context, one, draft, planning = stage()
    cluster = cluster_of(context, one)
    cluster.resource["spec"] = {"serverRef": {"name": "main"}}
    begin_incident(draft)
    await planning.plan(one, draft)
    one.wishes.clear()

    stored = cluster.body_with(cluster.statuses[-1])
    draft.subject.update(stored | {"spec": {"serverRef": {"name": "main"}, "settings": {"rejectCall": True}}})
    await planning.plan(one, draft)

    assert list(one.wishes) == [draft.subject.key]
    assert len(cluster.statuses) == 1


async def test_restart_of_the_server_is_not_asked_for_while_the_incident_cannot_be_written_down() -> None:
    context, one, draft, planning = stage()
    cluster_of(context, one).fails["write status"] = ports.Unavailable()
    begin_incident(draft)

    with pytest.raises(ports.Unavailable):
        await planning.plan(one, draft)

    assert one.wishes == {}
    assert not is_queued(context, one)


async def test_who_is_deaf_asks_since_it_is_with_or_without_an_incident() -> None:
    _, one, draft, planning = stage()
    one.observed.version = "2.3.6"
    deaf_since = START - timedelta(seconds=30)
    draft.recovery = draft.recovery.replace(deaf_since=deaf_since)

    await planning.plan(one, draft)

    assert one.wishes == {draft.subject.key: Wish(since=deaf_since, reason=Reason.DEAF)}


@pytest.mark.parametrize("comes", ["health", "the end of the incident", "a pause"])
async def test_who_needs_no_restart_any_more_or_may_have_none_takes_the_wish_back(comes: str) -> None:
    _, one, draft, planning = stage()
    begin_incident(draft)
    await planning.plan(one, draft)
    assert one.wishes != {}

    match comes:
        case "health":
            at = draft.now + timedelta(seconds=1)
            draft.subject.opinion = opinions.consider(None, HEALTHY, reads=99, at=at)
            draft.verdict = HEALTHY
        case "the end of the incident":
            draft.recovery = RecoveryStatus()
        case _:
            draft.pause = PauseInForce(by=PausedBy.INSTANCE, pause=Pause())
    await planning.plan(one, draft)

    assert one.wishes == {}


async def test_ghost_that_may_be_about_to_be_loaded_is_not_acted_upon_and_others_are() -> None:
    _, one, draft, planning = stage()
    begin_incident(draft)
    one.warm_up = warmup.WarmUp(done=True, ghosts=frozenset({"i0"}), doubted=frozenset({"i0"}))
    other = one.subjects["i1"]

    await planning.plan(one, draft)

    assert Reason.WARMING_UP in draft.plan.blocked_by
    assert one.wishes == {}
    assert not one.neighbours(draft.subject, name="i0", now=draft.now).warm
    assert one.neighbours(other, name="i1", now=draft.now).warm


class Evolution:
    """A server that says this of memory, lets its instances answer probes, and notes what it is asked."""

    def __init__(self, memory: evidence.MemoryReading) -> None:
        self.memory = memory
        self.calls: list[str] = []

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        return self.memory

    async def restart(self, _name: str) -> evidence.Outcome:
        self.calls.append("restart")
        return evidence.Accepted()

    async def probe(self, name: str, *, number: str) -> evidence.ProbeResult:
        assert number
        self.calls.append(f"probe {name}")
        return evidence.ProbeResult.ALIVE


def assessed(draft: drafts.Draft, record: records.Record, verdict: Verdict) -> None:
    """This was read of it, and concluded twice."""
    draft.subject.record, draft.verdict = record, verdict
    draft.subject.opinion = opinions.Opinion(verdict, since=START, observations=2)


def with_a_well_neighbour(one: Server, memory: evidence.MemoryReading) -> Evolution:
    one.subjects["i1"] = well("i1")
    evolution = Evolution(memory)
    client: Any = evolution
    one.client = client
    return evolution


CONNECTING = evidence.InMemory(state("connecting"))


async def test_step_that_waits_only_for_a_voucher_is_taken_in_the_same_look_that_finds_one() -> None:
    _, one, draft, planning = stage()
    evolution = with_a_well_neighbour(one, CONNECTING)
    record = records.saw_database(records.Record(paired=False), a_row("connecting"), at=START)
    for second in range(3):
        record = records.saw_memory(record, CONNECTING, at=START + timedelta(seconds=second))
    assessed(draft, record, Verdict(HealthState.STUCK, Reason.NO_QR_CODE))
    draft.subject.symptom = None
    one.symptoms[Symptom.WITHOUT_CODE] = 3
    begin_incident(draft)

    await planning.plan(one, draft)

    assert evolution.calls == ["probe i1", "restart"]
    assert draft.recovery.last_resort_since is None


def flapping(*, minutes: int) -> records.Record:
    record = records.saw_database(records.Record(paired=True), a_row("close", owner=True), at=START)
    for turn in range(minutes * 3 + 1):
        reading = CONNECTING if turn % 2 else evidence.InMemory(state("close"))
        record = records.saw_memory(record, reading, at=START + timedelta(seconds=20 * turn))
    return record


@pytest.mark.parametrize(
    ("minutes", "reason", "calls"),
    [(11, Reason.FLAPPING, ["probe i1"]), (5, Reason.FLAPPING, []), (11, Reason.SETTLING, [])],
    ids=["for long", "for a while", "not concluded"],
)
async def test_neighbour_is_asked_where_only_its_answer_tells_lost_credentials_from_an_outage(
    minutes: int, reason: Reason, calls: list[str]
) -> None:
    context, one, draft, planning = stage()
    evolution = with_a_well_neighbour(one, CONNECTING)
    assessed(draft, flapping(minutes=minutes), Verdict(HealthState.DEGRADED, reason))
    context.clock.advance(minutes * 60 - 3)  # type: ignore[attr-defined] # simulated time
    servers.seen(one, at=context.clock.now())
    draft.now = context.clock.now()

    await planning.plan(one, draft)

    assert evolution.calls == calls
    assert draft.plan.step is None


async def test_nothing_is_planned_before_anything_was_concluded() -> None:
    _, one, draft, planning = stage()
    draft.subject.opinion = None

    await planning.plan(one, draft)

    assert draft.plan is NOTHING


async def test_restart_of_the_server_that_is_due_is_not_taken_by_who_waits_for_it() -> None:
    _, one, draft, planning = stage(workloadRef=WORKLOAD["workloadRef"] | {"minInstances": 1})
    with_a_well_neighbour(one, evidence.NotInMemory())
    begin_incident(draft)

    for _ in range(2):
        await planning.plan(one, draft)

    assert draft.plan.due(draft.now)
    assert (draft.plan.step, draft.recovery.in_flight) == ("RestartServer", None)
    assert draft.recovery.last_resort_since == draft.now, "no gentle step is left"


@pytest.mark.parametrize("paused", [False, True])
async def test_restart_that_a_user_asks_for_is_taken_unless_something_is_against_it(paused: bool) -> None:
    _, one, draft, planning = stage()
    evolution = with_a_well_neighbour(one, evidence.NotInMemory())
    metadata = draft.instance.metadata.replace(annotations={names.Request.RESTART.annotation: "now"})
    draft.instance = draft.subject.instance = draft.instance.replace(metadata=metadata)
    draft.pause = PauseInForce(by=PausedBy.INSTANCE, pause=Pause()) if paused else None

    await planning.plan(one, draft)

    assert evolution.calls == ([] if paused else ["restart"])


async def test_incident_that_does_not_say_when_it_began_waits_from_now_on() -> None:
    _, one, draft, planning = stage()
    draft.recovery = RecoveryStatus(incident="1")

    await planning.plan(one, draft)

    assert one.wishes == {draft.subject.key: Wish(since=draft.now, reason=Reason.GHOST)}


async def test_loss_that_a_human_may_approve_shows_how_and_is_not_held_up_once_it_is_approved() -> None:
    context, one, draft, planning = stage()
    assert one.resource is not None
    one.resource = one.resource.replace(spec=one.resource.spec.replace(workload_ref=None))
    begin_incident(draft)

    await planning.plan(one, draft)
    assert Reason.NEEDS_SERVER_RESTART in draft.plan.blocked_by
    assert draft.recovery.approval is not None
    approval = Approval(token=draft.recovery.approval.token, expires=draft.now + timedelta(seconds=60))
    draft.recovery = draft.recovery.replace(approval=approval)
    await planning.plan(one, draft)

    assert Reason.NEEDS_SERVER_RESTART not in draft.plan.blocked_by
    told: Any = context.telemetry
    assert [(entry.phase.value, entry.step) for entry in told.audits] == [("refused", "Recreate")]


@pytest.mark.parametrize(("says", "events"), [("the-token", [Reason.APPROVED]), ("another", [])])
def test_approval_is_announced_when_it_is_given(says: str, events: list[Reason]) -> None:
    context, _, draft, planning = stage()
    draft.instance = draft.instance.replace(metadata=draft.instance.metadata.replace(annotations={names.APPROVE: says}))
    draft.recovery = draft.recovery.replace(approval=Approval(token="the-token"))  # noqa: S106 - of a test

    planning.note_approval(draft)

    cluster: Any = context.kubernetes
    assert cluster.events == events


FOR_A_HUMAN = {
    Reason.PROTECTED_INSTANCE,
    Reason.APPROVAL_REQUIRED,
    Reason.NOT_VOUCHED_FOR,
    Reason.NEEDS_SERVER_RESTART,
    Reason.UNSAFE_ROLLOUT,
    Reason.WORKLOAD_NOT_FOUND,
    Reason.WORKLOAD_FORBIDDEN,
}
RECREATE = Plan(step=Step.RECREATE, step_class=StepClass.SESSION_LOSS)


def told_against(
    planning: Planning, one: Server, draft: drafts.Draft, *against: Reason
) -> tuple[list[tuple[str, ...]], list[Reason]]:
    """What audit trail and Events say of a step with this against it."""
    told: Any = planning._context.telemetry  # noqa: SLF001 - what it was given
    cluster: Any = planning._context.kubernetes  # noqa: SLF001 - likewise
    told.audits.clear()
    cluster.events.clear()
    planning._tell_refusal(one, draft, replace(RECREATE, blocked_by=against))  # noqa: SLF001 - the planner has its own
    return [entry.blocked_by for entry in told.audits], list(cluster.events)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in ("RetryDelay", "AwaitingObservation")])
def test_refusal_is_audited_and_an_event_where_a_human_can_do_something(reason: Reason) -> None:
    _, one, draft, planning = stage()

    audits, events = told_against(planning, one, draft, reason)

    assert audits == [(str(reason),)]
    assert events == ([reason] if reason in FOR_A_HUMAN else [])


def test_refusal_is_told_when_it_is_new_and_then_once_and_a_mere_wait_never() -> None:
    _, one, draft, planning = stage()
    new, more = Reason.NOT_VOUCHED_FOR, Reason.UNSAFE_ROLLOUT

    assert told_against(planning, one, draft, Reason.RETRY_DELAY) == ([], [])
    assert told_against(planning, one, draft, new) == ([("NotVouchedFor",)], [new])
    assert told_against(planning, one, draft, new) == ([], [])
    assert told_against(planning, one, draft, new, more) == ([("NotVouchedFor", "UnsafeRollout")], [more])
    assert told_against(planning, one, draft) == ([], [])
    assert told_against(planning, one, draft, new) == ([("NotVouchedFor",)], [new])


def test_refusal_that_stands_in_the_status_was_told_by_the_process_before() -> None:
    _, one, draft, planning = stage()
    status = draft.instance.status.replace(recovery=RecoveryStatus(blocked_by=(Reason.NOT_VOUCHED_FOR,)))
    draft.instance = draft.instance.replace(status=status)

    assert told_against(planning, one, draft, Reason.NOT_VOUCHED_FOR) == ([], [])


@pytest.mark.parametrize("proof", ["another version", "a restart of ours", None])
async def test_instance_is_deaf_until_another_process_is_proved_to_hold_it(proof: str | None) -> None:
    _, one, draft, planning = stage()
    one.observed.version = "2.3.7" if proof == "another version" else "2.3.6"
    draft.recovery = draft.recovery.replace(deaf_since=START)
    if proof == "a restart of ours":
        one.history = (restarted(at=START),)

    await planning.plan(one, draft)

    assert draft.recovery.deaf_since == (START if proof is None else None)
    assert [wish.reason for wish in one.wishes.values()] == ([Reason.DEAF] if proof is None else [])


@pytest.mark.parametrize("version", ["2.3.6", "2.3.7"])
async def test_instance_that_hears_stays_as_it_is(version: str) -> None:
    _, one, draft, planning = stage()
    one.observed.version, one.history = version, (restarted(at=START),)
    before = draft.recovery

    await planning.plan(one, draft)

    assert draft.recovery == before


def restarted(*, at: datetime) -> StepRecord:
    return StepRecord(
        step=Step.RESTART_SERVER,
        reason=Reason.DEAF,
        incident="1",
        start_time=at,
        end_time=at,
        result=StepResult.SUCCEEDED,
    )
