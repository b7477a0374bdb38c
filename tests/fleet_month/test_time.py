"""The calendar that can skip time, and the people who come when they are awake."""

from __future__ import annotations

import asyncio

from benchmarks.fleet_month.calendar import Calendar
from benchmarks.fleet_month.house import MonthLoop, furnished, server_of
from benchmarks.fleet_month.people import People
from benchmarks.fleet_month.policies import Caller
from benchmarks.fleet_month.schedule import Population
from benchmarks.fleet_month.truth import Truth
from simulation import drawing

from whatsapp_operator.evolution import routes

FLEET = Population("main-0", 4)
HOUR = 3600.0
FOR_EVER = float("inf")


def no_look() -> None:
    """Nothing has to be looked at."""


def test_skipped_time_passes_on_the_calendar_and_on_no_clock() -> None:
    loop, came = MonthLoop(), list[tuple[float, float]]()

    async def main() -> None:
        calendar = Calendar(loop)
        for at in (100.0, 7 * HOUR, 30 * HOUR):
            calendar.at(at, lambda: came.append((round(calendar.now, 3), round(loop.time(), 3))))
        await calendar.run(until=40 * HOUR, look=no_look, quiet_until=lambda: FOR_EVER if came else 0.0)

    loop.run(main())

    assert came == [(100.0, 100.0), (7 * HOUR, 100.0), (30 * HOUR, 100.0)]
    assert loop.time() < 200.0


def test_calendar_without_quiet_time_is_the_clock() -> None:
    loop = MonthLoop()

    async def main() -> float:
        calendar = Calendar(loop)
        await calendar.run(until=5 * HOUR, look=no_look, quiet_until=lambda: 0.0)
        return calendar.skipped

    assert loop.run(main()) == 0.0


def scanned(*, lost_at: float, until: float) -> list[float]:
    """A number is logged out: the moments at which people came for a code."""
    loop, came = MonthLoop(), list[float]()

    async def main() -> None:
        stage = furnished(1, FLEET, loop)
        there, calendar, caller = server_of(stage), Calendar(loop), Caller(stage)
        truth = Truth(there, calendar, FLEET.names)
        name = FLEET.names[0]

        def come(_: str) -> None:
            came.append(calendar.now)
            work.append(loop.create_task(caller.call(routes.CONNECT, name)))

        work: list[asyncio.Task[int | None]] = []
        People(there.model, truth, calendar, seed=1, ask_for_code=come)
        log_out = caller.call(routes.LOGOUT, name)
        calendar.at(lost_at, lambda: work.append(loop.create_task(log_out)))
        await calendar.run(until=until, look=truth.look_around, quiet_until=lambda: 0.0)
        assert truth.is_connected(name)

    with drawing.left_out():
        loop.run(main())
    return came


def test_person_who_is_asked_at_night_scans_in_the_morning() -> None:
    (came,) = scanned(lost_at=23 * HOUR, until=48 * HOUR)

    assert came >= 32 * HOUR


def test_person_who_is_asked_by_day_comes_within_hours() -> None:
    (came,) = scanned(lost_at=10 * HOUR, until=20 * HOUR)

    assert 10 * HOUR < came < 16 * HOUR
