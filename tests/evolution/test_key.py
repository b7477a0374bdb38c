"""An instance's token in the place of the server's key: the list of the database takes it, and shows less."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from evolution import servers
from simulator import conftest as simulators
from simulator.conftest import KEY, Bench
from whatsapp_operator.evolution import client, evidence

start, bench = simulators.start, simulators.bench

REJECTED = evidence.Unknown(evidence.Ignorance.KEY_REJECTED)


@contextlib.asynccontextmanager
async def counting(bench: Bench, *, key: str) -> AsyncIterator[tuple[client.Client, list[str]]]:
    calls: list[str] = []
    async with servers.calling(bench.simulator.url, api_key=key, observe=lambda call: calls.append(call.route)) as api:
        yield api, calls


async def test_list_of_a_token_proves_nothing_of_the_others(bench: Bench) -> None:
    await bench.create("one")
    await bench.create("two")

    async with counting(bench, key="token-one") as (api, _):
        assert await api.list_database() == REJECTED
        assert await api.list_database() == REJECTED


async def test_key_is_not_verified_where_the_list_shows_the_rows_of_others(bench: Bench) -> None:
    await bench.create("one")
    await bench.create("two", token=KEY)

    async with counting(bench, key=KEY) as (api, calls):
        listed = await api.list_database()

    assert isinstance(listed, evidence.DatabaseList)
    assert set(listed.rows) == {"one", "two"}
    assert len(calls) == 1


@pytest.mark.parametrize("instances", [0, 1])
async def test_key_that_is_an_instance_s_token_too_is_verified_once(bench: Bench, instances: int) -> None:
    for number in range(instances):
        await bench.create(f"{number}", token=KEY)

    async with counting(bench, key=KEY) as (api, calls):
        for _ in range(3):
            listed = await api.list_database()
            assert isinstance(listed, evidence.DatabaseList)
            assert len(listed.rows) == instances

    assert len(calls) == 3 + instances
