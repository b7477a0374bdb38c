"""What the gates ask of a situation, and in which order they tell what is against a step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from support.world import START
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import gates
from whatsapp_operator.recovery.gates import Situation
from whatsapp_operator.recovery.guard import Guard, Hold
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step

BEFORE, AFTER = START - timedelta(seconds=1), START + timedelta(seconds=1)
HOURS = timedelta(hours=6)


def situation(reason: Reason = Reason.CONNECTING, **facts: Any) -> Situation:
    known: dict[str, Any] = {
        "now": START,
        "opinion": Opinion(Verdict(HealthState.STUCK, reason), since=START, observations=2),
        "record": records.Record(paired=True, observations=2),
        "history": RecoveryStatus(),
        "policy": RecoveryPolicy(),
        "spans": Spans(),
        "warm": True,
        "acted_on": True,
        "paused": False,
        "pairing_wanted": True,
    }
    return Situation(**known | facts)


@pytest.mark.parametrize(
    ("began", "restarted", "within"),
    [(START, START, True), (START, AFTER, True), (START, BEFORE, False), (None, START, False), (START, None, False)],
)
def test_restart_of_the_server_counts_for_the_incident_that_it_came_in(
    began: datetime | None, restarted: datetime | None, within: bool
) -> None:
    one = situation(history=RecoveryStatus(started_at=began), guard=Guard(restarted_at=restarted))

    assert one.server_restarted is within


@pytest.mark.parametrize(
    ("deaf_since", "restarted", "deaf"),
    [(START, None, True), (START, BEFORE, True), (START, START, False), (START, AFTER, False), (None, None, False)],
)
def test_instance_is_deaf_until_its_server_has_restarted(
    deaf_since: datetime | None, restarted: datetime | None, deaf: bool
) -> None:
    one = situation(history=RecoveryStatus(deaf_since=deaf_since), guard=Guard(restarted_at=restarted))

    assert one.deaf is deaf


@pytest.mark.parametrize("step", Step)
def test_user_asks_for_a_restart_of_the_instance_and_for_nothing_else(step: Step) -> None:
    assert situation(restart_requested=True).asked_for(step) is (step is Step.RESTART)
    assert not situation().asked_for(step)


@pytest.mark.parametrize("step", [Step.RESTART, Step.RESTART_SERVER])
def test_nothing_is_restarted_that_would_need_a_scan_after_it(step: Step) -> None:
    held = gates.works_only_until_a_restart(situation(Reason.SESSION_MISSING), step)

    assert held == Hold(Reason.SESSION_MISSING)


def flapping(turned: datetime | None) -> Situation:
    """Unusable credentials, cornered a moment ago."""
    history = RecoveryStatus(incident="i", started_at=START - HOURS, last_resort_since=START)
    record = records.Record(paired=True, turning_since=turned, observations=2)
    return situation(Reason.CREDENTIALS, history=history, record=record)


@pytest.mark.parametrize(("turned", "held"), [(START - HOURS, False), (START - HOURS + timedelta(seconds=1), True)])
def test_last_resort_of_unusable_credentials_counts_from_when_the_flapping_began(turned: datetime, held: bool) -> None:
    one = flapping(turned)

    assert (gates.may_be_an_outage(one, Step.RELOGIN) is not None) is held


def test_last_resort_counts_from_its_beginning_where_no_turns_are_known() -> None:
    assert gates.may_be_an_outage(flapping(None), Step.RELOGIN) == Hold(Reason.NOT_VOUCHED_FOR, START + HOURS)


def test_refusals_are_told_in_one_order_so_that_a_status_changes_only_with_what_is_against_a_step() -> None:
    assert [gate.__name__ for gate in gates.GATES] == [
        "server_warms_up",
        "version_is_only_observed",
        "server_has_an_invalid_spec",
        "recovery_is_switched_off",
        "only_plans",
        "is_paused",
        "server_restarts",
        "whatsapp_restricts_the_account",
        "works_only_until_a_restart",
        "may_never_be_lost",
        "storm_is_on",
        "waits_for_approval",
        "needs_a_restart_of_the_server",
        "may_be_an_outage",
        "others_get_no_code_either",
        "incident_is_young",
        "is_not_known_to_be_no_storm",
        "is_outside_of_maintenance",
        "budget_is_spent",
        "too_many_are_under_way",
        "was_seen_only_once",
        "openings_may_have_been_missed",
        "close_is_not_known_to_be_stable",
    ]


def test_restart_of_the_server_waits_for_others_that_wait_for_it() -> None:
    few = Hold(Reason.FEW_INSTANCES)
    one = situation(guard=Guard(restartable=True, restart_holds=(few,)), vouched=True)

    assert few in gates.against(one, Step.RESTART_SERVER)
    assert few not in gates.against(one, Step.RESTART)


def test_server_of_which_nothing_is_said_is_of_no_version_that_does_things_otherwise() -> None:
    assert Guard() == Guard(
        in_flight=0, surveyed=True, restarting=False, restartable=False, relogin_deafens=False, refuses_zombies=False
    )
