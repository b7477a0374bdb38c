"""That a comparison tells where skipping has changed more than it may."""

from __future__ import annotations

import dataclasses

import pytest
from benchmarks.fleet_month import comparison
from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.rates import FAULTS, Fault
from benchmarks.fleet_month.schedule import DAY_SECONDS
from benchmarks.fleet_month.truth import Heal

HOUR = 3600.0


def fault(title: str) -> Fault:
    return next(one for one in FAULTS if title in one.title)


HUNG, DEAD = fault("S17").title, fault("shows connected").title
POLLED = Outcome(
    policy=Policy.OPERATOR,
    numbers=10,
    days=1.0,
    connected_by_day=(10 * DAY_SECONDS,),
    lost_avoidably=0,
    lost_to_faults=1,
    asked=1,
    healed=(Heal("shop", HUNG, 55.0), Heal("bank", DEAD, 900.0)),
    never_healed=0,
    calls=100,
    server_restarts=1,
    steps=("bank: Restart", "shop: Restart"),
    simulated=DAY_SECONDS,
)


def test_second_and_one_in_a_hundred_calls_may_differ() -> None:
    healed = (Heal("bank", DEAD, 900.9), Heal("shop", HUNG, 54.1))
    skipped = dataclasses.replace(
        POLLED, healed=healed, calls=99, simulated=HOUR, connected_by_day=(10 * DAY_SECONDS - 1.8,)
    )

    assert comparison.differences(skipped, POLLED) == []


def test_heals_are_paired_by_number_and_fault() -> None:
    healed = (Heal("bank", DEAD, 900.0), Heal("shop", DEAD, 55.0), Heal("shop", HUNG, 55.0), Heal("shop", HUNG, 70.0))
    polled = dataclasses.replace(POLLED, healed=healed)

    assert comparison.differences(dataclasses.replace(polled, healed=healed[:2] + healed[:1:-1]), polled)
    assert comparison.differences(dataclasses.replace(polled, healed=(healed[1], healed[0], *healed[2:])), polled) == []
    (told,) = comparison.differences(dataclasses.replace(polled, healed=(healed[0], *healed[2:])), polled)
    assert told == f"shop, {DEAD}: healed 0 times with skipping, 1 without"


@pytest.mark.parametrize(
    "changes",
    [
        {"lost_avoidably": 1},
        {"asked": 2},
        {"never_healed": 1},
        {"server_restarts": 2},
        {"steps": ("bank: Restart",)},
        {"steps": ("bank: Restart", "shop: Reconnect")},
        {"steps": (*POLLED.steps, "post: Restart")},
        {"steps": ("post: Restart", "shop: Restart")},
        {"healed": POLLED.healed[:1]},
        {"healed": (Heal("post", HUNG, 55.0), POLLED.healed[1])},
        {"healed": (Heal("shop", HUNG, 56.1), POLLED.healed[1])},
        {"healed": (POLLED.healed[0], Heal("bank", DEAD, 901.1))},
        {"connected_by_day": (10 * DAY_SECONDS - 2.1,)},
        {"calls": 98},
    ],
    ids=str,
)
def test_whatever_else_differs_is_told(changes: dict[str, object]) -> None:
    assert comparison.differences(dataclasses.replace(POLLED, **changes), POLLED)  # type: ignore[arg-type]
