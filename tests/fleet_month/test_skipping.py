"""What may be skipped, and that a comparison tells where skipping has changed more than it may."""

from __future__ import annotations

import dataclasses

import pytest
from benchmarks.fleet_month import comparison
from benchmarks.fleet_month.lingering import ENOUGH_SECONDS, Lingering
from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.rates import FAULTS, Fault
from benchmarks.fleet_month.schedule import DAY_SECONDS, Strike
from benchmarks.fleet_month.truth import Heal

HOUR = 3600.0
FOR_EVER = float("inf")


def fault(title: str) -> Fault:
    return next(one for one in FAULTS if title in one.title)


@pytest.mark.parametrize(
    "strike",
    [
        Strike(at=9 * HOUR, fault=fault("connection drops"), name="shop"),
        Strike(at=9 * HOUR, fault=fault("proxy hangs"), proxy=0, seconds=60.0),
        Strike(at=9 * HOUR, fault=fault("WhatsApp cannot be reached"), seconds=60.0),
        Strike(at=9 * HOUR, fault=fault("S4"), name="bank"),
    ],
    ids=lambda one: one.fault.title,
)
def test_incident_is_played_to_its_end_before_anything_can_reach_its_number(strike: Strike) -> None:
    assert Lingering([strike]).may_last_until({"shop"}, HOUR) == 9 * HOUR - ENOUGH_SECONDS


def test_incident_may_linger_through_what_reaches_only_others() -> None:
    strikes = [Strike(at=9 * HOUR, fault=fault("S17"), name="bank"), Strike(at=HOUR, fault=fault("S17"), name="shop")]

    assert Lingering(strikes).may_last_until({"shop"}, HOUR) == FOR_EVER
    assert Lingering(strikes).may_last_until({"shop", "bank"}, HOUR) == 9 * HOUR - ENOUGH_SECONDS


def test_without_an_incident_nothing_has_to_be_played() -> None:
    strikes = [Strike(at=9 * HOUR, fault=fault("memory"), seconds=60.0)]

    assert Lingering(strikes).may_last_until((), HOUR) == FOR_EVER


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


def test_places_of_polls_and_probes_and_the_number_of_calls_may_differ() -> None:
    healed = (Heal("bank", DEAD, 2600.0), Heal("shop", HUNG, 64.0))
    skipped = dataclasses.replace(
        POLLED, healed=healed, calls=90, simulated=HOUR, connected_by_day=(10 * DAY_SECONDS - 1709.0,)
    )

    assert comparison.differences(skipped, POLLED) == []


def test_whose_turn_it_is_in_an_outage_is_left_to_chance() -> None:
    polled, skipped = (
        dataclasses.replace(POLLED, steps=(*POLLED.steps, f"{name}: Restart")) for name in ("post", "school")
    )

    assert comparison.differences(skipped, polled) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"lost_avoidably": 1},
        {"asked": 2},
        {"never_healed": 1},
        {"server_restarts": 2},
        {"steps": ("bank: Restart",)},
        {"steps": ("bank: Restart", "shop: Reconnect")},
        {"steps": (*POLLED.steps, *["post: Recreate"] * 4)},
        {"healed": POLLED.healed[:1]},
        {"healed": (Heal("shop", HUNG, 155.0), POLLED.healed[1])},
        {"healed": (POLLED.healed[0], Heal("bank", DEAD, 3000.0))},
        {"connected_by_day": (9.8 * DAY_SECONDS,)},
    ],
    ids=str,
)
def test_whatever_else_differs_is_told(changes: dict[str, object]) -> None:
    assert comparison.differences(dataclasses.replace(POLLED, **changes), POLLED)  # type: ignore[arg-type]
