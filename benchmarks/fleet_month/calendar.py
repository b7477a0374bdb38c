"""The calendar of the month, on which time in which nothing happens can be skipped.

Skipping stops the world and turns the page: no clock in the world moves, so to the operator, to the servers and to
WhatsApp no time has passed. That changes nothing where they would have spent it polling and finding all as it was.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

_SLICE_SECONDS = 15.0
_AT_ONCE_SECONDS = 1e-6
"""Below what sums of floats can tell apart over a month."""


class Calendar:
    """Seconds since the beginning of the month, and what is due when."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._began = loop, loop.time()
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self.skipped = 0.0

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time() - self._began + self.skipped

    def at(self, moment: float, callback: Callable[[], None]) -> None:
        """Call back at a moment of the calendar."""
        heapq.heappush(self._due, (moment, next(self._order), callback))

    async def run(self, *, until: float, look: Callable[[], None], quiet_until: Callable[[], float]) -> None:
        """Let the time pass, with a `look` every 15 s; jump to what is due next, or to where the quiet ends before."""
        while until - self.now > _AT_ONCE_SECONDS:
            ahead = min(self._due[0][0] if self._due else until, until)
            look()
            quiet = min(ahead, quiet_until()) if ahead - self.now > _SLICE_SECONDS else 0.0
            if quiet - self.now > _SLICE_SECONDS:
                self.skipped += quiet - self.now
            elif ahead - self.now > _AT_ONCE_SECONDS:
                await asyncio.sleep(min(_SLICE_SECONDS, ahead - self.now))
            while self._due and self._due[0][0] - self.now <= _AT_ONCE_SECONDS:
                heapq.heappop(self._due)[2]()
