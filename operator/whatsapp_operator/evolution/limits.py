"""How fast, and how many at once, one server is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Gate:
    """Lets a call through when fewer than `max_in_flight` run and `per_second` is kept.

    `max_in_flight` calls may start at once after a pause; then one each `1 / per_second` seconds. A call waits for its
    place before it waits for its moment: the other way round, calls that were let through while the server hung would
    leave in a burst once it answers.
    """

    def __init__(
        self,
        *,
        per_second: float,
        max_in_flight: int,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._places = asyncio.Semaphore(max_in_flight)
        self._interval = 1 / per_second
        self._credit = (max_in_flight - 1) * self._interval
        self._due = float("-inf")
        self._monotonic = monotonic
        self._sleep = sleep

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Hold a place while the call runs."""
        async with self._places:
            wait = self._reserve()
            if wait > 0:
                await self._sleep(wait)
            yield

    def _reserve(self) -> float:
        """Take the next moment and tell how many seconds away it is (generic cell rate algorithm)."""
        now = self._monotonic()
        moment = max(self._due, now)
        self._due = moment + self._interval
        return moment - self._credit - now
