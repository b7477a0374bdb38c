"""A sample of stability: many reads of memory in a short time, at uneven gaps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.spans import Spans


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
    """Read memory until all reads of a sample are taken or two differ; None when any read proved nothing."""
    states: set[ConnectionState | None] = set()
    reads, until = 0, monotonic() + spans.stable
    while reads < spans.stable_samples or monotonic() < until:
        reading = await read()
        if not isinstance(reading, evidence.InMemory):
            return None
        states.add(reading.state)
        reads += 1
        if len(states) > 1:
            break
        await sleep(gaps(random(), span=spans.stable, samples=spans.stable_samples))
    return witnesses.Sample(taken_at=now(), states=frozenset(states))
