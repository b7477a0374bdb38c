"""From the first `create` until all are Ready, beside the same writes without an operator."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks import plain, recording
from benchmarks.operator_process import Operator, reads, writes
from benchmarks.population import CONCURRENCY, Population, create_namespace, is_ready, remove_namespace
from benchmarks.simulators import Journal

_SERVER_SECONDS = 60.0
_SECONDS_EACH = 1.0
_SECONDS_AT_LEAST = 300.0


@dataclass(frozen=True, slots=True)
class Creation:
    """What it took until all were Ready. Calls and writes are per instance."""

    ready_seconds: float
    created_seconds: float
    """Until the API server had the last of them, as the benchmark created them."""
    cpu_seconds: float
    resident_mebibytes: float
    kubernetes_writes: dict[str, float]
    kubernetes_reads: dict[str, float]
    evolution_calls: dict[str, float]


@dataclass(frozen=True, slots=True)
class Reference:
    """The same writes by a plain client, with the operator stopped."""

    seconds: float
    writes: dict[str, float]
    """Per instance; the creation by its user is one of them."""


async def measure(population: Population, operator: Operator, simulator: Journal) -> Creation:
    """Create the whole population, and wait until all are Ready. Raises TimeoutError."""
    size = population.wanted.size
    await population.servers_are_ready(seconds=_SERVER_SECONDS)
    simulator.reset_calls()
    calls, cpu, began = operator.kubernetes_calls(), operator.cpu_seconds(), time.time()
    await population.create_all()
    created = time.time() - began
    ready = await population.all_are_ready(seconds=max(_SECONDS_AT_LEAST, size * _SECONDS_EACH)) - began
    cpu = operator.cpu_seconds() - cpu
    calls = operator.kubernetes_calls() - calls
    return Creation(
        ready_seconds=ready,
        created_seconds=created,
        cpu_seconds=cpu,
        resident_mebibytes=operator.resident_mebibytes(),
        kubernetes_writes=per_instance(writes(calls), size),
        kubernetes_reads=per_instance(reads(calls), size),
        evolution_calls=per_instance(Counter(simulator.call_counts()), size),
    )


async def refer(
    api: plain.Api, histories: dict[str, list[recording.Write]], *, namespace: str, removed: bool = True
) -> Reference:
    """Replay what was written for each instance; run it when the operator is stopped.

    It is watched as the other run was: what measuring costs on these cores belongs to both.
    """
    counts = Counter(write.kind for history in histories.values() for write in history)
    await create_namespace(api, namespace)
    watches = recording.watches(api, listener=_read)
    for each in watches:
        await each.start(namespace)
    try:
        seconds = await recording.replay(api, histories.values(), namespace=namespace, concurrency=CONCURRENCY)
    finally:
        for each in watches:
            await each.stop()
        if removed:
            await remove_namespace(api, namespace)
    return Reference(seconds=seconds, writes=per_instance(counts, len(histories)))


def _read(_at: float, event: plain.Json) -> None:
    is_ready(event["object"])


async def rested(operator: Operator, *, quiet_seconds: float, at_most: float) -> float:
    """Wait until no write but a Lease was made for a while. Returns the seconds until the last. Raises TimeoutError."""
    began = last = time.monotonic()
    before = _lasting_writes(operator)
    while time.monotonic() - last < quiet_seconds:
        if time.monotonic() - began > at_most:
            raise TimeoutError(f"the operator still writes after {at_most:.0f} s")
        await asyncio.sleep(2)
        now = _lasting_writes(operator)
        last, before = (time.monotonic(), now) if now != before else (last, before)
    return last - began


def _lasting_writes(operator: Operator) -> int:
    """Leases are renewed for ever, whatever else goes on."""
    counts = writes(operator.kubernetes_calls())
    return sum(count for call, count in counts.items() if not call.endswith(" leases"))


def per_instance(counts: Counter[str], size: int) -> dict[str, float]:
    """Counts as a share per instance, the largest first."""
    return {name: round(count / size, 3) for name, count in counts.most_common()}
