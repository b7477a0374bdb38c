"""The one function in which an assessment becomes a step.

`plan` looks up the ladder of the assessed reason, takes the first rung that is not used up, and asks every gate whether
the step may be taken now. It answers with the step, its time, and *all* reasons against it. It is pure: no I/O, no
clock, no chance; the same situation always gives the same plan, so that `DryRun` plans exactly what `Enabled` takes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from whatsapp_operator.health.assessment import seconds
from whatsapp_operator.recovery import gates, incident, ladder
from whatsapp_operator.recovery.gates import Situation
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepResult

_HOUR = timedelta(hours=1)
_SOCKETS_SETTLE = timedelta(seconds=5)
_JITTER = 0.2
_SERVERS_OWN = frozenset(
    {
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
    }
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step, its time, and everything that keeps it from being taken. `step` None: nothing to do."""

    step: Step | None = None
    step_class: StepClass | None = None
    at: datetime | None = None
    """When it is to be taken, as far as that is known."""
    blocked_by: tuple[Reason, ...] = ()
    not_before: datetime | None = None
    """The end of its own wait, whatever else is against it."""

    def due(self, now: datetime) -> bool:
        """Whether the step is to be taken now."""
        return self.step is not None and not self.blocked_by and (self.at is None or self.at <= now)

    def waits_for_its_server(self, now: datetime) -> bool:
        """Whether all that is against it, a restart of the server, is the server's own to clear."""
        return _SERVERS_OWN.issuperset(self.blocked_by) and (self.not_before is None or self.not_before <= now)

    def lacks_only_a_voucher(self, now: datetime) -> bool:
        """Whether it would be taken, or waited for together with others, if somebody vouched for the instance."""
        against = set(self.blocked_by) - {Reason.FEW_INSTANCES}
        return against == {Reason.NOT_VOUCHED_FOR} and (self.not_before is None or self.not_before <= now)

    @property
    def cornered(self) -> bool:
        """Whether no gentle step is left."""
        return self.step is not None and self.step_class is not StepClass.SOFT


NOTHING = Plan()


def plan(situation: Situation) -> Plan:
    """The next step for this situation, with all that keeps it from being taken."""
    step = next_step(situation)
    if step is None:
        return NOTHING
    holds, not_before = gates.against(situation, step), _not_before(situation, step)
    moments = [not_before, *(hold.until for hold in holds)]
    return Plan(
        step=step,
        step_class=situation.class_of(step),
        at=max((moment for moment in moments if moment is not None), default=None),
        blocked_by=tuple(dict.fromkeys(hold.reason for hold in holds)),
        not_before=not_before,
    )


def next_step(situation: Situation) -> Step | None:
    """The step that is called for, whatever is against it."""
    if situation.opinion.verdict.state is HealthState.UNKNOWN:
        return None
    if situation.restart_requested:
        return Step.RESTART
    own = Step.RESTART if situation.shares_its_lack_of_a_code else _next_of_its_ladder(situation)
    return Step.RESTART_SERVER if situation.deaf and _nothing_is_gentler(situation, own) else own


def _nothing_is_gentler(situation: Situation, own: Step | None) -> bool:
    """What hangs or is gone receives nothing either, and its own step may heal that; deafness can wait meanwhile.

    Where the server is restarted for it, that comes before a step that loses something, and which may not be needed.
    """
    return own is None or (situation.guard.restartable and situation.loses(own))


def _next_of_its_ladder(situation: Situation) -> Step | None:
    if situation.reason in ladder.FOR_PAIRING and not situation.pairing_wanted:
        return None
    if situation.reason in ladder.ONCE and situation.server_restarted:
        return None
    rungs = ladder.rungs(situation.reason, _terrain(situation), offers=situation.offers)
    return next((rung.step for rung in rungs if not _used_up(situation, rung, last=rung is rungs[-1])), None)


def _terrain(situation: Situation) -> ladder.Terrain:
    return ladder.Terrain(
        protected=situation.record.protected,
        restartable=situation.guard.restartable,
        relogin_deafens=situation.guard.relogin_deafens,
        refuses_zombies=situation.guard.refuses_zombies,
    )


def _used_up(situation: Situation, rung: ladder.Rung, *, last: bool) -> bool:
    tries = rung.tries(situation.policy.max_attempts) + _once_more(situation, rung.step)
    return not last and _taken(situation, rung.step) >= tries


def _once_more(situation: Situation, step: Step) -> bool:
    """Of a gentle step that a crash interrupted nobody knows whether it was taken: what costs more would come too soon.

    Only one is made up for, or an operator that a step makes crash would take it again and again.
    """
    if situation.class_of(step) is not StepClass.SOFT:
        return False
    same = incident.records(situation.history)
    return any(one.step is step and one.result is StepResult.INTERRUPTED for one in same)


def _taken(situation: Situation, step: Step) -> int:
    history = situation.history
    match step:
        case Step.RECONNECT:
            return history.reconnects
        case Step.RELOGIN:
            return history.relogins
        case Step.RECREATE:
            return history.recreates
        case Step.RESTART_SERVER:
            return int(situation.server_restarted)
        case _ if step.foreign:
            return incident.times_taken(history, step)
        case _:
            return history.attempts


def _not_before(situation: Situation, step: Step) -> datetime | None:
    if situation.asked_for(step):
        return None
    moments = []
    if situation.last_verdict_at is not None and situation.history.incident is not None:
        moments.append(situation.last_verdict_at + _wait(situation, step))
    restarted_at = _restarted_at(situation.history)
    if step is Step.RECONNECT and restarted_at is not None:
        # The gap of a restart looks closed; a connect in it starts a second socket, and both replace each other.
        moments.append(restarted_at + _SOCKETS_SETTLE)
    if step is Step.RESTART_SERVER and situation.server_restarted and situation.guard.restarted_at is not None:
        moments.append(situation.guard.restarted_at + _HOUR)
    return max(moments, default=None)


def _restarted_at(history: RecoveryStatus) -> datetime | None:
    last = history.history[-1] if history.history else None
    return last.start_time if last is not None and last.step.may_restart else None


def _wait(situation: Situation, step: Step) -> timedelta:
    history, losses = situation.history, _losses(situation, step)
    if losses:
        wait = seconds(situation.spans.recreate_wait * 2.0 ** min(losses - 1, 16))
        return min(wait, _longest_wait(situation, step))
    taken = incident.steps_taken(history)
    delay = situation.policy.retry_delay_seconds * 2.0 ** min(max(taken - 1, 0), 32)
    return min(seconds(delay * (1 + _JITTER * _chance(history))), _longest_wait(situation, step))


def _longest_wait(situation: Situation, step: Step) -> timedelta:
    return seconds(situation.spans.recreate_wait_max) if _losses(situation, step) else _HOUR


def _losses(situation: Situation, step: Step) -> int:
    return _taken(situation, step) if situation.class_of(step) in ladder.DESTRUCTIVE else 0


def _chance(history: RecoveryStatus) -> float:
    """Jitter in [0, 1) that is the same at every look: the incident's id was drawn at random."""
    return zlib.crc32(f"{history.incident}/{history.attempts}/{history.reconnects}".encode()) / 2**32


def exhausted(situation: Situation, planned: Plan) -> bool:
    """Whether all that may be done was done, and what goes on goes on hourly, or as rarely as it ever will."""
    gentle = situation.history.attempts + situation.history.reconnects
    if Reason.PROTECTED_INSTANCE in planned.blocked_by:
        return gentle > 0
    if situation.reason in ladder.ONCE and situation.server_restarted:
        return True
    if planned.step is Step.RESTART_SERVER:
        nobody_restarts_it = Reason.NEEDS_SERVER_RESTART in planned.blocked_by
        return nobody_restarts_it or (situation.server_restarted and not situation.deaf)
    if planned.step is None:
        return False
    return _wait(situation, planned.step) >= min(_longest_wait(situation, planned.step), _HOUR)
