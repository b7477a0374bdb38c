"""Each gate both ways: what it holds back, with which reason and until when, and what it lets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.world import START, a_row, state
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import gates, ladder, planner
from whatsapp_operator.recovery.gates import Situation
from whatsapp_operator.recovery.guard import Guard, Hold
from whatsapp_operator.recovery.ledger import Ledger, Storm
from whatsapp_operator.resources.budgets import Budget, MaintenanceKind, MaintenanceWindow, StormLimits, Window
from whatsapp_operator.resources.overrides import RecoveryMode, SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass

RECREATE, RELOGIN, RESTART, RECONNECT = Step.RECREATE, Step.RELOGIN, Step.RESTART, Step.RECONNECT
SERVER = Step.RESTART_SERVER
LOSING = (RELOGIN, RECREATE)
GENTLE = (Step.CREATE, RECONNECT, RESTART)
DAY = timedelta(days=1)
LONG_AGO = RecoveryStatus(incident="i", started_at=START - DAY, last_resort_since=START - DAY)
CLOSED = witnesses.Sample(taken_at=START, states=frozenset({state("close")}))
AGREED = witnesses.Agreement(first=START - timedelta(seconds=60), last=START)
PAIRED = records.Record(paired=True, sample=CLOSED, agreement=AGREED, observations=2)
SPOILT = Opinion(Verdict(HealthState.CORRUPTED, Reason.CREDENTIALS), since=START, observations=2)
EMPTY = replace(PAIRED, paired=False)
SHUT = MaintenanceWindow(schedule="* * * * *", duration_seconds=3600, kind=MaintenanceKind.DENY)
SPENT = Budget(windows=tuple(Window(step_class=one, max=0, period_seconds=60) for one in StepClass))


def situation(reason: Reason = Reason.CONNECTING, *, observations: int = 2, **facts: Any) -> Situation:
    """A paired instance, bad for a day, that nothing speaks against, but for what is said."""
    opinion = Opinion(Verdict(HealthState.STUCK, reason), since=START, observations=observations)
    known: dict[str, Any] = {
        "now": START,
        "opinion": opinion,
        "record": PAIRED,
        "history": LONG_AGO,
        "policy": RecoveryPolicy(),
        "spans": Spans(),
        "warm": True,
        "acted_on": True,
        "paused": False,
        "pairing_wanted": True,
        "vouched": True,
        "reachable_since": START - DAY,
        "guard": Guard(restartable=True),
    }
    return Situation(**known | facts)


def reasons_against(step: Step, one: Situation) -> list[Reason]:
    return [hold.reason for hold in gates.against(one, step)]


@pytest.mark.parametrize("step", Step)
def test_nothing_is_against_any_step_where_nothing_speaks_against_it(step: Step) -> None:
    assert gates.against(situation(), step) == ()


ALL = tuple(Step)
NEVER = RecoveryPolicy(session_loss=SessionLoss.NEVER)
ASKS = RecoveryPolicy(session_loss=SessionLoss.REQUIRE_APPROVAL)
RESTRICTED = replace(
    PAIRED,
    database=witnesses.Database(row=a_row("close", code=403, ended=START), since=START, seen_at=START, moved_at=START),
)
HELD: dict[str, tuple[dict[str, Any], Reason, tuple[Step, ...]]] = {
    "warm-up": ({"warm": False}, Reason.WARMING_UP, ALL),
    "version": ({"acted_on": False}, Reason.UNSUPPORTED_VERSION, ALL),
    "invalid server": ({"server_valid": False, "acted_on": False}, Reason.SERVER_INVALID, ALL),
    "disabled": ({"policy": RecoveryPolicy(mode=RecoveryMode.DISABLED)}, Reason.RECOVERY_DISABLED, ALL),
    "dry run": ({"policy": RecoveryPolicy(mode=RecoveryMode.DRY_RUN)}, Reason.DRY_RUN, ALL),
    "pause": ({"paused": True}, Reason.PAUSED, ALL),
    "restart of the server": (
        {"guard": Guard(restartable=True, restarting=True)},
        Reason.SERVER_RESTARTING,
        ALL,
    ),
    "restricted": ({"record": RESTRICTED}, Reason.RESTRICTED, LOSING),
    "session stored nowhere": (
        {"opinion": Opinion(Verdict(HealthState.DEGRADED, Reason.SESSION_MISSING), since=START, observations=2)},
        Reason.SESSION_MISSING,
        (Step.RESTART, Step.RESTART_SERVER),
    ),
    "never": ({"policy": NEVER}, Reason.PROTECTED_INSTANCE, (*LOSING, Step.DELETE)),
    "approval": ({"policy": ASKS}, Reason.APPROVAL_REQUIRED, (*LOSING, Step.DELETE)),
    "storm": (
        {"guard": Guard(restartable=True, ledger=Ledger(storm=Storm(since=START)))},
        Reason.STORM,
        (*LOSING, Step.DELETE),
    ),
    "no workload": ({"guard": Guard()}, Reason.NEEDS_SERVER_RESTART, (SERVER,)),
    "not vouched for": (
        {"vouched": False, "history": LONG_AGO.replace(last_resort_since=START)},
        Reason.NOT_VOUCHED_FOR,
        (*LOSING, SERVER, Step.DELETE),
    ),
    "reachable only just": (
        {
            "reachable_since": START - timedelta(seconds=119),
            "history": LONG_AGO.replace(last_resort_since=START),
        },
        Reason.NOT_VOUCHED_FOR,
        (*LOSING, Step.DELETE),
    ),
    "nobody gets a code": (
        {
            "opinion": Opinion(Verdict(HealthState.STUCK, Reason.NO_QR_CODE), since=START, observations=2),
            "record": EMPTY,
            "history": LONG_AGO.replace(started_at=START, last_resort_since=START),
            "vouched": False,
            "others_without_code": True,
        },
        Reason.NOT_VOUCHED_FOR,
        ALL,
    ),
    "young": (
        {"history": LONG_AGO.replace(started_at=START - timedelta(seconds=299))},
        Reason.SESSION_LOSS_DELAY,
        (*LOSING, Step.DELETE),
    ),
    "not surveyed": (
        {"guard": Guard(restartable=True, surveyed=False)},
        Reason.AWAITING_OBSERVATION,
        (*LOSING, Step.DELETE),
    ),
    "maintenance": (
        {"guard": Guard(restartable=True, budget=Budget(maintenance=(SHUT,)))},
        Reason.MAINTENANCE_WINDOW,
        ALL,
    ),
    "budget": ({"guard": Guard(restartable=True, budget=SPENT)}, Reason.BUDGET_EXHAUSTED, ALL),
    "places": ({"guard": Guard(restartable=True, in_flight=2)}, Reason.TOO_MANY_IN_FLIGHT, ALL),
    "one step elsewhere": ({"guard": Guard(restartable=True, in_flight=1)}, Reason.TOO_MANY_IN_FLIGHT, (SERVER,)),
    "seen once": ({"observations": 1}, Reason.AWAITING_OBSERVATION, ALL),
    "read once": ({"record": replace(PAIRED, observations=1)}, Reason.AWAITING_OBSERVATION, ALL),
    "no sample of its turns": (
        {"opinion": SPOILT, "record": replace(PAIRED, agreement=None)},
        Reason.AWAITING_OBSERVATION,
        (*LOSING, Step.DELETE),
    ),
    "samples of its turns too close": (
        {"opinion": SPOILT, "record": replace(PAIRED, agreement=replace(AGREED, first=START - timedelta(seconds=59)))},
        Reason.AWAITING_OBSERVATION,
        (*LOSING, Step.DELETE),
    ),
    "no sample": ({"record": replace(PAIRED, sample=None)}, Reason.AWAITING_OBSERVATION, (RECONNECT,)),
}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize(("facts", "reason", "steps"), HELD.values(), ids=HELD)
def test_gate_holds_the_steps_that_it_is_for_and_no_other(
    step: Step, facts: dict[str, Any], reason: Reason, steps: tuple[Step, ...]
) -> None:
    assert reasons_against(step, situation(**facts)) == ([reason] if step in steps else [])


def test_every_gate_is_seen_to_hold() -> None:
    """No gate of the list is left out above."""
    silent = {
        gate.__name__
        for gate in gates.GATES
        if not any(gate(situation(**facts), step) for facts, _, _ in HELD.values() for step in Step)
    }

    assert silent == set()


@pytest.mark.parametrize(
    "name",
    ["never", "approval", "young", "not vouched for", "reachable only just", "not surveyed", "no sample of its turns"],
)
def test_what_spares_a_pairing_does_not_spare_an_instance_that_holds_nothing(name: str) -> None:
    facts, reason, _ = HELD[name]
    record = replace(facts.get("record", EMPTY), paired=False)

    assert reason not in reasons_against(RECREATE, situation(**facts | {"record": record}))


@pytest.mark.parametrize("name", ["disabled", "maintenance", "budget", "seen once", "read once", "storm"])
def test_restart_that_a_user_asked_for_passes(name: str) -> None:
    facts, _, _ = HELD[name]

    assert gates.against(situation(restart_requested=True, **facts), RESTART) == ()


@pytest.mark.parametrize("name", ["warm-up", "version", "dry run", "pause", "restart of the server", "places"])
def test_restart_that_a_user_asked_for_is_held_all_the_same(name: str) -> None:
    facts, reason, _ = HELD[name]

    assert reasons_against(RESTART, situation(restart_requested=True, **facts)) == [reason]


@pytest.mark.parametrize("name", ["approval", "young", "not vouched for", "reachable only just"])
def test_approval_lets_a_loss_through(name: str) -> None:
    facts, _, _ = HELD[name]

    assert gates.against(situation(approved=True, **facts), RECREATE) == ()


@pytest.mark.parametrize(
    "name", ["never", "restricted", "storm", "pause", "dry run", "not surveyed", "budget", "no sample of its turns"]
)
def test_approval_does_not_let_a_loss_through_against(name: str) -> None:
    facts, reason, _ = HELD[name]

    assert reasons_against(RECREATE, situation(approved=True, **facts)) == [reason]


def test_approval_of_a_loss_is_none_of_a_restart_of_the_server() -> None:
    facts, reason, _ = HELD["not vouched for"]

    assert reasons_against(SERVER, situation(approved=True, **facts)) == [reason]


def until(reason: Reason, step: Step, one: Situation) -> object:
    return next(hold.until for hold in gates.against(one, step) if hold.reason is reason)


def test_young_incident_waits_for_session_loss_delay_from_its_beginning() -> None:
    young = situation(history=LONG_AGO.replace(started_at=START), policy=RecoveryPolicy(session_loss_delay_seconds=60))

    assert until(Reason.SESSION_LOSS_DELAY, RECREATE, young) == START + timedelta(seconds=60)
    assert gates.against(replace(young, now=START + timedelta(seconds=60)), RECREATE) == ()


def test_loss_that_nobody_vouches_for_waits_for_the_last_resort_from_when_no_gentle_step_was_left() -> None:
    waits = situation(vouched=False, history=LONG_AGO.replace(last_resort_since=START))

    end = START + timedelta(seconds=21_600)
    assert until(Reason.NOT_VOUCHED_FOR, RECREATE, waits) == end
    assert reasons_against(RECREATE, replace(waits, now=end - timedelta(seconds=1))) == [Reason.NOT_VOUCHED_FOR]
    assert gates.against(replace(waits, now=end), RECREATE) == ()


def test_loss_waits_until_the_instance_stayed_bad_for_a_while_after_whatsapp_could_be_reached_again() -> None:
    waits = situation(reachable_since=START, history=LONG_AGO.replace(last_resort_since=START))

    end = START + timedelta(seconds=120)
    assert until(Reason.NOT_VOUCHED_FOR, RELOGIN, waits) == end
    assert reasons_against(RELOGIN, replace(waits, now=end - timedelta(seconds=1))) == [Reason.NOT_VOUCHED_FOR]
    assert gates.against(replace(waits, now=end), RELOGIN) == ()
    assert gates.against(waits, SERVER) == ()


def test_while_counts_from_the_beginning_of_an_incident_that_is_younger_than_the_first_voucher() -> None:
    soon = RecoveryPolicy(session_loss_delay_seconds=1)
    waits = situation(policy=soon, history=RecoveryStatus(incident="i", started_at=START - timedelta(seconds=60)))

    assert until(Reason.NOT_VOUCHED_FOR, RECREATE, waits) == START + timedelta(seconds=60)


def test_voucher_of_a_way_on_which_another_was_asked_in_vain_is_none_for_a_loss() -> None:
    waits = situation(reachable_since=None, history=LONG_AGO.replace(last_resort_since=START))

    assert until(Reason.NOT_VOUCHED_FOR, RECREATE, waits) == START + timedelta(seconds=21_600)
    assert gates.against(waits, SERVER) == ()


def test_loss_that_waited_for_the_last_resort_does_not_wait_for_whatsapp_to_be_reachable_for_long() -> None:
    assert gates.against(situation(reachable_since=START), RECREATE) == ()


def test_wait_for_the_last_resort_has_not_begun_before_no_gentle_step_is_left() -> None:
    waits = situation(vouched=False, history=LONG_AGO.replace(last_resort_since=None))

    assert until(Reason.NOT_VOUCHED_FOR, RECREATE, waits) == START + timedelta(seconds=21_600)


def unpaired_without_a_code(**facts: Any) -> Situation:
    history = LONG_AGO.replace(started_at=START, last_resort_since=START)
    return replace(situation(Reason.NO_QR_CODE, record=EMPTY, history=history, vouched=False), **facts)


def test_where_most_get_no_code_a_step_waits_some_minutes_for_somebody_who_vouches() -> None:
    waits, end = unpaired_without_a_code(others_without_code=True), START + timedelta(seconds=120)

    assert until(Reason.NOT_VOUCHED_FOR, RESTART, waits) == end
    assert gates.against(replace(waits, now=end), RESTART) == ()
    assert gates.against(replace(waits, vouched=True), RESTART) == ()
    assert gates.against(replace(waits, others_without_code=False), RESTART) == ()


def test_where_most_get_no_code_a_step_for_another_reason_is_not_held_up() -> None:
    waits = unpaired_without_a_code(others_without_code=True)

    assert waits.shares_its_lack_of_a_code
    assert not replace(waits, opinion=situation(Reason.CONNECTING).opinion).shares_its_lack_of_a_code


def test_where_most_get_no_code_the_wait_has_not_begun_before_there_is_an_incident() -> None:
    waits = unpaired_without_a_code(others_without_code=True, history=RecoveryStatus())

    assert until(Reason.NOT_VOUCHED_FOR, RESTART, waits) == waits.now + timedelta(seconds=120)


def test_restart_that_a_user_asks_for_waits_for_no_other_that_gets_no_code() -> None:
    assert gates.against(unpaired_without_a_code(others_without_code=True, restart_requested=True), RESTART) == ()


@pytest.mark.parametrize("reason", [Reason.GHOST, Reason.CONNECTING, Reason.CLOSED_SOCKET, Reason.DEAD_SOCKET])
def test_loss_that_a_restart_of_the_server_would_spare_waits_for_the_last_resort(reason: Reason) -> None:
    waits = situation(reason, guard=Guard(), history=LONG_AGO.replace(last_resort_since=START))

    end = START + timedelta(seconds=21_600)
    assert until(Reason.NEEDS_SERVER_RESTART, RECREATE, waits) == end
    assert gates.against(replace(waits, now=end), RECREATE) == ()
    assert gates.against(replace(waits, approved=True), RECREATE) == ()


@pytest.mark.parametrize("reason", [Reason.ROW_MISSING, Reason.CREDENTIALS, Reason.NO_QR_CODE])
def test_loss_that_no_restart_of_the_server_would_spare_waits_for_none(reason: Reason) -> None:
    assert gates.against(situation(reason, guard=Guard()), RECREATE) == ()


@pytest.mark.parametrize(
    ("facts", "seconds"), [({}, 300), ({"vouched": False}, 21_600)], ids=["vouched for", "not vouched for"]
)
def test_after_a_storm_the_waits_begin_anew(facts: dict[str, Any], seconds: int) -> None:
    guard = Guard(restartable=True, ledger=Ledger(storm_ended_at=START))
    held = gates.against(situation(guard=guard, **facts), RECREATE)

    assert max(hold.until for hold in held if hold.until) == START + timedelta(seconds=seconds)


@pytest.mark.parametrize("reason", sorted(ladder.LADDERS))
def test_restart_of_the_server_must_be_vouched_for_only_where_an_outage_looks_the_same(reason: Reason) -> None:
    one = situation(reason, vouched=False, history=LONG_AGO.replace(last_resort_since=None))

    looks_like_it = reason in (Reason.CONNECTING, Reason.CLOSED_SOCKET)
    assert reasons_against(SERVER, one) == ([Reason.NOT_VOUCHED_FOR] if looks_like_it else [])


def test_what_the_server_holds_against_its_restart_is_held_against_that_step_only() -> None:
    hold = Hold(Reason.SESSION_MISSING)
    one = situation(guard=Guard(restartable=True, restart_holds=(hold,)))

    assert gates.against(one, SERVER) == (hold,)
    assert gates.against(one, RECREATE) == ()


def test_storm_after_a_failed_step_says_until_when() -> None:
    stormy = Ledger(storm=Storm(since=START), failed_at=START)
    guard = Guard(restartable=True, ledger=stormy, budget=Budget(storm=StormLimits(cooldown_seconds=60)))

    assert gates.against(situation(guard=guard), RESTART) == (Hold(Reason.STORM, START + timedelta(seconds=60)),)


def test_all_that_is_against_a_step_is_told() -> None:
    everything: dict[str, Any] = {
        "warm": False,
        "acted_on": False,
        "paused": True,
        "policy": RecoveryPolicy(mode=RecoveryMode.DISABLED, session_loss=SessionLoss.NEVER),
        "record": replace(RESTRICTED, observations=1),
        "history": RecoveryStatus(),
        "vouched": False,
        "guard": Guard(
            budget=replace_windows(SPENT, SHUT),
            ledger=Ledger(storm=Storm(since=START)),
            in_flight=9,
            surveyed=False,
            restarting=True,
        ),
    }

    assert reasons_against(RECREATE, situation(**everything)) == [
        Reason.WARMING_UP,
        Reason.UNSUPPORTED_VERSION,
        Reason.RECOVERY_DISABLED,
        Reason.PAUSED,
        Reason.SERVER_RESTARTING,
        Reason.RESTRICTED,
        Reason.PROTECTED_INSTANCE,
        Reason.STORM,
        Reason.NEEDS_SERVER_RESTART,
        Reason.NOT_VOUCHED_FOR,
        Reason.SESSION_LOSS_DELAY,
        Reason.AWAITING_OBSERVATION,
        Reason.MAINTENANCE_WINDOW,
        Reason.BUDGET_EXHAUSTED,
        Reason.TOO_MANY_IN_FLIGHT,
        Reason.AWAITING_OBSERVATION,
    ]


def replace_windows(budget: Budget, *windows: MaintenanceWindow) -> Budget:
    return budget.replace(maintenance=windows)


seconds_ago = st.sampled_from([None, 0, 100, 299, 300, 3600, 21_599, 21_600, 86_400])
counts = st.integers(0, 4)


def _ago(seconds: int | None) -> Any:
    return None if seconds is None else START - timedelta(seconds=seconds)


any_history = st.builds(
    lambda attempts, reconnects, relogins, recreates, began, cornered, deaf: RecoveryStatus(
        incident="i",
        attempts=attempts,
        reconnects=reconnects,
        relogins=relogins,
        recreates=recreates,
        started_at=_ago(began),
        last_resort_since=_ago(cornered),
        deaf_since=_ago(deaf),
    ),
    *(counts, counts, counts, counts, seconds_ago, seconds_ago, seconds_ago),
)
any_guard = st.builds(
    Guard,
    ledger=st.builds(
        Ledger,
        storm=st.none() | st.just(Storm(since=START)),
        storm_ended_at=seconds_ago.map(_ago),
        failed_at=seconds_ago.map(_ago),
    ),
    in_flight=st.integers(0, 3),
    surveyed=st.booleans(),
    restarting=st.booleans(),
    restartable=st.booleans(),
    restarted_at=seconds_ago.map(_ago),
    relogin_deafens=st.booleans(),
    refuses_zombies=st.booleans(),
)
any_record = st.sampled_from([PAIRED, EMPTY, replace(EMPTY, known_data=1), replace(PAIRED, paired=None), RESTRICTED])
any_situation = st.builds(
    situation,
    st.sampled_from(sorted(Reason)),
    observations=st.integers(1, 3),
    record=any_record,
    history=any_history,
    policy=st.builds(RecoveryPolicy, mode=st.sampled_from(RecoveryMode), session_loss=st.sampled_from(SessionLoss)),
    warm=st.booleans(),
    acted_on=st.booleans(),
    paused=st.sampled_from([False, False, True]),
    pairing_wanted=st.booleans(),
    restart_requested=st.booleans(),
    vouched=st.booleans(),
    reachable_since=seconds_ago.map(_ago),
    approved=st.booleans(),
    guard=any_guard,
)

FORBIDS_A_LOSS: list[Callable[[Situation], bool]] = [
    lambda one: one.guard.ledger.storm is not None,
    lambda one: one.policy.session_loss is SessionLoss.NEVER,
    lambda one: one.policy.session_loss is SessionLoss.REQUIRE_APPROVAL and not one.approved,
    lambda one: not one.guard.surveyed,
    lambda one: one.paused,
    lambda one: one.policy.mode is not RecoveryMode.ENABLED,
    lambda one: one.record is RESTRICTED,
    lambda one: not one.warm or not one.acted_on,
    lambda one: one.guard.restarting,
]


@given(any_situation)
def test_no_loss_is_ever_due_where_one_is_forbidden(one: Situation) -> None:
    planned = planner.plan(one)

    if planned.due(START) and planned.step_class is StepClass.SESSION_LOSS:
        assert not any(forbids(one) for forbids in FORBIDS_A_LOSS)


@given(any_situation, st.sampled_from(LOSING))
def test_each_loss_that_is_forbidden_is_held_by_a_gate(one: Situation, step: Step) -> None:
    """Whatever a ladder, of ours or of a plugin, calls for."""
    if one.record.protected and any(forbids(one) for forbids in FORBIDS_A_LOSS):
        assert gates.against(one, step)


@given(any_situation)
def test_no_restart_of_the_server_is_due_while_a_step_is_under_way(one: Situation) -> None:
    planned = planner.plan(one)

    if planned.step is SERVER and planned.due(START):
        assert one.guard.in_flight == 0
        assert one.guard.restartable
        assert not one.guard.restarting


@given(any_situation)
def test_dry_run_plans_what_would_be_taken_and_says_only_that_it_is_dry(one: Situation) -> None:
    enabled = planner.plan(replace(one, policy=replace(one.policy, mode=RecoveryMode.ENABLED)))
    dry = planner.plan(replace(one, policy=replace(one.policy, mode=RecoveryMode.DRY_RUN)))

    assert (dry.step, dry.step_class, dry.at) == (enabled.step, enabled.step_class, enabled.at)
    assert [reason for reason in dry.blocked_by if reason is not Reason.DRY_RUN] == list(enabled.blocked_by)
    assert not dry.due(START)


PLUGGED = {
    cost: ladder.Offer(Step(f"Plugged{cost}"), cost, frozenset({Reason.CONNECTING, Reason("Plugged")}))
    for cost in StepClass
}
OFFERS = {one.step: one for one in PLUGGED.values()}
OURS_OF = {
    StepClass.SOFT: Step.CREATE,
    StepClass.SERVER_RESTART: SERVER,
    StepClass.RECREATE: RECREATE,
    StepClass.SESSION_LOSS: RECREATE,
}


@pytest.mark.parametrize("cost", StepClass)
@given(one=any_situation)
def test_step_of_a_plugin_meets_every_gate_that_ours_of_its_class_meets(cost: StepClass, one: Situation) -> None:
    plugged = set(reasons_against(PLUGGED[cost].step, replace(one, offers=OFFERS)))
    ours = set(reasons_against(OURS_OF[cost], one))

    # What only tells whether others wait for the same restart of the server is no gate for another step.
    assert plugged >= ours - {Reason.FEW_INSTANCES, Reason.SESSION_MISSING}


@given(any_situation)
def test_no_loss_by_a_plugin_is_ever_due_where_one_is_forbidden(one: Situation) -> None:
    planned = planner.plan(replace(one, offers=OFFERS))

    if planned.due(START) and planned.step_class is StepClass.SESSION_LOSS:
        assert not any(forbids(one) for forbids in FORBIDS_A_LOSS)


MAY_LACK_ITS_SESSION = replace(
    PAIRED,
    memory=witnesses.Memory(state=state("open"), since=START, seen_at=START),
    database=witnesses.Database(row=a_row("close", owner=True), since=START, seen_at=START, moved_at=START),
)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("step", Step)
def test_no_restart_of_what_may_lack_its_session_before_a_second_list_has_told(step: Step, asked: bool) -> None:
    one = situation(Reason.SETTLING, record=MAY_LACK_ITS_SESSION, restart_requested=asked)

    held = reasons_against(step, one)

    assert (Reason.AWAITING_OBSERVATION in held) is (step in (RESTART, SERVER))


@pytest.mark.parametrize("cost", StepClass)
@pytest.mark.parametrize(
    ("facts", "against"),
    [
        ({"record": RESTRICTED}, Reason.RESTRICTED),
        ({"record": MAY_LACK_ITS_SESSION}, Reason.SESSION_MISSING),
        ({"guard": Guard(restartable=True, budget=SPENT)}, Reason.BUDGET_EXHAUSTED),
        ({"guard": Guard(restartable=True, budget=Budget(maintenance=(SHUT,)))}, Reason.MAINTENANCE_WINDOW),
        ({"guard": Guard(restartable=True, in_flight=2)}, Reason.TOO_MANY_IN_FLIGHT),
        ({"guard": Guard(restartable=True, restarting=True)}, Reason.SERVER_RESTARTING),
        ({"guard": Guard(restartable=True, ledger=Ledger(storm=Storm(since=START)), in_flight=1)}, Reason.STORM),
        ({"restart_requested": True, "paused": True}, Reason.PAUSED),
        ({"observations": 1}, Reason.AWAITING_OBSERVATION),
    ],
)
def test_whatever_a_plugin_would_do_is_held_where_it_might_harm(
    cost: StepClass, facts: dict[str, Any], against: Reason
) -> None:
    one = situation(Reason("Plugged"), **facts, offers=OFFERS)

    assert against in reasons_against(PLUGGED[cost].step, one)
    assert reasons_against(PLUGGED[cost].step, situation(Reason("Plugged"), offers=OFFERS)) == []


def test_step_of_a_plugin_that_costs_all_instances_waits_for_each_and_for_leave_to_restart_the_server() -> None:
    step = PLUGGED[StepClass.SERVER_RESTART].step
    holds = (Hold(Reason.FEW_INSTANCES), Hold(Reason.SESSION_MISSING))

    assert reasons_against(step, situation(offers=OFFERS, guard=Guard())) == [Reason.NEEDS_SERVER_RESTART]
    busy = situation(offers=OFFERS, guard=Guard(restartable=True, in_flight=1, restart_holds=holds))
    assert reasons_against(step, busy) == [Reason.TOO_MANY_IN_FLIGHT, Reason.SESSION_MISSING]


def test_properties_above_meet_losses_and_restarts_that_are_due() -> None:
    """Without this they could hold for want of a case."""
    assert planner.plan(situation(Reason.ROW_MISSING)).due(START)
    tried = LONG_AGO.replace(attempts=3)
    assert planner.plan(situation(history=tried)).step is SERVER
    assert planner.plan(situation(history=tried)).due(START)
