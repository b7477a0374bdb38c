"""Samples of stability: the one case in which a broken instance is read more often than a healthy one.

A flapping instance shows `close` in 56 of 57 reads, and looks closed, or stuck, to anyone who polls. So before such a
conclusion memory is read some hundred times within half a minute, once per incident, for few instances at a time. One
whose state goes on to change, or whose reads prove nothing, is sampled again ever more rarely; before its pairing is
given up for that, two samples have to agree.
"""

from __future__ import annotations

from collections import Counter

from whatsapp_operator.engine import ports, seeing
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.health import record as records
from whatsapp_operator.health import stability, witnesses
from whatsapp_operator.recovery import sampling
from whatsapp_operator.resources.reasons import Reason

_LONGER_EACH_TIME = 4.0


class Sampler:
    """Takes samples where a conclusion waits for one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._running: Counter[ports.Key] = Counter()

    def consider(self, server: Server, draft: Draft) -> None:
        """Start a sample, if one is called for and not too many are under way."""
        one = draft.subject
        if one.stepped_at > one.sampled_at or self._is_well(draft):
            one.samples = 0
        if one.sampling or not server.warm or not self._is_called_for(server, draft) or not self._is_due(one):
            return
        if self._running[server.key] >= self._context.limits.samples_per_server:
            return
        one.sampling = True
        one.samples, one.sampled_at = one.samples + 1, self._context.clock.monotonic()
        self._running[server.key] += 1
        self._context.tasks.spawn("sample", self._take(server, draft))

    @staticmethod
    def _is_well(draft: Draft) -> bool:
        return draft.verdict.reason is Reason.HEALTHY and draft.recovery.incident is None

    def _is_due(self, one: Subject) -> bool:
        """The first sample at once, the next one after its own length, and so on up to the time of flapping."""
        if not one.samples:
            return True
        spans = self._context.spans
        pause = min(spans.stable * _LONGER_EACH_TIME ** min(one.samples, 16), spans.flapping)
        return self._context.clock.monotonic() >= one.sampled_at + pause

    def _is_called_for(self, server: Server, draft: Draft) -> bool:
        if draft.recovery.in_flight is not None:
            return False
        return stability.is_called_for(seeing.seen(self._context, server, draft), draft.verdict)

    async def _take(self, server: Server, draft: Draft) -> None:
        one, began = draft.subject, self._context.clock.monotonic()
        try:
            taken = await sample(self._context, server, name=draft.instance.remote_name)
            if taken is not None and one.stepped_at < began:
                one.record = records.saw_sample(one.record, taken)
        finally:
            one.sampling = False
            self._running[server.key] -= 1
        self._context.look_at(one)


async def sample(context: Context, server: Server, *, name: str) -> witnesses.Sample | None:
    """Read memory many times in a short time; None when any read proved nothing."""
    client = server.client
    if client is None:
        return None
    return await sampling.sample(
        lambda: client.read_memory(name),
        spans=context.spans,
        now=context.clock.now,
        monotonic=context.clock.monotonic,
        sleep=context.sleep,
        random=context.random.random,
    )
