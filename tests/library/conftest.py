"""A manager of the library beside a simulated server, on real sockets and on the simulator's driven time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
import structlog

from simulator import conftest as simulators
from simulator.conftest import KEY, Bench, Start
from whatsapp_operator.library import (
    AsyncInstanceManager,
    InstanceRecord,
    MemoryRecordStore,
    RecordStore,
    Settings,
    Surroundings,
)

T = TypeVar("T")
Facts = dict[str, Any]


def surroundings(bench: Bench) -> Surroundings:
    """Sleeping is what makes the simulated server's time pass."""
    clock = bench.simulator.clock

    async def sleep(seconds: float) -> None:
        bench.pass_time(seconds)
        await asyncio.sleep(0)

    return Surroundings(
        now=lambda: datetime.fromtimestamp(clock.now(), tz=UTC), monotonic=clock.now, sleep=sleep, random=lambda: 0.5
    )


@dataclass
class Stage:
    """A manager, its store, and the server that it watches over."""

    bench: Bench
    manager: AsyncInstanceManager
    store: RecordStore

    async def run(self, call: Awaitable[T]) -> T:
        """One call of the library; the server's own waits pass meanwhile."""
        return await self.bench.advancing(call)

    def changes(self, name: str = "one", *, since: int = 0) -> list[str]:
        """The calls that could have changed the instance, in order."""
        found = self.bench.simulator.listener.journal.select(instance=name, mutating=True, since=since)
        return [entry.route or "" for entry in found]

    def mark(self) -> int:
        """The number of the last request so far."""
        entries = self.bench.simulator.listener.journal.entries
        return entries[-1].number if entries else 0


start, bench = simulators.start, simulators.bench
Stages = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def stage_on(start: Start) -> AsyncIterator[Stages]:
    """Makes a stage on a simulator of a version; keyword arguments are `Settings`."""
    async with AsyncExitStack() as stack:

        async def make(
            version: str = "2.3.7", *, bench: Bench | None = None, store: RecordStore | None = None, **given: Any
        ) -> Stage:
            place = bench or await start(version)
            kept = store or MemoryRecordStore()
            manager = AsyncInstanceManager(
                url=place.simulator.url,
                api_key=KEY,
                store=kept,
                settings=replace(Settings(), **given),
                surroundings=surroundings(place),
            )
            await stack.enter_async_context(manager)
            return Stage(place, manager, kept)

        yield make


@pytest.fixture
async def stage(stage_on: Stages) -> Stage:
    """A stage on a simulated 2.3.7, with default settings."""
    return await stage_on()


class Meanwhile(MemoryRecordStore):
    """Something happens on the server right after a record was put for the first time that is as wanted."""

    def __init__(self, wanted: Callable[[InstanceRecord], bool], happens: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._wanted, self._happens = wanted, happens

    async def put(self, record: InstanceRecord) -> None:
        await super().put(record)
        if self._wanted(record):
            self._wanted = lambda _: False
            await self._happens()


def told(lines: list[structlog.typing.EventDict]) -> list[str]:
    """The messages of captured log lines, in order."""
    return [line["event"] for line in lines]
