"""The calendar that can skip time, and the people who come when they are awake."""

from __future__ import annotations

import asyncio

from benchmarks.fleet_month import chance
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


def no_look() -> None:
    """Nothing has to be looked at."""


def test_skipped_time_passes_on_the_calendar_and_on_no_clock() -> None:
    loop, came, skips = MonthLoop(), list[tuple[float, float]](), list[float]()

    async def main() -> None:
        calendar = Calendar(loop)
        calendar.on_skip.append(skips.append)
        for at in (100.0, 7 * HOUR, 30 * HOUR):
            calendar.at(at, lambda: came.append((calendar.now, loop.time())))
        await calendar.run(until=40 * HOUR, look=no_look, is_quiet=lambda: bool(came))

    loop.run(main())

    assert came == [(100.0, 100.0), (7 * HOUR, 120.0), (30 * HOUR, 120.0)]
    assert sum(skips) == 40 * HOUR - loop.time()


def test_what_is_called_again_and_again_keeps_its_place_on_the_calendar() -> None:
    loop, called = MonthLoop(), list[float]()

    async def call() -> None:
        while True:
            called.append(loop.moment() % 60)
            await asyncio.sleep(60)

    async def main() -> None:
        await asyncio.sleep(17.3)
        task = asyncio.create_task(call())
        await Calendar(loop).run(until=9.9 * HOUR, look=no_look, is_quiet=lambda: len(called) > 3)
        task.cancel()

    loop.run(main())

    assert 3 < len(called) < 12
    assert set(called) == {17.3125}


def test_time_goes_in_parts_of_a_second_and_never_stands_still_for_a_delay() -> None:
    loop, moments = MonthLoop(), list[float]()

    async def main() -> None:
        for delay in (0.0, 1e-9, 0.3, 1 / 64):
            await asyncio.sleep(delay)
            moments.append(loop.time() * 64)

    loop.run(main())

    assert moments == [0, 1, 21, 22]


def test_chance_hangs_on_the_moment_and_not_on_what_was_drawn_before() -> None:
    now = 5.0
    one, other = chance.Chance("shop", lambda: now), chance.Chance("shop", lambda: now)
    one.random()
    now = 6.0

    drawn = [one.random(), one.uniform(1, 2), one.getrandbits(300)]

    assert drawn == [other.random(), other.uniform(1, 2), other.getrandbits(300)]
    assert drawn[0] != drawn[1] - 1
    assert 0 <= drawn[0] < 1 <= drawn[1] < 2
    assert 2**200 < drawn[2] < 2**300
    assert chance.Chance("bank", lambda: now).random() != drawn[0]


def test_calendar_without_quiet_time_is_the_clock() -> None:
    loop = MonthLoop()

    async def main() -> float:
        calendar = Calendar(loop)
        await calendar.run(until=5 * HOUR, look=no_look, is_quiet=lambda: False)
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
        await calendar.run(until=until, look=truth.look_around, is_quiet=lambda: False)
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
