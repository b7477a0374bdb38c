"""The simulated API server tells a watch what the real one does: of the same generated calls, in the same order."""

from __future__ import annotations

import random

import pytest

from support import api_operations, api_watching
from support.simulated_api import Simulated
from whatsapp_operator.cluster import transport

CALLS = 1000


def drawn(seed: int) -> list[api_operations.Operation]:
    return [one for one in api_operations.draw(seed, count=CALLS) if one.resource in api_watching.WATCHED]


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - moments that can be repeated, no cryptography


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(4))
async def test_both_servers_tell_a_watch_the_same_of_generated_calls(
    real_calls: transport.Transport, namespace: str, seed: int
) -> None:
    real = api_watching.Follower(api_operations.Player(real_calls, namespace), bears_vain=True)
    simulated_player = api_operations.Player(Simulated().with_namespace(namespace), namespace)
    simulated = api_watching.Follower(simulated_player, bears_vain=False)

    expected = await real.follow(drawn(seed), chance=chance(seed))
    found = await simulated.follow(drawn(seed), chance=chance(seed))

    assert found.live == expected.live
    assert found.resumed == expected.resumed
    assert found.forgotten == expected.forgotten
    assert expected.bookmarks
    told = [one["type"] for events in expected.live.values() for one in events]
    assert min(told.count(each) for each in ("ADDED", "MODIFIED", "DELETED")) > 5
