"""When a sample of stability is called for, and when two of them have to agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.world import START, World, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import stability, witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

SPOILT = Verdict(HealthState.CORRUPTED, Reason.CREDENTIALS)
FLAPPING = Verdict(HealthState.DEGRADED, Reason.FLAPPING)
TURNS = frozenset({state("close"), state("connecting")})
MINUTE = timedelta(seconds=60)


def sampled(*moments: datetime, states: frozenset[evidence.ConnectionState] = TURNS) -> records.Record:
    record = records.saw_memory(records.Record(paired=True), evidence.InMemory(state("close")), at=START)
    for at in moments:
        record = records.saw_sample(record, witnesses.Sample(taken_at=at, states=states))
    return record


def is_called_for(record: records.Record, verdict: Verdict, *, now: datetime) -> bool:
    world = World(now=now, record=record).database("close").with_owner()
    return stability.is_called_for(world.seen, verdict)


@pytest.mark.parametrize(
    ("verdict", "after", "called_for"),
    [
        (SPOILT, MINUTE, False),
        (SPOILT, MINUTE + timedelta(seconds=1), True),
        (FLAPPING, timedelta(seconds=600), False),
        (FLAPPING, timedelta(seconds=601), True),
    ],
)
def test_second_sample_is_called_for_early_only_where_a_pairing_may_be_lost_for_it(
    verdict: Verdict, after: timedelta, called_for: bool
) -> None:
    assert is_called_for(sampled(START), verdict, now=START + after) is called_for


def test_where_two_samples_agree_no_third_is_called_for() -> None:
    assert not is_called_for(sampled(START, START + 2 * MINUTE), SPOILT, now=START + 4 * MINUTE)


@pytest.mark.parametrize(
    ("moments", "agree"),
    [
        ((), False),
        ((START,), False),
        ((START, START + timedelta(seconds=59)), False),
        ((START, START + MINUTE), True),
        ((START, START + timedelta(seconds=30), START + MINUTE), True),
    ],
)
def test_two_samples_of_the_same_turns_agree_when_they_are_a_minute_apart(
    moments: tuple[datetime, ...], agree: bool
) -> None:
    assert stability.turns_agree(sampled(*moments), Spans()) is agree


def opens(record: records.Record) -> records.Record:
    return records.saw_memory(record, evidence.InMemory(state("open")), at=START + 2 * MINUTE)


def opens_in_a_sample(record: records.Record) -> records.Record:
    sample = witnesses.Sample(taken_at=START + 2 * MINUTE, states=TURNS | {state("open")}, openings=1)
    return records.saw_sample(record, sample)


def rests_in_a_sample(record: records.Record) -> records.Record:
    return records.saw_sample(record, witnesses.Sample(START + 2 * MINUTE, frozenset({state("close")})))


def goes_from_memory(record: records.Record) -> records.Record:
    return records.saw_memory(record, evidence.NotInMemory(), at=START + 2 * MINUTE)


def rests_for_long(record: records.Record) -> records.Record:
    connecting = evidence.InMemory(state("connecting"))
    return records.saw_memory(replace(record, sample=None), connecting, at=START + 60 * MINUTE)


@pytest.mark.parametrize(
    "happens",
    [
        opens,
        opens_in_a_sample,
        rests_in_a_sample,
        goes_from_memory,
        rests_for_long,
        records.lost_from_memory,
        records.after_step,
        records.after_gap,
    ],
)
def test_what_came_between_two_samples_makes_them_agree_no_more(
    happens: Callable[[records.Record], records.Record],
) -> None:
    record = happens(sampled(START, START + MINUTE))
    assert not stability.turns_agree(record, Spans())

    later = records.saw_sample(record, witnesses.Sample(START + 70 * MINUTE, TURNS))

    assert not stability.turns_agree(later, Spans())
