"""The life of one operator process: it can die at any await, or stand still for a while, and does not notice either.

Each call through a port, and each sleep, passes two *points*, one before anything has left the process and one before
it goes on. A process that dies at a point never comes back from it; what it had sent is still on its way. Between two
points nothing leaves a process, so a death there is a death at the point that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Life:
    """Alive, standing still, or dead."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, on_death: Callable[[], None]) -> None:
        self._loop, self._on_death = loop, on_death
        self._limbo: asyncio.Future[None] = loop.create_future()
        self._frozen_until = 0.0
        self._points_left: int | None = None
        self.dead = False
        self.over = False
        self.points = 0

    def die_after(self, points: int) -> None:
        """Die at the n-th point from now on."""
        self._points_left = points

    @property
    def dies_in(self) -> int | None:
        """The points after which it dies, if that is known."""
        return self._points_left

    def freeze(self, seconds: float) -> None:
        """Stand still, as a process that is stopped or starved."""
        self._frozen_until = self._loop.time() + seconds

    def die(self) -> None:
        """End without a word."""
        if not self.dead:
            self.dead = True
            self._on_death()

    def end(self) -> None:
        """The simulation is over: whatever is still awaited is cancelled."""
        self.dead = self.over = True
        self._limbo.cancel()

    async def leave(self, call: object) -> None:  # noqa: ARG002 - for whoever decides call by call
        """A moment at which the process may die, right before a call leaves it.

        It does not stand still here: the operator waits for nothing between a check and the call that rests on it, and
        no lock could help a process that is stopped in between.
        """
        self._count()
        if self.dead:
            await self._wait()

    async def point(self) -> None:
        """A moment at which the process may die or stand still."""
        self._count()
        if self.dead or self._loop.time() < self._frozen_until:
            await self._wait()

    def _count(self) -> None:
        self.points += 1
        if self._points_left is not None:
            self._points_left -= 1
            if self._points_left <= 0:
                self._points_left = None
                self.die()

    async def _wait(self) -> None:
        if not self.dead:
            await asyncio.sleep(self.awake_in())
        if self.over:
            raise asyncio.CancelledError
        if self.dead:
            await asyncio.shield(self._limbo)

    def awake_in(self) -> float:
        """Seconds until it is no longer standing still."""
        return max(self._frozen_until - self._loop.time(), 0.0)
