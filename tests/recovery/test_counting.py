"""What an incident counts, and what an announcement takes back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from support.world import START
from whatsapp_operator.recovery import incident, ladder
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import RecoveryStatus
from whatsapp_operator.resources.steps import PlannedStep, Step, StepClass, StepInFlight, StepRecord, StepResult

WAITING = RecoveryStatus(
    incident="i", planned=PlannedStep(step=Step.RESTART), blocked_by=(Reason.STORM,), healthy_since=START
)


def test_incident_begins_when_it_is_opened() -> None:
    opened = incident.opened(RecoveryStatus(), incident="i", now=START)

    assert (opened.incident, opened.started_at) == ("i", START)


def test_step_that_is_announced_is_planned_no_more_and_nothing_is_against_it() -> None:
    announced = incident.announced(
        WAITING, Step.RESTART, step_class=StepClass.SOFT, reason=Reason.CONNECTING, now=START
    )

    assert (announced.planned, announced.blocked_by) == (None, ())


@pytest.mark.parametrize(
    ("step", "counted"),
    [
        (Step.RESTART, "attempts"),
        (Step.RECONNECT, "reconnects"),
        (Step.RELOGIN, "relogins"),
        (Step.RECREATE, "recreates"),
        (Step.CREATE, "recreates"),
    ],
)
def test_each_step_is_counted_once_where_it_belongs(step: Step, counted: str) -> None:
    announced = incident.announced(WAITING, step, step_class=StepClass.SOFT, reason=Reason.CONNECTING, now=START)

    assert getattr(announced, counted) == 1
    assert incident.steps_taken(announced) == 1


def test_steps_of_all_kinds_are_steps() -> None:
    taken = RecoveryStatus(attempts=1, reconnects=2, relogins=4, recreates=8)

    assert incident.steps_taken(taken) == 15


LATER = START + timedelta(minutes=5)
OPEN = RecoveryStatus(incident="i", started_at=START)


def test_last_resort_counts_from_the_first_moment_without_a_gentle_step() -> None:
    cornered = incident.cornered(OPEN, now=START)

    assert cornered == OPEN.replace(last_resort_since=START)
    assert incident.cornered(cornered, now=LATER) == cornered


def test_nothing_is_a_last_resort_without_an_incident() -> None:
    assert incident.cornered(RecoveryStatus(), now=START) == RecoveryStatus()


def test_health_that_does_not_last_is_forgotten_and_nothing_else() -> None:
    assert incident.worsened(OPEN.replace(healthy_since=START)) == OPEN
    assert incident.worsened(OPEN) == OPEN


def test_what_is_well_again_has_nothing_planned_and_nothing_against_it() -> None:
    rested = incident.rested(WAITING.replace(healthy_since=None), now=START, min_healthy=timedelta(minutes=10))

    assert rested == WAITING.replace(healthy_since=START, planned=None, blocked_by=())


def test_verdict_is_kept_with_the_step_that_it_is_on() -> None:
    flying = StepInFlight(step=Step.RESTART, step_class=StepClass.SOFT, reason=Reason.CONNECTING, since=START)
    record = StepRecord(
        step=Step.RESTART,
        reason=Reason.CONNECTING,
        incident="i",
        start_time=START,
        end_time=LATER,
        result=StepResult.FAILED,
    )

    concluded = incident.concluded(OPEN.replace(in_flight=flying), flying, StepResult.FAILED, now=LATER)

    assert concluded == OPEN.replace(history=(record,))


def test_step_that_a_person_asked_for_outside_of_an_incident_is_kept_without_one() -> None:
    flying = StepInFlight(step=Step.RESTART, step_class=StepClass.SOFT, reason=None, since=START)

    (record,) = incident.concluded(RecoveryStatus(in_flight=flying), flying, StepResult.SUCCEEDED, now=LATER).history

    assert (record.incident, record.reason) == ("", Reason.UNKNOWN)


def test_step_is_tried_as_often_as_the_policy_says_unless_its_rung_says_otherwise() -> None:
    assert ladder.Rung(Step.RESTART).tries(3) == 3
    assert ladder.Rung(Step.RESTART, times=1).tries(3) == 1
    assert ladder.Offer(Step.RESTART, StepClass.SOFT, frozenset()).times == 1
    assert ladder.Terrain(protected=True, restartable=True) == ladder.Terrain(
        protected=True, restartable=True, relogin_deafens=False, refuses_zombies=False
    )


AHEAD, NOW = START + timedelta(days=1), START + timedelta(seconds=1)
DONE = StepRecord(
    step=Step.RESTART, reason=Reason.CONNECTING, incident="i", start_time=START, end_time=START, result="Failed"
)


@pytest.mark.parametrize("moment", ["started_at", "last_resort_since", "deaf_since", "healthy_since"])
def test_moment_of_the_future_was_now(moment: str) -> None:
    kept = RecoveryStatus(incident="i", **{moment: AHEAD})

    assert getattr(incident.without_future(kept, now=NOW), moment) == NOW


def test_steps_of_the_future_were_taken_now_and_others_when_they_were() -> None:
    under_way, later = DONE.replace(end_time=AHEAD), DONE.replace(start_time=AHEAD, end_time=None)

    found = incident.without_future(RecoveryStatus(history=(DONE, under_way, later)), now=NOW).history

    assert [(one.start_time, one.end_time) for one in found] == [(START, START), (START, NOW), (NOW, NOW)]


def test_what_has_no_future_stays_as_it_is() -> None:
    kept = RecoveryStatus(incident="i", started_at=START, history=(DONE,))

    assert incident.without_future(kept, now=START) is kept
