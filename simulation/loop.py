"""An asyncio event loop whose time is simulated: when nothing is ready, it jumps to the next timer.

There are no threads, no sockets and no clock behind it, so that the same program does the same thing each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class StuckError(Exception):
    """Everything waits, and no timer is set: nothing can ever happen again."""


class _Jump:
    """Stands where the loop would wait for sockets."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        """Let the time pass that the loop would have waited."""
        if timeout is None:
            raise StuckError
        if timeout > 0:
            self._loop.jump()
        return []

    def close(self) -> None:
        """There is nothing to close."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Seconds since the beginning of the simulation."""

    _scheduled: list[asyncio.TimerHandle]
    _selector: _Jump
    _clock_resolution: float

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Jump(self)
        self._seconds = 0.0
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Seconds of simulated time."""
        return self._seconds

    def jump(self) -> None:
        """To the next timer."""
        self._seconds = max(self._seconds, self._scheduled[0].when())

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

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> NoReturn:
        raise RuntimeError("a thread has called: there are none on simulated time")

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]  # refuses all
        """Refuse: a thread would bring its own time."""
        del executor, args
        raise RuntimeError(f"a thread was asked for by {func}: there are none on simulated time")
