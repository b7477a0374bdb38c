"""The alarm: rung at once or later, once for all that was asked."""

from __future__ import annotations

import asyncio

import pytest

from support import simulated
from whatsapp_operator.engine.alarm import Alarm


@pytest.fixture
def time() -> simulated.Time:
    return simulated.Time()


@pytest.fixture
def alarm(time: simulated.Time) -> Alarm:
    return Alarm(clock=time, timers=time)


async def rings(alarm: Alarm) -> bool:
    """Whether it rings now."""
    waiting = asyncio.ensure_future(alarm.wait())
    done, _ = await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    return bool(done)


async def test_alarm_that_nobody_rang_is_silent(alarm: Alarm) -> None:
    assert not await rings(alarm)


async def test_alarm_rings_once_for_all_that_was_asked(alarm: Alarm) -> None:
    alarm.ring()
    alarm.ring()

    assert await rings(alarm)
    assert not await rings(alarm)


@pytest.mark.parametrize("wishes", [(1, 10), (10, 1)])
async def test_alarm_rings_at_the_earliest_time_asked_for(
    alarm: Alarm, time: simulated.Time, wishes: tuple[float, float]
) -> None:
    for wish in wishes:
        alarm.ring_in(wish)

    time.advance(0.9)
    assert not await rings(alarm)
    time.advance(0.1)
    assert await rings(alarm)

    time.advance(60)
    assert not await rings(alarm)


async def test_alarm_that_rang_early_leaves_no_timer_behind(alarm: Alarm, time: simulated.Time) -> None:
    alarm.ring_in(10)
    alarm.ring()

    assert await rings(alarm)
    assert time.pending == 0


async def test_alarm_can_be_set_again_after_it_rang(alarm: Alarm, time: simulated.Time) -> None:
    alarm.ring_in(1)
    time.advance(1)
    assert await rings(alarm)

    alarm.ring_in(2)
    time.advance(2)

    assert await rings(alarm)
