"""What was noticed and done, told where people look: Events on the resource, and the audit trail."""

from __future__ import annotations

from whatsapp_operator.engine import ports, reporting, sentences
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.recovery import ladder
from whatsapp_operator.resources import instance
from whatsapp_operator.resources import server as servers
from whatsapp_operator.resources.metadata import ObjectMeta
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass

_NORMAL = frozenset(
    {
        Reason.HEALTHY,
        Reason.AWAITING_SCAN,
        Reason.CREATED,
        Reason.ADOPTED,
        Reason.DELETED,
        Reason.RETAINED,
        Reason.RECOVERED,
        Reason.STEP_SUCCEEDED,
        Reason.STEP_STARTED,
        Reason.AVAILABLE,
        Reason.WARMED_UP,
        Reason.NOT_STARTED,
        Reason.QR_EXPIRED,
        Reason.APPROVED,
        Reason.STORM_OVER,
        Reason.SERVER_RESTARTED,
        Reason.SERVER_RESTARTING,
    }
)


class Announcer:
    """Emits Events and audit records; a failing Event never holds anything up."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def announce(self, draft: Draft, reason: Reason, *, detail: str = "") -> None:
        """An Event on an instance."""
        text = sentences.sentence(reason, draft.instance, said=draft.said)
        self._emit(instance.KIND, draft.instance.metadata, reason, f"{detail} {text}".strip())

    def announce_server(self, one: Server, reason: Reason, *, text: str) -> None:
        """An Event on a server."""
        self._emit(servers.KIND, one.metadata, reason, text)

    def _emit(self, kind: str, metadata: ObjectMeta, reason: Reason, text: str) -> None:
        event = ports.Event(
            kind=kind,
            key=ports.Key(metadata.namespace, metadata.name),
            uid=metadata.uid,
            type="Normal" if reason in _NORMAL else "Warning",
            reason=reason,
            message=text,
        )
        self._context.tasks.spawn("emit-event", self._context.kubernetes.emit(event))

    def audit_intent(
        self, one: Server, draft: Draft, step: Step, *, reason: Reason, step_class: StepClass | None = None
    ) -> None:
        """The record that goes before a step."""
        self._audit(reporting.Phase.INTENT, one.key, draft, step, reason=reason, step_class=step_class)

    def audit_result(
        self, one: Server, draft: Draft, step: Step, *, reason: Reason, result: str, step_class: StepClass | None = None
    ) -> None:
        """The record of what became of a step."""
        self._audit(reporting.Phase.RESULT, one.key, draft, step, reason=reason, result=result, step_class=step_class)

    def audit_server(
        self, one: Server, phase: reporting.Phase, *, reason: Reason, result: str | None = None, at: str | None = None
    ) -> None:
        """A record of a restart of the server; `at` is its identity, as the workload's annotation has it."""
        self._context.telemetry.audit(
            reporting.Audit(
                phase=phase,
                key=one.key,
                uid=one.metadata.uid,
                server=one.key,
                instance="",
                step=str(Step.RESTART_SERVER),
                step_class=str(StepClass.SERVER_RESTART),
                reason=str(reason),
                evidence=f"{len(one.wishes)} waiting",
                incident=at,
                result=result,
            )
        )

    def audit_refused(
        self, one: Server, draft: Draft, step: Step, *, step_class: StepClass | None, against: tuple[Reason, ...]
    ) -> None:
        """The record of a step that is called for and not taken."""
        phase, reason = reporting.Phase.REFUSED, draft.verdict.reason
        self._audit(phase, one.key, draft, step, reason=reason, blocked_by=against, step_class=step_class)

    def audit_orphaned(self, server: ports.Key, draft: Draft) -> None:
        """The record of an instance that may be left behind."""
        self._audit(reporting.Phase.ORPHANED, server, draft, Step.DELETE, reason=Reason.ORPHANED)

    def orphaned_unread(self, one: Subject, *, text: str) -> None:
        """The record, and an Event, of an instance that may be left behind since its spec is not understood."""
        server, name = one.seat or (ports.Key("", ""), one.metadata.name)
        self._context.telemetry.audit(
            reporting.Audit(
                phase=reporting.Phase.ORPHANED,
                key=one.key,
                uid=one.metadata.uid,
                server=server,
                instance=name,
                step=str(Step.DELETE),
                step_class=str(ladder.class_of(Step.DELETE, protected=one.record.protected)),
                reason=str(Reason.INVALID_SPEC),
                evidence="",
            )
        )
        self._emit(instance.KIND, one.metadata, Reason.ORPHANED, text)

    def _audit(
        self,
        phase: reporting.Phase,
        server: ports.Key,
        draft: Draft,
        step: Step,
        *,
        reason: Reason,
        result: str | None = None,
        blocked_by: tuple[Reason, ...] = (),
        step_class: StepClass | None = None,
    ) -> None:
        cost = step_class or ladder.class_of(step, protected=draft.subject.record.protected)
        self._context.telemetry.audit(
            reporting.Audit(
                phase=phase,
                key=draft.subject.key,
                uid=draft.instance.metadata.uid,
                server=server,
                instance=draft.instance.remote_name,
                step=str(step),
                step_class=str(cost),
                reason=str(reason),
                evidence=witnesses(draft),
                incident=draft.recovery.incident,
                result=result,
                blocked_by=tuple(str(one) for one in blocked_by),
            )
        )


def witnesses(draft: Draft) -> str:
    """The two witnesses' words, memory first."""
    record = draft.subject.record
    memory = record.memory.state if record.memory else None
    database = record.row.state if record.row else None
    return f"{memory.value if memory else 'none'}/{database.value if database else 'none'}"
