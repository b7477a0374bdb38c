"""Time on the simulated loop jumps, and nothing of the machine gets into it."""

from __future__ import annotations

import asyncio

import pytest
from simulation.life import Life
from simulation.loop import SimulatedLoop, StuckError
from simulation.system import System, stream


def test_a_day_passes_at_once_and_timers_ring_in_order() -> None:
    loop, rung = SimulatedLoop(), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        rung.append((name, loop.time()))

    async def main() -> None:
        await asyncio.gather(sleeper("late", 86400.0), sleeper("early", 1.5), sleeper("also late", 86400.0))

    loop.run(main())

    assert rung == [("early", 1.5), ("late", 86400.0), ("also late", 86400.0)]


def test_waiting_for_what_can_never_happen_is_an_error_and_no_hang() -> None:
    loop = SimulatedLoop()

    async def main() -> None:
        await loop.create_future()

    with pytest.raises(StuckError):
        loop.run(main())


def test_no_thread_can_be_asked_for() -> None:
    async def main() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="thread"):
        SimulatedLoop().run(main())


def test_process_dies_at_the_point_that_was_said_and_what_it_would_have_done_is_not_done() -> None:
    loop, done = SimulatedLoop(), list[int]()

    async def main() -> list[str]:
        deaths: list[str] = []
        life = Life(loop, on_death=lambda: deaths.append("dead"))
        system = System(loop, life, stream(0), lambda *_: None)

        async def count() -> None:
            for number in range(10):
                done.append(number)
                await system.sleep(1.0)

        system.spawn("count", count())
        life.die_after(4)
        await asyncio.sleep(20)
        life.end()
        return deaths

    assert loop.run(main()) == ["dead"]
    assert done == [0, 1]


def test_frozen_process_goes_on_later_and_its_clock_has_not_stopped() -> None:
    loop, seen = SimulatedLoop(), list[float]()

    async def main() -> None:
        life = Life(loop, on_death=lambda: None)
        system = System(loop, life, stream(0), lambda *_: None)

        async def work() -> None:
            await system.sleep(1.0)
            seen.append(loop.time())

        system.spawn("work", work())
        life.freeze(30.0)
        await asyncio.sleep(60)

    loop.run(main())

    assert seen == [31.0]
