"""Nothing changes: what the operator then calls, writes and uses.

Every five minutes it lists all resources, and parses those that are not as they were. The first list after a creation
is thus work that is left of it; what comes after it is rest.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.operator_process import Operator, reads, writes
from benchmarks.simulators import Journal

_SWEPT_AT_MOST = 400.0
_PAGE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Rest:
    """A span in which nothing changed. Calls are per minute."""

    seconds: float
    cpu_share: float
    """Of one core."""
    resident_mebibytes: float
    evolution_calls: dict[str, float]
    kubernetes_writes: dict[str, float]
    kubernetes_reads: dict[str, float]


async def measure(operator: Operator, simulator: Journal, *, seconds: float) -> Rest:
    """Watch it rest from one sweep on. Raises TimeoutError where none comes."""
    await _swept(operator)
    simulator.reset_calls()
    calls, cpu, began = operator.kubernetes_calls(), operator.cpu_seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    took, cpu = time.monotonic() - began, operator.cpu_seconds() - cpu
    evolution, calls = Counter(simulator.call_counts()), operator.kubernetes_calls() - calls
    return Rest(
        seconds=took,
        cpu_share=cpu / took,
        resident_mebibytes=operator.resident_mebibytes(),
        evolution_calls=_per_minute(evolution, took),
        kubernetes_writes=_per_minute(writes(calls), took),
        kubernetes_reads=_per_minute(reads(calls), took),
    )


async def _swept(operator: Operator) -> None:
    """Wait for the end of the next list of all resources."""
    until = time.monotonic() + _SWEPT_AT_MOST
    before = seen = _pages(operator)
    while seen == before or seen != _pages(operator):
        if time.monotonic() > until:
            raise TimeoutError(f"no sweep within {_SWEPT_AT_MOST:.0f} s")
        seen = _pages(operator)
        await asyncio.sleep(_PAGE_SECONDS)


def _pages(operator: Operator) -> int:
    return operator.kubernetes_calls()["list whatsappinstances"]


def _per_minute(counts: Counter[str], seconds: float) -> dict[str, float]:
    return {name: round(count * 60 / seconds, 2) for name, count in counts.most_common()}
