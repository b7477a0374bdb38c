"""The API server of the simulation answers as the real one: the same generated calls are made to both."""

from __future__ import annotations

import pytest

from support import api_operations
from support.simulated_api import Simulated
from whatsapp_operator.cluster import transport

CALLS = 300


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(6))
async def test_both_servers_answer_the_same_to_generated_calls(
    real_calls: transport.Transport, namespace: str, seed: int
) -> None:
    real = api_operations.Player(real_calls, namespace)
    simulated = api_operations.Player(Simulated().with_namespace(namespace), namespace)
    await real.begin()
    await simulated.begin()
    before: list[str] = []
    for operation in api_operations.draw(seed, count=CALLS):
        expected, found = await real.play(operation), await simulated.play(operation)
        before.append(f"{operation} -> {expected}")
        assert api_operations.agree(found, expected, operation), "\n".join([*before[-4:], f"simulated: {found}"])


def test_generated_calls_are_of_all_kinds_and_the_same_for_a_seed() -> None:
    drawn = [str(one) for one in api_operations.draw(3, count=CALLS)]

    assert drawn == [str(one) for one in api_operations.draw(3, count=CALLS)]
    made = {(one.verb, one.resource, one.subresource) for one in api_operations.draw(3, count=CALLS)}
    assert len(made) >= 25
