"""QR codes: read while one is wanted, shown only when fresh, gone when used.

The server returns used codes: `connect` after a logout or a restart may answer with the code of the session before. A
code is fresh when it differs from every code of earlier sessions that this process saw, or, where it did not see them
all, when the database proves that codes are being issued now.
"""

from __future__ import annotations

from datetime import timedelta

from whatsapp_operator.engine import owned, ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health.assessment import seconds
from whatsapp_operator.pairing import secret as pairing_secret
from whatsapp_operator.resources import instance
from whatsapp_operator.resources.instance import Integration
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import PairingStatus

_AFTER_RESTART = timedelta(seconds=5)
_FIRST_LOOK_SECONDS = 2.0
_FIRST_CODE_WITHIN = timedelta(seconds=15)
"""A server that works has issued a code by then."""
_LOOKS_PER_CODE = 4
"""Looks at a code in its life: the next one is shown a quarter of a life late at most."""


class Codes:
    """Keeps the pairing Secret of an instance."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def keep(self, server: Server, draft: Draft) -> float | None:
        """Offer a code while one is wanted and can be had; returns the seconds after which to look again.

        Raises:
            ports.KubernetesError: the Secret could not be kept.
        """
        if not self._may_be_offered(draft):
            await self._withdraw(draft)
            return None
        if self._may_be_read(server, draft):
            await self._read(server, draft)
        if draft.subject.codes.barred or not self._is_alive(draft):
            await self._withdraw(draft)
        self._recall(draft)
        draft.code_offered = draft.pairing is not None
        return self._wait(draft)

    def are_barred(self, draft: Draft) -> bool:
        """Whether a code is wanted and cannot be shown, since the Secret for it is another's."""
        return draft.subject.codes.barred and self._may_be_offered(draft)

    @staticmethod
    def _may_be_offered(draft: Draft) -> bool:
        record = draft.subject.record
        phone = draft.instance.spec.integration is Integration.BAILEYS
        return phone and draft.pairing_wanted and not draft.paused and record.paired is False

    def _may_be_read(self, server: Server, draft: Draft) -> bool:
        """`connect` only reads in `connecting`; in the gaps of a restart or of flapping it would start a socket."""
        memory = draft.subject.record.memory
        if memory is None or memory.state is not ConnectionState.CONNECTING or not server.acted_on or not server.warm:
            return False
        if draft.verdict.reason is Reason.FLAPPING or self._restarted_lately(draft):
            return False
        return self._context.clock.monotonic() >= draft.subject.pairing_next_at

    @staticmethod
    def _restarted_lately(draft: Draft) -> bool:
        flying, history = draft.recovery.in_flight, draft.recovery.history
        if flying is not None and flying.step.may_restart and draft.now - flying.since < _AFTER_RESTART:
            return True
        last = history[-1] if history else None
        return last is not None and last.step.may_restart and draft.now - last.start_time < _AFTER_RESTART

    async def _read(self, server: Server, draft: Draft) -> None:
        one, client, name = draft.subject, server.client, draft.instance.remote_name
        one.pairing_next_at = self._context.clock.monotonic() + self._wait(draft)
        if client is None or await client.read_memory(name) != evidence.InMemory(ConnectionState.CONNECTING):
            return
        if not server.stands_for(name, draft.instance_id):
            return
        answer = await client.connect(name)
        if isinstance(answer, evidence.QRCode) and self._is_fresh(draft, answer.code):
            await self._offer(draft, answer.code)

    def _is_fresh(self, draft: Draft, code: str) -> bool:
        codes, record, row = draft.subject.codes, draft.subject.record, draft.subject.record.row
        if code in codes.retired:
            return False
        if codes.history_known or code == codes.current:
            return True
        if record.database is None or row is None or row.state is not ConnectionState.CONNECTING:
            return False
        return draft.now - record.database.moved_at <= seconds(self._context.spans.frozen)

    async def _offer(self, draft: Draft, code: str) -> None:
        codes = draft.subject.codes
        if code == codes.current and (codes.published == code or not self._is_alive(draft)):
            return
        if code != codes.current:
            codes.retire()
            codes.current, codes.current_since = code, draft.now
        # A code that was withdrawn when nobody wanted it, and is wanted again, is no younger for that.
        expires = (codes.current_since or draft.now) + seconds(self._context.spans.qr_life)
        codes.barred = not await self._publish(draft, pairing_secret.values(code=code, expires=expires))
        codes.published = None if codes.barred else code

    def _recall(self, draft: Draft) -> None:
        """What is in the Secret is offered, also where the status that says so has had to wait for its write."""
        codes = draft.subject.codes
        if codes.current is None or codes.published != codes.current or codes.current_since is None:
            return
        expires = codes.current_since + seconds(self._context.spans.qr_life)
        draft.pairing = PairingStatus(secret_name=draft.instance.pairing_secret_name, expires=expires)

    async def _publish(self, draft: Draft, values: dict[str, bytes]) -> bool:
        """Whether the code was stored; a Secret that is another's is not overwritten."""
        metadata = draft.instance.metadata
        key = ports.Key(metadata.namespace, draft.instance.pairing_secret_name)
        kubernetes = self._context.kubernetes
        try:
            found = await kubernetes.read_secret(key)
        except ports.NotFound:
            owner = ports.Owner(kind=instance.KIND, name=metadata.name, uid=metadata.uid)
            await kubernetes.create_secret(key, values, owner=owner)
            return True
        if found.goes_at_once(metadata.uid, name=metadata.name):
            raise ports.Unavailable("the Secret of the codes goes with the resource before this one")
        if metadata.uid not in found.owner_uids:
            return False
        await kubernetes.replace_secret(key, values, resource_version=found.resource_version)
        return True

    def _is_alive(self, draft: Draft) -> bool:
        since = draft.subject.codes.current_since
        if since is not None:
            return draft.now - since < seconds(self._context.spans.qr_life)
        expires = draft.pairing.expires if draft.pairing else None
        return expires is not None and draft.now < expires

    async def _withdraw(self, draft: Draft) -> None:
        codes = draft.subject.codes
        if not codes.barred and (codes.published is not None or draft.pairing is not None):
            await owned.delete(self._context, draft, draft.instance.pairing_secret_name)
        codes.published = draft.pairing = None
        if draft.subject.record.paired:
            codes.retire()

    def _wait(self, draft: Draft) -> float:
        if draft.subject.codes.current is None:
            period, memory = float(draft.policy.health.check_period_seconds), draft.subject.record.memory
            just_begun = memory is not None and draft.now - memory.since < _FIRST_CODE_WITHIN
            # One that issues no code is read no more often than one that does.
            return min(period, _FIRST_LOOK_SECONDS) if just_begun else max(period, self._between_looks)
        return self._between_looks

    @property
    def _between_looks(self) -> float:
        return self._context.spans.qr_life / _LOOKS_PER_CODE
