"""Many seeds on several processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from simulation import copies, run, world
from simulation.coverage import Coverage


@dataclass(frozen=True, slots=True)
class Result:
    """What is worth keeping of one run."""

    seed: int
    violation: str | None
    digest: str
    coverage: Coverage
    seconds: float
    calls: int
    writes: int


@dataclass(slots=True)
class Total:
    """What many runs have come to."""

    runs: int = 0
    seconds: float = 0.0
    calls: int = 0
    writes: int = 0
    failed: list[Result] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)

    def add(self, one: Result) -> None:
        """Count one run in."""
        self.runs += 1
        self.seconds += one.seconds
        self.calls += one.calls
        self.writes += one.writes
        self.coverage.add(one.coverage)
        if one.violation is not None:
            self.failed.append(one)


def play(seeds: Sequence[int]) -> list[Result]:
    """Run seeds of one world; an error of the simulation itself counts as a violation."""
    try:
        return _play([world.of(seed) for seed in seeds])
    except Exception:  # noqa: BLE001 - one seed that trips a bug of the simulation must not end the others
        return [Result(seed, traceback.format_exc(), "", Coverage(), 0.0, 0, 0) for seed in seeds]


def _play(plots: Sequence[world.Plot]) -> list[Result]:
    """Go along the trunk, and copy it for each branch where that leaves it."""
    trunk, ordered = world.of(plots[0].trunk), sorted(plots, key=lambda plot: plot.schedule.branches_at)
    results: list[Result] = []
    with run.quietly():
        begun = run.Run(trunk.seed, trunk.setup)
        begun.begin(trunk.schedule)
        for moment, leaving in itertools.groupby(ordered, key=lambda plot: plot.schedule.branches_at):
            begun.until(moment)
            results += copies.each(lambda plot: _result(begun.end(plot)), leaving)
        begun.close()
    return results


def _result(found: run.Outcome) -> Result:
    violation = str(found.violations[0]) if found.violations else None
    return Result(
        found.seed, violation, found.history.digest(), found.coverage, found.seconds, found.calls, found.writes
    )


def play_all(seeds: Iterable[int], *, processes: int = 0) -> Iterator[Result]:
    """Run them all, as many at once as there are processors; in no order."""
    count = processes or len(os.sched_getaffinity(0))
    groups = list(world.grouped(seeds).values())
    if count == 1:
        yield from itertools.chain.from_iterable(map(play, groups))
        return
    # A new interpreter for each worker: nothing that happened in this one can be seen in a run.
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield from itertools.chain.from_iterable(pool.imap_unordered(play, groups))
