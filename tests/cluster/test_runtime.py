"""Tasks are owned: none fails in silence, none is left behind."""

from __future__ import annotations

import asyncio
from datetime import UTC

import pytest

from whatsapp_operator.cluster import runtime


async def fails() -> None:
    raise LookupError("broken")


async def waits(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def test_task_that_fails_is_told_of() -> None:
    tasks = runtime.OwnedTasks()
    tasks.spawn("one", fails())
    with pytest.raises(LookupError, match="broken"):
        await tasks.failure()


async def test_task_that_ends_well_or_is_cancelled_is_no_failure() -> None:
    tasks = runtime.OwnedTasks()
    tasks.spawn("one", asyncio.sleep(0))
    tasks.spawn("two", waits([])).cancel()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(tasks.failure(), 0.01)
    await tasks.cancel_all()


async def test_no_task_is_left_behind() -> None:
    ended: list[str] = []
    tasks = runtime.OwnedTasks()
    for number in range(3):
        tasks.spawn(str(number), waits(ended))
    await asyncio.sleep(0)
    await tasks.cancel_all()
    assert ended == ["ended"] * 3


async def test_timer_calls_back_once_and_not_when_it_was_cancelled() -> None:
    called: list[str] = []
    timers = runtime.LoopTimers()
    timers.call_later(0, lambda: called.append("kept"))
    cancel = timers.call_later(0, lambda: called.append("cancelled"))
    cancel()
    await asyncio.sleep(0.01)
    assert called == ["kept"]


def test_wall_time_is_in_utc() -> None:
    assert runtime.SystemClock().now().tzinfo is UTC


def test_random_has_the_number_of_bits_that_was_asked_for() -> None:
    drawn = [runtime.SystemRandom().getrandbits(8) for _ in range(200)]
    assert max(drawn) < 256
    assert len(set(drawn)) > 1
