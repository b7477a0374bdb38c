"""Steps: announced, taken, and judged by what is observed afterwards.

When a step is due the instance is read once more, and only if it is still as assessed, the step is entered in the
server's ledger, which fails when another operator has taken over, and written to status, under the precondition that
the resource is as it was seen; then the strategy is carried out. After that
everything seen before counts for nothing. A step in flight that this process did not take is one that a crash
interrupted: its verdict is `Interrupted`, it was counted, and what comes next rests on new evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from whatsapp_operator.engine import (
    approvals,
    existence,
    keepsake,
    owned,
    plugged,
    ports,
    requests,
    server_restart,
    treasury,
)
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter, write_ahead
from whatsapp_operator.engine.subject import Deletion
from whatsapp_operator.evolution.evidence import ConnectionState, DatabaseList
from whatsapp_operator.health import record as records
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery import incident, ladder, planner, strategies, verification
from whatsapp_operator.resources import names
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import NO_RECOVERY
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight, StepResult

_TOLD = {
    StepResult.SUCCEEDED: Reason.STEP_SUCCEEDED,
    StepResult.FAILED: Reason.STEP_FAILED,
    StepResult.INTERRUPTED: Reason.STEP_INTERRUPTED,
}
_CREATING = frozenset({Step.CREATE, Step.RECREATE})
_TAKES_CONFIGURATION = frozenset({Step.RELOGIN, Step.RECREATE})


@dataclass(frozen=True, slots=True)
class Effect:
    """How far a step came, and what it does besides."""

    done: strategies.Done
    creates: bool
    """It leaves another incarnation behind."""
    configures: bool
    """It leaves a webhook or settings that are not the spec's."""


def _beforehand(step: Step, step_class: StepClass) -> Effect:
    """What has to be reckoned with before anything is done; of a plugin's step the worst that its class has."""
    costly = step.foreign and step_class in ladder.DESTRUCTIVE
    return Effect(
        done=strategies.Done.UNCERTAIN,
        creates=step in _CREATING or costly,
        configures=step in _TAKES_CONFIGURATION or costly,
    )


class Steps:
    """Takes steps, one at a time for each instance."""

    def __init__(
        self, context: Context, writer: StatusWriter, found: existence.Existence, announcer: Announcer
    ) -> None:
        self._context, self._writer, self._existence, self._announcer = context, writer, found, announcer
        self._listing: set[ports.Key] = set()
        self._plugged = plugged.Strategies(context)

    def judge(self, server: Server, draft: Draft) -> None:
        """Pass the verdict on the step in flight, if it can be passed."""
        flying, one = draft.recovery.in_flight, draft.subject
        if flying is None:
            server.in_flight.discard(one.key)
            return
        server.in_flight.add(one.key)
        result = StepResult.INTERRUPTED if not one.took else self._verdict(server, draft, flying)
        if result is not None:
            self._conclude(server, draft, flying, result)

    def interrupt(self, server: Server, draft: Draft) -> None:
        """End the step in flight of what is not looked after any more: no observation will pass another verdict."""
        if draft.recovery.in_flight is not None:
            self._conclude(server, draft, draft.recovery.in_flight, StepResult.INTERRUPTED)

    def _conclude(self, server: Server, draft: Draft, flying: StepInFlight, result: StepResult) -> None:
        one = draft.subject
        one.took = False
        draft.recovery = incident.concluded(draft.recovery, flying, result, now=draft.now)
        treasury.judged(self._context, server, key=one.key, healed=result is StepResult.SUCCEEDED)
        reason = flying.reason or Reason.UNKNOWN
        self._announcer.audit_result(
            server, draft, flying.step, step_class=flying.step_class, reason=reason, result=str(result)
        )
        self._announcer.announce(draft, _TOLD[result], detail=f"{flying.step}, because of {reason}: {result}.")

    def _verdict(self, server: Server, draft: Draft, flying: StepInFlight) -> StepResult | None:
        since = timedelta(seconds=self._context.clock.monotonic() - draft.subject.stepped_at)
        seen = verification.Aftermath(
            now=draft.now,
            carried_out_at=draft.now - since,
            verdict=draft.verdict,
            record=draft.subject.record,
            observable=server.fresh_for(draft.instance.remote_name, draft.now) and server.observed.unknown is None,
            announced_at=flying.since,
            replaced_id=draft.subject.replaced_id,
        )
        timeout = timedelta(seconds=draft.policy.recovery.step_timeout_seconds)
        return verification.judge(flying, seen, timeout=timeout)

    async def take(self, server: Server, draft: Draft, planned: planner.Plan) -> None:
        """Announce a step that is due, look once more, and carry it out.

        Raises:
            ports.KubernetesError: it could not be entered or announced, so it was not taken.
        """
        step, step_class = planned.step, planned.step_class
        assert step is not None  # noqa: S101 - nothing else is due
        assert step_class is not None  # noqa: S101 - a step has one
        before = _beforehand(step, step_class)
        if not await self._is_at_hand(server, draft, before):
            return
        if step in _TAKES_CONFIGURATION and not await self._row_is_still_so(server, draft):
            return
        if not await self._is_still_so(server, draft):
            return
        work = await self._prepare(server, draft, before)
        if work is None or self._refused_since(server, draft, step_class, asked=self._asked(draft, step)):
            return
        draft.subject.withheld = None
        effect, verified = before, draft.configured_generation
        await self._announce(server, draft, step, step_class)
        try:
            effect = await self._carry_out(server, draft, work, step=step, step_class=step_class)
            draft.configured_generation = verified
        finally:
            # Also after an error: what was seen before it must not count any more.
            self._settle(server, draft, planned, effect)

    async def _carry_out(
        self, server: Server, draft: Draft, work: strategies.Work, *, step: Step, step_class: StepClass
    ) -> Effect:
        ours = strategies.STRATEGIES.get(step)
        if ours is not None:
            return replace(_beforehand(step, step_class), done=await ours(work))
        one = self._context.plugged.by_step[step]
        made = await self._plugged.run(one, server, draft, work, step_class=step_class)
        return Effect(done=made.anew, creates=made.recreated, configures=made.configured)

    async def _prepare(self, server: Server, draft: Draft, wanted: Effect) -> strategies.Work | None:
        """All that the step needs, had before it is announced; None when something is missing, which is shown."""
        try:
            if wanted.configures:
                await keepsake.keep(self._context, server, draft)
            return await self._existence.work(
                server, draft, creates=wanted.creates, spare_open=not _is_open(draft.subject.record)
            )
        except owned.Withheld as withheld:
            self._hold(server, draft, withheld.why)
        except keepsake.Unreadable:
            # What it would take is not known; the next look tries again.
            self._context.hurry(server)
        return None

    async def _is_at_hand(self, server: Server, draft: Draft, wanted: Effect) -> bool:
        """Whether the Secrets have what the step needs, and room for what it takes: known without the server."""
        try:
            if wanted.configures:
                await keepsake.require_room(self._context, draft)
            if wanted.creates:
                await self._existence.wanted(draft)
        except owned.Withheld as withheld:
            self._hold(server, draft, withheld.why)
            return False
        return True

    def _hold(self, server: Server, draft: Draft, why: Reason) -> None:
        """The step waits for a person, and not for a time; the next observation brings the next look."""
        one, plan = draft.subject, draft.plan
        draft.synced, draft.plan = why, replace(plan, at=None, blocked_by=(*plan.blocked_by, why))
        assert plan.step is not None  # noqa: S101 - nothing else is held
        if one.withheld is not why:
            one.withheld = why
            self._announcer.audit_refused(server, draft, plan.step, step_class=plan.step_class, against=(why,))
            self._announcer.announce(draft, why, detail=f"{plan.step} is not taken.")

    def _refused_since(self, server: Server, draft: Draft, step_class: StepClass, *, asked: bool) -> bool:
        """Whether something came up since it was planned: others were taken, or a list that has another incarnation."""
        now = self._context.clock.now()
        if not server.stands_for(draft.instance.remote_name, draft.instance_id):
            return True
        guard = treasury.guard(self._context, server, key=draft.subject.key, now=now)
        if server_restart.pause_of(self._context, server, now=now) is not None or not server.fresh(now):
            return True
        if guard.restarting or not server.warm or guards.others_are_under_way(guard, step_class) is not None:
            return True
        if asked:
            return False
        refusals = (guards.budget_holds, guards.storm_holds, guards.maintenance_holds)
        return any(refuses(guard, step_class, now=now) is not None for refuses in refusals)

    @staticmethod
    def _asked(draft: Draft, step: Step) -> bool:
        return step is Step.RESTART and requests.asked(draft, names.Request.RESTART)

    async def _announce(self, server: Server, draft: Draft, step: Step, step_class: StepClass) -> None:
        """Enter it in the ledger and in flight, and write it to status: only then it may be taken."""
        one = draft.subject
        reason = Reason.REQUESTED if self._asked(draft, step) else draft.verdict.reason
        at = await treasury.spend(self._context, server, step_class, key=one.key)
        try:
            await self._write_ahead(server, draft, step, step_class, reason=reason)
        except BaseException:
            treasury.give_back(server, step_class, key=one.key, at=at)
            raise
        one.took, one.replaced_id = True, draft.instance_id
        self._announcer.audit_intent(server, draft, step, step_class=step_class, reason=reason)
        self._announcer.announce(draft, Reason.STEP_STARTED, detail=f"{step}, because of {reason}.")

    async def _write_ahead(
        self, server: Server, draft: Draft, step: Step, step_class: StepClass, *, reason: Reason
    ) -> None:
        if reason is Reason.REQUESTED:
            requests.handled(draft, names.Request.RESTART)
        else:
            new = incident.new_id(now=draft.now, bits=self._context.random.getrandbits(16))
            draft.recovery = incident.opened(draft.recovery, incident=new, now=draft.now)
        if step_class is StepClass.SESSION_LOSS:
            approvals.used(draft)
        draft.recovery = incident.announced(draft.recovery, step, step_class=step_class, reason=reason, now=draft.now)
        if step is Step.RELOGIN and treasury.traits_of(server).relogin_deafens:
            # Before it is taken, since a crash must not forget it.
            draft.recovery = draft.recovery.replace(deaf_since=draft.now)
        if _beforehand(step, step_class).configures or step.foreign:
            # Likewise, also where only a plugin knows what it will do: it is verified anew once the step is over, by
            # whatever process there is then.
            draft.configured_generation = None
        draft.plan = planner.NOTHING
        await write_ahead(self._writer, draft)

    async def write_down(self, draft: Draft) -> None:
        """Write the incident to status unless it stands there: what is done next rests on it.

        Raises:
            ports.KubernetesError: it was not written.
        """
        stored = draft.instance.status.recovery or NO_RECOVERY
        if (stored.incident, stored.deaf_since) != (draft.recovery.incident, draft.recovery.deaf_since):
            await write_ahead(self._writer, draft)

    async def _row_is_still_so(self, server: Server, draft: Draft) -> bool:
        """What takes a session away looks at the row as well: the last list may be a minute old.

        Since then WhatsApp may have ended the pairing, or somebody else created an instance of this name.
        """
        if server.key in self._listing:
            return False  # one worker waits for a server's list, which may take a minute; the others have work to do
        before = draft.subject.record.row  # of the assessment: the list is folded as soon as it is there
        self._listing.add(server.key)
        try:
            listed = await self._context.list_rows(server)
        finally:
            self._listing.discard(server.key)
        if not isinstance(listed, DatabaseList):
            return False
        return records.same_facts(before, listed.rows.get(draft.instance.remote_name))

    async def _is_still_so(self, server: Server, draft: Draft) -> bool:
        """Between the assessment and now the instance may have healed, or gone."""
        if server.client is None:
            return False
        reading = await server.client.read_memory(draft.instance.remote_name)
        return records.agrees(draft.subject.record, reading)

    def _settle(self, server: Server, draft: Draft, planned: planner.Plan, effect: Effect) -> None:
        one, step, done = draft.subject, planned.step, effect.done
        one.record, one.stepped_at = records.after_step(one.record), self._context.clock.monotonic()
        one.steady = False
        one.codes.retire()
        if effect.creates:
            one.create_asked_at = self._context.clock.now()
            one.create_unanswered = done is strategies.Done.UNCERTAIN
            one.create_refused = step is Step.CREATE and done is strategies.Done.REFUSED
        if effect.creates and done is strategies.Done.DONE:
            existence.born(draft, None)
        if effect.configures:
            # Its webhook is off, or its settings are others, whether or not the rest was done.
            draft.configured_generation = None
        if step is Step.RELOGIN and draft.recovery.deaf_since is not None:
            # A restart of the server before its end ends no deafness that comes of what was done after that.
            refused = done is strategies.Done.REFUSED
            draft.recovery = draft.recovery.replace(deaf_since=None if refused else self._context.clock.now())
        if done is strategies.Done.PENDING:
            self._await_deletion(draft, planned)
        self._context.hurry(server)

    def _await_deletion(self, draft: Draft, planned: planner.Plan) -> None:
        draft.subject.deletion = Deletion(
            since=draft.now,
            sent=1,
            next_at=self._context.clock.monotonic() + self._context.spans.delete_retry,
            instance_id=draft.instance_id,
            spares_protected=planned.step_class is not StepClass.SESSION_LOSS,
        )


def _is_open(record: records.Record) -> bool:
    return record.memory is not None and record.memory.state is ConnectionState.OPEN
