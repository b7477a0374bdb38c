"""What the engine tells of itself, brought to where it is read: metrics, the audit trail, the log."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from whatsapp_operator.engine import ports, reporting
from whatsapp_operator.evolution import client
from whatsapp_operator.resources import steps
from whatsapp_operator.telemetry import audit, metrics

_log = structlog.get_logger(__name__)


class Telling:
    """The engine's telemetry port."""

    def __init__(self, told: metrics.Metrics, trail: audit.AuditTrail) -> None:
        self._metrics, self._trail = told, trail
        self._failing_plugins: set[tuple[str, type[BaseException]]] = set()

    def check_took(self, witness: str, seconds: float, /) -> None:
        """One bulk read of `memory` or `database`."""
        self._metrics.check_took(witness, seconds)

    def audit(self, entry: reporting.Audit, /) -> None:
        """One audit record, and the counters that follow from it."""
        self._trail.record(_record(entry))
        match entry.phase:
            case reporting.Phase.RESULT:
                self._count_result(entry)
            case reporting.Phase.REFUSED:
                for reason in entry.blocked_by:
                    self._metrics.step_refused(step=entry.step, reason=reason)
            case reporting.Phase.ORPHANED:
                self._metrics.orphaned()

    def _count_result(self, entry: reporting.Audit) -> None:
        result = entry.result or "Unknown"
        if entry.step == steps.Step.DELETE:
            self._metrics.cleanup_ended(result=result)
        else:
            self._metrics.step_ended(step=entry.step, step_class=entry.step_class, result=result)

    def status_written(self, kind: str, result: str, /) -> None:
        """One write of a status: `written`, `conflict` or `failed`."""
        self._metrics.status_written(kind=kind, result=result)

    def reconciled(self, kind: str, seconds: float, /) -> None:
        """One look at a resource."""
        self._metrics.reconciled(kind=kind, seconds=seconds)

    def sweep(self, drift: int, /) -> None:
        """One LIST sweep, and how many resources it found that the watch had missed."""
        self._metrics.swept(drift=drift)
        if drift:
            _log.warning("a listing found what the watch had missed", resources=drift)

    def instances(self, server: ports.Key, states: Mapping[str, int], reasons: Mapping[str, int], /) -> None:
        """How many instances of a server are in which health state, and why those are that are not healthy."""
        self._metrics.instances_counted(_label(server), states=states, reasons=reasons)

    def guarded(self, server: ports.Key, guarded: reporting.Guarded | None, /) -> None:
        """What holds steps back on a server; None when it is gone."""
        if guarded is None:
            self._metrics.unguarded(_label(server))
            return
        self._metrics.guarded(_label(server), storm=guarded.storm, waiting=guarded.waiting, budget=guarded.budget)

    def circuit(self, server: ports.Key, /, *, is_open: bool | None) -> None:
        """Whether a server's circuit breaker is open; None when the server is gone."""
        if is_open is None:
            self._metrics.circuit_gone(_label(server))
        else:
            self._metrics.circuit_seen(_label(server), is_open=is_open)

    def claims(self, held: int, /, *, live: bool) -> None:
        """How many servers this replica works on, and whether its member Lease was renewed in time."""
        self._metrics.claims_counted(held, live=live)

    def claim_lost(self, why: str, /) -> None:
        """A claim ended without having been given up."""
        self._metrics.claim_lost(why=why)
        _log.warning("a server is not this replica's any more", why=why)

    def problem(self, message: str, /, **fields: str | float) -> None:
        """Something went wrong that is not a resource's fault; a constant message, with fields."""
        self._metrics.problem_met()
        _log.error(message, **fields)

    def plugin_failed(self, part: str, word: str, origin: str, error: BaseException, /) -> None:
        """A rule or strategy of a plugin failed; told once for each kind of failure: rules are asked all the time."""
        self._metrics.plugin_failed(part=part, word=word)
        if (origin, type(error)) not in self._failing_plugins:
            self._failing_plugins.add((origin, type(error)))
            _log.error(
                "a plugin failed and is passed over: correct it, or uninstall it",
                plugin=origin,
                part=part,
                word=word,
                exc_info=error,
            )

    def crashed(self, message: str, error: Exception, /, **fields: str | float) -> None:
        """A bug, with its traceback."""
        self._metrics.problem_met()
        _log.error(message, exc_info=error, **fields)

    def evolution_call(self, call: client.Call, /) -> None:
        """One call to an Evolution API server."""
        self._metrics.evolution_call(method=call.method, route=call.route, outcome=call.outcome, seconds=call.seconds)


def _label(server: ports.Key) -> str:
    return f"{server.namespace}/{server.name}"


def _record(entry: reporting.Audit) -> audit.StepRecord:
    return audit.StepRecord(
        phase=entry.phase.value,
        namespace=entry.key.namespace,
        name=entry.key.name,
        uid=entry.uid,
        instance=entry.instance,
        server=_label(entry.server),
        step=entry.step,
        step_class=entry.step_class,
        reason=entry.reason,
        evidence=entry.evidence,
        incident=entry.incident,
        result=entry.result,
        blocked_by=entry.blocked_by,
    )
