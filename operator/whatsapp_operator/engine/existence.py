"""Whether the instance on the server is the one that the resource stands for; and its first creation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from whatsapp_operator.engine import configuration, currency, fence, keepsake, owned, ports, tokens
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter, write_ahead
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import seconds
from whatsapp_operator.health.rules import Symptom
from whatsapp_operator.recovery import strategies
from whatsapp_operator.resources.instance import DeletionPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step

_LONGEST_PAUSE = timedelta(hours=1)
_LONGEST_WAIT = 10.0
"""Seconds that a worker waits for a deletion to end; after that the instance is looked at again later."""


def is_of_another_integration(draft: Draft, row: evidence.Row) -> bool:
    """Whether it has our token, and is another kind of instance than the declared one: a Recreate would change it."""
    return bool(row.integration) and row.integration != str(draft.instance.spec.integration)


class Existence:
    """Finds, adopts or creates the instance of a resource that has none yet."""

    def __init__(self, context: Context, writer: StatusWriter, announcer: Announcer) -> None:
        self._context, self._writer, self._announcer = context, writer, announcer

    async def establish(self, server: Server, draft: Draft) -> Reason:
        """`Synced` when the instance is known to be ours; else what is wrong, or is still to come.

        Raises:
            ports.Conflict: the resource is another by now.
            ports.KubernetesError: the resource or a Secret could not be read, or a Secret not created.
        """
        row = self._row(server, draft)
        if draft.instance_id is not None and (row is None or row.id == draft.instance_id):
            return Reason.SYNCED
        try:
            if row is not None:
                return await self._claim(draft, row)
            return await self._create(server, draft)
        except owned.Withheld as withheld:
            return withheld.why

    @staticmethod
    def _row(server: Server, draft: Draft) -> evidence.Row | None:
        rows = server.observed.rows
        return rows.get(draft.instance.remote_name) if rows is not None else None

    async def _claim(self, draft: Draft, row: evidence.Row) -> Reason:
        """An instance of this name exists: it is ours if it has the token in our Secret."""
        one = draft.subject
        token = tokens.known(draft) or await tokens.find(self._context, draft)
        if token is None or token.value != row.token:
            return Reason.ALREADY_EXISTS
        if is_of_another_integration(draft, row):
            return Reason.INTEGRATION_DIFFERS
        one.token = token
        if draft.instance_id is not None:
            one.record = replace(records.after_step(one.record), paired=None, database=None)
            draft.recovery = draft.recovery.replace(deaf_since=None)
        elif draft.adopted is None:
            # A generated token proves that an earlier pass created it, and died before it could write that down.
            draft.adopted = not token.generated
            if draft.adopted:
                self._announcer.announce(draft, Reason.ADOPTED)
        draft.instance_id, draft.configured_generation = row.id, None
        return Reason.SYNCED

    async def _create(self, server: Server, draft: Draft) -> Reason:
        """Nothing of this name is in the list: prove it by a 404 that names it, and create."""
        one, client = draft.subject, server.client
        if (
            client is None
            or draft.paused
            or not server.acted_on
            or not self._list_is_newer_than_last_try(server, draft)
        ):
            return Reason.CONFIGURATION_PENDING
        if one.record.memory is not None and one.record.memory.state is not None:
            return Reason.ALREADY_EXISTS
        memory = await client.read_memory(draft.instance.remote_name)
        if isinstance(memory, evidence.InMemory):
            # In memory without a row, and never ours: there is no token to prove whose it is.
            return Reason.ALREADY_EXISTS
        if not isinstance(memory, evidence.Absent):
            return Reason.CONFIGURATION_PENDING
        await currency.require(self._context, one)
        wanted = await self.wanted(draft)
        await self._write_intent(draft)
        one.create_asked_at, one.create_unanswered = self._context.clock.now(), False
        self._announcer.audit_intent(server, draft, Step.CREATE, reason=Reason.NOT_FOUND)
        answer = await client.create(wanted)
        self._context.hurry(server)
        if isinstance(answer, evidence.Created):
            return await self._created(server, draft, answer)
        one.create_unanswered = isinstance(answer, evidence.Unknown)
        one.create_refusals += 1
        self._announcer.audit_result(server, draft, Step.CREATE, reason=Reason.NOT_FOUND, result=_result(answer))
        return _refusal(answer)

    async def _write_intent(self, draft: Draft) -> None:
        """A token that a user made does not tell whether the instance was there before: write down that it was not."""
        token = draft.subject.token
        if draft.adopted is None and token is not None and not token.generated:
            draft.adopted = False
            await write_ahead(self._writer, draft)

    def _list_is_newer_than_last_try(self, server: Server, draft: Draft) -> bool:
        """After a create nothing is posted again before the list was read anew.

        One that got no answer may still be under way, and two creates of one name can undo each other, so it is given
        the time after which absence counts.
        """
        one, listed = draft.subject, server.observed.rows_at
        if listed is None:
            return False
        if one.create_asked_at is None:
            return True
        one.create_asked_at = min(one.create_asked_at, draft.now)  # the wall clock may have gone back since
        if server.observed.rows_begun <= one.stepped_at:
            # It was answered, and the list was asked for before that.
            return False
        if listed - one.create_asked_at > self._pause_after_create(one):
            return True
        if not one.create_refusals:
            self._context.hurry(server)
        return False

    def _pause_after_create(self, one: Subject) -> timedelta:
        if one.create_refusals:
            return min(seconds(self._context.spans.absence * 2.0 ** min(one.create_refusals - 1, 16)), _LONGEST_PAUSE)
        return seconds(self._context.spans.absence) if one.create_unanswered else timedelta()

    async def _created(self, server: Server, draft: Draft, answer: evidence.Created) -> Reason:
        one = draft.subject
        self._announcer.audit_result(server, draft, Step.CREATE, reason=Reason.NOT_FOUND, result="Created")
        self._announcer.announce(draft, Reason.CREATED)
        draft.adopted = bool(draft.adopted)
        born(draft, answer.id)
        one.create_refusals = 0
        one.stepped_at = self._context.clock.monotonic()
        one.pairing_next_at = 0.0
        if draft.pairing_wanted:
            one.connecting = True
            self._context.tasks.spawn("connect-created", self._connect(server, one, draft.instance.remote_name))
        return Reason.CONFIGURATION_PENDING

    async def _connect(self, server: Server, one: Subject, name: str) -> None:
        """The server takes seconds to answer this; no worker waits for it, but a handover of the server does."""
        try:
            with self._context.claims.work(server.key) as is_ours:
                if is_ours and server.client is not None:
                    await server.client.connect(name)
        finally:
            one.connecting = False
            one.stepped_at = self._context.clock.monotonic()
        self._context.hurry(server)
        self._context.look_at(one)

    async def wanted(self, draft: Draft) -> evidence.NewInstance:
        """What `create` is asked for.

        Raises:
            tokens.TokenMissing: the Secret lacks the key.
            configuration.HeadersMissing: there is no Secret of that name for the webhook's headers.
            keepsake.Changed: what a step took is not known any more.
            ports.KubernetesError: a Secret could not be read or created.
        """
        spec = draft.instance.spec
        token = await tokens.ensure(self._context, draft)
        return evidence.NewInstance(
            name=draft.instance.remote_name,
            integration=str(spec.integration),
            token=token.value,
            number=spec.number,
            business_id=spec.business_id,
            settings=await configuration.wanted_settings(self._context, draft),
            webhook=await configuration.wanted_webhook(self._context, draft),
            proxy=(await keepsake.recall(self._context, draft)).proxy,
        )

    async def work(self, server: Server, draft: Draft, *, creates: bool, spare_open: bool) -> strategies.Work:
        """What a strategy works on, and with.

        Raises:
            tokens.TokenMissing: the Secret lacks the key.
            ports.KubernetesError: a Secret could not be read or created.
        """
        client = server.client
        if client is None:
            raise ports.Unavailable
        return strategies.Work(
            server=fence.Spared(
                client,
                holds=lambda: _end(draft) is not DeletionPolicy.RETAIN,
                creates=lambda: _end(draft) is not DeletionPolicy.DELETE,
            ),
            name=draft.instance.remote_name,
            wanted=await self.wanted(draft) if creates else None,
            list_rows=lambda: self._context.list_rows(server),
            sleep=self._context.sleep,
            monotonic=self._context.clock.monotonic,
            timeout=min(draft.policy.recovery.step_timeout_seconds, _LONGEST_WAIT),
            connect_after_create=draft.pairing_wanted,
            flapping=draft.subject.symptom is Symptom.FLAPPING,
            spare_open=spare_open,
            broken_record=draft.subject.record.broken,
        )


def born(draft: Draft, instance_id: str | None) -> None:
    """The record of a new incarnation: all but history and budget begins anew, and what was created is not deaf."""
    one = draft.subject
    one.record, one.opinion = records.created(), None
    one.codes.retire()
    one.codes.history_known = True
    draft.instance_id, draft.configured_generation = instance_id, None
    draft.recovery = draft.recovery.replace(deaf_since=None)
    draft.window_opened_at = one.born_at = draft.now


def _end(draft: Draft) -> DeletionPolicy | None:
    """What is to become of the instance, where the resource is being deleted by now."""
    latest = draft.subject.instance
    if latest is None or latest.metadata.deletion_timestamp is None:
        return None
    return replace(draft, instance=latest).deletion_policy


def _result(answer: evidence.Refused | evidence.Unknown) -> str:
    return str(answer.why.value)


def _refusal(answer: evidence.Refused | evidence.Unknown) -> Reason:
    if isinstance(answer, evidence.Refused) and answer.why is not evidence.Refusal.NAME_IN_USE:
        return Reason.CONFIGURATION_REFUSED
    return Reason.CONFIGURATION_PENDING
