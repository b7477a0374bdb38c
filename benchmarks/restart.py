"""The operator is stopped and started again, and finds everything as it was."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks import plain
from benchmarks.operator_process import Operator, reads, writes
from benchmarks.simulators import Journal

_HEALTHY_SECONDS = 120.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart; calls are totals until a while after all were seen Healthy again."""

    stop_seconds: float
    ready_seconds: float
    """From the start of the process until `/readyz` says so."""
    healthy_seconds: float
    """From the start of the process until all instances were seen Healthy again."""
    cpu_seconds: float
    """Until then."""
    evolution_calls: dict[str, int]
    kubernetes_writes: dict[str, int]
    kubernetes_reads: dict[str, int]


async def measure(operator: Operator, simulator: Journal, *, healthy: int, watch_seconds: float) -> Restart:
    """Restart it among so many healthy instances."""
    began = time.monotonic()
    await asyncio.to_thread(operator.stop)
    stopped = time.monotonic()
    simulator.reset_calls()
    ready = await asyncio.to_thread(operator.start)
    await _all_healthy(operator, healthy)
    again, cpu = time.monotonic() - stopped, operator.cpu_seconds()
    await asyncio.sleep(watch_seconds)
    calls = operator.kubernetes_calls()
    return Restart(
        stop_seconds=stopped - began,
        ready_seconds=ready,
        healthy_seconds=again,
        cpu_seconds=cpu,
        evolution_calls=dict(Counter(simulator.call_counts()).most_common()),
        kubernetes_writes=dict(writes(calls).most_common()),
        kubernetes_reads=dict(reads(calls).most_common()),
    )


async def _all_healthy(operator: Operator, healthy: int) -> None:
    async def are_healthy() -> bool:
        return await asyncio.to_thread(operator.healthy) >= healthy

    message = "not all instances were Healthy again"
    await plain.until(are_healthy, seconds=_HEALTHY_SECONDS, every=_POLL_SECONDS, message=message)
