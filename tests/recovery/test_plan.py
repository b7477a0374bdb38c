"""What a plan says of itself, and which reasons stand for what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from support.world import START
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import ladder, planner
from whatsapp_operator.recovery.gates import Situation
from whatsapp_operator.recovery.guard import Guard
from whatsapp_operator.recovery.planner import NOTHING, Plan
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepRecord, StepResult

BEFORE, AFTER = START - timedelta(seconds=1), START + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("plan", "due"),
    [
        (Plan(step=Step.RESTART), True),
        (Plan(step=Step.RESTART, at=BEFORE), True),
        (Plan(step=Step.RESTART, at=START), True),
        (Plan(step=Step.RESTART, at=AFTER), False),
        (Plan(step=Step.RESTART, blocked_by=(Reason.STORM,)), False),
        (NOTHING, False),
    ],
)
def test_step_is_due_when_its_time_has_come_and_nothing_is_against_it(plan: Plan, due: bool) -> None:
    assert plan.due(START) is due


SERVERS_OWN = (
    Reason.SERVER_RESTARTING,
    Reason.FEW_INSTANCES,
    Reason.SESSION_MISSING,
    Reason.UNSAFE_ROLLOUT,
    Reason.WORKLOAD_NOT_FOUND,
    Reason.WORKLOAD_FORBIDDEN,
    Reason.STORM,
    Reason.BUDGET_EXHAUSTED,
    Reason.TOO_MANY_IN_FLIGHT,
    Reason.MAINTENANCE_WINDOW,
)


@pytest.mark.parametrize("reason", Reason)
def test_instance_waits_for_its_server_only_where_the_server_has_to_clear_what_is_against_it(reason: Reason) -> None:
    plan = Plan(step=Step.RESTART_SERVER, blocked_by=(reason,))

    assert plan.waits_for_its_server(START) is (reason in SERVERS_OWN)


@pytest.mark.parametrize(("not_before", "waits"), [(None, True), (BEFORE, True), (START, True), (AFTER, False)])
def test_instance_waits_for_its_server_or_for_a_voucher_when_its_own_wait_is_over(
    not_before: datetime | None, waits: bool
) -> None:
    few = Plan(step=Step.RESTART_SERVER, blocked_by=(Reason.FEW_INSTANCES,), not_before=not_before)
    lone = Plan(step=Step.RECREATE, blocked_by=(Reason.NOT_VOUCHED_FOR,), not_before=not_before)

    assert few.waits_for_its_server(START) is waits
    assert lone.lacks_only_a_voucher(START) is waits


@pytest.mark.parametrize(
    ("against", "lacks"),
    [
        ((Reason.NOT_VOUCHED_FOR,), True),
        ((Reason.NOT_VOUCHED_FOR, Reason.FEW_INSTANCES), True),
        ((Reason.FEW_INSTANCES,), False),
        ((Reason.NOT_VOUCHED_FOR, Reason.STORM), False),
        ((), False),
    ],
)
def test_voucher_is_asked_for_where_nothing_else_is_against_the_step(against: tuple[Reason, ...], lacks: bool) -> None:
    assert Plan(step=Step.RECREATE, blocked_by=against).lacks_only_a_voucher(START) is lacks


@pytest.mark.parametrize("step_class", StepClass)
def test_instance_is_cornered_where_no_gentle_step_is_left(step_class: StepClass) -> None:
    assert Plan(step=Step.RECREATE, step_class=step_class).cornered is (step_class is not StepClass.SOFT)
    assert not NOTHING.cornered


def test_reasons_that_stand_for_something_are_these() -> None:
    assert {Reason.REPLACED} == ladder.ONCE
    assert {Reason.LOGGED_OUT, Reason.QR_EXPIRED, Reason.NOT_STARTED} == ladder.FOR_PAIRING
    assert {Reason.CONNECTING, Reason.CLOSED_SOCKET} == ladder.LIKE_AN_OUTAGE
    assert set(ladder.LADDERS) - ladder.MAY_BE_OFFERED_FOR == {Reason.NOT_FOUND}
    assert {StepClass.RECREATE, StepClass.SESSION_LOSS} == ladder.DESTRUCTIVE


@pytest.mark.parametrize(
    ("step", "free", "protected"),
    [
        (Step.CREATE, StepClass.SOFT, StepClass.SOFT),
        (Step.RECONNECT, StepClass.SOFT, StepClass.SOFT),
        (Step.RESTART, StepClass.SOFT, StepClass.SOFT),
        (Step.RESTART_SERVER, StepClass.SERVER_RESTART, StepClass.SERVER_RESTART),
        (Step.RELOGIN, StepClass.RECREATE, StepClass.SESSION_LOSS),
        (Step.RECREATE, StepClass.RECREATE, StepClass.SESSION_LOSS),
        (Step.DELETE, StepClass.RECREATE, StepClass.SESSION_LOSS),
    ],
)
def test_step_costs_what_there_is_to_be_lost(step: Step, free: StepClass, protected: StepClass) -> None:
    assert ladder.class_of(step, protected=False) is free
    assert ladder.class_of(step, protected=True) is protected


HOUR = timedelta(hours=1)


def given(reason: Reason = Reason.CONNECTING, **facts: Any) -> Situation:
    known: dict[str, Any] = {
        "now": START,
        "opinion": Opinion(Verdict(HealthState.STUCK, reason), since=START, observations=2),
        "record": records.Record(paired=True, observations=2),
        "history": RecoveryStatus(incident="i", started_at=START - HOUR),
        "policy": RecoveryPolicy(),
        "spans": Spans(),
        "warm": True,
        "acted_on": True,
        "paused": False,
        "pairing_wanted": True,
        "guard": Guard(restartable=True),
    }
    return Situation(**known | facts)


RESTARTED = Guard(restartable=True, restarted_at=START)
DEAF = RecoveryStatus(incident="i", started_at=START - HOUR, deaf_since=START)


@pytest.mark.parametrize("guard", [Guard(), Guard(restartable=True)])
@pytest.mark.parametrize("reason", [Reason.HEALTHY, Reason.AWAITING_SCAN, Reason.RESTRICTED, Reason.FLAPPING])
def test_deaf_instance_that_nothing_else_helps_needs_a_restart_of_its_server(reason: Reason, guard: Guard) -> None:
    deaf = given(reason, history=RecoveryStatus(incident="i", deaf_since=START), guard=guard)

    assert planner.next_step(deaf) is Step.RESTART_SERVER


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        (Reason.NOT_FOUND, Step.CREATE),
        (Reason.CONNECTING, Step.RESTART),
        (Reason.NO_QR_CODE, Step.RESTART),
        (Reason.CLOSED_SOCKET, Step.RECONNECT),
        (Reason.QR_EXPIRED, Step.RECONNECT),
    ],
)
@pytest.mark.parametrize("guard", [Guard(), Guard(restartable=True)])
def test_deaf_instance_that_something_gentler_heals_of_what_is_worse_gets_that_first(
    reason: Reason, step: Step, guard: Guard
) -> None:
    assert planner.next_step(given(reason, history=DEAF, guard=guard)) is step


@pytest.mark.parametrize(
    ("guard", "protected", "step"),
    [
        (Guard(restartable=True), True, Step.RESTART_SERVER),
        (Guard(restartable=True), False, Step.RECREATE),
        (Guard(), True, Step.RECREATE),
    ],
)
def test_deaf_instance_loses_nothing_before_a_restart_of_its_server_where_there_can_be_one(
    guard: Guard, protected: bool, step: Step
) -> None:
    record = records.Record(paired=protected, observations=2)

    assert planner.next_step(given(Reason.ROW_MISSING, history=DEAF, guard=guard, record=record)) is step


def test_step_that_only_shows_a_code_is_for_who_wants_one() -> None:
    assert planner.next_step(given(Reason.LOGGED_OUT, pairing_wanted=False)) is None
    assert planner.next_step(given(Reason.LOGGED_OUT)) is Step.RECONNECT
    assert planner.next_step(given(Reason.CONNECTING, pairing_wanted=False)) is Step.RESTART


def test_replacement_is_left_to_a_person_after_one_restart_of_the_server() -> None:
    assert planner.next_step(given(Reason.REPLACED)) is Step.RESTART_SERVER
    assert planner.next_step(given(Reason.REPLACED, guard=RESTARTED)) is None
    assert planner.next_step(given(Reason.CHANNEL_CLOSED, guard=RESTARTED)) is Step.RESTART_SERVER


def tried(**counts: int) -> RecoveryStatus:
    return RecoveryStatus(incident="i", started_at=START - HOUR, **counts)


@pytest.mark.parametrize(
    ("reason", "history", "guard", "step"),
    [
        (Reason.CONNECTING, tried(attempts=2), Guard(restartable=True), Step.RESTART),
        (Reason.CONNECTING, tried(attempts=3), Guard(restartable=True), Step.RESTART_SERVER),
        (Reason.CONNECTING, tried(attempts=3), RESTARTED, Step.RECREATE),
        (Reason.CONNECTING, tried(attempts=3, recreates=9), RESTARTED, Step.RECREATE),
        (Reason.NO_QR_CODE, tried(attempts=2), Guard(), Step.RELOGIN),
        (Reason.NO_QR_CODE, tried(attempts=2, relogins=1), Guard(), Step.RECREATE),
        (Reason.CLOSED_SOCKET, tried(), Guard(), Step.RECONNECT),
        (Reason.CLOSED_SOCKET, tried(reconnects=1), Guard(), Step.RECREATE),
    ],
)
def test_rung_is_left_when_it_was_tried_as_often_as_it_is_to_be(
    reason: Reason, history: RecoveryStatus, guard: Guard, step: Step
) -> None:
    assert planner.next_step(given(reason, history=history, guard=guard)) is step


def test_second_restart_of_the_server_waits_an_hour_and_the_first_for_nothing() -> None:
    again = planner.plan(given(Reason.CHANNEL_CLOSED, guard=RESTARTED))

    assert (again.step, again.not_before) == (Step.RESTART_SERVER, START + HOUR)
    assert planner.plan(given(Reason.CHANNEL_CLOSED)).not_before is None
    earlier = Guard(restartable=True, restarted_at=START - 2 * HOUR)
    assert planner.plan(given(Reason.CHANNEL_CLOSED, guard=earlier)).not_before is None


def record_of(step: Step) -> StepRecord:
    return StepRecord(
        step=step, reason=Reason.CONNECTING, incident="h", start_time=START, end_time=BEFORE, result=StepResult.FAILED
    )


@pytest.mark.parametrize(("last", "waits"), [(Step.RESTART, True), (Step.RECONNECT, False)])
def test_only_a_reconnect_after_a_restart_waits_until_sockets_have_settled(last: Step, waits: bool) -> None:
    history = RecoveryStatus(history=(record_of(last),))

    reconnect = planner.plan(given(Reason.LOGGED_OUT, history=history))
    assert reconnect.not_before == (START + timedelta(seconds=5) if waits else None)
    assert planner.plan(given(Reason.CONNECTING, history=history)).not_before is None


def test_step_is_planned_for_when_the_last_that_is_against_it_ends() -> None:
    policy = RecoveryPolicy(session_loss_delay_seconds=60, last_resort_delay_seconds=7200)
    history = RecoveryStatus(incident="i", started_at=START, last_resort_since=START)
    one = planner.plan(given(Reason.ROW_MISSING, policy=policy, history=history))

    assert {Reason.SESSION_LOSS_DELAY, Reason.NOT_VOUCHED_FOR} <= set(one.blocked_by)
    assert one.at == START + 2 * HOUR


@pytest.mark.parametrize(
    ("one", "against", "exhausted"),
    [
        (given(history=tried(attempts=1)), (Reason.PROTECTED_INSTANCE,), True),
        (given(history=tried(reconnects=1)), (Reason.PROTECTED_INSTANCE,), True),
        (given(history=tried(attempts=1, reconnects=1)), (Reason.PROTECTED_INSTANCE,), True),
        (given(history=tried()), (Reason.PROTECTED_INSTANCE,), False),
        (given(history=tried(attempts=1)), (Reason.APPROVAL_REQUIRED,), False),
        (given(history=tried(recreates=4)), (), True),
        (given(history=tried(recreates=3)), (), False),
        (given(history=tried(recreates=3), spans=Spans(recreate_wait_max=2400)), (), True),
        (given(history=tried(recreates=2), spans=Spans(recreate_wait_max=2400)), (), False),
        (given(history=tried(recreates=4), spans=Spans(recreate_wait_max=7200)), (), True),
        (given(history=tried(attempts=3), spans=Spans(recreate_wait_max=5)), (), False),
    ],
)
def test_recovery_is_exhausted_where_nothing_more_may_be_done_or_only_as_rarely_as_it_ever_will(
    one: Situation, against: tuple[Reason, ...], exhausted: bool
) -> None:
    planned = Plan(step=Step.RECREATE, step_class=StepClass.SESSION_LOSS, blocked_by=against)

    assert planner.exhausted(one, planned) is exhausted


SERVER = Plan(step=Step.RESTART_SERVER, step_class=StepClass.SERVER_RESTART)
NOBODY = Plan(step=Step.RESTART_SERVER, step_class=StepClass.SERVER_RESTART, blocked_by=(Reason.NEEDS_SERVER_RESTART,))


@pytest.mark.parametrize(
    ("one", "planned", "exhausted"),
    [
        (given(Reason.REPLACED, guard=RESTARTED), NOTHING, True),
        (given(Reason.REPLACED), NOTHING, False),
        (given(Reason.CONNECTING, guard=RESTARTED), NOTHING, False),
        (given(), SERVER, False),
        (given(), NOBODY, True),
        (given(guard=RESTARTED), SERVER, True),
        (given(guard=Guard(restartable=True, restarted_at=BEFORE), history=DEAF), SERVER, False),
    ],
)
def test_restart_of_the_server_exhausts_recovery_when_it_was_done_or_nobody_does_it(
    one: Situation, planned: Plan, exhausted: bool
) -> None:
    assert planner.exhausted(one, planned) is exhausted


def test_steps_of_plugins_stand_where_their_cost_belongs_and_the_costliest_last() -> None:
    wipe, anew = Step("Wipe"), Step("Anew")
    reasons = frozenset({Reason.NO_QR_CODE})
    offers = {
        wipe: ladder.Offer(wipe, StepClass.SESSION_LOSS, reasons),
        anew: ladder.Offer(anew, StepClass.RECREATE, reasons),
    }

    rungs = ladder.rungs(Reason.NO_QR_CODE, ladder.Terrain(protected=False, restartable=False), offers=offers)

    assert [rung.step for rung in rungs] == [Step.RESTART, Step.RELOGIN, Step.RECREATE, anew, wipe]


def test_other_steps_do_not_wait_for_an_hour_after_a_restart_of_the_server() -> None:
    after_it = planner.plan(given(history=tried(attempts=3), guard=RESTARTED))

    assert (after_it.step, after_it.not_before) == (Step.RECREATE, None)


def test_retries_of_a_fleet_are_spread_over_a_fifth_of_their_delay() -> None:
    waits = []
    for number in range(50):
        history = RecoveryStatus(
            incident=f"i{number}", started_at=START - HOUR, attempts=1, history=(record_of(Step.RESTART),)
        )
        not_before = planner.plan(given(history=history)).not_before
        assert not_before is not None
        waits.append((not_before - BEFORE).total_seconds())

    assert 2.0 <= min(waits) < 2.1
    assert 2.3 < max(waits) < 2.4
