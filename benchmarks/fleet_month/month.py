"""One server through the month under one policy."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import math
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any

import structlog.testing
from simulation import drawing
from simulation.evolution import host
from simulation.stage import KEY

from benchmarks.fleet_month import policies, schedule
from benchmarks.fleet_month.calendar import Calendar
from benchmarks.fleet_month.house import PERSON, MonthLoop, furnished, server_of
from benchmarks.fleet_month.operated import Operated
from benchmarks.fleet_month.people import People
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.schedule import DAY_SECONDS, Population, Strike
from benchmarks.fleet_month.truth import Heal, Truth
from evolution_simulator.api import message
from evolution_simulator.version import ConnectionState
from whatsapp_operator.evolution import routes

_COLLECTED_AFTER = (50_000, 20, 20)
_ADDITIONS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run."""

    policy: Policy
    population: Population
    days: float
    seed: int
    skip: bool = True
    times: float = 1.0
    """How many times as often as declared everything goes wrong."""
    strikes: tuple[Strike, ...] | None = None
    """What goes wrong; drawn from the seed where it is None."""

    @property
    def faults(self) -> tuple[Strike, ...]:
        """What goes wrong."""
        if self.strikes is not None:
            return self.strikes
        return schedule.draw(self.seed, self.population, days=self.days, times=self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one server, or of several together. Times in seconds."""

    policy: Policy
    numbers: int
    days: float
    connected_by_day: tuple[float, ...]
    lost_avoidably: int
    lost_to_faults: int
    asked: int
    healed: tuple[Heal, ...]
    never_healed: int
    calls: int
    server_restarts: int
    steps: tuple[str, ...] = ()
    """What the operator did to which number, in its order for each number."""
    simulated: float
    """Seconds that were simulated, and not skipped."""
    took: float = 0.0
    """Processor time."""
    reference: float = 0.0
    """Processor time of a loop of a million additions, right before and after."""

    @property
    def connected(self) -> float:
        """The share of all minutes in which a number was connected."""
        return sum(self.connected_by_day) / (self.numbers * self.days * DAY_SECONDS)

    @property
    def heals(self) -> tuple[float, ...]:
        """The times to heal, the shortest first."""
        return tuple(sorted(heal.seconds for heal in self.healed))


def run(plan: Plan) -> Outcome:
    """Run it. The same plan gives the same outcome, but for the processor times."""
    before, began, loop = reference(), time.process_time(), MonthLoop()
    with structlog.testing.capture_logs(), drawing.left_out(), _seldom_collected():
        outcome = loop.run(_Month(plan, loop).run())
    took = time.process_time() - began
    return replace(outcome, took=took, reference=(before + reference()) / 2)


def reference() -> float:
    """Processor seconds of a loop of a million additions: a machine may be twice as fast at one time as at another."""
    began, total = time.process_time(), 0
    for number in range(_ADDITIONS):
        total += number
    return time.process_time() - began


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """Nearly nothing that is thrown away is part of a cycle, and to look for what is takes a fifteenth of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(*_COLLECTED_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _Month:
    def __init__(self, plan: Plan, loop: MonthLoop) -> None:
        self._plan, self._loop = plan, loop
        self._stage = furnished(plan.seed, plan.population, loop)
        self._there = server_of(self._stage)
        self._operated = Operated(self._stage) if plan.policy is Policy.OPERATOR else None
        self._caller = policies.Caller(self._stage, plan.population.names) if plan.policy in policies.SCRIPTS else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        loop.set_exception_handler(self._failed)
        self._calls = 0
        self._strikes = plan.faults

    async def run(self) -> Outcome:
        """Run to the end of the month."""
        plan, rate = self._plan, await self._operated.begin() if self._operated is not None else 0.0
        self._calendar = Calendar(self._loop)
        if self._operated is not None:
            self._calendar.on_skip.append(self._operated.skip)
        self._truth = Truth(self._there, self._calendar, plan.population.names)
        self._people = self._invite()
        self._there.on_arrival.append(self._count)
        for strike in self._strikes:
            self._calendar.at(strike.at, functools.partial(self._strike, strike))
        if self._caller is not None:
            keeper = policies.Keeper(self._caller, self._loop, self._spawn)
            self._spawn(policies.SCRIPTS[plan.policy](keeper))
        await self._calendar.run(until=plan.days * DAY_SECONDS, look=self._look, is_quiet=self._is_quiet)
        never_healed = self._truth.close()
        self._stage.end()
        return self._outcome(rate, never_healed)

    def _invite(self) -> People:
        return People(
            self._there.model,
            self._truth,
            self._calendar,
            seed=(self._plan.seed, self._plan.population.server),
            ask_for_code=self._operated.ask_for_code if self._operated is not None else self._connect_by_hand,
        )

    def _is_quiet(self) -> bool:
        operated = self._operated
        if operated is None or not self._plan.skip or self._people.at_the_phone:
            return False
        return operated.is_quiet(self._truth)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failures.append(error)

    def _failed(self, _: object, context: dict[str, Any]) -> None:
        self._failures.append(RuntimeError(f"{context.get('message')}: {context.get('exception')!r}"))

    def _look(self) -> None:
        """Look at what calls have changed, and whether all still works."""
        self._truth.look_around()
        self._failures += [RuntimeError(str(one)) for one in self._stage.history.violations]
        if self._failures:
            raise self._failures[0]

    def _count(self, one: host.Arrival) -> None:
        self._calls += one.caller != PERSON

    def _connect_by_hand(self, name: str) -> None:
        """A person opens the server's manager: on a closed instance that starts a socket, which shows a code."""
        one = self._there.model.memory.get(name)
        if one is not None and one.state is ConnectionState.CLOSE:
            request = message.Request(method=routes.CONNECT.method, path=routes.CONNECT.fill(name), key=KEY)
            self._there.arrive(request, caller=PERSON, sent_at=self._loop.time(), answered=lambda _: None)

    def _strike(self, strike: Strike) -> None:
        if self._operated is not None:
            self._operated.struck(lasting=strike.seconds or 0.0)
        with self._truth.striking():
            strike.do(self._stage)
        if strike.fault.needs_a_step and strike.name is not None:
            self._truth.open_case(strike.name, fault=strike.fault.title)

    def _outcome(self, rate: float, never_healed: int) -> Outcome:
        plan, truth = self._plan, self._truth
        shortened = self._caller.shortened if self._caller is not None else 0
        return Outcome(
            policy=plan.policy,
            numbers=plan.population.size,
            days=plan.days,
            connected_by_day=tuple(truth.seconds_by_day[day] for day in range(math.ceil(plan.days))),
            lost_avoidably=len(truth.lost_avoidably),
            lost_to_faults=truth.lost_to_faults,
            asked=self._people.asked,
            healed=tuple(truth.healed),
            never_healed=never_healed,
            calls=self._calls + shortened + round(rate * self._calendar.skipped),
            server_restarts=self._operated.server_restarts if self._operated is not None else 0,
            steps=self._operated.steps if self._operated is not None else (),
            simulated=self._calendar.now - self._calendar.skipped,
        )
