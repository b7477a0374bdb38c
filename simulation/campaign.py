"""Many seeds on several processes."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from simulation import run
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


def play(seed: int) -> Result:
    """Run one seed; an error of the simulation itself counts as a violation."""
    try:
        found = run.run(seed)
    except Exception:  # noqa: BLE001 - one seed that trips a bug of the simulation must not end the others
        return Result(seed, traceback.format_exc(), "", Coverage(), 0.0, 0, 0)
    violation = str(found.violations[0]) if found.violations else None
    return Result(seed, violation, found.history.digest(), found.coverage, found.seconds, found.calls, found.writes)


def play_all(seeds: Iterable[int], *, processes: int = 0) -> Iterator[Result]:
    """Run them all, as many at once as there are processors; in no order."""
    count = processes or len(os.sched_getaffinity(0))
    if count == 1:
        yield from map(play, seeds)
        return
    # A new interpreter for each worker: nothing that happened in this one can be seen in a run.
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        yield from pool.imap_unordered(play, seeds, chunksize=4)
