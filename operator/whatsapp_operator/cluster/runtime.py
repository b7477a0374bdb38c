"""Time, chance and tasks as they really are: what the engine's ports stand for in production."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


async def sleep(seconds: float, /) -> None:
    """Wait a number of seconds."""
    await asyncio.sleep(seconds)


class LoopTimers:
    """The running event loop's timers."""

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Callable[[], None]:
        """Call `callback` once after `seconds`; the returned function cancels it."""
        return asyncio.get_running_loop().call_later(seconds, callback).cancel


class SystemRandom:
    """The system's secure source."""

    def __init__(self) -> None:
        self._source = secrets.SystemRandom()

    def random(self) -> float:
        """A number in [0, 1)."""
        return self._source.random()

    def getrandbits(self, bits: int, /) -> int:
        """A number of that many bits."""
        return self._source.getrandbits(bits)


class OwnedTasks:
    """Tasks that belong to someone: one that fails ends the wait of `failure`, and `cancel_all` leaves none behind.

    A task that nobody awaits fails in silence. These do not: the operator waits for `failure`, and stops by it.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, name: str, work: Coroutine[object, object, None], /) -> asyncio.Task[None]:
        """Start `work`; when it raises, `failure` raises."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def failure(self) -> None:
        """Wait, without end, until a task fails, and raise its error."""
        await asyncio.shield(self._failure)

    async def cancel_all(self) -> None:
        """Cancel every task that runs, and wait until it has ended."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._failure.done() and not self._failure.cancelled():
            self._failure.exception()  # whoever did not wait for it must not be warned of it at exit
