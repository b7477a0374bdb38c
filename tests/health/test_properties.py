"""What holds for every sequence of reads, however odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from support.world import EARLIER, START, World, a_row, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Neighbours
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass

WORDS = ["open", "connecting", "close"]
MOMENTS = [None, EARLIER, EARLIER + timedelta(days=1), START, START + timedelta(minutes=5), START + timedelta(days=1)]

ROWS = st.builds(
    a_row,
    st.sampled_from(WORDS),
    owner=st.booleans(),
    code=st.sampled_from([None, 401, 402, 403, 406, 408, 440]),
    ended=st.sampled_from(MOMENTS),
    updated=st.sampled_from(MOMENTS),
    data=st.sampled_from([0, 0, 3]),
    integration=st.sampled_from([records.BAILEYS, records.BAILEYS, "EVOLUTION"]),
    identity=st.sampled_from(["id-1", "id-1", "id-2"]),
)
READINGS: st.SearchStrategy[evidence.MemoryReading] = st.one_of(
    st.sampled_from(WORDS).map(lambda word: evidence.InMemory(state(word))),
    st.just(evidence.NotInMemory()),
    st.just(evidence.Absent()),
    st.just(evidence.Unknown(evidence.Ignorance.TIMEOUT)),
)
SAMPLES = st.frozensets(st.sampled_from(WORDS).map(state), min_size=1)


@dataclass(frozen=True)
class Event:
    """Something is read, or happens, some time after the event before."""

    after: float
    what: str
    reading: evidence.MemoryReading = field(default_factory=evidence.NotInMemory)
    row: evidence.Row | None = None
    sample: frozenset[ConnectionState] = frozenset()


EVENTS = st.lists(
    st.builds(
        Event,
        # Now and then the clock jumps forward by a day.
        after=st.sampled_from([0.2, 5, 10, 10, 31, 130, 700, 86_400]),
        what=st.sampled_from(["both", "both", "both", "memory", "list", "absent", "sample", "gap", "step"]),
        reading=READINGS,
        row=st.none() | ROWS,
        sample=SAMPLES,
    ),
    max_size=25,
)
NEIGHBOURS = st.builds(
    Neighbours,
    fresh=st.sampled_from([True, True, True, False]),
    warm=st.sampled_from([True, True, True, False]),
    mostly_flapping=st.booleans(),
    vouched_at=st.none() | st.sampled_from([START, START + timedelta(minutes=20)]),
)


def folded(record: records.Record, event: Event, *, at: datetime) -> records.Record:
    """One event, the list before memory."""
    match event.what:
        case "absent":
            return records.saw_absence(records.saw_database(record, None, at=at), at=at)
        case "sample":
            return records.saw_sample(record, witnesses.Sample(taken_at=at, states=event.sample))
        case "gap":
            return records.after_gap(record)
        case "step":
            return records.after_step(record)
    if event.what in ("both", "list"):
        record = records.saw_database(record, event.row, at=at)
    return records.saw_memory(record, event.reading, at=at) if event.what in ("both", "memory") else record


def played(events: Sequence[Event], neighbours: Neighbours, *, first: records.Record | None = None) -> list[World]:
    """The world after each event."""
    one = World(record=first or records.Record(), neighbours=neighbours)
    after = []
    for event in events:
        one.now += timedelta(seconds=event.after)
        one.record = folded(one.record, event, at=one.now)
        one.assess()
        after.append(
            World(now=one.now, record=one.record, opinion=one.opinion, neighbours=neighbours, verdicts=[*one.verdicts])
        )
    return after


@given(EVENTS, NEIGHBOURS)
def test_no_destructive_step_is_due_for_what_is_paired_or_holds_data(
    events: list[Event], neighbours: Neighbours
) -> None:
    for one in played(events, neighbours):
        if one.record.paired is not False or one.record.known_data:
            assert one.plan.step_class is not StepClass.RECREATE or Reason.PROTECTED_INSTANCE in one.plan.blocked_by


@given(EVENTS, NEIGHBOURS)
def test_no_step_is_due_on_a_single_observation_or_on_what_was_seen_before_a_step(
    events: list[Event], neighbours: Neighbours
) -> None:
    since_step = set[datetime]()
    for event, one in zip(events, played(events, neighbours), strict=True):
        since_step = set() if event.what in ("step", "gap") else since_step | {one.now}
        if one.plan.due(one.now) and event.what not in ("step", "gap"):
            assert len(since_step) >= 2


@given(EVENTS, NEIGHBOURS)
def test_no_step_is_due_right_after_a_step(events: list[Event], neighbours: Neighbours) -> None:
    for event, one in zip(events, played(events, neighbours), strict=True):
        if event.what == "step":
            assert not one.plan.due(one.now)


@given(EVENTS, NEIGHBOURS)
def test_no_step_is_due_in_warm_up_or_while_nothing_is_known(events: list[Event], neighbours: Neighbours) -> None:
    for one in played(events, neighbours):
        if not (neighbours.fresh and neighbours.warm):
            assert not one.plan.due(one.now)


@given(EVENTS, NEIGHBOURS)
def test_reconnect_is_due_only_from_a_close_that_nothing_since_contradicts(
    events: list[Event], neighbours: Neighbours
) -> None:
    for one in played(events, neighbours):
        if one.plan.due(one.now) and one.plan.step is Step.RECONNECT:
            assert one.record.memory is not None
            assert one.record.memory.state is ConnectionState.CLOSE
            assert one.record.sample is not None
            assert one.record.sample.constant is ConnectionState.CLOSE


@given(EVENTS, NEIGHBOURS)
def test_absence_takes_three_proofs_over_its_span(events: list[Event], neighbours: Neighbours) -> None:
    proofs: list[datetime] = []
    for event, one in zip(events, played(events, neighbours), strict=True):
        held = isinstance(event.reading, evidence.InMemory | evidence.NotInMemory)
        in_memory = event.what in ("both", "memory") and held
        listed = event.what in ("both", "list") and event.row is not None
        if event.what == "absent":
            proofs.append(one.now)
        elif in_memory or listed or event.what in ("step", "gap"):
            proofs = []
        if one.verdicts[-1][1] is Reason.NOT_FOUND:
            assert len(proofs) >= 3
            assert proofs[-1] - proofs[0] >= timedelta(seconds=30)


@given(EVENTS, NEIGHBOURS)
def test_pairing_is_cleared_only_by_a_new_end_or_by_a_qr_code(events: list[Event], neighbours: Neighbours) -> None:
    before = records.Record()
    for event, one in zip(events, played(events, neighbours), strict=True):
        if before.paired and one.record.paired is False:
            row = one.record.row
            assert row is not None
            assert event.what in ("both", "list", "memory")
            if row.state is ConnectionState.CLOSE:
                assert row.code in evidence.ENDED_CODES
                assert row.disconnection_at is not None
                assert before.baseline is None or row.disconnection_at > before.baseline
            else:
                assert row.state is ConnectionState.CONNECTING
        before = one.record


@given(EVENTS, NEIGHBOURS)
def test_pairing_is_never_cleared_while_memory_says_open(events: list[Event], neighbours: Neighbours) -> None:
    for one in played(events, neighbours):
        if one.record.memory is not None and one.record.memory.state is ConnectionState.OPEN:
            assert one.record.paired is True


@given(EVENTS, NEIGHBOURS, st.sampled_from([401, 402, 403, 406]))
def test_code_that_was_there_while_it_was_open_is_never_taken_for_a_new_one(
    events: list[Event], neighbours: Neighbours, code: int
) -> None:
    """Every later row keeps the code and moment that the row had when the instance was seen open.

    In doubt an account that was restricted before is not asked again: where it stays closed, and nothing tells why.
    """
    kept = a_row("open", owner=True, code=code, ended=EARLIER)
    first = records.saw_memory(
        records.saw_database(records.Record(), kept, at=START), evidence.InMemory(state("open")), at=START
    )
    same = [
        event
        if event.row is None
        else Event(
            event.after,
            event.what,
            event.reading,
            a_row(event.row.state.value, owner=True, code=code, ended=EARLIER),
            event.sample,
        )
        for event in events
    ]
    for one in played(same, neighbours, first=first):
        reason, sample = one.verdicts[-1][1], one.record.sample
        in_doubt = sample is not None and sample.constant is ConnectionState.CLOSE and bool(one.record.paired)
        assert reason is not Reason.LOGGED_OUT
        assert reason is not Reason.RESTRICTED or in_doubt


@given(EVENTS, NEIGHBOURS)
def test_folding_and_assessing_the_same_reads_gives_the_same(events: list[Event], neighbours: Neighbours) -> None:
    once, again = played(events, neighbours), played(events, neighbours)

    assert [(one.record, one.opinion, one.plan) for one in once] == [
        (one.record, one.opinion, one.plan) for one in again
    ]


@given(EVENTS, NEIGHBOURS)
def test_all_that_is_remembered_is_bounded(events: list[Event], neighbours: Neighbours) -> None:
    for one in played(events * 3, neighbours):
        assert len(one.record.changes) <= 32
