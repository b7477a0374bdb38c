"""Time and chance that tests drive: they implement the engine's ports, and nothing waits for real."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@dataclass
class Time:
    """A clock, timers and a sleep of one and the same simulated time."""

    seconds: float = 0.0
    _timers: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _cancelled: set[int] = field(default_factory=set)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Callable[[], None]:
        ticket = next(self._order)
        heapq.heappush(self._timers, (self.seconds + seconds, ticket, callback))
        return lambda: self._cancelled.add(ticket)

    async def sleep(self, seconds: float, /) -> None:
        """Sleeping is what makes time pass."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, and ring what is due on the way."""
        until = self.seconds + seconds
        while self._timers and self._timers[0][0] <= until:
            due, ticket, callback = heapq.heappop(self._timers)
            self.seconds = max(self.seconds, due)
            if ticket not in self._cancelled:
                callback()
        self.seconds = until

    @property
    def pending(self) -> int:
        """Timers that are still to ring."""
        return sum(ticket not in self._cancelled for _, ticket, _ in self._timers)


@dataclass
class Chance:
    """Always the same number."""

    value: float = 0.0

    def random(self) -> float:
        return self.value

    def getrandbits(self, bits: int, /) -> int:
        return int(self.value * 2**bits)
