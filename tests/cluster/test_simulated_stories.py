"""Pages of lists, the garbage collector and the end of a namespace go in the simulation as on a real cluster."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from simulation.kubernetes import controllers
from simulation.loop import SimulatedLoop
from simulation.system import stream

from support import api_operations
from support.api_stories import Teller
from support.simulated_api import Simulated
from whatsapp_operator.cluster import transport

Story = Callable[[Teller], Awaitable[Any]]

pytestmark = pytest.mark.e2e


async def play_both(calls: transport.Transport, namespace: str, story: Story, *, seed: int) -> tuple[Any, Any]:
    """What the real cluster tells of a story, and the simulated one."""
    expected = await story(teller(calls, namespace, seed))
    return expected, await asyncio.to_thread(simulate, namespace, story, seed)


def teller(calls: transport.Caller, namespace: str, seed: int) -> Teller:
    chance = random.Random(seed)  # noqa: S311 - a story that can be repeated, no cryptography
    return Teller(api_operations.Player(calls, namespace), chance)


def simulate(namespace: str, story: Story, seed: int) -> Any:
    loop = SimulatedLoop()

    async def main() -> Any:
        calls = Simulated().with_namespace(namespace).with_namespace(beside(namespace))
        controllers.Controllers(calls.api, loop=loop, chance=stream(seed, "controllers"), roll_out=lambda *_: 1.0)
        return await story(teller(calls, namespace, seed))

    return loop.run(main())


def beside(namespace: str) -> str:
    """Another namespace, whose name goes on where that of this one ends."""
    return f"{namespace}-b"


@pytest.fixture
async def two_namespaces(real_calls: transport.Transport, namespace: str) -> AsyncIterator[str]:
    body, path = {"metadata": {"name": beside(namespace)}}, transport.path("api", "v1", "namespaces")
    await real_calls.call(transport.Call("create", "namespaces", path, body=body))
    yield namespace
    await real_calls.call(transport.Call("delete", "namespaces", f"{path}/{beside(namespace)}"))


async def test_both_servers_list_all_namespaces_in_the_same_order(
    real_calls: transport.Transport, two_namespaces: str
) -> None:
    expected, found = await play_both(
        real_calls, two_namespaces, lambda one: one.list_all(beside(two_namespaces)), seed=0
    )

    assert found == expected
    assert len(found) == 14


@pytest.mark.parametrize("seed", range(3))
async def test_pages_show_what_was_there_when_the_first_one_was_asked_for(
    real_calls: transport.Transport, namespace: str, seed: int
) -> None:
    expected, found = await play_both(real_calls, namespace, lambda one: one.read_in_pages(), seed=seed)

    assert found == expected
    assert max(len(pages) for pages in found) > 2


@pytest.mark.parametrize("seed", range(3))
async def test_both_collect_what_belongs_to_nobody_that_is_left(
    real_calls: transport.Transport, namespace: str, seed: int
) -> None:
    expected, found = await play_both(real_calls, namespace, lambda one: one.collect(), seed=seed)

    assert found == expected
    assert 0 < len(found) < 20


@pytest.mark.parametrize("seed", range(3))
async def test_namespace_refuses_what_is_new_and_ends_with_what_was_in_it(
    real_calls: transport.Transport, namespace: str, seed: int
) -> None:
    expected, found = await play_both(real_calls, namespace, lambda one: one.end_namespace(seed), seed=seed)

    for number, ((operation, told), (_, simulated)) in enumerate(zip(expected, found, strict=True)):
        assert api_operations.agree(simulated, told, operation), f"{number}: {operation} -> {told}\n{simulated}"
