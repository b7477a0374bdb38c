"""One run: a seed, perhaps with some of its deeds left out, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import structlog.testing

from simulation import deeds, drawing, schedule, world
from simulation import setup as setups
from simulation.coverage import Coverage
from simulation.history import History, Violation
from simulation.invariants import liveness, rest
from simulation.invariants.watchdog import Watchdog
from simulation.kubernetes import kinds
from simulation.loop import SimulatedLoop
from simulation.pace import USUAL, Pace
from simulation.sight import Sight
from simulation.stage import Stage
from simulation.system import Streams

Sabotage = Callable[[], AbstractContextManager[Any]]
"""Breaks the operator for the time of a run: the simulation must find it."""

_SLICE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    schedule: schedule.Schedule
    violations: tuple[Violation, ...]
    history: History
    coverage: Coverage
    seconds: float
    """Simulated time."""
    calls: int
    writes: int

    @property
    def broken(self) -> str | None:
        """The first invariant that did not hold."""
        return self.violations[0].invariant if self.violations else None


@dataclass(frozen=True, slots=True)
class Scenario:
    """What there is, and what happens, where a seed does not decide it."""

    setup: setups.Setup
    schedule: schedule.Schedule


def run(
    seed: int,
    *,
    kept: Collection[int] | None = None,
    sabotage: Sabotage | None = None,
    scenario: Scenario | None = None,
) -> Outcome:
    """Run a seed; `kept` are the numbers of the deeds that happen, all of them where it is None."""
    plot = world.of(seed) if scenario is None else world.Plot(seed, seed, scenario.setup, scenario.schedule, USUAL)
    if kept is not None:
        plot = replace(plot, schedule=plot.schedule.only(kept))
    with quietly(), (sabotage or contextlib.nullcontext)():
        begun = Run(plot.trunk, plot.setup)
        begun.begin(plot.along)
        begun.until(plot.schedule.branches_at)
        return begun.end(plot)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without logs and pictures, which nobody looks at."""
    with structlog.testing.capture_logs(), drawing.left_out():
        yield


class Run:
    """A run under way."""

    def __init__(self, seed: int, setup: setups.Setup) -> None:
        """All is left to the chance of this seed, as long as it becomes no other."""
        self._setup = setup
        self._loop, self._streams = SimulatedLoop(), Streams()
        self._stage = Stage(seed, setup, self._loop, stream=self._streams)
        self._loop.set_exception_handler(functools.partial(_fail, self._stage.history))
        self._sight = Sight(self._stage)
        self._dog, self._reached = Watchdog(self._stage, self._sight), Coverage()
        self._stage.api.listeners.append(self._reached.written)
        self._stage.on_audit.append(self._reached.audited)
        self._stage.on_strike = lambda fault: self._reached.strikes(fault, self._dog.reasons())
        self._planned: list[asyncio.TimerHandle] = []
        self._looked = 0

    def begin(self, planned: schedule.Schedule) -> None:
        """The operators start, instances are created and paired; then what is planned happens."""
        self._stage.furnish()
        for slot in range(self._setup.replicas):
            self._stage.start_replica(slot)
        for one in self._setup.instances:
            self._loop.call_at(one.at, _create, self._stage, one)
        self._plan(planned)

    def until(self, moment: float) -> None:
        """Go on to a moment."""
        self._loop.run_until_complete(self._until(lambda: False, at=moment))

    def end(self, plot: world.Plot) -> Outcome:
        """Go on as this plot has it, to its end or to the first violation."""
        if plot.is_branch:
            self._branch(plot)
        self._loop.run(self._to_the_end(plot))
        return Outcome(
            seed=plot.seed,
            schedule=plot.schedule,
            violations=tuple(self._stage.history.violations),
            history=self._stage.history,
            coverage=self._reached,
            seconds=self._loop.time(),
            calls=self._dog.calls,
            writes=self._dog.writes,
        )

    def close(self) -> None:
        """Leave it where it is."""
        self._stage.end()
        self._loop.run(asyncio.sleep(0))

    def _plan(self, planned: schedule.Schedule) -> None:
        do = functools.partial(deeds.do, self._stage)
        self._planned += [self._loop.call_at(one.at, do, one.what, one.args) for one in planned.entries]

    def _branch(self, plot: world.Plot) -> None:
        """What was planned does not happen; all is left to another chance, and counted anew."""
        for one in self._planned:
            one.cancel()
        self._stage.seed = plot.seed
        self._streams.become(plot.seed)
        self._reached.clear()
        self._dog.calls = self._dog.writes = 0
        self._plan(plot.schedule.since(plot.schedule.branches_at))

    async def _to_the_end(self, plot: world.Plot) -> None:
        try:
            await self._end(plot)
        finally:
            # First of all: the tasks of a process that is dead wait for ever, also when they are cancelled.
            self._stage.end()

    async def _end(self, plot: world.Plot) -> None:
        ends_at = plot.schedule.ends_at if plot.schedule.entries else schedule.BEGIN_SECONDS
        if await self._until(lambda: False, at=ends_at) is not _Ended.BROKEN:
            deeds.heal(self._stage)
            await self._settle(plot.pace)

    async def _settle(self, pace: Pace) -> None:
        """The liveness half."""
        sight, history = self._sight, self._stage.history
        calm = _Lasting(lambda: not liveness.restless(sight), self._loop, pace.settled)
        match await self._until(calm, at=self._loop.time() + pace.bound):
            case _Ended.BROKEN:
                return
            case _Ended.LATE if not pace.patient:
                return
            case _Ended.LATE:
                history.violate("everything_is_ready_or_says_why", "; ".join(liveness.restless(sight)))
                return
        began, resting = self._loop.time(), rest.rests(sight)
        ended = await self._until(
            lambda: self._loop.time() - max(self._dog.changed_at, calm.since) > pace.quiet,
            at=began + (pace.quiet_bound if resting else pace.restless),
        )
        if ended is not _Ended.BROKEN and (wrong := rest.misconfigured(sight)):
            history.violate("configuration_is_as_it_was_asked_for", "; ".join(wrong))
        if ended is _Ended.LATE and resting and rest.rests(sight):
            history.violate("nothing_is_written_at_rest", "writes go on")

    async def _until(self, done: Callable[[], bool], *, at: float) -> _Ended:
        """Look around every few seconds, at the same moments whoever stops in between."""
        while self._loop.time() < at:
            if self._stage.history.violations:
                return _Ended.BROKEN
            if done():
                return _Ended.DONE
            look_at = (self._looked + 1) * _SLICE_SECONDS
            await asyncio.sleep(min(look_at, at) - self._loop.time())
            if look_at <= at:
                self._looked += 1
                self._dog.look_around()
        return _Ended.BROKEN if self._stage.history.violations else _Ended.LATE


class _Ended(enum.Enum):
    DONE = enum.auto()
    LATE = enum.auto()
    BROKEN = enum.auto()


class _Lasting:
    """Whether something has been true for a while."""

    def __init__(self, holds: Callable[[], bool], loop: SimulatedLoop, seconds: float) -> None:
        self._holds, self._loop, self._seconds = holds, loop, seconds
        self.since = float("inf")

    def __call__(self) -> bool:
        self.since = min(self.since, self._loop.time()) if self._holds() else float("inf")
        return self._loop.time() - self.since >= self._seconds


def _create(stage: Stage, one: setups.InstanceSetup) -> None:
    stage.create(kinds.INSTANCES, one.namespace, one.name, spec=one.spec)


def _fail(history: History, _: object, context: dict[str, Any]) -> None:
    """Something failed in a callback: of the operator, of the simulator, or here."""
    error = context.get("exception")
    history.violate("NothingFails", f"{context.get('message')}: {error!r}")
