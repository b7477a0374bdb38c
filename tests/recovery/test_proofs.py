"""Which observation proves which step."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.world import START, a_row, state
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY, Verdict
from whatsapp_operator.health.witnesses import Absence, Database, Memory, Probe
from whatsapp_operator.recovery import verification
from whatsapp_operator.recovery.verification import Aftermath
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight, StepResult

TIMEOUT = timedelta(seconds=30)
BEFORE, SOON, LATE = START - timedelta(seconds=5), START + timedelta(seconds=10), START + TIMEOUT
SCAN = Verdict(HealthState.DISCONNECTED, Reason.AWAITING_SCAN)
STUCK = Verdict(HealthState.STUCK, Reason.CONNECTING)


def memory(word: str | None, *, reads: int = 2, since: datetime = START) -> Memory:
    return Memory(state(word) if word else None, since=since, seen_at=SOON, reads=reads)


def database(*, moved: datetime = SOON, seen: datetime = SOON, identity: str = "id-1") -> Database:
    return Database(a_row("open", identity=identity), since=START, seen_at=seen, moved_at=moved)


def after(record: records.Record, verdict: Verdict = HEALTHY, *, now: datetime = SOON, **facts: object) -> Aftermath:
    one = Aftermath(now=now, carried_out_at=START, verdict=verdict, record=record, observable=True)
    return replace(one, **facts)  # type: ignore[arg-type]  # the facts' names are the words


def judged(step: Step, seen: Aftermath, reason: Reason = Reason.CONNECTING) -> StepResult | None:
    flying = StepInFlight(step=step, step_class=StepClass.SOFT, reason=reason, since=BEFORE)
    return verification.judge(flying, seen, timeout=TIMEOUT)


WELL = records.Record(memory=memory("open"), database=database())
PROOFS: list[tuple[Step, Aftermath]] = [
    (Step.CREATE, after(WELL, STUCK)),
    (Step.RECONNECT, after(replace(WELL, memory=memory("connecting")), STUCK)),
    (Step.RECONNECT, after(WELL, STUCK)),
    (Step.RESTART, after(WELL)),
    (Step.RESTART, after(WELL, SCAN)),
    (Step.RELOGIN, after(WELL)),
    (Step.RELOGIN, after(replace(WELL, database=database(moved=BEFORE)), SCAN, announced_at=BEFORE)),
    (Step.RECREATE, after(WELL, STUCK, replaced_id="id-0")),
    (Step.DELETE, after(records.Record(absence=Absence(START, SOON, 2)))),
]
NO_PROOFS: list[tuple[Step, Aftermath]] = [
    (Step.CREATE, after(replace(WELL, memory=memory(None)))),
    (Step.CREATE, after(replace(WELL, database=None))),
    (Step.CREATE, after(records.Record(absence=Absence(START, SOON, 2)))),
    (Step.RECONNECT, after(replace(WELL, memory=memory("close")))),
    (Step.RECONNECT, after(records.Record(absence=Absence(START, SOON, 2)))),
    (Step.RESTART, after(WELL, STUCK)),
    (Step.RESTART, after(replace(WELL, database=database(moved=BEFORE)), SCAN)),
    (Step.RESTART, after(replace(WELL, database=None), SCAN)),
    (Step.RELOGIN, after(replace(WELL, database=database(moved=BEFORE)), SCAN)),
    (Step.RECREATE, after(WELL, replaced_id="id-1")),
    (Step.RECREATE, after(replace(WELL, database=None), replaced_id="id-0")),
    (Step.DELETE, after(WELL)),
]


@pytest.mark.parametrize("number", range(len(PROOFS)))
def test_step_has_succeeded_when_two_reads_prove_it(number: int) -> None:
    step, seen = PROOFS[number]

    assert judged(step, seen) is StepResult.SUCCEEDED


@pytest.mark.parametrize("number", range(len(NO_PROOFS)))
def test_step_has_failed_when_its_time_is_over_and_not_before(number: int) -> None:
    step, seen = NO_PROOFS[number]

    assert judged(step, seen) is None
    assert judged(step, replace(seen, now=LATE)) is StepResult.FAILED


def test_one_read_may_be_the_one_of_before() -> None:
    assert judged(Step.RESTART, after(replace(WELL, memory=memory("open", reads=1)))) is None
    assert judged(Step.DELETE, after(records.Record(absence=Absence(START, SOON, 1)))) is None
    assert judged(Step.RECONNECT, after(records.Record())) is None


def test_verdict_waits_for_a_server_that_can_be_read() -> None:
    assert judged(Step.RESTART, after(WELL, now=LATE, observable=False)) is None


DEAD = replace(WELL, probe=Probe(alive_at=SOON))


def test_dead_socket_is_healed_when_a_probe_is_answered_and_all_else_is_well() -> None:
    assert judged(Step.RESTART, after(DEAD), Reason.DEAD_SOCKET) is StepResult.SUCCEEDED
    assert judged(Step.RESTART, after(DEAD, STUCK), Reason.DEAD_SOCKET) is None
    assert judged(Step.RESTART, after(WELL), Reason.DEAD_SOCKET) is None
    assert judged(Step.RECREATE, after(WELL, replaced_id="id-0"), Reason.DEAD_SOCKET) is StepResult.SUCCEEDED


def test_time_for_a_probe_counts_from_when_it_could_be_taken() -> None:
    opened = replace(WELL, memory=memory("open", since=SOON))
    assert judged(Step.RESTART, after(opened, now=LATE), Reason.DEAD_SOCKET) is None
    assert judged(Step.RESTART, after(opened, now=SOON + TIMEOUT), Reason.DEAD_SOCKET) is StepResult.FAILED

    closed = replace(WELL, memory=memory("close", since=SOON))
    assert judged(Step.RESTART, after(closed, now=LATE), Reason.DEAD_SOCKET) is StepResult.FAILED
    assert judged(Step.RESTART, after(replace(WELL, memory=None), now=LATE), Reason.DEAD_SOCKET) is StepResult.FAILED


@pytest.mark.parametrize(
    ("record", "verdict", "proved"),
    [
        (WELL, HEALTHY, True),
        (replace(WELL, database=database(seen=START)), HEALTHY, True),
        (replace(WELL, database=database(seen=BEFORE)), HEALTHY, False),
        (replace(WELL, database=None), HEALTHY, False),
        (WELL, STUCK, False),
    ],
)
def test_step_that_has_no_proof_of_its_own_needs_both_witnesses_to_find_it_well(
    record: records.Record, verdict: Verdict, proved: bool
) -> None:
    assert (judged(Step.RESTART_SERVER, after(record, verdict)) is StepResult.SUCCEEDED) is proved


def test_every_step_on_an_instance_has_its_own_proof() -> None:
    assert set(Step) - set(verification._PROOFS) == {Step.RESTART_SERVER}  # noqa: SLF001 - the table is what counts
