"""From what is known of a server to its conditions. Pure; nothing that a server answered is shown as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from whatsapp_operator.engine import server_warnings
from whatsapp_operator.engine.sentences import paused
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence, versions
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery import ledger as ledgers
from whatsapp_operator.recovery.guard import Guard, Hold
from whatsapp_operator.resources.budgets import Window
from whatsapp_operator.resources.conditions import Condition, ConditionStatus, ConditionType, merge
from whatsapp_operator.resources.pause import PauseInForce
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.server import (
    ClassUse,
    EvolutionServerStatus,
    InstanceCounts,
    ServerRecoveryStatus,
    StormStatus,
)
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import PlannedStep, Step, StepClass

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,32}")
_CLIENT_NAME = re.compile(r"[0-9A-Za-z_. -]{1,64}")

_Finding = tuple[ConditionStatus, Reason, str]

_NOT_YET: _Finding = (_UNKNOWN, Reason.NOT_OBSERVED, "The server was not read yet.")

_WHY_UNREACHABLE = {
    evidence.Ignorance.TIMEOUT: "It did not answer in time. Check that it runs, and spec.url.",
    evidence.Ignorance.NOT_RESOLVED: "Its name is not known in the cluster's DNS. Check spec.url.",
    evidence.Ignorance.REFUSED: "The connection was refused. Check that it runs, and the port in spec.url.",
    evidence.Ignorance.TLS: "Its certificate is not trusted. Put the right CA into spec.caBundleSecretRef.",
    evidence.Ignorance.BROKEN: "The connection broke. Check what stands between the operator and the server.",
    evidence.Ignorance.RATE_LIMITED: "It answers 429. Lower spec.requests.perSecond.",
    evidence.Ignorance.SERVER_ERROR: "It answers with errors; its database may be down. Look at its log.",
    evidence.Ignorance.NOT_JSON: "It answers, but not as an Evolution API. Check spec.url.",
    evidence.Ignorance.UNEXPECTED_SHAPE: "It answers, but not as an Evolution API that is known. Check spec.url.",
    evidence.Ignorance.NO_SUCH_ROUTE: "It lacks a route of the Evolution API. Check spec.url.",
    evidence.Ignorance.REFUSED_BY_POLICY: "Its address is one that the operator does not call: loopback, link-local or "
    "the API server's own. Correct spec.url, or allow it with --allow-server-address.",
}

_WHY_REFUSED = {
    evidence.Ignorance.KEY_REJECTED: "The server rejects the key. Put its AUTHENTICATION_API_KEY into the Secret of "
    "spec.apiKeySecretRef; the token of an instance is not enough.",
    evidence.Ignorance.METRICS_REFUSED: "The server refuses GET /metrics. Where METRICS_AUTH_REQUIRED is true put its "
    "METRICS_USER and METRICS_PASSWORD into a Secret as username and password, and name that in "
    "spec.metricsAuthSecretRef. Where METRICS_ALLOWED_IPS is set add the operator's addresses, or leave it empty and "
    "protect the server by a NetworkPolicy.",
}

STORM_SENTENCES = {
    Reason.STORM: "So many paired instances are bad at once that the cause is not theirs: WhatsApp, the network or the "
    "server's database may be down. Nothing is done that would lose a pairing, and gentler steps go one at a time, "
    "until fewer are bad. If it lasts: check that the server reaches WhatsApp and its database, then restart it, which "
    "heals what a database fault left. Where each has a cause of its own raise spec.budget.storm: recovery goes on.",
    Reason.STORM_OVER: "Few paired instances are bad now; recovery goes on by what they show from here on.",
}


def present_server(
    one: Server, *, guard: Guard, refusals: Sequence[Hold], pause: PauseInForce | None, now: datetime
) -> EvolutionServerStatus:
    """The status that says all of this; `refusals` is what keeps the server from being restarted."""
    before = one.status
    version, client_name = one.observed.version, _confirmed_client_name(one)
    return EvolutionServerStatus(
        observed_generation=one.metadata.generation,
        version=version if version and _VERSION.fullmatch(version) else before.version,
        client_name=client_name if client_name and _CLIENT_NAME.fullmatch(client_name) else before.client_name,
        instances=_counts(one) if one.fresh(now) or before.instances is not None else None,
        recovery=_recovery(one, guard, refusals, now=now),
        warnings=server_warnings.warnings(one),
        conditions=merge(before.conditions, _conditions(one, guard, pause, now=now), now=now),
    )


def _confirmed_client_name(one: Server) -> str | None:
    """What stands in the status holds for ever, so a name that only the spec says, and no answer, stays out of it.

    Where the spec names none any more, the server is held again to the one that it had before.
    """
    answered = one.observed.client_name
    return answered if one.pinned_client_name in (None, answered) else None


def _recovery(one: Server, guard: Guard, refusals: Sequence[Hold], *, now: datetime) -> ServerRecoveryStatus | None:
    storm, waits = guard.ledger.storm, bool(one.wishes) and one.flying is None
    shown = ServerRecoveryStatus(
        in_flight=one.flying,
        planned=PlannedStep(step=Step.RESTART_SERVER, at=_not_before(refusals)) if waits else None,
        waiting=len(one.wishes),
        blocked_by=tuple(dict.fromkeys(hold.reason for hold in refusals)) if waits else (),
        storm=StormStatus(since=storm.since, calm_since=storm.calm_since) if storm is not None else None,
        budget=tuple(use for use in uses_of(guard, now=now) if use.used),
        history=one.history,
    )
    return None if shown == ServerRecoveryStatus() else shown


def _not_before(refusals: Sequence[Hold]) -> datetime | None:
    return max((hold.until for hold in refusals if hold.until is not None), default=None)


def uses_of(guard: Guard, *, now: datetime) -> Iterator[ClassUse]:
    """By class, the window that has least left."""
    for step_class in StepClass:
        windows = [(window, _used(guard, window, now=now)) for window in guard.budget.windows_of(step_class)]
        tightest, used = min(windows, key=lambda each: each[0].max - each[1])
        yield ClassUse(step_class=step_class, used=used, max=tightest.max)


def _used(guard: Guard, window: Window, *, now: datetime) -> int:
    return ledgers.used(guard.ledger, window, now=now)


def states(one: Server) -> Counter[HealthState]:
    """How many of a server's instances are in which state."""
    return Counter(
        subject.opinion.verdict.state if subject.opinion else HealthState.UNKNOWN for subject in one.subjects.values()
    )


def reasons(one: Server) -> Counter[Reason]:
    """Why those of a server's instances that are not healthy are as they are; of some nothing was concluded yet."""
    opinions = (subject.opinion for subject in one.subjects.values())
    return Counter(
        opinion.verdict.reason if opinion else Reason.NOT_OBSERVED
        for opinion in opinions
        if opinion is None or opinion.verdict.state is not HealthState.HEALTHY
    )


def _counts(one: Server) -> InstanceCounts:
    by_state = states(one)
    rows = one.observed.rows or {}
    return InstanceCounts(
        managed=len(one.subjects),
        healthy=by_state[HealthState.HEALTHY],
        disconnected=by_state[HealthState.DISCONNECTED],
        degraded=by_state[HealthState.DEGRADED],
        stuck=by_state[HealthState.STUCK],
        corrupted=by_state[HealthState.CORRUPTED],
        not_found=by_state[HealthState.NOT_FOUND],
        unknown=by_state[HealthState.UNKNOWN] + by_state[HealthState.TERMINATING],
        unmanaged=len(rows.keys() - one.subjects.keys()),
    )


def _conditions(one: Server, guard: Guard, pause: PauseInForce | None, *, now: datetime) -> list[Condition]:
    findings = {
        ConditionType.REACHABLE: _reachable(one, now=now),
        ConditionType.AUTHENTICATED: _authenticated(one),
        ConditionType.COMPATIBLE: _compatible(one),
        ConditionType.IDENTITY_CONFIRMED: _identity(one),
        ConditionType.WARMED_UP: _warm(one),
    }
    found = {ConditionType.READY: _ready(one, findings)} | findings
    found[ConditionType.REMEDIATION_ALLOWED] = _remediation(one, guard, pause, now=now)
    if pause is not None:
        found[ConditionType.PAUSED] = (_TRUE, Reason.PAUSED, paused(pause, server=(one.key.namespace, one.key.name)))
    if one.problem is not None or one.secret_problem is not None:
        found[ConditionType.STALLED] = (_TRUE, found[ConditionType.READY][1], found[ConditionType.READY][2])
    elif found[ConditionType.READY][0] is not _TRUE:
        found[ConditionType.RECONCILING] = (_TRUE, found[ConditionType.READY][1], found[ConditionType.READY][2])
    generation = one.metadata.generation
    return [
        Condition(type=kind, status=status, reason=reason, message=text, observed_generation=generation)
        for kind, (status, reason, text) in found.items()
    ]


def _ready(one: Server, findings: dict[ConditionType, _Finding]) -> _Finding:
    if one.problem is not None:
        return _FALSE, Reason.INVALID_SPEC, one.problem
    for kind in (ConditionType.REACHABLE, ConditionType.AUTHENTICATED, ConditionType.COMPATIBLE):
        if findings[kind][0] is not _TRUE:
            return findings[kind]
    for kind in (ConditionType.IDENTITY_CONFIRMED, ConditionType.WARMED_UP):
        if findings[kind][0] is not _TRUE:
            return findings[kind]
    return _TRUE, Reason.AVAILABLE, "The server is observed, and its instances are looked after."


def _reachable(one: Server, *, now: datetime) -> _Finding:
    if one.secret_problem is not None:
        return _UNKNOWN, *one.secret_problem
    seen = one.observed
    if one.fresh(now) and seen.unknown is None:
        return _TRUE, Reason.REACHABLE, "The server answers."
    if seen.unknown is None:
        reachable = seen.ever_read
        return (_TRUE, Reason.REACHABLE, "The server answers.") if reachable else _NOT_YET
    if seen.unknown is evidence.Ignorance.LICENSE_REQUIRED or seen.unknown.is_refusal:
        return _TRUE, Reason.REACHABLE, "The server answers."
    reason = Reason(seen.unknown.value)
    return _FALSE, reason, _WHY_UNREACHABLE.get(seen.unknown, "It could not be read.")


def _authenticated(one: Server) -> _Finding:
    seen = one.observed
    if one.secret_problem is not None:
        return _FALSE, *one.secret_problem
    if seen.unknown is not None and seen.unknown in _WHY_REFUSED:
        return _FALSE, Reason(seen.unknown.value), _WHY_REFUSED[seen.unknown]
    return (_TRUE, Reason.AUTHENTICATED, "The server accepts the key.") if seen.rows_at is not None else _NOT_YET


def _compatible(one: Server) -> _Finding:
    if one.observed.unknown is evidence.Ignorance.LICENSE_REQUIRED:
        text = "The server asks for a licence and answers nothing else. Activate it, or run version 2.3.7."
        return _FALSE, Reason.LICENSE_REQUIRED, text
    match one.support:
        case None:
            return _UNKNOWN, Reason.NOT_OBSERVED, "The version is not known yet. PROMETHEUS_METRICS=true shows it."
        case versions.Support.TESTED | versions.Support.ACTED_ON:
            return _TRUE, Reason.COMPATIBLE, "This version of the Evolution API is acted on."
        case _:
            text = "This version is observed only: nothing is created, healed or deleted. Run 2.3.3 to 2.3.7."
            return _FALSE, Reason.UNSUPPORTED_VERSION, text


def _identity(one: Server) -> _Finding:
    if one.identity_confirmed:
        return _TRUE, Reason.IDENTITY_CONFIRMED, "The server has the client name that it is held to."
    if one.observed.vanished:
        text = (
            "More than half of the known instances vanished from the database at once. If it is another database, "
            "correct DATABASE_CONNECTION_URI. If they were deleted on purpose, set spec.deletionPolicy of their "
            "WhatsAppInstances to Retain, and delete those: nothing is deleted on a server that may be another one."
        )
        return _FALSE, Reason.INSTANCES_VANISHED, text
    if one.observed.client_name is None:
        return _NOT_YET
    text = (
        "The server's DATABASE_CONNECTION_CLIENT_NAME is not the one it is held to, so its instances are others. "
        "Correct it on the server, or, if the change is meant, set spec.clientName to the new one."
    )
    return _FALSE, Reason.OTHER_IDENTITY, text


def _warm(one: Server) -> _Finding:
    if one.warm:
        return _TRUE, Reason.WARMED_UP, "All instances that the server will load are loaded."
    return _FALSE, Reason.WARMING_UP, "Nothing is healed until the server has loaded its instances."


def _remediation(one: Server, guard: Guard, pause: PauseInForce | None, *, now: datetime) -> _Finding:
    """Whether recovery steps may be taken on this server at all, and if not, the first reason."""
    if pause is not None:
        return _FALSE, Reason.PAUSED, paused(pause, server=(one.key.namespace, one.key.name))
    against = [
        (one.problem is not None, Reason.INVALID_SPEC, one.problem or ""),
        (not one.acted_on and one.support is not None, Reason.UNSUPPORTED_VERSION, "This version is observed only."),
        (one.flying is not None, Reason.SERVER_RESTARTING, "The server is being restarted; steps wait for it."),
        (not one.warm, Reason.WARMING_UP, "Nothing is healed until the server has loaded its instances."),
        (guard.ledger.storm is not None, Reason.STORM, STORM_SENTENCES[Reason.STORM]),
        *_spent_or_shut(guard, now=now),
    ]
    found = ((_FALSE, reason, text) for holds, reason, text in against if holds)
    fine = (_TRUE, Reason.REMEDIATION_ALLOWED, "Recovery steps may be taken on its instances.")
    return next(found, fine)


def _spent_or_shut(guard: Guard, *, now: datetime) -> Iterator[tuple[bool, Reason, str]]:
    for step_class in StepClass:
        shut = guards.maintenance_holds(guard, step_class, now=now) is not None
        text = f"A maintenance window keeps steps of the class {step_class} from beginning."
        yield shut, Reason.MAINTENANCE_WINDOW, text
        spent = guards.budget_holds(guard, step_class, now=now) is not None
        text = f"The budget for steps of the class {step_class} is spent, see status.recovery.budget."
        yield spent, Reason.BUDGET_EXHAUSTED, text
