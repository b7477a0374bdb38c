"""Where the simulated server's time comes from.

Everything that takes time in the model (the wait of `connect`, QR codes that rotate, rows that load one after another)
is a callback given to a `Scheduler`. Two exist: one follows real time, optionally faster; in the other nothing moves
until it is told to advance, which lets a test walk through hours in milliseconds and see every step in between.
"""

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

Callback = Callable[[], None]


class Timer(Protocol):
    """A callback that waits for its time."""

    def cancel(self) -> None:
        """Forget the callback; harmless when it already ran."""


class Scheduler(Protocol):
    """Time as the model sees it."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""

    def call_later(self, delay: float, callback: Callback) -> Timer:
        """Call back after `delay` seconds."""


class DrivenTimer:
    """An entry of a `DrivenClock`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Forget the callback."""
        self.callback = None


class DrivenClock:
    """Time that stands still until `advance` is called; callbacks run in the order of their time, then of making."""

    def __init__(self, *, now: float) -> None:
        self._now = now
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, DrivenTimer]] = []

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._now

    def call_later(self, delay: float, callback: Callback) -> Timer:
        """Call back once the clock was advanced by `delay` seconds."""
        timer = DrivenTimer(callback)
        heapq.heappush(self._waiting, (self._now + max(delay, 0.0), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move time on and run what became due, callbacks made by callbacks included."""
        until = self._now + seconds
        while self._waiting and self._waiting[0][0] <= until:
            self._now, _, timer = heapq.heappop(self._waiting)
            if timer.callback is not None:
                timer.callback()
        self._now = until
