"""From a change at the server to the instance's status, and what that time is made of.

Changes come one by one, at uneven moments, so that they meet the operator's polls at every phase. Bad news is shown
when two polls in a row tell the same; good news at once, but both witnesses have to tell it, so that it waits for the
next read of the database. Those periods are the reference. What is left between the deciding poll's arrival at the
server and the new status at a watcher is the operator's own work, and the API server's.
"""

import asyncio
import bisect
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import plain
from benchmarks.population import Population
from evolution_simulator.control_client import Simulator

CHECK_PERIOD = 10.0
"""The default of `spec.health.checkPeriodSeconds`."""
DATABASE_PERIOD = 30.0
"""The default of `spec.health.databasePeriodSeconds`."""

_POLL = "metrics"
_BETWEEN = (0.2, 1.0)
_SETTLE_SECONDS = 90.0
_TIMEOUT = 120.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Spread:
    """Of some samples, in seconds."""

    least: float
    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From a change to the status that shows it, in seconds."""

    samples: int
    total: Spread
    polling: Spread
    """Until the poll that decided reached the server."""
    processing: Spread
    """From there until a watcher had the new status."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Both directions."""

    bad_news: Latency
    good_news: Latency


async def measure(population: Population, simulator: Simulator, *, samples: int) -> Changes:
    """Have WhatsApp ban instances, which no step follows, and later have them paired again."""
    chosen = population.names[:: max(population.wanted.size // samples, 1)][:samples]
    return await of(population, simulator, chosen)


async def of(population: Population, simulator: Simulator, chosen: Sequence[str]) -> Changes:
    """Likewise, of these instances, which live on one simulator."""
    bad = await _sample(population, simulator, chosen, simulator.ban, ready=False)
    # Until what a ban has set going is over: the database is read, and samples of stability end.
    await asyncio.sleep(_SETTLE_SECONDS)
    good = await _sample(population, simulator, chosen, simulator.pair, ready=True)
    return Changes(bad_news=bad, good_news=good)


async def _sample(
    population: Population,
    simulator: Simulator,
    chosen: Sequence[str],
    change: Callable[[str], object],
    *,
    ready: bool,
) -> Latency:
    uneven = random.Random(1)  # noqa: S311 - the same moments in each run, no cryptography
    simulator.reset_calls()
    since, changed = len(population.turns), {}
    for name in chosen:
        changed[name] = time.time()
        await asyncio.to_thread(change, name)
        await asyncio.sleep(uneven.uniform(*_BETWEEN))
    shown = await _shown(population, since, chosen, ready=ready)
    polls = sorted(call["time"] for call in simulator.calls(route=_POLL))
    return _latency(changed, shown, polls)


async def _shown(population: Population, since: int, chosen: Sequence[str], *, ready: bool) -> Mapping[str, float]:
    shown: dict[str, float] = {}

    async def are_shown() -> bool:
        shown.update((turn.name, turn.at) for turn in population.turns[since:] if turn.ready is ready)
        return shown.keys() >= set(chosen)

    await plain.until(are_shown, seconds=_TIMEOUT, every=_POLL_SECONDS, message="the changes were not shown")
    return shown


def _latency(changed: Mapping[str, float], shown: Mapping[str, float], polls: Sequence[float]) -> Latency:
    seen = {name: polls[bisect.bisect(polls, shown[name]) - 1] for name in changed}
    return Latency(
        samples=len(changed),
        total=_spread(shown[name] - at for name, at in changed.items()),
        polling=_spread(seen[name] - at for name, at in changed.items()),
        processing=_spread(shown[name] - seen[name] for name in changed),
    )


def _spread(spans: Iterable[float]) -> Spread:
    ordered = sorted(spans)
    return Spread(ordered[0], statistics.median(ordered), ordered[-1])
