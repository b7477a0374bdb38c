"""The one function in which an assessment becomes a step.

`plan` looks up the ladder of the assessed reason, takes the first rung that is not used up, and asks every gate whether
the step may be taken now. It answers with the step, its time, and *all* reasons against it. It is pure: no I/O, no
clock, no chance; the same situation always gives the same plan, so that `DryRun` plans exactly what `Enabled` takes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import seconds
from whatsapp_operator.health.opinion import OBSERVATIONS, Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import ladder
from whatsapp_operator.resources.overrides import RecoveryMode
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass

_HOUR = timedelta(hours=1)
_SOCKETS_SETTLE = timedelta(seconds=5)
_JITTER = 0.2

Ladders = Mapping[Reason, tuple[ladder.Rung, ...]]


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a gate may look at."""

    now: datetime
    opinion: Opinion
    record: records.Record
    history: RecoveryStatus
    policy: RecoveryPolicy
    spans: Spans
    warm: bool
    acted_on: bool
    """The server's version is one that may be acted on."""
    paused: bool
    pairing_wanted: bool
    restart_requested: bool = False

    @property
    def reason(self) -> Reason:
        """Why the instance is not well."""
        return self.opinion.verdict.reason

    @property
    def last_verdict_at(self) -> datetime | None:
        """When the verdict on the step before was known."""
        return self.history.history[-1].end_time if self.history.history else None


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step, its time, and everything that keeps it from being taken. `step` None: nothing to do."""

    step: Step | None = None
    at: datetime | None = None
    blocked_by: tuple[Reason, ...] = ()

    @property
    def step_class(self) -> StepClass | None:
        """What the step costs."""
        return ladder.CLASSES[self.step] if self.step is not None else None

    def due(self, now: datetime) -> bool:
        """Whether the step is to be taken now."""
        return self.step is not None and not self.blocked_by and (self.at is None or self.at <= now)


NOTHING = Plan()

Gate = Callable[[Situation, Step], Reason | None]


def server_warms_up(situation: Situation, step: Step) -> Reason | None:  # noqa: ARG001 - a gate takes both
    """What is seen in the first minutes of a server, or of this operator, proves nothing."""
    return None if situation.warm else Reason.WARMING_UP


def version_is_only_observed(situation: Situation, step: Step) -> Reason | None:  # noqa: ARG001 - a gate takes both
    """An unknown version may do anything when it is told to restart."""
    return None if situation.acted_on else Reason.UNSUPPORTED_VERSION


def recovery_is_switched_off(situation: Situation, step: Step) -> Reason | None:
    """`Disabled` heals nothing; what a user asked for is still done."""
    if situation.policy.mode is not RecoveryMode.DISABLED or _asked_for(situation, step):
        return None
    return Reason.RECOVERY_DISABLED


def only_plans(situation: Situation, step: Step) -> Reason | None:  # noqa: ARG001 - a gate takes both
    """`DryRun` shows the step and takes none."""
    return Reason.DRY_RUN if situation.policy.mode is RecoveryMode.DRY_RUN else None


def is_paused(situation: Situation, step: Step) -> Reason | None:  # noqa: ARG001 - a gate takes both
    """A person has asked for quiet."""
    return Reason.PAUSED if situation.paused else None


def would_lose_a_pairing_or_data(situation: Situation, step: Step) -> Reason | None:
    """A lost pairing needs a human with a phone, lost data cannot be had back."""
    destructive = ladder.CLASSES[step] is not StepClass.SOFT
    return Reason.PROTECTED_INSTANCE if destructive and situation.record.protected else None


def was_seen_only_once(situation: Situation, step: Step) -> Reason | None:
    """No step on one observation, none on evidence older than the last step."""
    seen_twice = situation.opinion.confirmed and situation.record.observations >= OBSERVATIONS
    return None if seen_twice or _asked_for(situation, step) else Reason.AWAITING_OBSERVATION


def close_is_not_known_to_be_stable(situation: Situation, step: Step) -> Reason | None:
    """Connect in the short close gap of a flapping or restarting instance starts a second socket that never ends."""
    if step is not Step.RECONNECT or _stable_close(situation.record):
        return None
    return Reason.AWAITING_OBSERVATION


GATES: tuple[Gate, ...] = (
    server_warms_up,
    version_is_only_observed,
    recovery_is_switched_off,
    only_plans,
    is_paused,
    would_lose_a_pairing_or_data,
    was_seen_only_once,
    close_is_not_known_to_be_stable,
)


def plan(situation: Situation, *, ladders: Ladders = ladder.LADDERS) -> Plan:
    """The next step for this situation, with all that keeps it from being taken."""
    step = _next_step(situation, ladders)
    if step is None:
        return NOTHING
    blocked_by = tuple(dict.fromkeys(reason for gate in GATES if (reason := gate(situation, step)) is not None))
    return Plan(step=step, at=_not_before(situation, step), blocked_by=blocked_by)


def _next_step(situation: Situation, ladders: Ladders) -> Step | None:
    if situation.opinion.verdict.state is HealthState.UNKNOWN:
        return None
    if situation.restart_requested:
        return Step.RESTART
    if situation.reason in ladder.FOR_PAIRING and not situation.pairing_wanted:
        return None
    rungs = ladders.get(situation.reason, ())
    return next((rung.step for rung in rungs if not _used_up(situation, rung, last=rung is rungs[-1])), None)


def _used_up(situation: Situation, rung: ladder.Rung, *, last: bool) -> bool:
    times = situation.policy.max_attempts if rung.times is None else rung.times
    return not last and _taken(situation.history, rung.step) >= times


def _taken(history: RecoveryStatus, step: Step) -> int:
    match step:
        case Step.RECONNECT:
            return history.reconnects
        case Step.RECREATE:
            return history.recreates
        case _:
            return history.attempts


def _asked_for(situation: Situation, step: Step) -> bool:
    return situation.restart_requested and step is Step.RESTART


def _stable_close(record: records.Record) -> bool:
    return record.sample is not None and record.sample.constant is not None and record.sample.constant.value == "close"


def _not_before(situation: Situation, step: Step) -> datetime | None:
    if _asked_for(situation, step):
        return None
    moments = []
    if situation.last_verdict_at is not None and situation.history.incident is not None:
        moments.append(situation.last_verdict_at + _wait(situation, step))
    restarted_at = _restarted_at(situation.history)
    if step is Step.RECONNECT and restarted_at is not None:
        # The gap of a restart looks closed; a connect in it starts a second socket, and both replace each other.
        moments.append(restarted_at + _SOCKETS_SETTLE)
    return max(moments, default=None)


def _restarted_at(history: RecoveryStatus) -> datetime | None:
    last = history.history[-1] if history.history else None
    return last.start_time if last is not None and last.step is Step.RESTART else None


def _wait(situation: Situation, step: Step) -> timedelta:
    history, spans = situation.history, situation.spans
    if step is Step.RECREATE and history.recreates:
        return seconds(min(spans.recreate_wait * 2 ** (history.recreates - 1), spans.recreate_wait_max))
    taken = history.attempts + history.reconnects + history.recreates
    delay = situation.policy.retry_delay_seconds * 2.0 ** min(max(taken - 1, 0), 32)
    return min(seconds(delay * (1 + _JITTER * _chance(history))), _HOUR)


def _chance(history: RecoveryStatus) -> float:
    """Jitter in [0, 1) that is the same at every look: the incident's id was drawn at random."""
    return zlib.crc32(f"{history.incident}/{history.attempts}/{history.reconnects}".encode()) / 2**32


def exhausted(situation: Situation, planned: Plan) -> bool:
    """Whether all that may be done was done, and what goes on goes on at most hourly."""
    gentle = situation.history.attempts + situation.history.reconnects
    if Reason.PROTECTED_INSTANCE in planned.blocked_by:
        return gentle > 0
    return planned.step is not None and _wait(situation, planned.step) >= _HOUR
