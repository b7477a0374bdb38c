"""From what is known of a server to its conditions. Pure; nothing that a server answered is shown as text."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime

from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence, versions
from whatsapp_operator.resources.conditions import Condition, ConditionStatus, ConditionType, merge
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.server import EvolutionServerStatus, InstanceCounts
from whatsapp_operator.resources.status import HealthState

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


def present_server(one: Server, *, now: datetime) -> EvolutionServerStatus:
    """The status that says all of this."""
    before = one.status
    version, client_name = one.observed.version, one.pinned_client_name or one.observed.client_name
    return EvolutionServerStatus(
        observed_generation=one.metadata.generation,
        version=version if version and _VERSION.fullmatch(version) else before.version,
        client_name=client_name if client_name and _CLIENT_NAME.fullmatch(client_name) else before.client_name,
        instances=_counts(one) if one.fresh(now) or before.instances is not None else None,
        conditions=merge(before.conditions, _conditions(one, now=now), now=now),
    )


def states(one: Server) -> Counter[HealthState]:
    """How many of a server's instances are in which state."""
    return Counter(
        subject.opinion.verdict.state if subject.opinion else HealthState.UNKNOWN for subject in one.subjects.values()
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
        unmanaged=sum(1 for name in rows if name not in one.subjects),
    )


def _conditions(one: Server, *, now: datetime) -> list[Condition]:
    findings = {
        ConditionType.REACHABLE: _reachable(one, now=now),
        ConditionType.AUTHENTICATED: _authenticated(one),
        ConditionType.COMPATIBLE: _compatible(one),
        ConditionType.IDENTITY_CONFIRMED: _identity(one),
        ConditionType.WARMED_UP: _warm(one),
    }
    found = {ConditionType.READY: _ready(findings)} | findings
    if one.problem is not None or one.secret_problem is not None:
        found[ConditionType.STALLED] = (_TRUE, found[ConditionType.READY][1], found[ConditionType.READY][2])
    elif found[ConditionType.READY][0] is not _TRUE:
        found[ConditionType.RECONCILING] = (_TRUE, found[ConditionType.READY][1], found[ConditionType.READY][2])
    generation = one.metadata.generation
    return [
        Condition(type=kind, status=status, reason=reason, message=text, observed_generation=generation)
        for kind, (status, reason, text) in found.items()
    ]


def _ready(findings: dict[ConditionType, _Finding]) -> _Finding:
    for kind in (ConditionType.REACHABLE, ConditionType.AUTHENTICATED, ConditionType.COMPATIBLE):
        if findings[kind][0] is not _TRUE:
            return findings[kind]
    for kind in (ConditionType.IDENTITY_CONFIRMED, ConditionType.WARMED_UP):
        if findings[kind][0] is not _TRUE:
            return findings[kind]
    return _TRUE, Reason.AVAILABLE, "The server is observed, and its instances are looked after."


def _reachable(one: Server, *, now: datetime) -> _Finding:
    if one.problem is not None:
        return _FALSE, Reason.INVALID_SPEC, one.problem
    if one.secret_problem is not None:
        return _UNKNOWN, *one.secret_problem
    seen = one.observed
    if seen.unknown is evidence.Ignorance.KEY_REJECTED or (one.fresh(now) and seen.unknown is None):
        return _TRUE, Reason.REACHABLE, "The server answers."
    if seen.unknown is None:
        reachable = seen.ever_read
        return (_TRUE, Reason.REACHABLE, "The server answers.") if reachable else _NOT_YET
    if seen.unknown is evidence.Ignorance.LICENSE_REQUIRED:
        return _TRUE, Reason.REACHABLE, "The server answers."
    reason = Reason(seen.unknown.value)
    return _FALSE, reason, _WHY_UNREACHABLE.get(seen.unknown, "It could not be read.")


def _authenticated(one: Server) -> _Finding:
    seen = one.observed
    if one.secret_problem is not None:
        return _FALSE, *one.secret_problem
    if seen.unknown is evidence.Ignorance.KEY_REJECTED:
        text = "The server rejects the key. Put its AUTHENTICATION_API_KEY into the Secret of spec.apiKeySecretRef."
        return _FALSE, Reason.KEY_REJECTED, text
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
            "correct DATABASE_CONNECTION_URI; if they were deleted on purpose, delete their WhatsAppInstances."
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
