"""Two operators share the servers, and one of them is killed."""

import asyncio
import signal
import time
from dataclasses import dataclass

from benchmarks import plain
from benchmarks.operator_process import Operator

_SHARED_SECONDS = 300.0
_TAKEN_OVER_SECONDS = 300.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Failover:
    """From SIGKILL on."""

    taken_over_seconds: float
    """Until the one that is left has seen every instance Healthy."""
    shared: int
    """Instances that were the killed one's."""


async def measure(first: Operator, second: Operator, *, healthy: int) -> Failover:
    """Start the second beside the first, and kill the first when both have their share."""
    await asyncio.to_thread(second.start)

    async def is_shared() -> bool:
        shares = await asyncio.gather(asyncio.to_thread(first.healthy), asyncio.to_thread(second.healthy))
        return sum(shares) >= healthy

    # What is handed over is observed anew by its new holder.
    await asyncio.sleep(10)
    await plain.until(is_shared, seconds=_SHARED_SECONDS, every=1.0, message="the servers were not shared")
    shared, process = await asyncio.to_thread(first.healthy), first.process
    assert process is not None  # noqa: S101 - it runs
    began = time.monotonic()
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)

    async def is_taken_over() -> bool:
        return await asyncio.to_thread(second.healthy) >= healthy

    await plain.until(is_taken_over, seconds=_TAKEN_OVER_SECONDS, every=_POLL_SECONDS, message="nobody took over")
    return Failover(taken_over_seconds=time.monotonic() - began, shared=shared)
