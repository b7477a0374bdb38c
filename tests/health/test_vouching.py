"""S7: when flapping is the instance's own trouble, and when it may be WhatsApp's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from support.world import START, World, given
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules, witnesses
from whatsapp_operator.health.assessment import Seen
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step

FLAPPING, CREDENTIALS = Reason.FLAPPING, Reason.CREDENTIALS
HOURS = timedelta(hours=6)


class Patient(World):
    """A world in which what lasts for six hours is no outage any more."""

    @property
    def seen(self) -> Seen:
        """All that a rule may look at."""
        return replace(super().seen, last_resort=HOURS)


def flapping() -> Patient:
    lone = Patient(row=given().row)
    lone.memory("close", "connecting").database("open").paired()
    return lone


def test_flapping_that_nobody_vouches_against_is_waited_for_and_taken_for_its_own_in_the_end() -> None:
    one = flapping().watch(hours=5.9, every=20)
    assert one.shown[1] is FLAPPING
    assert one.steps == []

    one.watch(minutes=15)

    assert (HealthState.CORRUPTED, CREDENTIALS) in one.verdicts
    assert one.steps == [Step.RELOGIN]


def written(one: Patient, *, hours: float) -> Patient:
    """Its row was last written at a moment."""
    assert one.row is not None
    one.row = replace(one.row, updated_at=START + timedelta(hours=hours))
    return one


def restarted(one: Patient) -> Patient:
    """Another process of the operator takes up what stands in the status."""
    one.record, one.opinion = records.Record(paired=True, turned=one.record.turning), None
    return one


def failed_read(one: Patient) -> Patient:
    one.record = records.after_gap(one.record)
    return one


@pytest.mark.parametrize("interruption", [restarted, failed_read])
def test_wait_for_the_last_resort_goes_on_over(interruption: Callable[[Patient], Patient]) -> None:
    one = written(flapping(), hours=-1)
    for _ in range(5):
        interruption(one.watch(hours=1, every=20))
    assert one.steps == []

    one.watch(hours=1.2, every=20)

    assert one.steps == [Step.RELOGIN]


@pytest.mark.parametrize("interruption", [restarted, failed_read])
def test_wait_for_the_last_resort_begins_anew_when_a_login_may_have_come_between(
    interruption: Callable[[Patient], Patient],
) -> None:
    one = written(flapping(), hours=-1).watch(hours=5, every=20)

    written(interruption(one), hours=5).watch(hours=2, every=20)

    assert one.steps == []
    assert CREDENTIALS not in {reason for _, reason in one.verdicts}


def test_turns_of_before_do_not_count_once_it_rested() -> None:
    one = restarted(written(flapping(), hours=-1).watch(hours=5, every=20))
    rested = witnesses.Sample(taken_at=one.now, states=frozenset({ConnectionState.CLOSE}))

    assert records.saw_sample(one.record, rested).turning is None


def test_turns_of_before_do_not_count_without_turns_now() -> None:
    one = restarted(written(flapping(), hours=-1).watch(hours=5, every=20))
    one.record = records.saw_database(one.record, one.row, at=one.now)

    assert one.record.turning is not None
    assert one.record.turns_since is None
    assert rules.flaps_alone_since(one.seen) is None


def test_flapping_of_most_is_never_taken_for_ones_own() -> None:
    one = flapping().neighbour(mostly_flapping=True, vouched_at=START + timedelta(hours=1))

    one.watch(hours=7, every=20)

    assert one.shown[1] is FLAPPING
    assert one.steps == []


def test_one_voucher_since_it_began_is_enough_for_as_long_as_it_lasts() -> None:
    one = flapping().watch(minutes=5)
    one.neighbour(vouched_at=one.now).watch(minutes=10)

    one.watch(hours=1)

    assert {reason for _, reason in one.verdicts[-300:]} == {CREDENTIALS}


@pytest.mark.parametrize("minutes", [5, 9])
def test_flapping_is_not_asked_about_before_it_is_too_long_for_a_bad_network(minutes: float) -> None:
    assert rules.flaps_alone_since(flapping().watch(minutes=minutes).seen) is None


def test_flapping_that_is_too_long_for_a_bad_network_is_asked_about() -> None:
    assert rules.flaps_alone_since(flapping().watch(minutes=12).seen) is not None


def test_flapping_of_what_was_never_paired_or_of_most_is_not_asked_about() -> None:
    assert rules.flaps_alone_since(flapping().database("close").unpaired().watch(minutes=30).seen) is None
    assert rules.flaps_alone_since(flapping().neighbour(mostly_flapping=True).watch(minutes=30).seen) is None


def back_after_an_outage() -> Patient:
    """It flapped for more than ten minutes with its proxy away; another was the first to reopen, just now."""
    one = flapping().watch(minutes=11)
    assert one.shown[1] is FLAPPING
    one.vouched, one.reachable_since = True, one.now
    return one.neighbour(vouched_at=one.now)


def test_instance_that_reopens_half_a_minute_after_its_neighbour_is_not_logged_in_anew() -> None:
    one = back_after_an_outage().watch(seconds=30)
    assert one.shown[1] is CREDENTIALS
    assert one.plan.blocked_by == (Reason.NOT_VOUCHED_FOR,)

    one.memory("open").watch(hours=1)

    assert one.steps == []
    assert one.shown[0] is HealthState.HEALTHY


def test_instance_that_stays_bad_for_two_minutes_after_its_neighbour_reopened_is_logged_in_anew() -> None:
    one = back_after_an_outage().watch(seconds=110)
    assert one.steps == []

    one.watch(seconds=10)

    assert one.steps == [Step.RELOGIN]
