"""What an instance that nobody vouches for waits for, and when somebody is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.world import START
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import gates, planner
from whatsapp_operator.resources.overrides import SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step

HOUR = timedelta(hours=1)


def spoilt(*, for_how_long: timedelta = HOUR) -> gates.Situation:
    """A paired instance whose credentials were found unusable just now, after it flapped for a while."""
    began = START - for_how_long
    return gates.Situation(
        now=START,
        opinion=Opinion(Verdict(HealthState.CORRUPTED, Reason.CREDENTIALS), since=START, observations=2),
        record=records.Record(
            paired=True, turning_since=began, agreement=witnesses.Agreement(first=began, last=START), observations=2
        ),
        history=RecoveryStatus(incident="20261123-7f3a", started_at=began, last_resort_since=START),
        policy=RecoveryPolicy(),
        spans=Spans(),
        warm=True,
        acted_on=True,
        paused=False,
        pairing_wanted=True,
    )


def test_step_that_lacks_only_a_voucher_is_asked_for() -> None:
    planned = planner.plan(spoilt())

    assert planned.step is Step.RELOGIN
    assert planned.blocked_by == (Reason.NOT_VOUCHED_FOR,)
    assert planned.lacks_only_a_voucher(START)


def test_vouched_for_it_is_taken() -> None:
    planned = planner.plan(replace(spoilt(), vouched=True, reachable_since=START - timedelta(seconds=120)))

    assert planned.due(START)
    assert not planned.lacks_only_a_voucher(START)


@pytest.mark.parametrize(
    "against",
    [
        {"paused": True},
        {"warm": False},
        {"acted_on": False},
        {"policy": RecoveryPolicy(session_loss=SessionLoss.NEVER)},
        {"policy": RecoveryPolicy(session_loss=SessionLoss.REQUIRE_APPROVAL)},
        {"policy": RecoveryPolicy(session_loss_delay_seconds=7200)},
    ],
)
def test_nobody_is_asked_for_a_step_that_something_else_is_against(against: dict[str, object]) -> None:
    planned = planner.plan(replace(spoilt(), **against))  # type: ignore[arg-type] # the fields' names are the words

    assert not planned.due(START)
    assert not planned.lacks_only_a_voucher(START)


def test_nobody_is_asked_before_the_steps_own_wait_is_over() -> None:
    planned = replace(planner.plan(spoilt()), not_before=START + timedelta(seconds=1))

    assert not planned.lacks_only_a_voucher(START)
    assert planned.lacks_only_a_voucher(START + timedelta(seconds=1))


def test_restart_of_the_server_is_asked_for_while_it_waits_for_others_that_need_it() -> None:
    planned = planner.Plan(step=Step.RESTART_SERVER, blocked_by=(Reason.NOT_VOUCHED_FOR, Reason.FEW_INSTANCES))

    assert planned.lacks_only_a_voucher(START)
    assert not replace(planned, blocked_by=(Reason.FEW_INSTANCES,)).lacks_only_a_voucher(START)


def test_unvouched_flapping_is_relogged_in_when_it_has_lasted_for_the_last_resort() -> None:
    long = timedelta(seconds=RecoveryPolicy().last_resort_delay_seconds)

    assert planner.plan(spoilt(for_how_long=long)).due(START)
    assert not planner.plan(spoilt(for_how_long=long - timedelta(seconds=1))).due(START)
