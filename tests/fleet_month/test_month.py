"""A small fleet through a short month: what the benchmark says of the policies, and that skipping changes nothing."""

from __future__ import annotations

import dataclasses

import pytest
from benchmarks.fleet_month import comparison, month, operated
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.rates import FAULTS, Fault, Healer, Unit
from benchmarks.fleet_month.schedule import Population, Strike

HOUR = 3600.0
FLEET = Population("main-0", 20, each_proxy=4)


def fault(title: str) -> Fault:
    return next(one for one in FAULTS if title in one.title)


HANG = Strike(at=1 * HOUR, fault=fault("S17"), name="number-00001")
LOST_CLOSE = Strike(at=2 * HOUR, fault=fault("S5"), name="number-00002")
DEAD = Strike(at=3 * HOUR, fault=fault("S3"), name="number-00003")
REMOVED = Strike(at=9 * HOUR, fault=fault("S13"), name="number-00005")
PROXY_AWAY = Strike(at=11 * HOUR, fault=fault("proxy hangs"), proxy=0, seconds=1500.0)
WHATSAPP_AWAY = Strike(at=13 * HOUR, fault=fault("WhatsApp cannot be reached"), seconds=900.0)
CRASH = Strike(at=15 * HOUR, fault=fault("memory"), seconds=30.0)
CRASH_EARLY = Strike(at=5 * HOUR, fault=fault("memory"), seconds=30.0)
ALL = (HANG, LOST_CLOSE, DEAD, REMOVED, PROXY_AWAY, WHATSAPP_AWAY, CRASH)


def played(policy: Policy, *strikes: Strike, skip: bool = True, days: float = 0.75) -> month.Outcome:
    plan = month.Plan(policy=policy, population=FLEET, days=days, seed=7, skip=skip, strikes=strikes)
    return month.run(plan)


@pytest.fixture(scope="module")
def ours() -> month.Outcome:
    return played(Policy.OPERATOR, *ALL)


@pytest.fixture(scope="module")
def literal() -> month.Outcome:
    return played(Policy.LITERAL, *ALL)


def test_operator_loses_no_pairing_that_could_have_been_kept(ours: month.Outcome) -> None:
    assert ours.lost_avoidably == 0
    assert ours.lost_to_faults == 1
    assert ours.asked == 1


def test_operator_heals_whatever_needs_no_phone(ours: month.Outcome) -> None:
    assert len(ours.heals) == 3
    assert ours.never_healed == 0


def test_original_algorithm_taken_literally_loses_pairings_of_an_outage(literal: month.Outcome) -> None:
    assert literal.lost_avoidably >= FLEET.size
    assert literal.asked > literal.lost_to_faults


def test_operator_keeps_more_connected_than_each_other_policy(ours: month.Outcome, literal: month.Outcome) -> None:
    others = [literal, *(played(policy, *ALL) for policy in (Policy.NONE, Policy.WATCHDOG))]

    assert all(ours.connected > one.connected for one in others)


def test_watchdog_that_only_restarts_loses_no_pairing_and_leaves_dead_sockets_dead() -> None:
    outcome = played(Policy.WATCHDOG, HANG, DEAD, days=0.25)

    assert outcome.lost_avoidably == 0
    assert outcome.never_healed == 1


def test_nobody_calls_nothing_and_heals_nothing() -> None:
    outcome = played(Policy.NONE, HANG, days=0.25)

    assert (outcome.calls, outcome.never_healed, outcome.lost_avoidably) == (0, 1, 0)
    assert outcome.connected == pytest.approx(1 - 5 / (20 * 6), abs=1e-4)


def without_times(one: month.Outcome) -> month.Outcome:
    """Without the processor times, which are of the machine."""
    return dataclasses.replace(one, took=0.0, reference=0.0)


def test_same_plan_has_the_same_outcome() -> None:
    first, second = (played(Policy.OPERATOR, HANG, LOST_CLOSE, days=0.1) for _ in range(2))

    assert without_times(first) == without_times(second)
    assert first.reference > 0.0


AT_ONCE = (
    *(Strike(at=(4 + number) * HOUR / 4, fault=fault("S17"), name=f"number-{number:05d}") for number in range(6, 12)),
    Strike(at=2.9 * HOUR, fault=fault("S17"), name="number-00006"),
    Strike(at=3.2 * HOUR, fault=fault("connection drops"), name="number-00007"),
)
"""Incidents that are not over when something else strikes, and one that strikes the same number again."""

OUTAGES = (
    Strike(at=2 * HOUR, fault=fault("proxy refuses"), proxy=0, seconds=1500.0),
    Strike(at=5 * HOUR, fault=fault("WhatsApp cannot be reached"), seconds=900.0),
    Strike(at=5.1 * HOUR, fault=fault("S17"), name="number-00006"),
    Strike(at=8 * HOUR, fault=fault("the database, or"), seconds=200.0),
)


@pytest.mark.parametrize(
    "strikes",
    [(HANG, LOST_CLOSE, DEAD, REMOVED), (*AT_ONCE, CRASH_EARLY), OUTAGES],
    ids=["apart", "dense", "outages"],
)
def test_skipping_quiet_time_changes_nothing_that_is_reported(strikes: tuple[Strike, ...]) -> None:
    skipped, polled = (played(Policy.OPERATOR, *strikes, skip=skip, days=0.5) for skip in (True, False))

    assert polled.simulated == pytest.approx(12 * HOUR)
    assert skipped.simulated < polled.simulated / 2
    assert comparison.differences(skipped, polled) == []


def test_time_that_is_skipped_while_something_is_under_way_does_not_pass_the_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    polled = played(Policy.OPERATOR, HANG, skip=False, days=0.08)
    monkeypatch.setattr(operated.Operated, "is_quiet", lambda *_: True)

    skipped = played(Policy.OPERATOR, HANG, days=0.08)

    assert comparison.differences(skipped, polled)


def test_every_rate_names_what_it_counts_and_whom_it_is_from() -> None:
    assert all(one.issues and one.rate > 0 for one in FAULTS)
    assert {one.unit for one in FAULTS} == set(Unit)
    assert {one.healer for one in FAULTS} == set(Healer)
