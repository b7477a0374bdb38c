"""The planner in every situation of a grid: it is pure, so that its states are its arguments.

What a due step must not be is said here once more, in other words than the gates'.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import gates, guard, ladder, ledger, planner
from whatsapp_operator.resources.budgets import Budget, MaintenanceKind, MaintenanceWindow, Window
from whatsapp_operator.resources.overrides import RecoveryMode, SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepRecord, StepResult

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
_LONG_AGO, _JUST_NOW = NOW - timedelta(days=1), NOW - timedelta(seconds=10)
_BUDGET = Budget(
    max_in_flight=1,
    windows=tuple(Window.model_validate({"class": str(one), "max": 1, "periodSeconds": 60}) for one in StepClass),
)
_SPENT = ledger.Ledger(spent=dict.fromkeys(StepClass, (_JUST_NOW,)))
_STORM = ledger.Storm(since=_LONG_AGO)
_LEDGERS = (
    ledger.Ledger(),
    _SPENT,
    ledger.Ledger(storm=_STORM),
    ledger.Ledger(storm=_STORM, failed_at=_JUST_NOW),
    ledger.Ledger(storm_ended_at=_JUST_NOW),
)
_FOREIGN = Step("Hush")
_REFUSED = witnesses.Database(
    evidence.Row(
        id="1",
        name="i0",
        state=ConnectionState.CLOSE,
        integration=records.BAILEYS,
        client_name="evolution",
        owner_jid="owner",
        code=403,
        disconnection_at=_LONG_AGO,
        updated_at=_LONG_AGO,
        data_count=0,
    ),
    since=_LONG_AGO,
    seen_at=NOW,
    moved_at=_LONG_AGO,
)
"""WhatsApp refuses the account."""
REASONS = (*ladder.LADDERS, Reason.FLAPPING, Reason.SESSION_MISSING)
_BOTH = (False, True)


@dataclass(frozen=True, slots=True)
class Grid:
    """What came of it."""

    situations: int
    steps: int
    """Situations in which a step is called for."""
    due: int
    """Situations in which it is taken."""
    wrong: tuple[str, ...]


def explore(reasons: Sequence[Reason] = REASONS) -> Grid:
    """Plan in every situation of the grid, for these reasons."""
    count = called_for = due = 0
    wrong: list[str] = []
    for situation in itertools.chain(_ladders(reasons), _gates(reasons)):
        planned = planner.plan(situation)
        planner.exhausted(situation, planned)
        count, called_for = count + 1, called_for + (planned.step is not None)
        if planned.due(situation.now):
            due += 1
            wrong += [f"{planned.step} for {situation.reason}: {one}" for one in _against(situation, planned)]
    return Grid(count, called_for, due, tuple(wrong))


# Which step is called for


def _ladders(reasons: Sequence[Reason]) -> Iterator[gates.Situation]:
    """Each reason, on each terrain, after each number of steps."""
    terrains = itertools.product(_BOTH, _BOTH, _BOTH, _BOTH)
    for reason, terrain, history in itertools.product(reasons, tuple(terrains), tuple(_histories())):
        for pairing_wanted, requested, restarted in itertools.product(_BOTH, _BOTH, (None, _LONG_AGO, _JUST_NOW)):
            protected, restartable, deafens, refuses = terrain
            yield replace(
                situation_of(reason, protected=protected),
                history=history,
                pairing_wanted=pairing_wanted,
                restart_requested=requested,
                guard=guard.Guard(
                    restartable=restartable,
                    relogin_deafens=deafens,
                    refuses_zombies=refuses,
                    restarted_at=restarted,
                ),
            )


def _histories() -> Iterator[RecoveryStatus]:
    for attempts, others, deaf in itertools.product((0, 1, 3), (0, 1, 2), (None, _JUST_NOW)):
        yield RecoveryStatus(
            incident="20261123-0000",
            started_at=_LONG_AGO + timedelta(seconds=1),
            attempts=attempts,
            reconnects=others,
            relogins=others,
            recreates=others,
            deaf_since=deaf,
            last_resort_since=_LONG_AGO,
            history=(_record(Step.RESTART),) if attempts else (),
        )


def _record(step: Step) -> StepRecord:
    return StepRecord(
        step=step,
        reason=Reason.CONNECTING,
        incident="20261123-0000",
        start_time=NOW - timedelta(seconds=3),
        end_time=NOW - timedelta(seconds=1),
        result=StepResult.FAILED,
    )


# What is against it


def _gates(reasons: Sequence[Reason]) -> Iterator[gates.Situation]:
    """Each reason with each refusal."""
    policies = itertools.product(SessionLoss, RecoveryMode)
    servers = itertools.product(_LEDGERS, (0, 1), _BOTH)
    for reason, policy, server in itertools.product(reasons, tuple(policies), tuple(servers)):
        for vouched, approved, began, protected in itertools.product(_BOTH, _BOTH, (_LONG_AGO, _JUST_NOW), _BOTH):
            spent, in_flight, surveyed = server
            loss, mode = policy
            yield replace(
                situation_of(reason, protected=protected),
                history=RecoveryStatus(incident="20261123-0000", started_at=began, last_resort_since=began),
                policy=RecoveryPolicy(session_loss=loss, mode=mode),
                vouched=vouched,
                approved=approved,
                guard=guard.Guard(budget=_BUDGET, ledger=spent, in_flight=in_flight, surveyed=surveyed),
            )
    yield from _switches(reasons)
    yield from _outages(reasons)


def _outages(reasons: Sequence[Reason]) -> Iterator[gates.Situation]:
    """WhatsApp can be reached again since then; or the others get no QR code either."""
    for reason, since, began in itertools.product(reasons, (_LONG_AGO, _JUST_NOW), (_LONG_AGO, _JUST_NOW)):
        history = RecoveryStatus(incident="20261123-0000", started_at=_LONG_AGO, last_resort_since=began)
        yield replace(situation_of(reason, protected=True), reachable_since=since, history=history)
        history = history.replace(started_at=began)
        for vouched in _BOTH:
            usual = situation_of(reason, protected=True)
            yield replace(usual, others_without_code=True, vouched=vouched, history=history)


def _switches(reasons: Sequence[Reason]) -> Iterator[gates.Situation]:
    """Each of what stops everything, alone."""
    for reason in reasons:
        usual = situation_of(reason, protected=True)
        yield replace(usual, warm=False)
        yield replace(usual, acted_on=False)
        yield replace(usual, server_valid=False)
        yield replace(usual, paused=True)
        yield replace(usual, guard=guard.Guard(restarting=True))
        yield replace(usual, guard=guard.Guard(restart_holds=(guard.Hold(Reason.SESSION_MISSING),), restartable=True))
        yield replace(usual, record=replace(usual.record, sample=None))
        yield replace(usual, record=replace(usual.record, observations=1))
        yield replace(usual, opinion=replace(usual.opinion, observations=1))
        yield replace(usual, opinion=replace(usual.opinion, verdict=Verdict(HealthState.UNKNOWN, reason)))
        yield replace(usual, record=replace(usual.record, database=_REFUSED))
        offer = ladder.Offer(_FOREIGN, StepClass.SOFT, frozenset({reason}))
        yield replace(usual, offers={_FOREIGN: offer})
        for kind, schedule in itertools.product(MaintenanceKind, ("0 10 * * *", "0 3 * * *")):
            window = MaintenanceWindow(kind=kind, schedule=schedule, duration_seconds=3600)
            yield replace(usual, guard=guard.Guard(budget=Budget(maintenance=(window,)), restartable=True))


def situation_of(reason: Reason, *, protected: bool) -> gates.Situation:
    """One in which nothing is against anything."""
    sample = witnesses.Sample(taken_at=NOW, states=frozenset({ConnectionState.CLOSE}))
    return gates.Situation(
        now=NOW,
        opinion=Opinion(Verdict(HealthState.STUCK, reason), since=_LONG_AGO, observations=2),
        record=records.Record(paired=protected, sample=sample, observations=3),
        history=RecoveryStatus(incident="20261123-0000", started_at=_LONG_AGO, last_resort_since=_LONG_AGO),
        policy=RecoveryPolicy(),
        spans=Spans(),
        warm=True,
        acted_on=True,
        paused=False,
        pairing_wanted=True,
        vouched=True,
    )


# What a due step must not be


def _against(one: gates.Situation, planned: planner.Plan) -> Sequence[str]:
    requested = one.restart_requested and planned.step is Step.RESTART
    rules = {
        "nothing is known": one.opinion.verdict.state is HealthState.UNKNOWN,
        "it warms up": not one.warm,
        "it is only observed": not one.acted_on or not one.server_valid,
        "it is paused": one.paused,
        "recovery is off": one.policy.mode is RecoveryMode.DISABLED and not requested,
        "it only plans": one.policy.mode is RecoveryMode.DRY_RUN,
        "the server restarts": one.guard.restarting,
        "another is under way": one.guard.in_flight >= one.guard.budget.max_in_flight,
        "the budget is spent": one.guard.ledger is _SPENT and not requested,
        "it was seen once": min(one.opinion.observations, one.record.observations) < 2 and not requested,
        "it is outside of maintenance": _is_outside(one, planned),
        "others get no code either": _shares_its_lack(one) and one.history.started_at == _JUST_NOW and not requested,
        "its close may be a gap": planned.step is Step.RECONNECT and one.record.sample is None,
    }
    if planned.step_class is StepClass.SESSION_LOSS:
        rules |= _against_a_loss(one)
    return [text for text, holds in rules.items() if holds]


def _shares_its_lack(one: gates.Situation) -> bool:
    return one.reason is Reason.NO_QR_CODE and one.others_without_code and not one.vouched


def _is_outside(one: gates.Situation, planned: planner.Plan) -> bool:
    """The windows of the grid begin at 10:00, which is now, or at 3:00."""
    if planned.step is None or one.asked_for(planned.step):
        return False
    opens_now = {window.kind: window.schedule.startswith("0 10") for window in one.guard.budget.maintenance}
    disturbs = planned.step_class is not StepClass.SOFT
    return opens_now.get(MaintenanceKind.DENY, False) or (disturbs and not opens_now.get(MaintenanceKind.ALLOW, True))


def _against_a_loss(one: gates.Situation) -> dict[str, bool]:
    young = _JUST_NOW in (one.history.started_at, one.guard.ledger.storm_ended_at)
    return {
        "it may never be lost": one.policy.session_loss is SessionLoss.NEVER,
        "nobody approved it": one.policy.session_loss is SessionLoss.REQUIRE_APPROVAL and not one.approved,
        "a storm is on": one.guard.ledger.storm is not None,
        "the incident is young": young and not one.approved,
        "nobody vouches": not one.vouched and not one.approved and young,
        "WhatsApp was away a moment ago": _JUST_NOW == one.reachable_since == one.history.last_resort_since,
        "it is not known to be no storm": not one.guard.surveyed,
        "WhatsApp refuses the account": one.record.new_code in evidence.RESTRICTED_CODES,
    }
