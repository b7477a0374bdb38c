"""Clock, sleep, timers, chance and tasks of one simulated operator process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from simulation.life import Life

BEGIN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
"""The wall time at which each simulation begins."""


def stream(*names: object) -> random.Random:
    """A source of chance of its own for each name, the same in every process."""
    return random.Random("/".join(map(str, names)))  # noqa: S311 - a simulation that can be repeated, no cryptography


class Streams:
    """Sources of chance by their names, all of which can become those of another seed."""

    def __init__(self) -> None:
        self._known: list[tuple[tuple[object, ...], random.Random]] = []

    def __call__(self, seed: object, *names: object) -> random.Random:
        """As `stream`."""
        found = stream(seed, *names)
        self._known.append((names, found))
        return found

    def become(self, seed: object) -> None:
        """From here on everything is left to the chance of this seed."""
        for names, one in self._known:
            one.seed("/".join(map(str, (seed, *names))))


@dataclass
class Clock:
    """A machine's clocks; `skew` seconds is how far its wall clock is ahead."""

    loop: asyncio.AbstractEventLoop
    skew: float = 0.0

    def now(self) -> datetime:
        """The wall time as this machine believes it."""
        return BEGIN + timedelta(seconds=self.loop.time() + self.skew)

    def monotonic(self) -> float:
        """Seconds that never go back, whatever happens to the wall clock."""
        return self.loop.time()


@dataclass
class System:
    """What the engine's ports to time, chance and tasks stand for here."""

    loop: asyncio.AbstractEventLoop
    life: Life
    chance: random.Random
    on_failure: Callable[[str, BaseException], None]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def sleep(self, seconds: float, /) -> None:
        """Let simulated time pass."""
        await self.life.point()
        await asyncio.sleep(seconds)
        await self.life.point()

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Callable[[], None]:
        """Call back, unless the process is dead by then."""

        def ring() -> None:
            if not self.life.dead:
                callback()

        return self.loop.call_later(seconds, ring).cancel

    def random(self) -> float:
        """A number in [0, 1)."""
        return self.chance.random()

    def getrandbits(self, bits: int, /) -> int:
        """A number of that many bits."""
        return self.chance.getrandbits(bits)

    def spawn(self, name: str, work: Coroutine[object, object, None], /) -> asyncio.Task[None]:
        """Start a task that dies with the process."""
        task = self.loop.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.life.dead:
            self.on_failure(task.get_name(), error)
