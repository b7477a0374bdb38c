"""The Evolution API is the simulator's own model, and a call in this process proves what one over its socket proves."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from simulation.evolution import host, wire
from simulation.life import Life

from evolution_simulator import clock, faults, listener, version, world
from support import evolution_operations as operations
from whatsapp_operator.evolution import client, evidence, urls

KEY = "key"
BEGIN = 1_800_000_000.0
OPERATIONS = 80
HELD_TURNS = 20
"""After so many turns of waiting, what is held is let go."""
PASSES = 1.5
"""Seconds of the model's time after each operation."""
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


def a_model(time: clock.Scheduler, release: str) -> world.World:
    return world.World(
        scheduler=time,
        rng=random.Random(4),  # noqa: S311 - of a model that both ways lead to
        release=version.VERSIONS[release],
        settings=world.Settings(api_key=KEY),
        client_name="evolution",
    )


def a_client(url: str, **more: Any) -> client.Client:
    return client.Client(
        url=url,
        api_key=KEY,
        per_second=1000,
        rules=urls.Rules(allowed=LOOPBACK),
        monotonic=asyncio.get_running_loop().time,
        sleep=asyncio.sleep,
        random=lambda: 0.0,
        observe=lambda _: None,
        **more,
    )


@dataclass
class Way:
    """A model, and a client that reaches it."""

    model: world.World
    time: clock.DrivenClock
    api: client.Client
    server: listener.Listener | host.Host

    async def play(self, one: operations.Operation) -> object:
        """Do a deed or make a call; the model's time passes until it is answered."""
        if operations.is_deed(one):
            operations.do(self.model, self.server.faults, one)
            self.time.advance(PASSES)
            return None
        running = asyncio.ensure_future(operations.call(self.api, one))
        turns = 0
        while not running.done():
            await asyncio.sleep(0.002)
            self.time.advance(0.1)
            turns += 1
            if turns > HELD_TURNS:
                self.server.release()
        return running.result()


@pytest.fixture
async def over_the_socket() -> AsyncIterator[Callable[[str], Any]]:
    opened: list[tuple[listener.Listener, client.Client]] = []

    async def open_one(release: str) -> Way:
        time = clock.DrivenClock(now=BEGIN)
        model = a_model(time, release)
        ear = listener.Listener(server=model, host="127.0.0.1", port=0)
        await ear.open()
        api = a_client(f"http://127.0.0.1:{ear.port}")
        opened.append((ear, api))
        return Way(model, time, api, ear)

    yield open_one
    for ear, api in opened:
        await api.close()
        await ear.close()


def in_process(release: str) -> Way:
    time, loop = clock.DrivenClock(now=BEGIN), asyncio.get_running_loop()
    model = a_model(time, release)
    there = host.Host(model, loop=loop, name="main")
    way = wire.Wire(
        lambda _: there,
        url="http://main",
        api_key=KEY,
        timeout_seconds=10,
        caller="operator",
        loop=loop,
        life=Life(loop, on_death=lambda: None),
        chance=random.Random(1),  # noqa: S311 - of how long a call is on its way
    )
    return Way(model, time, a_client("http://main", wire=way), there)


@pytest.mark.parametrize("release", ["2.3.7", "2.3.6"])
@pytest.mark.parametrize("seed", range(4))
async def test_calls_prove_the_same_in_this_process_and_over_the_socket(
    over_the_socket: Callable[[str], Any], release: str, seed: int
) -> None:
    there, here = await over_the_socket(release), in_process(release)

    for number, one in enumerate(operations.draw(seed, count=OPERATIONS)):
        expected, found = await there.play(one), await here.play(one)
        # How long a call takes is not the same on both ways, so the models are set to the same time after each.
        until = BEGIN + (number + 1) * 8
        for way in (there, here):
            way.time.advance(until - way.time.now())
        assert shown(found) == shown(expected), f"{number}: {one}"


def shown(proved: object) -> object:
    """Without what differs between any two runs: times of writes, and codes."""
    if isinstance(proved, evidence.DatabaseList):
        return {
            name: (row.state, row.code, row.has_owner, row.token, row.settings) for name, row in proved.rows.items()
        }
    return type(proved) if isinstance(proved, evidence.QRCode) else proved


async def test_generated_operations_reach_answers_refusals_and_nothing_proved(
    over_the_socket: Callable[[str], Any],
) -> None:
    there, proved = await over_the_socket("2.3.7"), set[type]()

    for one in operations.draw(1, count=2 * OPERATIONS):
        proved.add(type(await there.play(one)))

    assert {evidence.Created, evidence.Accepted, evidence.Refused, evidence.Unknown, evidence.InMemory} <= proved


async def test_request_that_is_held_has_its_effect_when_it_is_let_go_though_nobody_waits_any_more() -> None:
    here = in_process("2.3.7")
    assert isinstance(here.server, host.Host)
    here.server.faults.add(faults.Kind.HOLD_BEFORE, route="create", count=1)
    call = asyncio.ensure_future(operations.call(here.api, operations.Operation("create", "shop")))
    await asyncio.sleep(0.05)
    assert not call.done()
    call.cancel()

    before = set(here.model.memory)
    here.server.release()

    assert (before, set(here.model.memory)) == (set(), {"shop"})
