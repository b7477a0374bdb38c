"""The life of an incident: opened, counted, rested and forgotten, and how it survives being written down."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from support import world
from support.world import START, concluded, given
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery import incident
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HISTORY_LENGTH, HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepResult

MIN_HEALTHY = timedelta(seconds=600)


def an_incident() -> RecoveryStatus:
    return incident.opened(RecoveryStatus(), incident="20261123-7f3a", now=START)


def with_step(step: Step, *, recovery: RecoveryStatus | None = None) -> RecoveryStatus:
    return incident.announced(
        recovery or an_incident(), step, step_class=StepClass.SOFT, reason=Reason.CONNECTING, now=START
    )


@pytest.mark.parametrize(
    ("state", "reason", "bad"),
    [
        (HealthState.HEALTHY, Reason.HEALTHY, False),
        (HealthState.UNKNOWN, Reason.SERVER_UNREACHABLE, False),
        (HealthState.TERMINATING, Reason.TERMINATING, False),
        (HealthState.DISCONNECTED, Reason.AWAITING_SCAN, False),
        (HealthState.DISCONNECTED, Reason.NOT_STARTED, False),
        (HealthState.DISCONNECTED, Reason.QR_EXPIRED, False),
        (HealthState.DEGRADED, Reason.SETTLING, False),
        (HealthState.DISCONNECTED, Reason.RESTRICTED, True),
        (HealthState.DISCONNECTED, Reason.LOGGED_OUT, True),
        (HealthState.DEGRADED, Reason.FLAPPING, True),
        (HealthState.STUCK, Reason.CONNECTING, True),
        (HealthState.NOT_FOUND, Reason.NOT_FOUND, True),
    ],
)
def test_what_opens_an_incident(state: HealthState, reason: Reason, bad: bool) -> None:
    assert incident.is_bad(Verdict(state, reason)) is bad


@pytest.mark.parametrize("reason", list(Reason))
def test_only_health_and_a_code_that_waits_end_an_incident(reason: Reason) -> None:
    well = reason in (Reason.HEALTHY, Reason.AWAITING_SCAN)
    assert incident.is_well(Verdict(HealthState.DEGRADED, reason)) is well


def test_incident_that_is_open_is_not_opened_again() -> None:
    again = incident.opened(with_step(Step.RESTART), incident="20261123-ffff", now=START + timedelta(hours=1))

    assert again == with_step(Step.RESTART)


@pytest.mark.parametrize(
    ("step", "counter"),
    [
        (Step.RESTART, "attempts"),
        (Step.RECONNECT, "reconnects"),
        (Step.RELOGIN, "relogins"),
        (Step.RECREATE, "recreates"),
        (Step.CREATE, "recreates"),
    ],
)
def test_step_is_counted_when_it_is_announced(step: Step, counter: str) -> None:
    recovery = with_step(step)

    counts = {name: getattr(recovery, name) for name in ("attempts", "reconnects", "relogins", "recreates")}
    assert counts == dict.fromkeys(counts, 0) | {counter: 1}
    assert recovery.in_flight is not None
    assert recovery.in_flight.step is step


def test_verdict_moves_the_step_into_history_with_its_reason() -> None:
    done = concluded(with_step(Step.RESTART), StepResult.FAILED, now=START + timedelta(seconds=30))

    assert done.in_flight is None
    (record,) = done.history
    assert (record.step, record.reason, record.result) == (Step.RESTART, Reason.CONNECTING, StepResult.FAILED)
    assert (record.start_time, record.end_time) == (START, START + timedelta(seconds=30))
    assert record.incident == "20261123-7f3a"


def test_history_keeps_the_last_ten() -> None:
    recovery = an_incident()
    for second in range(HISTORY_LENGTH + 5):
        now = START + timedelta(seconds=second)
        recovery = incident.announced(
            recovery, Step.RESTART, step_class=StepClass.SOFT, reason=Reason.CONNECTING, now=now
        )
        recovery = concluded(recovery, StepResult.FAILED, now=now)

    assert len(recovery.history) == HISTORY_LENGTH
    assert recovery.history[-1].start_time == START + timedelta(seconds=HISTORY_LENGTH + 4)
    assert recovery.attempts == HISTORY_LENGTH + 5


def test_attempts_are_forgotten_only_after_lasting_health() -> None:
    recovery = concluded(with_step(Step.RESTART), StepResult.SUCCEEDED, now=START)

    well = incident.rested(recovery, now=START, min_healthy=MIN_HEALTHY)
    almost = incident.rested(well, now=START + timedelta(seconds=599), min_healthy=MIN_HEALTHY)
    assert (almost.incident, almost.attempts) == ("20261123-7f3a", 1)

    over = incident.rested(almost, now=START + timedelta(seconds=600), min_healthy=MIN_HEALTHY)
    assert over == RecoveryStatus(history=recovery.history)


def test_relapse_begins_the_lasting_health_anew() -> None:
    well = incident.rested(an_incident(), now=START, min_healthy=MIN_HEALTHY)
    relapsed = incident.opened(well, incident="20261123-ffff", now=START + timedelta(seconds=300))

    later = incident.rested(relapsed, now=START + timedelta(seconds=601), min_healthy=MIN_HEALTHY)

    assert later.incident == "20261123-7f3a"


def test_health_without_an_incident_is_not_written_down() -> None:
    assert incident.rested(RecoveryStatus(), now=START, min_healthy=MIN_HEALTHY) == RecoveryStatus()


def test_reset_forgets_the_attempts_and_keeps_the_step_in_flight() -> None:
    recovery = incident.reset(with_step(Step.RESTART))

    assert (recovery.incident, recovery.attempts) == (None, 0)
    assert recovery.in_flight is not None


def test_step_in_flight_outlives_a_reset_and_the_incident_opened_after_it() -> None:
    """Were it lost, a second step could be taken beside it."""
    recovery = incident.opened(incident.reset(with_step(Step.RESTART)), incident="20261123-ffff", now=START)

    assert recovery.in_flight is not None
    assert recovery.in_flight.step is Step.RESTART


def test_step_in_flight_outlives_the_end_of_its_incident() -> None:
    well = incident.rested(with_step(Step.RESTART), now=START, min_healthy=MIN_HEALTHY)

    over = incident.rested(well, now=START + timedelta(hours=1), min_healthy=MIN_HEALTHY)

    assert over.incident is None
    assert over.in_flight is not None


@pytest.mark.parametrize("step", [Step.CREATE, Step.RECONNECT, Step.RESTART, Step.RECREATE])
def test_incident_survives_being_written_down_at_every_point(step: Step) -> None:
    moment = START + timedelta(milliseconds=678)
    recovery = incident.opened(RecoveryStatus(), incident="20261123-7f3a", now=moment)
    for _ in range(3):
        recovery = incident.announced(recovery, step, step_class=StepClass.SOFT, reason=Reason.CONNECTING, now=moment)
        assert world.stored(recovery) == recovery
        recovery = concluded(recovery, StepResult.INTERRUPTED, now=moment)
        assert world.stored(recovery) == recovery
        recovery = incident.rested(recovery, now=moment, min_healthy=MIN_HEALTHY)
        assert world.stored(recovery) == recovery


def test_attempts_survive_an_operator_that_restarts_after_every_look() -> None:
    steady = given().memory("connecting").database("open").paired().watch(hours=1)
    restarting = given().memory("connecting").database("open").paired()
    while restarting.now < steady.now:
        restarting.watch(seconds=10)
        restarting.recovery = world.stored(restarting.recovery)

    assert restarting.steps == steady.steps == [Step.RESTART] * 3


@pytest.mark.parametrize("cost", [StepClass.RECREATE, StepClass.SESSION_LOSS])
def test_class_of_the_step_in_flight_is_what_it_costs(cost: StepClass) -> None:
    flying = incident.announced(
        an_incident(), Step.RECREATE, step_class=cost, reason=Reason.ROW_MISSING, now=START
    ).in_flight

    assert flying is not None
    assert flying.step_class is cost


def test_id_is_the_day_and_some_chance() -> None:
    assert incident.new_id(now=START, bits=0x7F3) == "20261123-07f3"


@pytest.mark.parametrize(
    ("started", "ended", "expected"),
    [(-5, 5, (-5, 0)), (5, 9, (0, 0)), (5, None, (0, 0)), (-5, -1, (-5, -1)), (-5, None, (-5, None))],
)
def test_step_that_is_over_began_and_ended_no_later_than_now(
    started: int, ended: int | None, expected: tuple[int, int | None]
) -> None:
    def at(seconds: int | None) -> datetime | None:
        return START + timedelta(seconds=seconds) if seconds is not None else None

    over = concluded(with_step(Step.RESTART), StepResult.FAILED, now=START).history[-1]
    record = over.replace(start_time=at(started), end_time=at(ended))

    (found,) = incident.records_without_future((record,), now=START)

    assert (found.start_time, found.end_time) == (at(expected[0]), at(expected[1]))
