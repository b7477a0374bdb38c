"""A sample of stability: how long memory is read, and what is concluded of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from support.world import START, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import sampling

OPEN, CONNECTING, CLOSE = (state(word) for word in ("open", "connecting", "close"))
SPANS = Spans(stable=30, stable_samples=10)
"""A read every three seconds, where chance is a half."""


class Memory:
    """Shows what it is told to, and the last of it for ever; each read takes no time."""

    def __init__(self, *words: str | None, chance: float = 0.5) -> None:
        self.words, self.chance, self.reads, self.seconds = list(words), chance, 0, 0.0
        self.pauses: list[float] = []

    async def read(self) -> evidence.MemoryReading:
        self.reads += 1
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        return evidence.InMemory(state(word)) if word else evidence.Unknown(evidence.Ignorance.TIMEOUT)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    async def sampled(self, spans: Spans = SPANS) -> witnesses.Sample | None:
        return await sampling.sample(
            self.read,
            spans=spans,
            now=self.now,
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            random=lambda: self.chance,
        )


async def test_what_stays_as_it_is_is_read_all_the_time_and_as_often_as_was_asked_for() -> None:
    memory = Memory("close")

    taken = await memory.sampled()

    assert taken == witnesses.Sample(taken_at=START + timedelta(seconds=30), states=frozenset({CLOSE}))
    assert (memory.reads, memory.pauses) == (10, [3.0] * 10)


async def test_reads_that_come_quickly_go_on_until_the_time_is_over() -> None:
    memory = Memory("close", chance=0.0)

    assert await memory.sampled() is not None
    assert (memory.reads, memory.seconds) == (20, 30.0)


async def test_reads_that_come_slowly_go_on_until_there_are_enough() -> None:
    memory = Memory("close", chance=1.0)

    assert await memory.sampled() is not None
    assert (memory.reads, memory.seconds) == (10, 45.0)


async def test_what_has_changed_is_read_for_a_third_of_the_time_more() -> None:
    memory = Memory("close", "connecting")

    taken = await memory.sampled()

    assert taken is not None
    assert taken.states == {CLOSE, CONNECTING}
    assert (taken.openings, taken.constant) == (0, None)
    assert memory.seconds == 15.0


async def test_each_turn_is_one_and_the_third_is_counted_from_the_first_of_them() -> None:
    memory = Memory("close", "connecting", "close", "connecting", "close")

    assert await memory.sampled() is not None
    assert memory.seconds == 15.0


async def test_third_opening_ends_a_sample_and_the_state_that_it_began_in_is_none() -> None:
    memory = Memory("open", "close", "open", "close", "open", "close", "open", "close", chance=0.0)

    taken = await memory.sampled()

    assert taken is not None
    assert taken.states == {OPEN, CLOSE}
    assert taken.openings == 3
    assert memory.reads == 7


async def test_read_that_proves_nothing_makes_a_sample_worth_nothing() -> None:
    memory = Memory("close", None)

    assert await memory.sampled() is None
    assert memory.reads == 2


@pytest.mark.parametrize(("chance", "gap"), [(0.0, 0.05), (0.5, 0.1), (1.0, 0.15)])
def test_gaps_are_uneven_and_on_average_fill_the_time(chance: float, gap: float) -> None:
    assert sampling.gaps(chance, span=30, samples=300) == pytest.approx(gap)


async def test_every_opening_counts_of_what_was_closed_at_first() -> None:
    memory = Memory("close", "open", "close", "open", "close", "open", "close", chance=0.0)

    taken = await memory.sampled()

    assert taken is not None
    assert taken.openings == 3
    assert memory.reads == 6
