"""An asyncio event loop whose time is simulated: when nothing is ready, it jumps to the next timer.

There are no threads, no sockets and no clock behind it, so that the same program does the same thing each time.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class StuckError(Exception):
    """Everything waits, and no timer is set: nothing can ever happen again."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Seconds since the beginning of the simulation.

    What is due at one moment is called in the order in which it was asked for.
    """

    _ready: collections.deque[asyncio.Handle]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._asked = 0

    def time(self) -> float:
        """Seconds of simulated time."""
        return self._seconds

    def call_later(  # type: ignore[override]  # the arguments are not followed by their types here
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back after `delay` seconds."""
        return self.call_at(self._seconds + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # the arguments are not followed by their types here
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at a moment of simulated time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._asked += 1
        heapq.heappush(self._timers, (when, self._asked, timer))
        return timer

    def _run_once(self) -> None:
        """Call what is ready; before that jump to the next timer where nothing is."""
        ready, timers = self._ready, self._timers
        while timers and (timers[0][2].cancelled() or timers[0][0] <= self._seconds or not ready):
            when, _, timer = heapq.heappop(timers)
            if not timer.cancelled():
                self._seconds = max(self._seconds, when)
                ready.append(timer)
        if not ready and not self._stopping:
            raise StuckError
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - as every asyncio loop does

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end, and leave no task behind."""
        try:
            return self.run_until_complete(work)
        finally:
            self._end_tasks()
            self.close()

    def _end_tasks(self) -> None:
        left = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    def _write_to_self(self) -> NoReturn:
        raise RuntimeError("a thread has called: there are none on simulated time")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]  # refuses all
        """Refuse: a thread would bring its own time."""
        del executor, args
        raise RuntimeError(f"a thread was asked for by {func}: there are none on simulated time")
