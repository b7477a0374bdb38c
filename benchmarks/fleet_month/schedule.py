"""What goes wrong on one server, and when: drawn from the seed, so that every policy meets the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulation import deeds
from simulation.stage import Stage
from simulation.system import stream

from benchmarks.fleet_month.rates import FAULTS, Fault, Unit

DAY_SECONDS = 86_400.0
MONTH_DAYS = 30.0
_AFTER_CRASH_SECONDS = 300.0
"""By then all rows are loaded again."""


@dataclass(frozen=True, slots=True)
class Population:
    """The numbers of one server. Every fifth is behind a proxy, and `each_proxy` of those share one."""

    server: str
    size: int
    each_proxy: int = 19

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the instances."""
        return tuple(f"number-{number:05d}" for number in range(self.size))

    @property
    def proxies(self) -> int:
        """How many proxies there are."""
        return -(-(self.size // 5) // self.each_proxy)

    def proxy_of(self, number: int) -> int | None:
        """The proxy that a number is behind, if it is behind one."""
        return number // 5 // self.each_proxy % self.proxies if number % 5 == 4 else None


def proxy_host(proxy: int) -> str:
    """The host name of a proxy."""
    return f"proxy-{proxy}.example"


PROXY_PORT = "3128"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One fault, `at` seconds after the beginning of the month, at one number, one proxy, or the whole server."""

    at: float
    fault: Fault
    name: str | None = None
    proxy: int | None = None
    seconds: float | None = None

    def do(self, stage: Stage) -> None:
        """Let it happen, to the one server of a stage."""
        given: dict[str, Any] = {"server": next(iter(stage.hosts)), **self.fault.args}
        given |= {"name": self.name} if self.name is not None else {}
        given |= {"proxy": f"{proxy_host(self.proxy)}:{PROXY_PORT}"} if self.proxy is not None else {}
        given |= {"seconds": self.seconds} if self.seconds is not None else {}
        deeds.do(stage, self.fault.deed, given)


def draw(seed: int, population: Population, *, days: float, times: float = 1.0) -> tuple[Strike, ...]:
    """All that happens, in order, `times` as often as the table says; its shares stay."""
    strikes: list[Strike] = []
    for index, fault in enumerate(FAULTS):
        if fault.unit in (Unit.NUMBER, Unit.PROXY, Unit.SERVER):
            chance = stream(seed, "month", population.server, index)
            strikes += _independent(chance, fault, population, days=days, times=times)
    causes = {Unit.CRASH: "server_down", Unit.OUTAGE: "database_down"}
    for index, fault in enumerate(FAULTS):
        cause = causes.get(fault.unit)
        if cause is not None:
            chance = stream(seed, "month", population.server, index)
            caused = [one for one in strikes if one.fault.deed == cause]
            strikes += [each for one in caused for each in _consequences(chance, fault, population, one)]
    return tuple(sorted(strikes, key=lambda one: one.at))


def _independent(
    chance: random.Random, fault: Fault, population: Population, *, days: float, times: float
) -> Iterator[Strike]:
    units = {Unit.NUMBER: population.size, Unit.PROXY: population.proxies, Unit.SERVER: 1}[fault.unit]
    a_second = times * fault.rate * units / (MONTH_DAYS * DAY_SECONDS)
    at = chance.expovariate(a_second)
    while at < days * DAY_SECONDS:
        yield Strike(
            at=at,
            fault=fault,
            name=chance.choice(population.names) if fault.unit is Unit.NUMBER else None,
            proxy=chance.randrange(units) if fault.unit is Unit.PROXY else None,
            seconds=chance.uniform(*fault.seconds) if fault.seconds is not None else None,
        )
        at += chance.expovariate(a_second)


def _consequences(chance: random.Random, fault: Fault, population: Population, cause: Strike) -> Iterator[Strike]:
    for name in population.names:
        if chance.random() < fault.rate:
            within = cause.seconds if fault.unit is Unit.OUTAGE and cause.seconds is not None else 0.0
            after = chance.uniform(0.0, within) if within else _AFTER_CRASH_SECONDS + (cause.seconds or 0.0)
            yield Strike(at=cause.at + after, fault=fault, name=name)
