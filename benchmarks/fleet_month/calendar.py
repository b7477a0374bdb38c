"""The calendar of the month, on which time in which nothing happens can be skipped.

Whole minutes are skipped, of which the period of every poll is a part. So what is called each ten seconds, or each
minute, is called at the very moments at which it would have been called without a skip. What has another period, and
what has an age, is moved along by who listens (`operated.Operated.skip`).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from benchmarks.fleet_month.house import MonthLoop

BEAT_SECONDS = 60.0
"""Lists are read each 10 and 30 s, Leases each 2 and 4, the pause each 5, keys each 60.

Resources are listed each 300 s, for what a watch has missed: here none misses anything, so that it does not matter
when.
"""
_SLICE_SECONDS = 15.0
_AT_ONCE_SECONDS = 1e-6
"""Below what sums of floats can tell apart over a month."""


class Calendar:
    """Seconds since the beginning of the month, and what is due when."""

    def __init__(self, loop: MonthLoop) -> None:
        self._loop, self._began = loop, loop.moment()
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self.on_skip: list[Callable[[float], None]] = []
        """Told how many seconds were skipped."""

    @property
    def skipped(self) -> float:
        """Seconds that were skipped."""
        return self._loop.skipped

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._loop.moment() - self._began

    def at(self, moment: float, callback: Callable[[], None]) -> None:
        """Call back at a moment of the calendar."""
        heapq.heappush(self._due, (moment, next(self._order), callback))

    async def run(self, *, until: float, look: Callable[[], None], is_quiet: Callable[[], bool]) -> None:
        """Let the time pass, with a `look` every 15 s; skip it where it is quiet, short of what is due next."""
        while until - self.now > _AT_ONCE_SECONDS:
            ahead = min(self._due[0][0] if self._due else until, until)
            look()
            if ahead - self.now > BEAT_SECONDS and is_quiet():
                self._skip((ahead - self.now) // BEAT_SECONDS * BEAT_SECONDS)
            elif ahead - self.now > _AT_ONCE_SECONDS:
                await asyncio.sleep(min(_SLICE_SECONDS - self.now % _SLICE_SECONDS, ahead - self.now))
            while self._due and self._due[0][0] - self.now <= _AT_ONCE_SECONDS:
                heapq.heappop(self._due)[2]()

    def _skip(self, seconds: float) -> None:
        self._loop.skipped += seconds
        for listener in self.on_skip:
            listener(seconds)
