"""When a step may be taken: gates, delays, and the way through an incident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from support import world
from support.world import START, World, given
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import gates, incident, ladder, planner
from whatsapp_operator.resources.overrides import RecoveryMode, SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepRecord, StepResult

HOUR = 3600.0
NO_LADDER = frozenset(Reason) - frozenset(ladder.LADDERS)


def ghost() -> World:
    return given().memory(None).database("close")


def stuck() -> World:
    return given().memory("connecting").database("open").paired()


def situation(
    reason: Reason,
    *,
    history: RecoveryStatus | None = None,
    state: HealthState = HealthState.STUCK,
    observations: int = 2,
    **facts: object,
) -> gates.Situation:
    """A confirmed verdict on an unprotected instance whose close is stable, but for what is said."""
    stable = witnesses.Sample(taken_at=START, states=frozenset({world.state("close")}))
    facts = {
        "record": records.Record(paired=False, sample=stable, observations=2),
        "policy": RecoveryPolicy(),
        "warm": True,
        "acted_on": True,
        "paused": False,
        "pairing_wanted": True,
        **facts,
    }
    opinion = Opinion(Verdict(state, reason), since=START, observations=observations)
    given_facts = {"now": START, "opinion": opinion, "history": history or RecoveryStatus(), "spans": Spans(), **facts}
    return gates.Situation(**given_facts)  # type: ignore[arg-type] # the fields' names are the words


def history_of(*, last: Step = Step.RESTART, **counts: int) -> RecoveryStatus:
    """An incident in which steps were taken, the last verdict half a minute after its step."""
    record = StepRecord(
        step=last,
        reason=Reason.CONNECTING,
        incident="20261123-7f3a",
        start_time=START - timedelta(seconds=30),
        end_time=START,
        result=StepResult.FAILED,
    )
    return RecoveryStatus(incident="20261123-7f3a", started_at=START, history=(record,), **counts)


@pytest.mark.parametrize("reason", sorted(NO_LADDER))
def test_reason_without_a_ladder_has_no_step(reason: Reason) -> None:
    assert planner.plan(situation(reason)) == planner.NOTHING


@pytest.mark.parametrize(
    "reason",
    [
        Reason.SESSION_MISSING,
        Reason.RESTRICTED,
        Reason.CREDENTIALS_LOST,
        Reason.AWAITING_SCAN,
        Reason.FLAPPING,
        Reason.SETTLING,
        Reason.HEALTHY,
        Reason.TERMINATING,
    ],
)
def test_reason_that_waits_or_needs_a_human_has_no_ladder(reason: Reason) -> None:
    assert reason in NO_LADDER


@pytest.mark.parametrize("reason", sorted(ladder.LADDERS))
def test_what_is_not_known_now_has_no_step(reason: Reason) -> None:
    assert planner.plan(situation(reason, state=HealthState.UNKNOWN)) == planner.NOTHING


@pytest.mark.parametrize(
    ("step", "protected", "unprotected"),
    [
        (Step.CREATE, StepClass.SOFT, StepClass.SOFT),
        (Step.RECONNECT, StepClass.SOFT, StepClass.SOFT),
        (Step.RESTART, StepClass.SOFT, StepClass.SOFT),
        (Step.RESTART_SERVER, StepClass.SERVER_RESTART, StepClass.SERVER_RESTART),
        (Step.RELOGIN, StepClass.SESSION_LOSS, StepClass.RECREATE),
        (Step.RECREATE, StepClass.SESSION_LOSS, StepClass.RECREATE),
        (Step.DELETE, StepClass.SESSION_LOSS, StepClass.RECREATE),
    ],
)
def test_class_of_a_step_is_what_it_costs_this_instance(
    step: Step, protected: StepClass, unprotected: StepClass
) -> None:
    assert ladder.class_of(step, protected=True) is protected
    assert ladder.class_of(step, protected=False) is unprotected


@pytest.mark.parametrize(
    ("facts", "against"),
    [
        ({"warm": False}, Reason.WARMING_UP),
        ({"acted_on": False}, Reason.UNSUPPORTED_VERSION),
        ({"policy": RecoveryPolicy(mode=RecoveryMode.DISABLED)}, Reason.RECOVERY_DISABLED),
        ({"policy": RecoveryPolicy(mode=RecoveryMode.DRY_RUN)}, Reason.DRY_RUN),
        ({"paused": True}, Reason.PAUSED),
        ({"observations": 1}, Reason.AWAITING_OBSERVATION),
        ({"record": records.Record(paired=False, observations=1)}, Reason.AWAITING_OBSERVATION),
    ],
    ids=["warm-up", "version", "disabled", "dry run", "pause", "one look", "one read"],
)
def test_recreate_is_planned_and_not_taken_because_of(facts: dict[str, object], against: Reason) -> None:
    planned = planner.plan(situation(Reason.GHOST, **facts))  # type: ignore[arg-type] # the names are the words

    assert planned.step is Step.RECREATE
    assert planned.blocked_by == (against,)
    assert not planned.due(START)


@pytest.mark.parametrize(
    "record",
    [
        records.Record(paired=True, observations=2),
        records.Record(paired=None, observations=2),
        records.Record(paired=False, known_data=1, observations=2),
    ],
    ids=["paired", "in doubt", "data"],
)
def test_protected_instance_that_may_never_be_lost_is_not_recreated(record: records.Record) -> None:
    history = RecoveryStatus(incident="20261123-7f3a", started_at=START - timedelta(hours=1))
    facts = {"record": record, "history": history, "vouched": True, "reachable_since": START - timedelta(hours=1)}

    never = planner.plan(
        situation(Reason.ROW_MISSING, policy=RecoveryPolicy(session_loss=SessionLoss.NEVER), **facts)  # type: ignore[arg-type] # names of the fields
    )
    allowed = planner.plan(situation(Reason.ROW_MISSING, **facts))  # type: ignore[arg-type] # names of the fields

    assert (never.step, never.blocked_by) == (Step.RECREATE, (Reason.PROTECTED_INSTANCE,))
    assert not never.due(START)
    assert (allowed.step, allowed.step_class, allowed.blocked_by) == (Step.RECREATE, StepClass.SESSION_LOSS, ())
    assert allowed.due(START)


def test_all_reasons_against_a_step_are_told() -> None:
    never = RecoveryPolicy(session_loss=SessionLoss.NEVER)
    planned = planner.plan(
        situation(
            Reason.GHOST,
            warm=False,
            acted_on=False,
            paused=True,
            record=records.Record(),
            observations=1,
            policy=never,
        )
    )

    assert set(planned.blocked_by) == {
        Reason.WARMING_UP,
        Reason.UNSUPPORTED_VERSION,
        Reason.PAUSED,
        Reason.PROTECTED_INSTANCE,
        Reason.NEEDS_SERVER_RESTART,
        Reason.NOT_VOUCHED_FOR,
        Reason.SESSION_LOSS_DELAY,
        Reason.AWAITING_OBSERVATION,
    }


def test_gentle_step_is_allowed_for_a_protected_instance() -> None:
    planned = planner.plan(situation(Reason.CONNECTING, record=records.Record(paired=True, observations=2)))

    assert planned.step is Step.RESTART
    assert planned.due(START)


@pytest.mark.parametrize("constant", [None, "connecting", "open"])
def test_reconnect_waits_for_a_close_that_is_known_to_be_stable(constant: str | None) -> None:
    states = frozenset({world.state(constant)}) if constant else frozenset({world.state("close"), None})
    sample = witnesses.Sample(taken_at=START, states=states)

    planned = planner.plan(
        situation(Reason.NOT_STARTED, record=records.Record(paired=False, sample=sample, observations=2))
    )

    assert planned.blocked_by == (Reason.AWAITING_OBSERVATION,)


@pytest.mark.parametrize("reason", sorted(ladder.FOR_PAIRING))
def test_step_for_a_qr_code_is_planned_only_while_one_is_wanted(reason: Reason) -> None:
    assert planner.plan(situation(reason)).step is Step.RECONNECT
    assert planner.plan(situation(reason, pairing_wanted=False)) == planner.NOTHING


def test_restart_that_a_user_asked_for_needs_no_reason_and_no_second_look() -> None:
    asked = situation(
        Reason.HEALTHY,
        state=HealthState.HEALTHY,
        restart_requested=True,
        observations=1,
        history=history_of(attempts=9),
        policy=RecoveryPolicy(mode=RecoveryMode.DISABLED),
    )

    assert planner.plan(asked) == planner.Plan(step=Step.RESTART, step_class=StepClass.SOFT)


@pytest.mark.parametrize("facts", [{"warm": False}, {"acted_on": False}, {"paused": True}, {"policy": world.dry_run()}])
def test_restart_that_a_user_asked_for_is_not_taken_either_while(facts: dict[str, object]) -> None:
    asked = situation(Reason.HEALTHY, restart_requested=True, **facts)  # type: ignore[arg-type] # names of the fields

    assert not planner.plan(asked).due(START)


@pytest.mark.parametrize(
    ("attempts", "least"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (8, 256.0), (12, HOUR), (99, HOUR)]
)
def test_retry_delay_doubles_from_the_verdict_on_the_step_before(attempts: int, least: float) -> None:
    policy = RecoveryPolicy(max_attempts=100)
    planned = planner.plan(situation(Reason.CONNECTING, history=history_of(attempts=attempts), policy=policy))

    assert planned.at is not None
    delay = (planned.at - START).total_seconds()
    assert least <= delay <= min(least * 1.2, HOUR)


def test_retry_delay_is_the_same_at_every_look_and_differs_between_incidents() -> None:
    def at(name: str) -> object:
        history = history_of(attempts=2).replace(incident=name)
        return planner.plan(situation(Reason.CONNECTING, history=history)).at

    assert at("20261123-0001") == at("20261123-0001")
    assert len({at(f"20261123-{number:04x}") for number in range(50)}) > 40


def test_first_step_of_an_incident_does_not_wait_for_steps_of_earlier_ones() -> None:
    before = history_of(attempts=3)
    history = incident.opened(RecoveryStatus(history=before.history), incident="20261124-0001", now=START)

    planned = planner.plan(situation(Reason.CONNECTING, history=history, now=START + timedelta(hours=1)))

    assert planned.due(START + timedelta(hours=1))


@pytest.mark.parametrize(("recreates", "minutes"), [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60), (40, 60)])
def test_next_recreate_waits_ten_minutes_doubling_to_an_hour(recreates: int, minutes: int) -> None:
    history = history_of(last=Step.RECREATE, recreates=recreates, attempts=3)

    assert planner.plan(situation(Reason.GHOST, history=history)).at == START + timedelta(minutes=minutes)


def test_recreates_are_taken_at_those_distances_and_then_hourly() -> None:
    one = ghost().watch(hours=8)

    assert set(one.steps) == {Step.RECREATE}
    # Each verdict takes 30 s, and a look comes every 10 s.
    assert [round(pause / 60) for pause in one.pauses] == [10, 20, 40, *[60] * (len(one.pauses) - 3)]
    assert len(one.pauses) > 6


@pytest.mark.parametrize(
    "endless",
    [
        lambda: given().gone(),
        lambda: given().memory("close").database("close"),
        lambda: given().memory("close").database("connecting"),
        lambda: given().memory("connecting").database("close"),
        ghost,
    ],
    ids=["absent", "never started", "QR expired", "no QR code", "ghost"],
)
def test_what_no_step_heals_is_tried_at_most_hourly_in_the_end(endless: Callable[[], World]) -> None:
    one = endless().watch(hours=12)

    late = [at for _, at in one.taken if at > START + timedelta(hours=6)]
    assert 1 <= len(late) <= 6


def test_ladder_that_is_exhausted_says_so() -> None:
    one = ghost().watch(hours=8)

    assert planner.exhausted(one.situation, one.plan)


def test_protected_instance_that_may_never_be_lost_is_exhausted_when_the_gentle_steps_failed() -> None:
    one = stuck()
    one.policy = RecoveryPolicy(session_loss=SessionLoss.NEVER)
    one.watch(hours=12)

    assert one.steps == [Step.RESTART] * 3
    assert one.plan.blocked_by == (Reason.PROTECTED_INSTANCE,)
    assert planner.exhausted(one.situation, one.plan)


def test_protected_instance_that_still_waits_for_its_last_resort_is_not_exhausted() -> None:
    one = stuck().watch(hours=1)

    assert one.steps == [Step.RESTART] * 3
    assert one.plan.blocked_by == (Reason.NEEDS_SERVER_RESTART, Reason.NOT_VOUCHED_FOR)
    assert not planner.exhausted(one.situation, one.plan)


def test_nothing_is_exhausted_before_anything_was_tried() -> None:
    assert not planner.exhausted(ghost().watch(seconds=10).situation, planner.Plan(step=Step.RECREATE))


def test_restart_that_heals_is_followed_by_no_other_step() -> None:
    one = stuck().heals(Step.RESTART, lambda server: server.memory("open")).watch(hours=2)

    assert one.steps == [Step.RESTART]
    assert one.recovery.incident is None
    assert [step.result for step in one.recovery.history] == [StepResult.SUCCEEDED]


def test_reconnect_that_heals_is_followed_by_no_other_step() -> None:
    one = given().memory("close").database("open").paired()
    one.heals(Step.RECONNECT, lambda server: server.memory("open")).watch(hours=2)

    assert one.steps == [Step.RECONNECT]
    assert one.recovery.incident is None


def ended(step: Step, *results: StepResult, **counts: int) -> RecoveryStatus:
    """The incident of `history_of`, with these verdicts on one kind of step."""
    history = history_of(last=step, **counts)
    return history.replace(history=tuple(history.history[0].replace(result=result) for result in results))


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ((StepResult.FAILED,), Step.RECREATE),
        ((StepResult.INTERRUPTED,), Step.RECONNECT),
        ((StepResult.INTERRUPTED, StepResult.FAILED), Step.RECREATE),
        ((StepResult.INTERRUPTED, StepResult.INTERRUPTED), Step.RECREATE),
    ],
)
def test_gentle_step_that_was_interrupted_is_taken_once_more_before_one_that_costs_more(
    results: tuple[StepResult, ...], expected: Step
) -> None:
    history = ended(Step.RECONNECT, *results, reconnects=len(results))

    assert planner.next_step(situation(Reason.CLOSED_SOCKET, history=history)) is expected


def test_restart_that_was_interrupted_leaves_as_many_attempts_as_there_are() -> None:
    history = ended(Step.RESTART, StepResult.INTERRUPTED, attempts=1)

    policy = RecoveryPolicy(max_attempts=1)
    assert planner.next_step(situation(Reason.CONNECTING, history=history, policy=policy)) is Step.RESTART


def test_interruption_of_an_earlier_incident_or_of_another_step_is_not_made_up_for() -> None:
    earlier = ended(Step.RECONNECT, StepResult.INTERRUPTED, reconnects=1).replace(incident="20261124-0001")
    other = ended(Step.RESTART, StepResult.INTERRUPTED, reconnects=1)

    for history in (earlier, other):
        assert planner.next_step(situation(Reason.CLOSED_SOCKET, history=history)) is Step.RECREATE


def test_interrupted_step_that_takes_something_is_not_taken_once_more() -> None:
    history = ended(Step.RELOGIN, StepResult.INTERRUPTED, attempts=3, relogins=1)

    assert planner.next_step(situation(Reason.NO_QR_CODE, history=history)) is Step.RECREATE


def test_reconnect_is_never_taken_within_five_seconds_of_a_restart() -> None:
    """The gap of a restart shows close; a connect in it starts a second socket that replaces the first for ever."""
    history = history_of(attempts=1).replace(attempts=1)
    last = history.history[0].replace(start_time=START, end_time=START + timedelta(seconds=1))
    history = history.replace(history=(last,))

    for policy in (RecoveryPolicy(retry_delay_seconds=1), RecoveryPolicy(retry_delay_seconds=2)):
        planned = planner.plan(situation(Reason.CLOSED_SOCKET, history=history, policy=policy))
        assert planned.step is Step.RECONNECT
        assert planned.at is not None
        assert planned.at - START >= timedelta(seconds=5)


def test_user_restart_also_keeps_reconnects_away_for_five_seconds() -> None:
    asked = history_of(attempts=1)
    last = asked.history[0].replace(start_time=START, end_time=START)
    after_reset = incident.reset(asked.replace(history=(last,)))

    planned = planner.plan(situation(Reason.NOT_STARTED, history=after_reset))

    assert planned.at is not None
    assert planned.at - START >= timedelta(seconds=5)


@pytest.mark.parametrize("unhealed", [stuck, ghost, lambda: given().gone(), lambda: given().database("close")])
def test_every_step_rests_on_two_observations_after_the_step_before(unhealed: Callable[[], World]) -> None:
    """The time of a step may be over before it was looked at twice."""
    one = unhealed()
    one.policy = RecoveryPolicy(step_timeout_seconds=1, retry_delay_seconds=1, max_attempts=9)
    one.spans = Spans(recreate_wait=1, recreate_wait_max=1, absence=1, stable=1)

    one.watch(minutes=30)

    assert len(one.taken) > 5
    assert min(one.rested_on) >= 2


def test_where_most_get_no_code_nothing_but_a_restart_is_tried_before_the_last_resort() -> None:
    worn = history_of(attempts=9)
    alone = situation(Reason.NO_QR_CODE, history=worn)
    with_others = situation(Reason.NO_QR_CODE, history=worn, others_without_code=True)
    at_last = situation(
        Reason.NO_QR_CODE, history=worn, others_without_code=True, now=START + timedelta(seconds=21_600)
    )

    assert planner.plan(with_others).step is Step.RESTART
    assert [planner.plan(one).step for one in (alone, at_last)] == [Step.RELOGIN, Step.RELOGIN]


def test_restarts_where_most_get_no_code_become_rare() -> None:
    def waits(attempts: int) -> float:
        planned = planner.plan(
            situation(Reason.NO_QR_CODE, history=history_of(attempts=attempts), others_without_code=True)
        )
        assert planned.not_before is not None
        return (planned.not_before - START).total_seconds()

    assert waits(1) < waits(3) < waits(8) <= HOUR
    assert waits(20) == HOUR
