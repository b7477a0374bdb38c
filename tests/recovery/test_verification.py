"""What proves that a step did what it was for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.world import START, a_row, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import HEALTHY, Verdict
from whatsapp_operator.recovery import verification
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight, StepResult

TIMEOUT = timedelta(seconds=30)
SETTLING = Verdict(HealthState.DEGRADED, Reason.SETTLING)
WAITING = Verdict(HealthState.DISCONNECTED, Reason.AWAITING_SCAN)
STUCK = Verdict(HealthState.STUCK, Reason.CONNECTING)


def seen(memory: str | None, *, row: str | None = None, reads: int = 2) -> records.Record:
    """What was read since the step."""
    record = records.created()
    if row is not None:
        record = records.saw_database(record, a_row(row), at=START)
    reading = evidence.InMemory(state(memory)) if memory else evidence.NotInMemory()
    for second in range(reads):
        record = records.saw_memory(record, reading, at=START + timedelta(seconds=second))
    return record


def absent(times: int) -> records.Record:
    record = records.created()
    for second in range(times):
        record = records.saw_absence(record, at=START + timedelta(seconds=second))
    return record


def judged(
    step: Step, record: records.Record, *, verdict: Verdict = SETTLING, after: float = 5, observable: bool = True
) -> StepResult | None:
    flying = StepInFlight(step=step, step_class=StepClass.SOFT, since=START)
    now = START + timedelta(seconds=after)
    aftermath = verification.Aftermath(
        now=now, carried_out_at=START, verdict=verdict, record=record, observable=observable
    )
    return verification.judge(flying, aftermath, timeout=TIMEOUT)


@pytest.mark.parametrize(("step", "succeeds"), [(Step.RELOGIN, True), (Step.RESTART, False)])
def test_code_that_is_issued_before_the_last_call_is_answered_is_new_after_a_logout(step: Step, succeeds: bool) -> None:
    aftermath = verification.Aftermath(
        now=START + timedelta(seconds=12),
        announced_at=START - timedelta(seconds=2),
        carried_out_at=START + timedelta(seconds=1),
        verdict=WAITING,
        record=seen("connecting", row="connecting"),
        observable=True,
    )
    flying = StepInFlight(step=step, step_class=StepClass.SOFT, since=START - timedelta(seconds=2))

    result = verification.judge(flying, aftermath, timeout=TIMEOUT)

    assert result is (StepResult.SUCCEEDED if succeeds else None)


@pytest.mark.parametrize(
    ("step", "record", "verdict"),
    [
        (Step.RESTART, seen("open", row="open"), HEALTHY),
        (Step.RESTART, seen("connecting", row="connecting"), WAITING),
        (Step.RECONNECT, seen("open"), SETTLING),
        (Step.RECONNECT, seen("connecting"), SETTLING),
        (Step.CREATE, seen("close", row="close"), SETTLING),
        (Step.RECREATE, seen("connecting", row="close"), SETTLING),
        (Step.DELETE, absent(2), SETTLING),
    ],
)
def test_step_succeeded_when_two_later_reads_prove_it(step: Step, record: records.Record, verdict: Verdict) -> None:
    assert judged(step, record, verdict=verdict) is StepResult.SUCCEEDED


@pytest.mark.parametrize(
    ("step", "record", "verdict"),
    [
        (Step.RESTART, seen("open", row="open", reads=1), HEALTHY),
        (Step.RECONNECT, seen("open", reads=1), SETTLING),
        (Step.CREATE, seen("close", row="close", reads=1), SETTLING),
        (Step.DELETE, absent(1), SETTLING),
        (Step.RESTART, seen("connecting", row="open"), STUCK),
        (Step.RESTART, seen("connecting", row="open"), SETTLING),
        (Step.RECONNECT, seen("close"), SETTLING),
        (Step.CREATE, seen("close"), SETTLING),
        (Step.CREATE, seen(None, row="close"), SETTLING),
        (Step.RECREATE, seen(None, row="close"), SETTLING),
        (Step.DELETE, seen("close"), SETTLING),
    ],
)
def test_step_without_proof_is_waited_for_and_then_failed(step: Step, record: records.Record, verdict: Verdict) -> None:
    assert judged(step, record, verdict=verdict, after=29) is None
    assert judged(step, record, verdict=verdict, after=30) is StepResult.FAILED


@pytest.mark.parametrize("after", [5, 30, 3600])
def test_no_verdict_is_passed_while_the_server_cannot_be_read(after: float) -> None:
    assert judged(Step.RESTART, seen("open", row="open"), verdict=HEALTHY, after=after, observable=False) is None


def test_time_is_counted_from_the_end_of_a_step_that_took_long() -> None:
    flying = StepInFlight(step=Step.RECREATE, step_class=StepClass.RECREATE, since=START)
    took = timedelta(seconds=40)
    aftermath = verification.Aftermath(
        now=START + took + timedelta(seconds=5),
        carried_out_at=START + took,
        verdict=SETTLING,
        record=records.created(),
        observable=True,
    )

    assert verification.judge(flying, aftermath, timeout=TIMEOUT) is None


def test_code_of_before_a_restart_does_not_prove_that_it_worked() -> None:
    flying = StepInFlight(step=Step.RESTART, step_class=StepClass.SOFT, since=START)
    issued_before = seen("connecting", row="connecting")
    aftermath = verification.Aftermath(
        now=START + timedelta(seconds=35),
        carried_out_at=START + timedelta(seconds=1),
        verdict=WAITING,
        record=issued_before,
        observable=True,
    )

    assert verification.judge(flying, aftermath, timeout=TIMEOUT) is StepResult.FAILED


def restarted_zombie(*, probe: witnesses.Probe, after: float, open_after: float = 0) -> StepResult | None:
    """A Restart because of a dead socket, which both witnesses call open again some seconds after it."""
    record = records.saw_database(records.created(), a_row("open"), at=START)
    for second in (0, 1):
        at = START + timedelta(seconds=open_after + second)
        record = records.saw_memory(record, evidence.InMemory(state("open")), at=at)
    flying = StepInFlight(step=Step.RESTART, step_class=StepClass.SOFT, reason=Reason.DEAD_SOCKET, since=START)
    aftermath = verification.Aftermath(
        now=START + timedelta(seconds=after),
        carried_out_at=START,
        verdict=HEALTHY,
        record=replace(record, probe=probe),
        observable=True,
    )
    return verification.judge(flying, aftermath, timeout=TIMEOUT)


def test_restart_of_a_dead_socket_succeeds_only_with_an_answer_of_after_it() -> None:
    assert (
        restarted_zombie(probe=witnesses.Probe(alive_at=START + timedelta(seconds=2)), after=5) is StepResult.SUCCEEDED
    )
    assert restarted_zombie(probe=witnesses.Probe(dead=2, dead_before=True), after=5) is None
    assert restarted_zombie(probe=witnesses.Probe(dead=2, dead_before=True), after=30) is StepResult.FAILED


def test_restart_of_a_dead_socket_is_given_its_time_from_when_it_could_be_probed() -> None:
    nothing = witnesses.Probe(dead_before=True)

    assert restarted_zombie(probe=nothing, after=35, open_after=10) is None
    assert restarted_zombie(probe=nothing, after=40, open_after=10) is StepResult.FAILED
