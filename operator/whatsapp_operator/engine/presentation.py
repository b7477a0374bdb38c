"""From what is known to what is shown: the one place where verdicts become conditions.

`present` builds the whole status of an instance from a `View`; it is pure, so the same knowledge always shows the same
status, and a status that did not change is not written.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from whatsapp_operator.engine.sentences import NOT_DELETED_EITHER, paused, refusal, sentence
from whatsapp_operator.evolution.evidence import ENDED_CODES, ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery.planner import Plan
from whatsapp_operator.resources.conditions import Condition, ConditionStatus, ConditionType, merge
from whatsapp_operator.resources.instance import WhatsAppInstance
from whatsapp_operator.resources.metadata import ObjectMeta
from whatsapp_operator.resources.pause import PauseInForce
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import (
    NO_RECOVERY,
    ConnectionStatus,
    HealthState,
    LastHandled,
    PairingStatus,
    RecoveryStatus,
    TurningStatus,
    WhatsAppInstanceStatus,
)
from whatsapp_operator.resources.steps import PlannedStep, Step

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

_CONDITIONS_KEPT = 1024

NOT_OURS = frozenset({Reason.ALREADY_EXISTS, Reason.INTEGRATION_DIFFERS})
"""What was observed is another instance than the one that is declared."""

NEEDS_THE_SPEC = NOT_OURS | {
    Reason.DUPLICATE,
    Reason.SERVER_NOT_ALLOWED,
    Reason.SECRET_NOT_OURS,
    Reason.INVALID_SPEC,
}
"""What only a change of a spec can end."""

_WITHOUT_A_SERVER = frozenset({Reason.SERVER_NOT_FOUND, Reason.SERVER_TERMINATING})

_INCONSISTENT = frozenset(
    {
        Reason.GHOST,
        Reason.ROW_MISSING,
        Reason.SESSION_MISSING,
        Reason.CLOSED_SOCKET,
        Reason.CHANNEL_CLOSED,
        Reason.CREDENTIALS,
        Reason.CREDENTIALS_LOST,
    }
)
_NAMES_THE_CODE = frozenset({Reason.AWAITING_SCAN, Reason.CREDENTIALS_LOST})
"""Their sentences say where the QR code is."""
_TURNS = frozenset({Reason.FLAPPING, Reason.CREDENTIALS})
ONLY_TIMING = frozenset({Reason.RETRY_DELAY, Reason.AWAITING_OBSERVATION})
_UNDER_WAY = frozenset({Reason.AWAITING_SCAN, Reason.SETTLING, Reason.NOT_FOUND, Reason.TERMINATING, Reason.FLAPPING})


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a status is made of."""

    instance: WhatsAppInstance
    verdict: Verdict
    since: datetime
    confirmed: bool
    """No read since speaks against the verdict; a raw state is shown only then."""
    record: records.Record
    plan: Plan
    recovery: RecoveryStatus
    exhausted: bool
    synced: Reason
    """Synced, or why not."""
    pause: PauseInForce | None
    code_offered: bool
    pairing: PairingStatus | None
    window_opened_at: datetime | None
    instance_id: str | None
    adopted: bool | None
    configured_generation: int | None
    keepsake: str | None
    handled: LastHandled | None
    keepsake_digest: str | None = None
    deletion_asked_at: datetime | None = None
    probed: bool = False
    """A probe is taken now and then while the instance is open."""
    said: Mapping[Reason, str] = field(default_factory=dict)
    """What the reasons of plugins mean."""

    @property
    def unknown(self) -> bool:
        """Whether nothing is known."""
        return self.verdict.state is HealthState.UNKNOWN


def present(view: View, *, now: datetime) -> WhatsAppInstanceStatus:
    """The status that says all of this."""
    connection = _connection(view)
    return WhatsAppInstanceStatus(
        observed_generation=view.instance.metadata.generation,
        health_state=view.verdict.state,
        reason=view.verdict.reason,
        connection=connection,
        instance_id=view.instance_id,
        paired=None if view.synced in NOT_OURS else view.record.paired,
        pairing=view.pairing,
        pairing_window_opened_at=view.window_opened_at,
        configured_generation=view.configured_generation,
        adopted=view.adopted,
        keepsake=view.keepsake,
        keepsake_digest=view.keepsake_digest,
        deletion_asked_at=view.deletion_asked_at,
        recovery=_recovery(view),
        last_handled=view.handled,
        conditions=merge(view.instance.status.conditions, _conditions(view, connection), now=now),
    )


def _connection(view: View) -> ConnectionStatus | None:
    record, before = view.record, view.instance.status.connection
    if view.synced in NOT_OURS:
        return None
    if record.memory is None or view.unknown or not view.confirmed:
        return before
    code = record.new_code if record.memory.state is not ConnectionState.OPEN else None
    turning = record.turning if view.verdict.reason in _TURNS else record.turned_still
    return ConnectionStatus(
        state=record.memory.state,
        since=_since(view),
        code=code if code in ENDED_CODES else None,
        disconnection_at=record.baseline,
        turning=TurningStatus(since=turning.since, row_updated_at=turning.row_updated_at) if turning else None,
    )


def _since(view: View) -> datetime | None:
    """A flapping instance changes its state all the time; what has lasted then is the flapping."""
    before, memory = view.instance.status.connection, view.record.memory
    if view.verdict.reason in (Reason.FLAPPING, Reason.REPLACED, Reason.CREDENTIALS):
        return view.since
    if memory is None:
        return before.since if before else None
    return memory.since


def _recovery(view: View) -> RecoveryStatus | None:
    plan = view.plan
    planned = PlannedStep(step=plan.step, at=plan.at) if plan.step is not None else None
    blocked_by = tuple(reason for reason in plan.blocked_by if reason not in ONLY_TIMING)
    recovery = view.recovery
    if (recovery.planned, recovery.blocked_by) != (planned, blocked_by):
        recovery = recovery.replace(planned=planned, blocked_by=blocked_by)
    return None if recovery == NO_RECOVERY else recovery


def _conditions(view: View, connection: ConnectionStatus | None) -> list[Condition]:
    always = [_ready(view), _synced(view), _exists(view), _connected(view, connection), _settled(view)]
    sometimes = [_paused(view), _reconciling(view), _stalled(view)]
    given = [one for one in sometimes if one is not None]
    return [*always, _consistent(view), _functional(view), _remediation(view), *given]


def _condition(view: View, kind: ConditionType, status: ConditionStatus, reason: Reason) -> Condition:
    barred = view.synced is Reason.PAIRING_SECRET_NOT_OURS and reason in _NAMES_THE_CODE
    message = sentence(view.synced if barred else reason, view.instance, said=view.said)
    return _wanted(kind, status, reason, message, view.instance.metadata.generation)


@functools.lru_cache(maxsize=_CONDITIONS_KEPT)
def _wanted(kind: ConditionType, status: ConditionStatus, reason: Reason, message: str, generation: int) -> Condition:
    """Thousands of instances are in the same condition, and looked at again and again: one model stands for all."""
    return Condition(type=kind, status=status, reason=reason, message=message, observed_generation=generation)


def _ready(view: View) -> Condition:
    if view.synced in NEEDS_THE_SPEC or view.synced in _WITHOUT_A_SERVER:
        return _condition(view, ConditionType.READY, _FALSE, view.synced)
    if view.unknown:
        return _condition(view, ConditionType.READY, _UNKNOWN, view.verdict.reason)
    if view.verdict.state is HealthState.HEALTHY:
        ready = view.synced is Reason.SYNCED
        return _condition(view, ConditionType.READY, _TRUE if ready else _FALSE, _first_wrong(view))
    return _condition(view, ConditionType.READY, _FALSE, _first_wrong(view))


def _first_wrong(view: View) -> Reason:
    if view.exhausted:
        return Reason.RECOVERY_EXHAUSTED
    if view.verdict.state is HealthState.HEALTHY and view.synced is not Reason.SYNCED:
        return view.synced
    return view.verdict.reason


def _synced(view: View) -> Condition:
    status = _TRUE if view.synced is Reason.SYNCED else _FALSE
    return _condition(view, ConditionType.SYNCED, status, view.synced)


def _check(view: View, kind: ConditionType, good: Reason, *, wrong: Reason | None) -> Condition:
    if view.unknown:
        return _condition(view, kind, _UNKNOWN, view.verdict.reason)
    return _condition(view, kind, _FALSE, wrong) if wrong is not None else _plain(view, kind, good)


def _plain(view: View, kind: ConditionType, reason: Reason) -> Condition:
    return _condition(view, kind, _TRUE, reason)


def _exists(view: View) -> Condition:
    missing = view.verdict.state is HealthState.NOT_FOUND
    return _check(view, ConditionType.EXISTS, Reason.EXISTS, wrong=Reason.NOT_FOUND if missing else None)


def _connected(view: View, connection: ConnectionStatus | None) -> Condition:
    is_open = connection is not None and connection.state is ConnectionState.OPEN
    wrong = None if is_open else view.verdict.reason
    return _check(view, ConditionType.CONNECTED, Reason.CONNECTED, wrong=wrong)


def _settled(view: View) -> Condition:
    bad = view.verdict.state is HealthState.STUCK or view.verdict.reason in (
        Reason.SETTLING,
        Reason.FLAPPING,
        Reason.REPLACED,
    )
    return _check(view, ConditionType.SETTLED, Reason.SETTLED, wrong=view.verdict.reason if bad else None)


def _consistent(view: View) -> Condition:
    bad = view.verdict.reason in _INCONSISTENT
    return _check(view, ConditionType.CONSISTENT, Reason.CONSISTENT, wrong=view.verdict.reason if bad else None)


def _functional(view: View) -> Condition:
    if view.code_offered:
        return _plain(view, ConditionType.FUNCTIONAL, Reason.FUNCTIONAL)
    if view.verdict.reason is Reason.NO_QR_CODE:
        return _condition(view, ConditionType.FUNCTIONAL, _FALSE, Reason.NO_QR_CODE)
    if view.verdict.reason is Reason.DEAD_SOCKET:
        return _condition(view, ConditionType.FUNCTIONAL, _FALSE, Reason.DEAD_SOCKET)
    if view.record.probe.alive_at is not None and view.verdict.state is HealthState.HEALTHY:
        return _plain(view, ConditionType.FUNCTIONAL, Reason.ANSWERED)
    wanted = view.probed and view.verdict.state is HealthState.HEALTHY
    return _condition(view, ConditionType.FUNCTIONAL, _UNKNOWN, Reason.NOT_OBSERVED if wanted else Reason.NOT_REQUESTED)


def _remediation(view: View) -> Condition:
    against = [reason for reason in view.plan.blocked_by if reason not in ONLY_TIMING]
    if view.synced in NEEDS_THE_SPEC:
        return _condition(view, ConditionType.REMEDIATION_ALLOWED, _FALSE, view.synced)
    if not against:
        return _plain(view, ConditionType.REMEDIATION_ALLOWED, Reason.REMEDIATION_ALLOWED)
    condition = _condition(view, ConditionType.REMEDIATION_ALLOWED, _FALSE, against[0])
    if against[0] is Reason.PAUSED and view.pause is not None:
        return condition.replace(message=paused(view.pause, server=view.instance.server_key))
    return condition.replace(
        message=refusal(
            against[0], view.instance, why_not_well=view.verdict.reason, deaf=_waits_to_hear(view), said=view.said
        )
    )


def _waits_to_hear(view: View) -> bool:
    return view.recovery.deaf_since is not None and view.plan.step is Step.RESTART_SERVER


def _paused(view: View) -> Condition | None:
    if view.pause is None:
        return None
    text = paused(view.pause, server=view.instance.server_key)
    return _plain(view, ConditionType.PAUSED, Reason.PAUSED).replace(message=text)


def _reconciling(view: View) -> Condition | None:
    if view.recovery.in_flight is not None or _goes_on(view.plan):
        return _plain(view, ConditionType.RECONCILING, Reason.RECOVERING)
    if view.verdict.reason in _UNDER_WAY:
        return _plain(view, ConditionType.RECONCILING, view.verdict.reason)
    return None


def _goes_on(plan: Plan) -> bool:
    return plan.step is not None and all(reason in ONLY_TIMING for reason in plan.blocked_by)


def _stalled(view: View) -> Condition | None:
    return _plain(view, ConditionType.STALLED, view.synced) if view.synced in NEEDS_THE_SPEC else None


def present_invalid(
    before: WhatsAppInstanceStatus, metadata: ObjectMeta, problem: str, *, now: datetime
) -> WhatsAppInstanceStatus:
    """The status of a resource whose spec is not understood: everything known stays, and the problem is named."""
    text = f"{problem}. {NOT_DELETED_EITHER}" if metadata.deletion_timestamp is not None else problem

    def condition(kind: ConditionType, status: ConditionStatus) -> Condition:
        return Condition(
            type=kind,
            status=status,
            reason=Reason.INVALID_SPEC,
            message=text,
            observed_generation=metadata.generation,
        )

    wanted = [
        condition(ConditionType.READY, _FALSE),
        condition(ConditionType.SYNCED, _FALSE),
        condition(ConditionType.STALLED, _TRUE),
    ]
    return before.replace(
        observed_generation=metadata.generation,
        health_state=HealthState.UNKNOWN,
        reason=Reason.INVALID_SPEC,
        conditions=merge(before.conditions, wanted, now=now),
    )
