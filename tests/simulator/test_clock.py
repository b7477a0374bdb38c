"""The two clocks."""

import asyncio
import time

from evolution_simulator import clock, realtime


def test_driven_clock_runs_what_is_due_in_order_and_what_that_adds() -> None:
    driven, seen = clock.DrivenClock(now=100.0), list[tuple[str, float]]()

    def first() -> None:
        seen.append(("first", driven.now()))
        driven.call_later(1, lambda: seen.append(("added", driven.now())))

    driven.call_later(2, lambda: seen.append(("second", driven.now())))
    driven.call_later(1, first)
    driven.call_later(10, lambda: seen.append(("too late", driven.now())))
    driven.call_later(1, lambda: seen.append(("cancelled", driven.now()))).cancel()

    driven.advance(5)

    assert seen == [("first", 101.0), ("second", 102.0), ("added", 102.0)]
    assert driven.now() == 105.0


async def test_real_clock_runs_faster_with_a_speed() -> None:
    real = realtime.RealClock(loop=asyncio.get_running_loop(), speed=1000.0)
    rang = asyncio.Event()
    began, clock_began = time.monotonic(), real.now()

    real.call_later(20.0, rang.set)
    await asyncio.wait_for(rang.wait(), timeout=5)

    assert real.now() - clock_began >= 20.0
    assert time.monotonic() - began < 5
