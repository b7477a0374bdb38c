"""Steps: announced, taken, and judged by what is observed afterwards.

A step of any class is written to status before it is taken, under the precondition that the resource is as it was seen;
then the instance is read once more, and only if it is still as assessed, the strategy is carried out. After that
everything seen before counts for nothing. A step in flight that this process did not take is one that a crash
interrupted: its verdict is `Interrupted`, it was counted, and what comes next rests on new evidence.
"""

from __future__ import annotations

from datetime import timedelta

from whatsapp_operator.engine import configuration, existence, requests, tokens
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter, write_ahead
from whatsapp_operator.engine.subject import Deletion
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.recovery import incident, planner, strategies, verification
from whatsapp_operator.resources import names
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepResult

_TOLD = {
    StepResult.SUCCEEDED: Reason.STEP_SUCCEEDED,
    StepResult.FAILED: Reason.STEP_FAILED,
    StepResult.UNVERIFIED: Reason.STEP_FAILED,
    StepResult.INTERRUPTED: Reason.STEP_INTERRUPTED,
}
_CREATING = (Step.CREATE, Step.RECREATE)


class Steps:
    """Takes steps, one at a time for each instance."""

    def __init__(
        self, context: Context, writer: StatusWriter, found: existence.Existence, announcer: Announcer
    ) -> None:
        self._context, self._writer, self._existence, self._announcer = context, writer, found, announcer

    def judge(self, server: Server, draft: Draft) -> None:
        """Pass the verdict on the step in flight, if it can be passed."""
        flying, one = draft.recovery.in_flight, draft.subject
        if flying is None:
            return
        result = StepResult.INTERRUPTED if not one.took else self._verdict(server, draft)
        if result is None:
            return
        one.took = False
        draft.recovery = incident.concluded(draft.recovery, result, now=draft.now)
        reason = flying.reason or Reason.UNKNOWN
        self._announcer.audit_result(server, draft, flying.step, reason=reason, result=str(result))
        self._announcer.announce(draft, _TOLD[result], detail=f"{flying.step}, because of {reason}: {result}.")

    def _verdict(self, server: Server, draft: Draft) -> StepResult | None:
        flying = draft.recovery.in_flight
        if flying is None:
            return None
        since = timedelta(seconds=self._context.clock.monotonic() - draft.subject.stepped_at)
        seen = verification.Aftermath(
            now=draft.now,
            carried_out_at=draft.now - since,
            verdict=draft.verdict,
            record=draft.subject.record,
            observable=server.fresh(draft.now) and server.observed.unknown is None,
            replaced_id=draft.subject.replaced_id,
        )
        timeout = timedelta(seconds=draft.policy.recovery.step_timeout_seconds)
        return verification.judge(flying, seen, timeout=timeout)

    async def take(self, server: Server, draft: Draft, planned: planner.Plan) -> None:
        """Announce a step that is due, look once more, and carry it out.

        Raises:
            ports.KubernetesError: it could not be announced, so it was not taken.
        """
        step = planned.step
        if step is None or not await self._is_still_so(server, draft):
            return
        try:
            work = await self._existence.work(server, draft, creates=step in _CREATING, spare_open=True)
        except tokens.TokenMissing:
            draft.synced = Reason.SECRET_NOT_OURS
            return
        except configuration.HeadersMissing:
            draft.synced = Reason.HEADERS_NOT_FOUND
            return
        await self._announce(server, draft, step, asked=requests.asked(draft, names.Request.RESTART))
        done = await strategies.STRATEGIES[step](work)
        self._settle(server, draft, step, done)

    async def _announce(self, server: Server, draft: Draft, step: Step, *, asked: bool) -> None:
        reason = Reason.REQUESTED if asked and step is Step.RESTART else draft.verdict.reason
        if reason is not Reason.REQUESTED:
            new = incident.new_id(now=draft.now, bits=self._context.random.getrandbits(16))
            draft.recovery = incident.opened(draft.recovery, incident=new, now=draft.now)
        draft.recovery = incident.announced(draft.recovery, step, reason=reason, now=draft.now)
        draft.plan = planner.NOTHING
        if step is Step.RESTART:
            requests.handled(draft, names.Request.RESTART)
        await write_ahead(self._writer, draft)
        draft.subject.took, draft.subject.replaced_id = True, draft.instance_id
        self._announcer.audit_intent(server, draft, step, reason=reason)
        self._announcer.announce(draft, Reason.STEP_STARTED, detail=f"{step}, because of {reason}.")

    async def _is_still_so(self, server: Server, draft: Draft) -> bool:
        """Between the assessment and now the instance may have healed, or gone."""
        if server.client is None:
            return False
        reading, record = await server.client.read_memory(draft.instance.remote_name), draft.subject.record
        match reading:
            case evidence.InMemory(state=state):
                return record.memory is not None and record.memory.state is state
            case evidence.NotInMemory():
                return record.memory is not None and record.memory.state is None
            case evidence.Absent():
                return record.absence is not None
            case _:
                return False

    def _settle(self, server: Server, draft: Draft, step: Step, done: strategies.Done) -> None:
        one = draft.subject
        one.record, one.stepped_at = records.after_step(one.record), self._context.clock.monotonic()
        one.codes.retire()
        if step in _CREATING:
            one.create_asked_at = self._context.clock.now()
            one.create_unanswered = done is strategies.Done.UNCERTAIN
        if step in _CREATING and done is strategies.Done.DONE:
            existence.born(draft, None)
        if step is Step.RECREATE:
            # Its webhook is off, whether or not the rest was done.
            draft.configured_generation = None
        if done is strategies.Done.PENDING:
            next_at = self._context.clock.monotonic() + self._context.spans.delete_retry
            one.deletion = Deletion(since=draft.now, sent=1, next_at=next_at, instance_id=draft.instance_id)
        self._context.hurry(server)
