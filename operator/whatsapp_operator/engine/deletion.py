"""Deletion: the finalizer stays until the instance is verified gone, or may be let go.

What is not ours is never deleted, `Retain` makes no call, and a server that does not answer is waited for. Only in a
namespace that is itself being deleted, with server or key gone for good, an instance is let go after ten minutes, and
the audit trail says that it may be orphaned.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from whatsapp_operator.engine import (
    configuration,
    currency,
    existence,
    finalizers,
    keepsake,
    ports,
    sentences,
    tokens,
)
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter, write_ahead
from whatsapp_operator.engine.subject import Deletion, Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health.assessment import Verdict, seconds
from whatsapp_operator.recovery import strategies
from whatsapp_operator.resources import instance, names
from whatsapp_operator.resources.conditions import ConditionType
from whatsapp_operator.resources.instance import DeletionPolicy
from whatsapp_operator.resources.overrides import RecoveryMode
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step

_TERMINATING = Verdict(HealthState.TERMINATING, Reason.TERMINATING)
_POLL_SECONDS = 2.0
_PUT_BACK_WITHIN = timedelta(seconds=60)
_REFUSED_AFTER = 2
_LONGEST_RETRY = 3600.0
_REFUSED = frozenset({Reason.DELETION_REFUSED})
_BLOCKED = _REFUSED | {Reason.DELETION_WAITS}


class Deletions:
    """Ends instances whose resource is being deleted, and those whose own DELETE did not end."""

    def __init__(
        self, context: Context, writer: StatusWriter, found: existence.Existence, announcer: Announcer
    ) -> None:
        self._context, self._writer, self._existence, self._announcer = context, writer, found, announcer

    async def proceed(self, server: Server | None, draft: Draft) -> float | None:
        """One look at a resource that is being deleted; returns the seconds to the next, None when it is over.

        Raises:
            ports.KubernetesError: the Kubernetes API did not do its part.
        """
        if names.FINALIZER not in draft.instance.metadata.finalizers:
            return None
        if self._makes_no_call(server, draft):
            return await self._retain(server, draft)
        if server is None or server.client is None or server.resource is None:
            return await self._without_server(server, draft)
        # A server that was not read lately, or is another one than was meant, may hold another's instance of this name;
        # one that still loads would go on to load what is deleted meanwhile.
        if not self._context.may_step or draft.paused or not server.acted_on or not server.fresh(draft.now):
            return await self._wait(server, draft, Reason.PAUSED if draft.paused else server.why_unknown())
        if not server.warm:
            return await self._wait(server, draft, Reason.WARMING_UP)
        return await self._delete_if_ours(server, draft)

    async def _delete_if_ours(self, server: Server, draft: Draft) -> float | None:
        """What the list says now decides whose it is, before each DELETE: the one before may be a minute old.

        Whoever waits for the name may have it, with an instance of their own, the moment that ours is gone.
        """
        deletion, name = draft.subject.deletion, draft.instance.remote_name
        if deletion is not None and self._context.clock.monotonic() < deletion.next_at:
            known = server.observed.rows or {}
            if _is_newer(server, deletion) and _is_anothers(known.get(name), deletion):
                return await self._deleted(server, draft)
            return await self._delete(server, draft, deletion, is_listed=False)
        listed = await self._context.list_rows(server)
        if not isinstance(listed, evidence.DatabaseList):
            return _POLL_SECONDS
        row = listed.rows.get(name)
        if deletion is not None and _is_anothers(row, deletion):
            return await self._deleted(server, draft)
        if (deletion is None or deletion.instance_id is None) and not await self._is_ours(draft, row):
            return await self._release(draft, Reason.RETAINED)
        if deletion is None:
            # Of a resource that went, and was created again since, the instance may be the new one's.
            await currency.require(self._context, draft.subject)
        if draft.deletion_asked_at is None:
            await self._write_down(draft)
        if deletion is None:
            deletion = self._begin(server, draft)
        deletion.instance_id = row.id if row is not None else deletion.instance_id
        return await self._delete(server, draft, deletion, is_listed=row is not None)

    async def _write_down(self, draft: Draft) -> None:
        """DELETE is about to be sent: after a crash it is known of what is missing then why it is."""
        draft.verdict, draft.deletion_asked_at = _TERMINATING, draft.now
        await write_ahead(self._writer, draft)

    def _begin(self, server: Server, draft: Draft) -> Deletion:
        draft.subject.deletion = Deletion(since=draft.now, instance_id=draft.instance_id)
        self._announcer.audit_intent(server, draft, Step.DELETE, reason=Reason.DELETING)
        self._announcer.announce(draft, Reason.DELETING)
        return draft.subject.deletion

    async def _deleted(self, server: Server, draft: Draft) -> float | None:
        if draft.subject.let_go is not Reason.DELETED:
            self._announcer.audit_result(server, draft, Step.DELETE, reason=Reason.DELETING, result="Deleted")
        return await self._release(draft, Reason.DELETED)

    @staticmethod
    def _makes_no_call(server: Server | None, draft: Draft) -> bool:
        """Retain, or another resource stands for the instance now: it is not this one's to delete.

        One that stands for the name only, and not for this incarnation, waits until that is gone.
        """
        if draft.deletion_policy is DeletionPolicy.RETAIN:
            return True
        acting = server.subjects.get(draft.instance.remote_name) if server is not None else None
        if acting is None or acting is draft.subject:
            return False
        return draft.instance_id is None or acting.status.instance_id == draft.instance_id

    async def _retain(self, server: Server | None, draft: Draft) -> float | None:
        """Let it stay; what a step has taken from it is put back before, unless that cannot be done soon."""
        if draft.deletion_asked_at is not None:
            # DELETE was asked for, and did not end it; before that its webhook was switched off.
            draft.configured_generation = None
        if server is not None and _lacks_something(draft) and not await self._has_all_back(server, draft):
            draft.verdict = Verdict(HealthState.UNKNOWN, Reason.RECOVERING)
            draft.synced = Reason.CONFIGURATION_PENDING
            return _POLL_SECONDS
        is_off = draft.deletion_asked_at is not None and draft.configured_generation is None
        return await self._release(draft, Reason.RETAINED, left=sentences.WEBHOOK_IS_OFF if is_off else "")

    async def _has_all_back(self, server: Server, draft: Draft) -> bool:
        """Whether nothing more is to be put back, or can be."""
        if not self._may_be_put_back(server, draft):
            return True
        one = draft.subject
        # Not since the deletion: it may have been given up long after, and this process have only just begun to look.
        one.to_stay_since = min(one.to_stay_since or draft.now, draft.now)  # the wall clock may have gone back since
        return await self._is_settled(server, draft, begins=max(self._quiet_from(draft), one.to_stay_since))

    def _quiet_from(self, draft: Draft) -> datetime:
        """Not in the step's own time: a logout may still be under way, and would be told to a webhook that is on."""
        flying, deletion, asked = draft.recovery.in_flight, draft.subject.deletion, draft.deletion_asked_at
        ended = [flying.since] if flying is not None else []
        ended += [asked] if asked is not None else []
        if deletion is not None:
            waits = deletion.next_at - self._context.clock.monotonic()
            ended.append(draft.now + timedelta(seconds=waits - _retry_delay(self._context, deletion.sent - 1)))
        over = max(ended, default=None)
        quiet = over + seconds(draft.policy.recovery.step_timeout_seconds) if over is not None else None
        return max(filter(None, (draft.instance.metadata.deletion_timestamp, quiet)))

    @staticmethod
    def _may_be_put_back(server: Server, draft: Draft) -> bool:
        """No pause forbids it, no other resource has it now, and no DELETE of a Recreate, which may end yet, runs."""
        acts = server.subjects.get(draft.instance.remote_name) is draft.subject
        runs = draft.subject.deletion is not None and draft.deletion_asked_at is None
        return acts and not draft.paused and not runs

    async def _is_settled(self, server: Server, draft: Draft, *, begins: datetime) -> bool:
        """Whether it was put back, or will not be: the server refuses it, or was not to be had in all the time."""
        if draft.now < begins:
            return False
        row = (server.observed.rows or {}).get(draft.instance.remote_name)
        readable = self._context.may_step and server.fresh(draft.now) and row is not None
        outcome = Reason.CONFIGURATION_PENDING
        if readable and await self._is_ours(draft, row):
            outcome = await configuration.synchronise(self._context, server, draft)
        return outcome is not Reason.CONFIGURATION_PENDING or draft.now - begins >= _PUT_BACK_WITHIN

    async def _is_ours(self, draft: Draft, row: evidence.Row | None) -> bool:
        """Known from status, or by the token in the Secret; anything else was never ours to delete.

        A token that a user made, and no word in the status of who created the instance, is an adoption that a crash
        kept from being written down: it stays, unless the spec says otherwise.
        """
        one = draft.subject
        if row is None:
            return draft.instance_id is not None or one.create_unanswered
        if row.id == draft.instance_id:
            return True
        try:
            token = tokens.known(draft) or await tokens.find(self._context, draft)
        except tokens.TokenMissing:
            return False
        if token is None or token.value != row.token or existence.is_of_another_integration(draft, row):
            return False
        is_adopted = draft.adopted is None and not token.generated
        return not is_adopted or draft.instance.spec.deletion_policy is DeletionPolicy.DELETE

    async def _delete(self, server: Server, draft: Draft, deletion: Deletion, *, is_listed: bool) -> float | None:
        work = await self._existence.work(server, draft, creates=False, spare_open=False)
        draft.verdict = _TERMINATING
        if await self._has_ended(draft.subject, deletion, work, is_listed=is_listed):
            return await self._deleted(server, draft)
        draft.synced = Reason.DELETION_REFUSED if is_refused(deletion) else _still(draft, _REFUSED)
        return _POLL_SECONDS

    async def _has_ended(self, one: Subject, deletion: Deletion, work: strategies.Work, *, is_listed: bool) -> bool:
        """Whether the instance is gone; a DELETE is sent when it is due and the instance is not."""
        if self._context.clock.monotonic() < deletion.next_at:
            return not _is_still_shown(one, deletion) and await strategies.is_gone(work)
        if await strategies.is_gone(work):
            return True
        # What memory holds, and the list before did not, is ours without a row, or somebody's who has taken the name
        # since: that one has a row by now, and the next look tells whose it is.
        if not is_listed and not await strategies.is_unlisted(work):
            return False
        return await self._send(deletion, work)

    async def _send(self, deletion: Deletion, work: strategies.Work) -> bool:
        delay = _retry_delay(self._context, deletion.sent)
        deletion.sent += 1
        done = await strategies.delete(work)
        deletion.next_at = self._context.clock.monotonic() + delay
        return done is strategies.Done.DONE

    async def _without_server(self, server: Server | None, draft: Draft) -> float | None:
        never_created = draft.instance_id is None and draft.subject.create_asked_at is None
        if never_created and server is None and self._context.may_step:
            # Never created, and no server that it could be on.
            return await self._release(draft, Reason.RETAINED)
        return await self._wait(server, draft, Reason.SERVER_NOT_FOUND if server is None else server.why_unknown())

    async def _wait(self, server: Server | None, draft: Draft, why: Reason) -> float | None:
        """Nothing can be deleted now: say why, and how to let go, unless the operator has only just begun to look."""
        draft.verdict = Verdict(HealthState.UNKNOWN, why)
        just_begun = not self._context.may_step or (server is not None and server.just_begun(draft.now))
        draft.synced = _still(draft, _BLOCKED) if draft.paused or just_begun else Reason.DELETION_WAITS
        return await self._maybe_orphan(server, draft)

    async def _maybe_orphan(self, server: Server | None, draft: Draft) -> float | None:
        """Let go of an instance whose namespace is going and whose server or key is gone for good."""
        gone = await self._is_gone_for_good(server, draft)
        if not await self._is_blocked_for_long(draft.subject, is_gone_for_good=gone):
            return _POLL_SECONDS
        if draft.subject.let_go is not Reason.ORPHANED:
            self._announcer.audit_orphaned(ports.Key(*draft.instance.server_key), draft)
        return await self._release(draft, Reason.ORPHANED)

    async def release_unread(self, one: Subject) -> float | None:
        """Let go of one whose spec nobody understands, and nobody will correct once its namespace is going.

        Returns the seconds to the next look, None where there is nothing to wait for.

        Raises:
            ports.KubernetesError: the Kubernetes API did not do its part.
        """
        if one.metadata.deletion_timestamp is None or names.FINALIZER not in one.metadata.finalizers:
            return None
        if not await self._is_blocked_for_long(one):
            return _POLL_SECONDS
        if one.let_go is not Reason.ORPHANED:
            self._announcer.orphaned_unread(one, text=sentences.ORPHANED_UNREAD)
            one.let_go = Reason.ORPHANED
        await finalizers.remove(self._context, instance.KIND, one, names.FINALIZER)
        return None

    async def _is_blocked_for_long(self, one: Subject, *, is_gone_for_good: bool = True) -> bool:
        """Whether it cannot be deleted, in a namespace that is going, for so long that it is let go."""
        if not is_gone_for_good or not await self._context.kubernetes.namespace_is_terminating(one.key.namespace):
            one.blocked_since = None
            return False
        now = self._context.clock.now()
        one.blocked_since = one.blocked_since or now
        return (now - one.blocked_since).total_seconds() >= self._context.spans.orphan_release

    async def _is_gone_for_good(self, server: Server | None, draft: Draft) -> bool:
        """Whether server or key went; a server that cannot be read may have gone with its namespace, and only so."""
        if server is None or server.client is None:
            return True
        return not server.fresh(draft.now) and await self._context.kubernetes.namespace_is_terminating(
            server.key.namespace
        )

    async def _release(self, draft: Draft, reason: Reason, *, left: str = "") -> float | None:
        """Let the resource go; there is no next look."""
        one = draft.subject
        if reason is Reason.RETAINED:
            await tokens.outlive(self._context, draft)
            if await keepsake.outlive(self._context, draft):
                left = sentences.keepsake_stays(draft.instance)
        if one.let_go is not reason:
            self._announcer.announce(draft, reason, detail=left)
            one.let_go = reason
        await finalizers.remove(self._context, instance.KIND, one, names.FINALIZER)
        return None


async def resend(context: Context, found: existence.Existence, server: Server, draft: Draft) -> None:
    """A Recreate whose DELETE did not end: ask again, ever more rarely; what follows it is a Create.

    Raises:
        ports.KubernetesError: a Secret could not be read.
    """
    one = draft.subject
    deletion = one.deletion
    if deletion is None or server.client is None or not server.warm:
        return
    is_off = draft.policy.recovery.mode is not RecoveryMode.ENABLED
    is_left = is_off and context.clock.monotonic() >= deletion.next_at
    if is_left or _is_to_be_spared(one, deletion) or draft.instance_id not in (None, deletion.instance_id):
        # It outlived its DELETE, and is open, holds what it did not hold before, or is another incarnation since; or it
        # is not asked for again: from now on it is what is seen of it.
        one.deletion = None
        return
    if draft.paused or not server.acted_on or is_off:
        return
    if context.clock.monotonic() < deletion.next_at and _is_still_shown(one, deletion):
        return
    work = await found.work(server, draft, creates=False, spare_open=True)
    if await strategies.is_gone(work):
        one.deletion = None
        return
    listed = await context.list_rows(server)
    if not isinstance(listed, evidence.DatabaseList):
        return
    if _is_anothers(listed.rows.get(draft.instance.remote_name), deletion):
        one.deletion = None
    elif context.clock.monotonic() >= deletion.next_at:
        deletion.next_at = context.clock.monotonic() + _retry_delay(context, deletion.sent)
        deletion.sent += 1
        await strategies.delete(work)


def is_refused(deletion: Deletion) -> bool:
    """Whether the server was asked more than once, and has not deleted it: a person has to see to it."""
    return deletion.sent >= _REFUSED_AFTER


def _still(draft: Draft, blocked: frozenset[Reason]) -> Reason:
    """What `Synced` said before, where it is one of these: that nothing was seen yet does not make it untrue."""
    told = {one.reason for one in draft.instance.status.conditions if one.type is ConditionType.SYNCED}
    return next(iter(told & blocked), draft.synced)


def _lacks_something(draft: Draft) -> bool:
    """Whether a step, or a DELETE that was refused, has taken what is known and can be put back."""
    is_off = draft.deletion_asked_at is not None and draft.instance.spec.webhook is not None
    return draft.keepsake is not None or is_off


def _is_newer(server: Server, deletion: Deletion) -> bool:
    """Whether the last list was made since the deletion began."""
    listed_at = server.observed.rows_at
    return listed_at is not None and listed_at > deletion.since


def _is_anothers(row: evidence.Row | None, deletion: Deletion) -> bool:
    """Whether the name stands for another incarnation now: the one that was to go is gone."""
    return row is not None and deletion.instance_id is not None and row.id != deletion.instance_id


def _is_to_be_spared(one: Subject, deletion: Deletion) -> bool:
    is_open = one.record.memory is not None and one.record.memory.state is ConnectionState.OPEN
    return is_open or (deletion.spares_protected and one.record.protected)


def _is_still_shown(one: Subject, deletion: Deletion) -> bool:
    """A DELETE that did not end by the time of the second is not asked after: the observer tells when it has."""
    return is_refused(deletion) and (one.record.memory is not None or one.record.row is not None)


def _retry_delay(context: Context, sent: int) -> float:
    """Seconds from a DELETE to the next one; `sent` is how often it was sent before."""
    return min(context.spans.delete_retry * 2.0 ** min(sent, 16), _LONGEST_RETRY)
