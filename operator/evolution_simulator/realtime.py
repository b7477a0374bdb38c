"""The scheduler of a simulator that runs by itself: the event loop's time, as fast as wanted."""

import asyncio
import time

from evolution_simulator import clock


class RealClock:
    """Real time; with a `speed` of 10, ten seconds pass in one."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop, speed: float = 1.0) -> None:
        self._loop = loop
        self._speed = speed
        self._started_at = time.time()
        self._started = loop.time()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._started_at + (self._loop.time() - self._started) * self._speed

    def call_later(self, delay: float, callback: clock.Callback) -> clock.Timer:
        """Call back after `delay` seconds of this clock."""
        return self._loop.call_later(delay / self._speed, callback)
