"""An alarm: wait until something rings it, at once or after some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from whatsapp_operator.engine import ports


class Alarm:
    """Rings once for all that was asked of it since it was last waited for."""

    def __init__(self, *, clock: ports.Clock, timers: ports.Timers) -> None:
        self._clock, self._timers = clock, timers
        self._event = asyncio.Event()
        self._due: tuple[float, Callable[[], None]] | None = None

    def ring(self) -> None:
        """Ring now."""
        self._event.set()

    def ring_in(self, seconds: float) -> None:
        """Ring after some seconds, or earlier if that was asked for before."""
        due = self._clock.monotonic() + seconds
        if self._due is not None and self._due[0] <= due:
            return
        self._cancel()
        self._due = (due, self._timers.call_later(seconds, self._ring_due))

    def _ring_due(self) -> None:
        self._due = None
        self._event.set()

    async def wait(self) -> None:
        """Wait until it rings, and set it back."""
        await self._event.wait()
        self._cancel()
        self._event.clear()

    def _cancel(self) -> None:
        if self._due is not None:
            self._due[1]()
            self._due = None
