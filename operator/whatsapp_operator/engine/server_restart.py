"""RestartServer: the restart of a server's own workload, once for all instances that wait for it.

It is the only step that heals ghosts and zombies without losing a pairing, and it interrupts every instance of the
server for seconds. So it is done for enough of them, or after a while; one at a time; within its budget; only where the
old pod is gone before the new one starts; and not while an instance is there that would lose its pairing by it.

It is announced like any step: entered in the ledger, and written to the server's status, before the workload is
changed. The annotation that restarts the workload is the moment of that announcement, so that an operator that starts
in the middle of it knows whether the workload was changed.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from whatsapp_operator.engine import ports, reporting, treasury
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Observed, Server
from whatsapp_operator.engine.server_presentation import present_server
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.warmup import WarmUp
from whatsapp_operator.health import record as records
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery.guard import Hold
from whatsapp_operator.resources.pause import PauseInForce, in_force
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.references import WorkloadReference
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight, StepRecord, StepResult

_POLL_SECONDS = 1.0
_REMEMBERED = 10


def refusals(context: Context, one: Server, *, now: datetime) -> tuple[Hold, ...]:
    """Everything that keeps a server from being restarted now."""
    guard = treasury.guard(context, one, key=None, now=now)
    asked = (
        Hold(Reason.PAUSED) if pause_of(context, one, now=now) is not None else None,
        None if one.fresh(now) and one.warm else Hold(Reason.WARMING_UP),
        None if one.acted_on else Hold(Reason.UNSUPPORTED_VERSION),
        None if one.surveyed else Hold(Reason.AWAITING_OBSERVATION),
        guards.storm_holds(guard, StepClass.SERVER_RESTART, now=now),
        guards.maintenance_holds(guard, StepClass.SERVER_RESTART, now=now),
        guards.budget_holds(guard, StepClass.SERVER_RESTART, now=now),
        Hold(Reason.TOO_MANY_IN_FLIGHT) if guard.in_flight else None,
    )
    return (*(hold for hold in asked if hold is not None), *guard.restart_holds)


def pause_of(context: Context, one: Server, *, now: datetime) -> PauseInForce | None:
    """The pause of everything, or of the server, that is in force."""
    return in_force(everything=context.pause, server=one.paused, now=now)


class ServerRestarts:
    """Restarts servers, and judges what became of it."""

    def __init__(self, context: Context, writer: StatusWriter, announcer: Announcer) -> None:
        self._context, self._writer, self._announcer = context, writer, announcer
        self._workload_due: dict[ports.Key, float] = {}

    async def look(self, one: Server) -> float | None:
        """One look at a server's workload; the seconds to the next one, None without a workload.

        Raises:
            ports.KubernetesError: the Kubernetes API did not do its part.
        """
        reference = _named(one)
        if one.flying is not None:
            return await self._proceed(one, one.flying, reference)
        if reference is None:
            one.workload = one.workload_problem = None
            return None
        await self._inspect_sometimes(one, reference)
        if one.wishes and not refusals(self._context, one, now=self._context.clock.now()):
            await self._begin(one, reference)
            return _POLL_SECONDS
        return None

    async def _inspect_sometimes(self, one: Server, reference: WorkloadReference) -> None:
        now = self._context.clock.monotonic()
        if now >= self._workload_due.get(one.key, 0.0):
            self._workload_due[one.key] = now + self._context.limits.key_refresh
            await self._inspect(one, reference)

    async def _inspect(self, one: Server, reference: WorkloadReference) -> None:
        """Whether the workload may be restarted at all."""
        key = ports.Key(one.key.namespace, reference.name)
        try:
            found = await self._context.kubernetes.read_workload(str(reference.kind), key)
        except ports.NotFound:
            one.workload, one.workload_problem = None, Reason.WORKLOAD_NOT_FOUND
        except ports.Forbidden:
            one.workload, one.workload_problem = None, Reason.WORKLOAD_FORBIDDEN
        else:
            self._note_rollout(one, reference, found)
            one.workload, one.workload_problem = found, _why_not(found)

    def _note_rollout(self, one: Server, reference: WorkloadReference, found: ports.Workload) -> None:
        """Whoever told it to replace its pods since the last look: once they are, another process serves."""
        if one.workload is not None and one.inspected is not None and one.inspected[0] == reference:
            told = found.restarted_at != one.workload.restarted_at
            one.replaced_since = one.inspected[1] if told else one.replaced_since
        one.inspected = reference, self._context.clock.now()

    async def _begin(self, one: Server, reference: WorkloadReference) -> None:
        """Look once more at the workload, announce the restart, and carry it out."""
        await self._inspect(one, reference)
        if one.workload is None or not one.wishes or refusals(self._context, one, now=self._context.clock.now()):
            return
        workload, reason = one.workload, _main_reason(one)
        flying, spent_at = await self._announce(one, reason)
        self._announcer.audit_server(one, reporting.Phase.INTENT, reason=reason, at=_identity(flying))
        text = f"The server's workload is restarted for {len(one.wishes)} instances that nothing gentler heals."
        self._announcer.announce_server(one, Reason.SERVER_RESTARTING, text=text)
        if not await self._change(one, reference, _identity(flying), workload):
            # Nothing was restarted, so nothing is spent, and what was seen of the instances still holds.
            treasury.give_back(one, StepClass.SERVER_RESTART, key=None, at=spent_at)
            self._workload_due.pop(one.key, None)
            self._conclude(one, flying, StepResult.INTERRUPTED)
            await treasury.save(self._context, one)

    async def _announce(self, one: Server, reason: Reason) -> tuple[StepInFlight, datetime]:
        """Enter it in the ledger, and write it to status: only then it may be carried out.

        Returns it as it is announced, and the moment under which it stands in the ledger.
        """
        now = self._context.clock.now()
        flying = StepInFlight(step=Step.RESTART_SERVER, step_class=StepClass.SERVER_RESTART, reason=reason, since=now)
        # In flight before anything is waited for: a worker that takes a step meanwhile must find the server restarting.
        one.flying, one.rolled_out = flying, False
        try:
            at = await treasury.spend(self._context, one, StepClass.SERVER_RESTART, key=None)
        except BaseException:
            one.flying = None
            raise
        try:
            await self._write_ahead(one)
        except BaseException:
            one.flying = None
            treasury.give_back(one, StepClass.SERVER_RESTART, key=None, at=at)
            raise
        return flying, at

    async def _write_ahead(self, one: Server) -> None:
        now = self._context.clock.now()
        guard = treasury.guard(self._context, one, key=None, now=now)
        shown = present_server(one, guard=guard, refusals=(), pause=None, now=now)
        await self._writer.write_server(one, shown, at_once=True)

    async def _change(self, one: Server, reference: WorkloadReference, at: str, workload: ports.Workload) -> bool:
        """Change the workload; False when it must not be any more, or somebody changed it or took the right away."""
        key = ports.Key(one.key.namespace, reference.name)
        if self._is_out_of_the_question(one, reference):
            return False
        try:
            self._context.require_claim(one)
            await self._context.kubernetes.restart_workload(
                str(reference.kind), key, at=at, resource_version=workload.resource_version
            )
        except (ports.Conflict, ports.Forbidden, ports.NotFound, ports.Rejected):
            return False
        forget(one)
        return True

    def _is_out_of_the_question(self, one: Server, reference: WorkloadReference) -> bool:
        """Since it was planned there came a pause, an instance that would lose its pairing, or another workload."""
        now = self._context.clock.now()
        return pause_of(self._context, one, now=now) is not None or one.without_session > 0 or _named(one) != reference

    async def _proceed(self, one: Server, flying: StepInFlight, reference: WorkloadReference | None) -> float | None:
        now = self._context.clock.now()
        if now - flying.since > timedelta(seconds=self._context.limits.server_restart):
            self._conclude(one, flying, StepResult.FAILED)
            return _POLL_SECONDS
        if not one.rolled_out and not await self._is_rolled_out(one, flying, reference):
            return _POLL_SECONDS
        if one.fresh(now) and one.warm:
            self._conclude(one, flying, StepResult.SUCCEEDED)
        return _POLL_SECONDS

    async def _is_rolled_out(self, one: Server, flying: StepInFlight, reference: WorkloadReference | None) -> bool:
        """Whether the workload was replaced; if it never was told to, the step is over."""
        if reference is None:
            self._conclude(one, flying, StepResult.INTERRUPTED)
            return False
        await self._inspect(one, reference)
        if one.workload is None:
            return False
        if one.workload.restarted_at != _identity(flying):
            self._conclude(one, flying, StepResult.INTERRUPTED)
            return False
        one.rolled_out = one.workload.rolled_out
        if one.rolled_out:
            # What was read so far may have been read from the old pod.
            forget(one)
            self._context.hurry(one)
        return one.rolled_out

    def _conclude(self, one: Server, flying: StepInFlight, result: StepResult) -> None:
        reason = flying.reason or Reason.UNKNOWN
        record = StepRecord(
            step=flying.step,
            reason=reason,
            incident=_identity(flying),
            start_time=flying.since,
            end_time=self._context.clock.now(),
            result=result,
        )
        one.flying, one.rolled_out = None, False
        one.history = (*one.history, record)[-_REMEMBERED:]
        one.wishes.clear()
        self._announcer.audit_server(
            one, reporting.Phase.RESULT, reason=reason, result=str(result), at=_identity(flying)
        )
        text = f"The restart of the workload: {result}."
        told = Reason.SERVER_RESTARTED if result is StepResult.SUCCEEDED else Reason.STEP_FAILED
        self._announcer.announce_server(one, told, text=text)
        self._context.look_at_all(one)
        self._context.look_at_server(one)


def forget(one: Server) -> None:
    """What was seen before a restart, or of another server, is no evidence of what is there now."""
    before = one.observed
    one.observed, one.warm_up = Observed(version=before.version, client_name=before.client_name), WarmUp()
    for subject in one.subjects.values():
        subject.record, subject.steady = records.after_step(subject.record), False


def _named(one: Server) -> WorkloadReference | None:
    """The workload that the spec names now, where it is understood."""
    return one.resource.spec.workload_ref if one.resource is not None and one.problem is None else None


def _why_not(workload: ports.Workload) -> Reason | None:
    """Two servers on one database throw each other's sessions out (evolution-api.md, section 0, 7).

    A rollout that somebody else has begun is a restart already; what it heals need not be healed again.
    """
    safe = workload.replicas == 1 and workload.one_at_a_time and not workload.paused
    if not safe:
        return Reason.UNSAFE_ROLLOUT
    return None if workload.rolled_out else Reason.SERVER_RESTARTING


def _main_reason(one: Server) -> Reason:
    """Why most of those that wait do so."""
    counted = Counter(wish.reason for wish in one.wishes.values())
    return max(sorted(counted), key=lambda reason: counted[reason])


def _identity(flying: StepInFlight) -> str:
    return f"{flying.since:%Y-%m-%dT%H:%M:%SZ}"
