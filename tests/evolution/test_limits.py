"""A server is called no faster, and by no more calls at once, than was configured."""

from __future__ import annotations

import asyncio
import time

import pytest

from evolution import servers
from whatsapp_operator.evolution import client, limits


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


async def starts(gate: limits.Gate, clock: Clock, calls: int) -> list[float]:
    """When each of some calls, one after the other, was let through."""
    moments = []
    for _ in range(calls):
        async with gate.passage():
            moments.append(round(clock.now - 100, 6))
    return moments


async def test_burst_is_as_many_as_may_be_in_flight_and_then_the_rate_holds() -> None:
    clock = Clock()
    gate = limits.Gate(per_second=20, max_in_flight=3, monotonic=clock.monotonic, sleep=clock.sleep)

    assert await starts(gate, clock, 7) == [0, 0, 0, 0.05, 0.1, 0.15, 0.2]


async def test_pause_gives_back_the_burst_and_no_more() -> None:
    clock = Clock()
    gate = limits.Gate(per_second=20, max_in_flight=3, monotonic=clock.monotonic, sleep=clock.sleep)
    await starts(gate, clock, 7)

    await clock.sleep(3600)

    assert await starts(gate, clock, 5) == [3600.2, 3600.2, 3600.2, 3600.25, 3600.3]


async def test_no_more_calls_run_at_once_than_may() -> None:
    gate = limits.Gate(per_second=1e9, max_in_flight=4, monotonic=time.monotonic, sleep=asyncio.sleep)
    running, most, release = 0, 0, asyncio.Event()

    async def call() -> None:
        nonlocal running, most
        async with gate.passage():
            running += 1
            most = max(most, running)
            await release.wait()
            running -= 1

    tasks = [asyncio.create_task(call()) for _ in range(20)]
    await asyncio.sleep(0)
    held = running
    release.set()
    await asyncio.gather(*tasks)

    assert (held, most, running) == (4, 4, 0)


async def test_calls_that_waited_for_a_hanging_server_do_not_leave_in_a_burst() -> None:
    clock = Clock()
    gate = limits.Gate(per_second=10, max_in_flight=1, monotonic=clock.monotonic, sleep=clock.sleep)
    moments: list[float] = []
    release = asyncio.Event()

    async def call() -> None:
        async with gate.passage():
            moments.append(round(clock.now - 100, 6))
            await release.wait()

    tasks = [asyncio.create_task(call()) for _ in range(4)]
    await asyncio.sleep(0)
    clock.now += 30
    release.set()
    await asyncio.gather(*tasks)

    assert moments == [0, 30, 30.1, 30.2]


async def test_call_that_failed_or_was_cancelled_gives_its_place_back() -> None:
    gate = limits.Gate(per_second=1e9, max_in_flight=1, monotonic=time.monotonic, sleep=asyncio.sleep)

    async def hang() -> None:
        async with gate.passage():
            await asyncio.Event().wait()

    running, waiting = asyncio.create_task(hang()), asyncio.create_task(hang())
    await asyncio.sleep(0)
    waiting.cancel()
    running.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    with pytest.raises(RuntimeError, match="failed"):
        async with gate.passage():
            raise RuntimeError("failed")

    assert await asyncio.wait_for(starts(gate, Clock(), 3), timeout=5)


async def test_client_keeps_its_rate_on_the_injected_clock(server: servers.Server) -> None:
    clock = Clock()
    seconds: list[float] = []
    api = client.Client(
        url=server.url,
        api_key=servers.KEY,
        per_second=2,
        max_in_flight=1,
        rules=servers.LOOPBACK_ALLOWED,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        random=lambda: 0.0,
        observe=lambda call: seconds.append(call.seconds),
    )
    for _ in range(5):
        await api.verify_key()
    await api.close()

    assert clock.now == pytest.approx(102)
    assert seconds == [0] * 5
