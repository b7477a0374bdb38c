"""The present incident, as it is kept in status: pure changes from one `RecoveryStatus` to the next.

Nothing here is kept elsewhere, so attempts, waits and the step in flight survive a restart of the operator. A step is
counted when it is announced, not when it succeeds: one that a crash interrupted was a step all the same. Of gentle ones
the planner makes up for one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HISTORY_LENGTH, MOST_PLUGIN_STEPS, HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepCount, StepInFlight, StepRecord, StepResult

_NO_INCIDENT = frozenset({Reason.AWAITING_SCAN, Reason.NOT_STARTED, Reason.QR_EXPIRED, Reason.SETTLING})
_WELL = frozenset({Reason.HEALTHY, Reason.AWAITING_SCAN})
_MOMENTS = frozenset({"started_at", "last_resort_since", "deaf_since", "healthy_since"})


def is_bad(verdict: Verdict) -> bool:
    """Whether an assessment opens an incident."""
    if verdict.state in (HealthState.HEALTHY, HealthState.UNKNOWN, HealthState.TERMINATING):
        return False
    return verdict.reason not in _NO_INCIDENT


def is_well(verdict: Verdict) -> bool:
    """Whether an assessment, if it lasts, ends an incident."""
    return verdict.reason in _WELL


def opened(recovery: RecoveryStatus, *, incident: str, now: datetime) -> RecoveryStatus:
    """Open an incident, unless one is open."""
    if recovery.incident is not None:
        return worsened(recovery)
    return reset(recovery).replace(incident=incident, started_at=now)


def announced(
    recovery: RecoveryStatus, step: Step, *, step_class: StepClass, reason: Reason, now: datetime
) -> RecoveryStatus:
    """Count a step and put it in flight; written before the step is taken."""
    in_flight = StepInFlight(step=step, step_class=step_class, reason=reason, since=now)
    if step.foreign:
        recovery = recovery.replace(plugin_steps=_one_more(recovery.plugin_steps or (), step))
    counted = _COUNTERS.get(step)
    counts = {counted: getattr(recovery, counted) + 1} if counted else {}
    return recovery.replace(in_flight=in_flight, planned=None, blocked_by=(), **counts)


def _one_more(counts: tuple[StepCount, ...], step: Step) -> tuple[StepCount, ...]:
    """The count that changes goes last, so that the oldest goes first where there are too many."""
    times = sum(one.times for one in counts if one.step is step) + 1
    others = (one for one in counts if one.step is not step)
    return (*others, StepCount(step=step, times=times))[-MOST_PLUGIN_STEPS:]


def times_taken(recovery: RecoveryStatus, step: Step) -> int:
    """How often a plugin's step was announced in this incident."""
    return sum(one.times for one in recovery.plugin_steps or () if one.step is step)


def steps_taken(recovery: RecoveryStatus) -> int:
    """How many steps were announced in this incident, but for restarts of the server."""
    ours = recovery.attempts + recovery.reconnects + recovery.relogins + recovery.recreates
    return ours + sum(one.times for one in recovery.plugin_steps or ())


_COUNTERS = {
    Step.RESTART: "attempts",
    Step.RECONNECT: "reconnects",
    Step.RELOGIN: "relogins",
    Step.RECREATE: "recreates",
    Step.CREATE: "recreates",  # what was gone is created anew
}


def concluded(recovery: RecoveryStatus, flying: StepInFlight, result: StepResult, *, now: datetime) -> RecoveryStatus:
    """Move the step that is in flight into the history, with its verdict."""
    record = StepRecord(
        step=flying.step,
        reason=flying.reason or Reason.UNKNOWN,
        incident=recovery.incident or "",
        start_time=flying.since,
        end_time=now,
        result=result,
    )
    history = (*recovery.history, record)[-HISTORY_LENGTH:]
    return recovery.replace(in_flight=None, history=history)


def cornered(recovery: RecoveryStatus, *, now: datetime) -> RecoveryStatus:
    """Note that no gentle step is left: from here on the wait for the last resort counts."""
    if recovery.incident is None or recovery.last_resort_since is not None:
        return recovery
    return recovery.replace(last_resort_since=now)


def worsened(recovery: RecoveryStatus) -> RecoveryStatus:
    """Health that does not last counts for nothing, also where what follows it is not known to be bad."""
    return recovery if recovery.healthy_since is None else recovery.replace(healthy_since=None)


def rested(recovery: RecoveryStatus, *, now: datetime, min_healthy: timedelta) -> RecoveryStatus:
    """Note that the instance is well; after lasting health the incident is over and attempts count from zero."""
    if recovery.incident is None:
        return recovery
    since = recovery.healthy_since or now
    if now - since >= min_healthy:
        return reset(recovery)
    return recovery.replace(healthy_since=since, planned=None, blocked_by=())


def reset(recovery: RecoveryStatus) -> RecoveryStatus:
    """Forget the incident.

    A step in flight stays, since its verdict is still to come, and it must stay alone. So does deafness, which health
    does not show.
    """
    return RecoveryStatus(history=recovery.history, in_flight=recovery.in_flight, deaf_since=recovery.deaf_since)


def records(recovery: RecoveryStatus) -> tuple[StepRecord, ...]:
    """The steps of the present incident that are over, the oldest first, as far as the history goes back."""
    return tuple(one for one in recovery.history if one.incident == recovery.incident)


def without_future(recovery: RecoveryStatus, *, now: datetime) -> RecoveryStatus:
    """What a clock that was ahead has written down as of the future was now; else all would wait up to then."""
    history = records_without_future(recovery.history, now=now)
    moments = {name: getattr(recovery, name) for name in _MOMENTS}
    ahead = {name: now for name, moment in moments.items() if moment is not None and moment > now}
    if not ahead and history is recovery.history:
        return recovery
    return recovery.replace(history=history, **ahead)


def records_without_future(history: tuple[StepRecord, ...], *, now: datetime) -> tuple[StepRecord, ...]:
    """Likewise, of steps that are over; the same where none is of the future."""
    if all(max(one.start_time, one.end_time or one.start_time) <= now for one in history):
        return history
    return tuple(
        one.replace(start_time=min(one.start_time, now), end_time=min(one.end_time or now, now)) for one in history
    )


def new_id(*, now: datetime, bits: int) -> str:
    """An incident's id: the day, and 16 random bits."""
    return f"{now:%Y%m%d}-{bits:04x}"
