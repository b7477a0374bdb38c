"""One look at one instance: what is wanted, what was observed, what follows.

    desired + observed → assess → plan → one step → a later look verifies it

A look never waits for time to pass. It returns the seconds after which the next one is due; without any, only a
difference in what is observed brings the instance back.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from whatsapp_operator.engine import (
    deletion,
    existence,
    finalizers,
    plugged,
    ports,
    requests,
    seeing,
    standing,
    vouching,
)
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.codes import Codes
from whatsapp_operator.engine.configuration import synchronise
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft, begin
from whatsapp_operator.engine.planning import Planning
from whatsapp_operator.engine.presentation import NEEDS_THE_SPEC, NOT_OURS, present, present_invalid
from whatsapp_operator.engine.probing import Prober
from whatsapp_operator.engine.sampling import Sampler
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.standing import Standing
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.steps import Steps
from whatsapp_operator.engine.subject import Subject, restore
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health import rules
from whatsapp_operator.health.assessment import Verdict, seconds
from whatsapp_operator.recovery import incident
from whatsapp_operator.resources import instance, names
from whatsapp_operator.resources.conditions import ConditionType
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

_SOON = 1.0
_TOLD = frozenset({HealthState.STUCK, HealthState.CORRUPTED, HealthState.NOT_FOUND, HealthState.DEGRADED})


class Reconciler:
    """Looks at instances."""

    def __init__(self, context: Context, writer: StatusWriter) -> None:
        self._context, self._writer = context, writer
        self._announcer = Announcer(context)
        self._existence = existence.Existence(context, writer, self._announcer)
        self._steps = Steps(context, writer, self._existence, self._announcer)
        self._planning = Planning(context, self._announcer, self._steps)
        self._deletions = deletion.Deletions(context, writer, self._existence, self._announcer)
        self._codes = Codes(context)
        self._sampler, self._prober = Sampler(context), Prober(context)
        self._plugged = plugged.Rules(context)

    async def look(self, one: Subject) -> float | None:
        """One look at an instance; the seconds to the next one, or None, also where it is another replica's.

        Raises:
            ports.KubernetesError: the Kubernetes API did not do its part; look again after a backoff.
        """
        try:
            if one.connecting:
                # Its end brings the next look; until then it is in one pair of hands.
                return None
            with self._context.claims.work(self._context.claim_of(one)) as is_ours:
                return await self._look(one) if is_ours else None
        finally:
            self._end_calm(one)

    def _end_calm(self, one: Subject) -> None:
        server = self._context.server_of(one)
        if server is not None and one.instance is not None:
            server.calm.forget(one.instance.remote_name)

    async def _look(self, one: Subject) -> float | None:
        now = self._context.clock.now()
        if one.instance is None:
            return await self._show_invalid(one, now=now)
        server = self._context.server_of(one)
        draft = begin(one, one.instance, server, pause=self._context.pause, now=now)
        draft.said = self._context.plugged.sentences
        if one.instance.metadata.deletion_timestamp is not None:
            return await self._end(server, draft)
        wrong = self._cannot_be_used(server, draft)
        if wrong is not None or server is None:
            return await self._refuse(draft, wrong or Reason.SERVER_NOT_FOUND)
        return await self._tend(server, draft)

    async def _refuse(self, draft: Draft, why: Reason) -> float | None:
        """Nothing is done for this resource; say why, and what would change that."""
        self._stands_apart(draft)
        draft.synced, draft.verdict = why, Verdict(HealthState.UNKNOWN, why)
        server = self._context.server_of(draft.subject)
        if server is not None:
            self._steps.interrupt(server, draft)
        if why in NEEDS_THE_SPEC and draft.instance.status.reason is not why:
            self._announcer.announce(draft, why)
        return await self._show(draft)

    async def _show_invalid(self, one: Subject, *, now: datetime) -> float | None:
        """Say which field is not understood, and do nothing else: half of a wish is not acted on."""
        seat = self._context.seat_of(one)
        if seat is not None:
            seat.leave(one)
            seat.note_standing(one, Standing.APART)
        wait = await self._deletions.release_unread(one)
        if wait is None and one.metadata.deletion_timestamp is not None:
            return None
        shown = present_invalid(one.status, one.metadata, one.problem or "", now=now)
        return min(filter(None, (await self._writer.write_instance(one, shown), wait)), default=None)

    def _stands_apart(self, draft: Draft) -> None:
        """It is in no step and no count of its server's, and needs no restart of it."""
        server = self._context.server_of(draft.subject)
        if server is not None and server.subjects.get(draft.instance.remote_name) is draft.subject:
            server.leave(draft.subject)
            server.note_standing(draft.subject, Standing.APART)

    async def _end(self, server: Server | None, draft: Draft) -> float | None:
        self._stands_apart(draft)
        wait = await self._deletions.proceed(server, draft)
        if wait is None:
            return None
        await self._show(draft)
        return wait

    def _cannot_be_used(self, server: Server | None, draft: Draft) -> Reason | None:
        if server is None:
            return Reason.SERVER_NOT_FOUND
        if not server.admits(draft.subject.key.namespace):
            return Reason.SERVER_NOT_ALLOWED
        acting = server.subjects.get(draft.instance.remote_name)
        if acting is not None and acting is not draft.subject:
            return Reason.DUPLICATE
        ends = server.metadata.deletion_timestamp is not None and not draft.subject.is_held
        return Reason.SERVER_TERMINATING if ends else None

    async def _tend(self, server: Server, draft: Draft) -> float | None:
        one = draft.subject
        if not one.restored:
            restore(one, now=draft.now)
        if requests.take_up(draft):
            self._context.hurry(server)
        if not self._context.may_step or not server.fresh_for(draft.instance.remote_name, draft.now):
            return await self._wait_for_the_server(server, draft)
        one.hold_asked = True
        await finalizers.add(self._context, instance.KIND, one, names.FINALIZER)
        draft.instance = one.instance or draft.instance
        draft.synced = await self._existence.establish(server, draft) if server.warm else self._still(draft)
        if draft.synced in NEEDS_THE_SPEC:
            return await self._refuse(draft, draft.synced)
        await self._heal(server, draft)
        return await self._keep_up(server, draft)

    def _still(self, draft: Draft) -> Reason:
        """What was found to be another's stays it while the server is warming up, and is not shown as this one's."""
        told = {one.reason for one in draft.instance.status.conditions if one.type is ConditionType.SYNCED}
        anothers = draft.instance_id is None and told <= NOT_OURS
        return next(iter(told), self._established(draft)) if anothers else self._established(draft)

    @staticmethod
    def _established(draft: Draft) -> Reason:
        return Reason.SYNCED if draft.instance_id is not None else Reason.CONFIGURATION_PENDING

    async def _wait_for_the_server(self, server: Server, draft: Draft) -> float | None:
        """Nothing is known of now: say so, unless the operator has only just begun to look."""
        if server.just_begun(draft.now):
            return None
        self._assess(server, draft)
        draft.synced = self._established(draft)
        return await self._show(draft)

    async def _heal(self, server: Server, draft: Draft) -> None:
        one = draft.subject
        before = one.opinion
        self._assess(server, draft)
        if before is None or before.verdict != draft.verdict:
            self._notice(draft)
        self._steps.judge(server, draft)
        self._open_window(draft)
        self._planning.note_approval(draft)
        self._note_incident(draft)
        await deletion.resend(self._context, self._existence, server, draft)
        if draft.recovery.in_flight is None and one.deletion is None and draft.instance_id is not None:
            await self._planning.plan(server, draft)
        else:
            server.wishes.pop(one.key, None)
            draft.exhausted = one.deletion is not None and deletion.is_refused(one.deletion)

    def _assess(self, server: Server, draft: Draft) -> None:
        one, seen = draft.subject, seeing.seen(self._context, server, draft)
        server.note_symptom(one, rules.symptom(seen))
        verdict = rules.assess(seen, plugged=lambda given: self._plugged.verdict(draft, given))
        one.opinion = opinions.consider(one.opinion, verdict, reads=one.record.reads, at=draft.now)
        draft.verdict, draft.since = one.opinion.verdict, one.opinion.since
        server.note_standing(one, standing.of(one.record, draft.verdict))
        vouching.may_answer(server, one)

    def _notice(self, draft: Draft) -> None:
        """An Event for what was noticed; an outage is told once, on the server."""
        told = draft.verdict.state in _TOLD and draft.verdict.reason is not Reason.SETTLING
        news = draft.verdict.state in (HealthState.DISCONNECTED, HealthState.HEALTHY) and self._is_news(draft)
        if told or news:
            self._announcer.announce(draft, draft.verdict.reason)

    @staticmethod
    def _is_news(draft: Draft) -> bool:
        """An operator that starts finds most things as they were, and that a new one is well follows from `Created`."""
        before = draft.instance.status.reason
        is_new = before is None and draft.verdict.state is HealthState.HEALTHY
        return not is_new and before is not draft.verdict.reason

    @staticmethod
    def _open_window(draft: Draft) -> None:
        """The end of a pairing opens the window in which a new one is wanted."""
        ended = draft.subject.record.ended_at
        if ended is None or ended > draft.now:  # the wall clock has gone back since
            return
        if draft.window_opened_at is None or draft.window_opened_at < ended:
            draft.window_opened_at = ended

    def _note_incident(self, draft: Draft) -> None:
        opinion = draft.subject.opinion
        if not incident.is_well(draft.verdict):
            draft.recovery = incident.worsened(draft.recovery)
        if opinion is None or not opinion.confirmed:
            return
        if incident.is_well(draft.verdict):
            min_healthy = timedelta(seconds=draft.policy.health.min_healthy_seconds)
            before, draft.recovery = (
                draft.recovery,
                incident.rested(draft.recovery, now=draft.now, min_healthy=min_healthy),
            )
            if before.incident is not None and draft.recovery.incident is None:
                self._announcer.announce(draft, Reason.RECOVERED, detail=f"Incident {before.incident}.")
        elif incident.is_bad(draft.verdict):
            new = incident.new_id(now=draft.now, bits=self._context.random.getrandbits(16))
            draft.recovery = incident.opened(draft.recovery, incident=new, now=draft.now)

    async def _keep_up(self, server: Server, draft: Draft) -> float | None:
        one = draft.subject
        self._sampler.consider(server, draft)
        until_probe = self._prober.consider(server, draft)
        waits: list[float | None] = []
        failure = await self._serve(server, draft, waits)
        unobserved = one.opinion is not None and one.opinion.verdict.reason is Reason.NOT_OBSERVED
        usual = draft.synced in (Reason.SYNCED, Reason.CONFIGURATION_PENDING)
        if unobserved and usual and not self._must_be_kept(draft):
            # The read that shows it brings the next look; were none to come, this would not hurry it.
            return float(draft.policy.health.check_period_seconds)
        waits += [await self._show(draft), self._until_planned(draft), self._until_something_ends(draft)]
        if failure is not None:
            raise failure
        due = [wait for wait in waits if wait is not None and wait > 0]
        one.steady = not due and self._is_steady(draft)
        # What no read can bring nearer makes no instance unsteady: else each read would be looked at for want of it.
        due += [wait for wait in (until_probe, self._until_lasting_health(draft)) if wait is not None]
        return min(due, default=None)

    async def _serve(self, server: Server, draft: Draft, waits: list[float | None]) -> ports.KubernetesError | None:
        """Codes and configuration; when a Secret is not to be had, the status is shown all the same."""
        try:
            waits.append(await self._codes.keep(server, draft))
            if draft.synced is Reason.SYNCED and self._may_be_configured(draft):
                draft.synced = await synchronise(self._context, server, draft)
            elif draft.synced is Reason.SYNCED and self._cannot_be_created(draft):
                draft.synced = Reason.CONFIGURATION_REFUSED
            if draft.synced is Reason.SYNCED and self._codes.are_barred(draft):
                draft.synced = Reason.PAIRING_SECRET_NOT_OURS
        except ports.KubernetesError as error:
            draft.synced = Reason.CONFIGURATION_PENDING if draft.synced is Reason.SYNCED else draft.synced
            return error
        return None

    @staticmethod
    def _must_be_kept(draft: Draft) -> bool:
        """What would be concluded anew at every look until it is written: another incarnation, a verdict on a step."""
        before, recovery = draft.instance.status, draft.instance.status.recovery
        in_flight = recovery.in_flight if recovery is not None else None
        replaced = before.instance_id is not None and draft.instance_id != before.instance_id
        return replaced or draft.recovery.in_flight != in_flight

    @staticmethod
    def _may_be_configured(draft: Draft) -> bool:
        """It is there, and no step or DELETE of ours, which need its webhook as they left it, is under way."""
        record = draft.subject.record
        if draft.recovery.in_flight is not None or draft.subject.deletion is not None:
            return False
        return record.memory is not None and record.memory.state is not None and record.row is not None

    @staticmethod
    def _cannot_be_created(draft: Draft) -> bool:
        return draft.verdict.reason is Reason.NOT_FOUND and draft.subject.create_refused

    @staticmethod
    def _is_steady(draft: Draft) -> bool:
        opinion, record = draft.subject.opinion, draft.subject.record
        if opinion is None or not opinion.confirmed or draft.recovery.in_flight is not None:
            return False
        if draft.synced is not Reason.SYNCED or draft.plan.step is not None:
            return False
        resting = record.memory is not None and record.memory.state is not ConnectionState.CONNECTING
        return draft.verdict.state is HealthState.HEALTHY or (
            draft.verdict.state is HealthState.DISCONNECTED and resting and not draft.pairing_wanted
        )

    @staticmethod
    def _until_planned(draft: Draft) -> float | None:
        at = draft.plan.at
        return max((at - draft.now).total_seconds(), _SOON) if draft.plan.step is not None and at is not None else None

    @staticmethod
    def _until_lasting_health(draft: Draft) -> float | None:
        """Seconds until an incident may be over; to be well till then takes no look, to fall ill brings one."""
        recovery, lasting = draft.recovery, seconds(draft.policy.health.min_healthy_seconds)
        if recovery.incident is None or recovery.healthy_since is None:
            return None
        wait = (recovery.healthy_since + lasting - draft.now).total_seconds() + _SOON
        return wait if wait > 0 else None

    @staticmethod
    def _until_something_ends(draft: Draft) -> float | None:
        """Timers that no observation rings: a pause, a window, a step's time."""
        ends = []
        recovery, window = draft.recovery, draft.instance.spec.pairing.window_seconds
        if recovery.in_flight is not None:
            ends.append(recovery.in_flight.since + seconds(draft.policy.recovery.step_timeout_seconds))
        if draft.pause is not None and draft.pause.until is not None:
            ends.append(draft.pause.until)
        if recovery.approval is not None and recovery.approval.expires is not None:
            ends.append(recovery.approval.expires)
        if draft.pairing_wanted and draft.window_opened_at is not None and not draft.subject.record.paired:
            ends.append(draft.window_opened_at + seconds(window))
        later = [(end - draft.now).total_seconds() for end in ends]
        return min((wait + _SOON for wait in later if wait > -_SOON), default=None)

    async def _show(self, draft: Draft) -> float | None:
        wait = await self._writer.write_instance(draft.subject, present(draft.view(), now=draft.now))
        return wait or None
