"""From what was concluded of one instance to its next step: planned, shown, and taken when it is due.

A restart of the server is planned here, too, but it is done once for all who wait for it, and not by any of them.
"""

from __future__ import annotations

from dataclasses import replace

from whatsapp_operator.engine import approvals, requests, seeing, treasury, vouching
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.presentation import ONLY_TIMING
from whatsapp_operator.engine.server import Server, Wish
from whatsapp_operator.engine.steps import Steps
from whatsapp_operator.evolution import versions
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health import rules
from whatsapp_operator.recovery import gates, incident, planner
from whatsapp_operator.resources import names
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step

_FOR_A_HUMAN = frozenset(
    {
        Reason.PROTECTED_INSTANCE,
        Reason.APPROVAL_REQUIRED,
        Reason.NOT_VOUCHED_FOR,
        Reason.NEEDS_SERVER_RESTART,
        Reason.UNSAFE_ROLLOUT,
        Reason.WORKLOAD_NOT_FOUND,
        Reason.WORKLOAD_FORBIDDEN,
    }
)


class Planning:
    """Plans for one instance at a time."""

    def __init__(self, context: Context, announcer: Announcer, steps: Steps) -> None:
        self._context, self._announcer, self._steps = context, announcer, steps

    def note_approval(self, draft: Draft) -> None:
        """Note an approval that was given, or has expired."""
        news = approvals.take_up(draft, life_seconds=self._context.limits.approval)
        if news is not None:
            self._announcer.announce(draft, news)

    async def plan(self, server: Server, draft: Draft) -> None:
        """Plan the next step, and take it when it is due.

        Raises:
            ports.KubernetesError: it could not be entered or announced, so it was not taken.
        """
        opinion = draft.subject.opinion
        if opinion is None:
            return
        self._note_hearing(server, draft)
        situation = self._situation(server, draft, opinion)
        planned = planner.plan(situation)
        if await self._finds_a_voucher(server, draft, planned):
            situation = self._situation(server, draft, opinion)
            planned = planner.plan(situation)
        if planned.cornered:
            draft.recovery = incident.cornered(draft.recovery, now=draft.now)
        approvals.offer(draft, planned)
        draft.plan, draft.exhausted = planned, planner.exhausted(situation, planned)
        self._tell_refusal(server, draft, planned)
        await self._wish(server, draft, planned)
        if planned.step is not Step.RESTART_SERVER and planned.due(draft.now):
            await self._steps.take(server, draft, planned)

    @staticmethod
    def _note_hearing(server: Server, draft: Draft) -> None:
        """It is deaf no longer than the process in which a Relogin left it so."""
        since = draft.recovery.deaf_since
        if since is None:
            return
        if versions.hears_after_relogin(server.observed.version) or server.has_restarted_since(since):
            draft.recovery = draft.recovery.replace(deaf_since=None)

    async def _finds_a_voucher(self, server: Server, draft: Draft, planned: planner.Plan) -> bool:
        """Ask for one where a step waits for nothing else, or where only one tells S7 from an outage."""
        flaps = draft.verdict.reason is Reason.FLAPPING and rules.flaps_alone_since(
            seeing.seen(self._context, server, draft)
        )
        if not flaps and not planned.lacks_only_a_voucher(draft.now):
            return False
        return await vouching.ask(self._context, server, draft)

    async def _wish(self, server: Server, draft: Draft, planned: planner.Plan) -> None:
        """A restart of the server is done once for all who wait for it, and not by any of them.

        Before there is an incident that counts it, and is written down, nobody waits: after the restart nothing is left
        of what was concluded before, and it would be asked for a second time.

        Raises:
            ports.KubernetesError: the incident was not written.
        """
        key, recovery = draft.subject.key, draft.recovery
        counted = recovery.incident is not None or recovery.deaf_since is not None
        if planned.step is not Step.RESTART_SERVER or not counted or not planned.waits_for_its_server(draft.now):
            server.wishes.pop(key, None)
            return
        if key not in server.wishes:
            await self._steps.write_down(draft)
            since = recovery.deaf_since or recovery.started_at or draft.now
            deaf = recovery.deaf_since is not None
            server.wishes[key] = Wish(since=since, reason=Reason.DEAF if deaf else draft.verdict.reason)
            self._context.look_at_server(server)

    def _situation(self, server: Server, draft: Draft, opinion: opinions.Opinion) -> gates.Situation:
        situation = gates.Situation(
            now=draft.now,
            opinion=opinion,
            record=draft.subject.record,
            history=draft.recovery,
            policy=draft.policy.recovery,
            spans=self._context.spans,
            warm=server.warm_for(draft.instance.remote_name),
            acted_on=server.acted_on,
            server_valid=server.problem is None,
            paused=draft.paused,
            pairing_wanted=draft.pairing_wanted,
            restart_requested=requests.asked(draft, names.Request.RESTART),
            guard=treasury.guard(self._context, server, key=draft.subject.key, now=draft.now),
            offers=self._context.plugged.offers,
            others_without_code=server.mostly_without_code(draft.subject),
            vouched=vouching.vouched(
                server, name=draft.instance.remote_name, proxy=vouching.proxy_of(draft.subject), now=draft.now
            ),
            reachable_since=server.observed.vouchers.reachable_since(vouching.proxy_of(draft.subject)),
        )
        if draft.recovery.approval is None:
            return situation
        return replace(situation, approved=approvals.given(draft, planner.next_step(situation)))

    def _tell_refusal(self, server: Server, draft: Draft, planned: planner.Plan) -> None:
        """Each refusal is told when it is new: in the audit trail and metrics, and those for a human in an Event."""
        before, one = draft.instance.status.recovery, draft.subject
        told = one.told_against
        if told is None:
            told = frozenset(before.blocked_by) if before is not None else frozenset()
        against = [reason for reason in planned.blocked_by if reason not in ONLY_TIMING]
        one.told_against = frozenset(against)
        if planned.step is None or told.issuperset(against):
            return
        self._announcer.audit_refused(
            server, draft, planned.step, step_class=planned.step_class, against=tuple(against)
        )
        for reason in against:
            if reason in _FOR_A_HUMAN and reason not in told:
                self._announcer.announce(draft, reason, detail=f"{planned.step} is not taken.")
