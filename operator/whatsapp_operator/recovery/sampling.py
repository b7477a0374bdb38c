"""A sample of stability: many reads of memory in a short time, at uneven gaps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.spans import Spans

_WATCHED_SHARE = 3


def gaps(random: float, *, span: float, samples: int) -> float:
    """Seconds to the next read of a sample: uneven, so that a regular loop cannot hide between the reads."""
    return span / samples * (0.5 + random)


async def sample(
    read: Callable[[], Awaitable[evidence.MemoryReading]],
    *,
    spans: Spans,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
) -> witnesses.Sample | None:
    """Read memory many times; None when any read proved nothing.

    Once it has changed it is not constant; it is read for a third of the time more, since only that tells an instance
    that opens again and again, for tenths of a second, from one that flaps.
    """
    turns = list[ConnectionState]()
    reads, until = 0, monotonic() + spans.stable
    while (reads < spans.stable_samples and len(turns) <= 1) or monotonic() < until:
        reading = await read()
        if not isinstance(reading, evidence.InMemory):
            return None
        reads += 1
        if not turns or turns[-1] is not reading.state:
            turns.append(reading.state)
            until = monotonic() + spans.stable / _WATCHED_SHARE if len(turns) == 2 else until
        if turns[1:].count(ConnectionState.OPEN) >= records.REPLACED_OPENINGS:
            break
        await sleep(gaps(random(), span=spans.stable, samples=spans.stable_samples))
    openings = turns[1:].count(ConnectionState.OPEN)
    return witnesses.Sample(taken_at=now(), states=frozenset(turns), openings=openings)
