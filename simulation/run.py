"""One run: a seed, perhaps with some of its deeds left out, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import structlog.testing

from simulation import deeds, drawing, schedule
from simulation import setup as setups
from simulation.coverage import Coverage
from simulation.history import History, Violation
from simulation.invariants import liveness, rest
from simulation.invariants.watchdog import Watchdog
from simulation.kubernetes import kinds
from simulation.loop import SimulatedLoop
from simulation.sight import Sight
from simulation.stage import Stage

Sabotage = Callable[[], AbstractContextManager[Any]]
"""Breaks the operator for the time of a run: the simulation must find it."""

_SLICE_SECONDS = 5.0
_SETTLED_SECONDS = 40.0
_BOUND_SECONDS = 3 * 3600.0
"""After the faults have stopped, every instance is Ready or says why within this time; waits and budgets included."""
_QUIET_SECONDS = 75.0
"""What recurs does so within a minute: Secrets that are read again, DELETE that is sent again, other probes."""
_QUIET_BOUND_SECONDS = 3600.0
_RESTLESS_SECONDS = 20.0
"""Where something goes on by right, only the configuration is asserted in the end: for a look at it there is time."""


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
    with structlog.testing.capture_logs(), drawing.left_out(), (sabotage or contextlib.nullcontext)():
        return _Run(seed, scenario or drawn(seed), kept).run()


def drawn(seed: int) -> Scenario:
    """The scenario that belongs to a seed."""
    setup = setups.draw(seed)
    return Scenario(setup, schedule.draw(seed, setup))


class _Run:
    def __init__(self, seed: int, scenario: Scenario, kept: Collection[int] | None) -> None:
        self._seed, self._setup, planned = seed, scenario.setup, scenario.schedule
        self._schedule = planned.only(kept) if kept is not None else planned
        self._loop = SimulatedLoop()

    def run(self) -> Outcome:
        """Run to the end, or to the first violation."""
        outcome = self._loop.run(self._main())
        if outcome is None:
            raise RuntimeError("the run has no end")
        return outcome

    async def _main(self) -> Outcome:
        stage = Stage(self._seed, self._setup, self._loop)
        self._loop.set_exception_handler(functools.partial(_fail, stage.history))
        sight = Sight(stage)
        dog, reached = Watchdog(stage, sight), Coverage()
        stage.api.listeners.append(reached.written)
        stage.on_audit.append(reached.audited)
        stage.on_strike = lambda fault: reached.strikes(fault, dog.reasons())
        try:
            await self._play(stage, sight, dog)
        finally:
            stage.end()
        violations = tuple(stage.history.violations)
        return Outcome(
            seed=self._seed,
            schedule=self._schedule,
            violations=violations,
            history=stage.history,
            coverage=reached,
            seconds=self._loop.time(),
            calls=dog.calls,
            writes=dog.writes,
        )

    async def _play(self, stage: Stage, sight: Sight, dog: Watchdog) -> None:
        stage.furnish()
        for slot in range(self._setup.replicas):
            stage.start_replica(slot)
        for one in self._setup.instances:
            self._loop.call_at(one.at, _create, stage, one)
        for entry in self._schedule.entries:
            self._loop.call_at(entry.at, deeds.do, stage, entry.what, entry.args)
        ends_at = self._schedule.ends_at if self._schedule.entries else schedule.BEGIN_SECONDS
        if await self._until(lambda: False, stage, dog, at=ends_at) is _Ended.BROKEN:
            return
        deeds.heal(stage)
        await self._settle(stage, sight, dog)

    async def _settle(self, stage: Stage, sight: Sight, dog: Watchdog) -> None:
        """The liveness half."""
        calm = _Lasting(lambda: not liveness.restless(sight), self._loop, _SETTLED_SECONDS)
        match await self._until(calm, stage, dog, at=self._loop.time() + _BOUND_SECONDS):
            case _Ended.BROKEN:
                return
            case _Ended.LATE:
                stage.history.violate("everything_is_ready_or_says_why", "; ".join(liveness.restless(sight)))
                return
        began, resting = self._loop.time(), rest.rests(sight)
        ended = await self._until(
            lambda: self._loop.time() - max(dog.changed_at, began) > _QUIET_SECONDS,
            stage,
            dog,
            at=began + (_QUIET_BOUND_SECONDS if resting else _RESTLESS_SECONDS),
        )
        if ended is not _Ended.BROKEN and (wrong := rest.misconfigured(sight)):
            stage.history.violate("configuration_is_as_it_was_asked_for", "; ".join(wrong))
        if ended is _Ended.LATE and resting and rest.rests(sight):
            stage.history.violate("nothing_is_written_at_rest", "writes go on")

    async def _until(self, done: Callable[[], bool], stage: Stage, dog: Watchdog, *, at: float) -> _Ended:
        while self._loop.time() < at:
            if stage.history.violations:
                return _Ended.BROKEN
            if done():
                return _Ended.DONE
            await asyncio.sleep(min(_SLICE_SECONDS, at - self._loop.time()))
            dog.look_around()
        return _Ended.BROKEN if stage.history.violations else _Ended.LATE


class _Ended(enum.Enum):
    DONE = enum.auto()
    LATE = enum.auto()
    BROKEN = enum.auto()


class _Lasting:
    """Whether something has been true for a while."""

    def __init__(self, holds: Callable[[], bool], loop: SimulatedLoop, seconds: float) -> None:
        self._holds, self._loop, self._seconds = holds, loop, seconds
        self._since: float | None = None

    def __call__(self) -> bool:
        if not self._holds():
            self._since = None
            return False
        self._since = self._since if self._since is not None else self._loop.time()
        return self._loop.time() - self._since >= self._seconds


def _create(stage: Stage, one: setups.InstanceSetup) -> None:
    stage.create(kinds.INSTANCES, one.namespace, one.name, spec=one.spec)


def _fail(history: History, _: object, context: dict[str, Any]) -> None:
    """Something failed in a callback: of the operator, of the simulator, or here."""
    error = context.get("exception")
    history.violate("NothingFails", f"{context.get('message')}: {error!r}")
