"""Probes of open instances: the one look at an instance that reaches WhatsApp itself, so it is rare.

An instance whose connection is dead looks open to both witnesses. Where it is wanted, each open instance is asked once
in a period for the business profile of its own number. A fleet is spread over the period, each instance at a place of
its own that its uid decides, so that neither a restart of the operator nor that of a server makes them all ask at once.
"""

from __future__ import annotations

import zlib
from collections import Counter
from datetime import datetime

from whatsapp_operator.engine import ports, vouching
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import seconds
from whatsapp_operator.resources.instance import Integration
from whatsapp_operator.resources.overrides import ProbeMode
from whatsapp_operator.resources.reasons import Reason

_BUSY_SECONDS = 2.0
_AFTER_SECONDS = 0.01
"""A timer that rings a moment before its probe is due would only be set again, and one look more be taken."""


class Prober:
    """Takes probes where they are wanted and due."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._running: Counter[ports.Key] = Counter()

    def consider(self, server: Server, draft: Draft) -> float | None:
        """Start a probe, if one is due and not too many are under way; the seconds to the next one, None without."""
        one = draft.subject
        if draft.policy.health.probe.mode is not ProbeMode.ENABLED:
            if one.record.probe != witnesses.Probe():
                one.record = records.without_probes(one.record)
                self._context.look_at(one)
            return None
        number = self._number(server, draft)
        if number is None:
            return None
        if one.probing.under_way:
            return self._until_next_slot(draft)
        wait = self._wait(draft)
        if wait > 0:
            return wait
        if self._running[server.key] >= self._context.limits.probes_per_server:
            return _BUSY_SECONDS
        self._start(server, draft, number)
        return self._until_next_slot(draft)

    def _number(self, server: Server, draft: Draft) -> str | None:
        """The instance's own number, if it may be asked for now."""
        record, flying = draft.subject.record, draft.recovery.in_flight
        phone = draft.instance.spec.integration is Integration.BAILEYS
        ready = server.client is not None and server.fresh(draft.now) and server.warm and server.acted_on
        if not phone or not ready or draft.paused or server.flying is not None or draft.subject.deletion is not None:
            return None
        about_it = record.probe.dead_before or (flying is not None and flying.reason is Reason.DEAD_SOCKET)
        if flying is not None and not (flying.step.may_restart and about_it):
            return None
        is_open = record.memory is not None and record.memory.state is ConnectionState.OPEN
        row = record.row
        return row.own_number if is_open and row is not None and row.state is ConnectionState.OPEN else None

    def _wait(self, draft: Draft) -> float:
        """Seconds until a probe is due; none where a step waits for one to be judged, or one met a dead socket once."""
        probe = draft.subject.record.probe
        to_be_judged = draft.recovery.in_flight is not None or probe.dead_before
        if to_be_judged and not probe.taken:
            return 0.0
        if probe.dead == 1 and probe.dead_at is not None:
            again = probe.dead_at + seconds(self._context.spans.probe_again)
            return max((again - draft.now).total_seconds(), 0.0)
        return self._until_next_slot(draft) if self._slot(draft) == draft.subject.probing.slot else 0.0

    def _slot(self, draft: Draft) -> int:
        """The number of the present period of this instance; the first one that is seen counts as probed."""
        period, known = float(draft.policy.health.probe.period_seconds), draft.subject.probing
        slot = slot_of(draft.instance.metadata.uid, period=period, at=draft.now)
        if known.period != period:
            known.period, known.slot = period, slot
        return slot

    @staticmethod
    def _until_next_slot(draft: Draft) -> float:
        period = float(draft.policy.health.probe.period_seconds)
        return until_next_slot(draft.instance.metadata.uid, period=period, at=draft.now)

    def _start(self, server: Server, draft: Draft, number: str) -> None:
        probing = draft.subject.probing
        probing.under_way, probing.slot = True, self._slot(draft)
        self._running[server.key] += 1
        self._context.tasks.spawn("probe", self._take(server, draft, number, before=draft.subject.record))

    async def _take(self, server: Server, draft: Draft, number: str, *, before: records.Record) -> None:
        one = draft.subject
        try:
            if server.client is not None:
                result = await server.client.probe(draft.instance.remote_name, number=number)
                self._fold(server, draft, result, before)
        finally:
            one.probing.under_way = False
            self._running[server.key] -= 1
            if one.record.probe.alive_at is None or before.probe.alive_at is None:
                self._context.look_at(one)

    def _fold(
        self, server: Server, draft: Draft, result: evidence.ProbeResult | evidence.Unknown, before: records.Record
    ) -> None:
        """Fold the answer, unless a step or a close came between, after which it tells nothing of now."""
        one, now = draft.subject, self._context.clock.now()
        if _opened_at(one.record) is None or _opened_at(one.record) != _opened_at(before):
            return
        one.record = records.saw_probe(one.record, result, at=now)
        if result is evidence.ProbeResult.ALIVE:
            vouching.prove(self._context, server, draft.instance.remote_name, vouching.proxy_of(one), at=now)


def _opened_at(record: records.Record) -> object:
    """Since when memory says open; another moment after each step and each close."""
    memory = record.memory
    return memory.since if memory is not None and memory.state is ConnectionState.OPEN else None


def slot_of(uid: str, *, period: float, at: datetime) -> int:
    """The number of the period of an instance; it begins at the place that the uid decides."""
    return int((at.timestamp() - _phase(uid, period)) // period)


def until_next_slot(uid: str, *, period: float, at: datetime) -> float:
    """Seconds to the moment at which the next period of an instance has begun."""
    return period - (at.timestamp() - _phase(uid, period)) % period + _AFTER_SECONDS


def _phase(uid: str, period: float) -> float:
    """The place of an instance in the period, by its uid."""
    return zlib.crc32(uid.encode()) / 2**32 * period
