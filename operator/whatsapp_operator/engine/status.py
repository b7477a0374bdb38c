"""The status writer: the only one that writes a status, and only when it changes.

A write names the version of the resource that it was concluded from, so that nothing is written over what was not
seen. Changes of `Ready` and of the step in flight are written at once; all others wait until the instance was quiet for
half a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.presentation import present
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.resources import instance, parsing, server
from whatsapp_operator.resources.conditions import Condition, ConditionType
from whatsapp_operator.resources.server import EvolutionServerStatus
from whatsapp_operator.resources.status import WhatsAppInstanceStatus

_OURS = frozenset(ConditionType)


class StatusWriter:
    """Writes what changed."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def write_instance(self, one: Subject, status: WhatsAppInstanceStatus, *, at_once: bool = False) -> float:
        """Write if it changed; returns the seconds after which to try again, 0 when all is written.

        Raises:
            ports.KubernetesError: it was not written.
            ports.Conflict: or it was, and the resource has changed since.
        """
        before = one.status
        if status == before and not at_once:
            # As nearly every look at one of thousands finds it, in an outage as at rest: then it is not written out.
            return 0
        urgent = at_once or _ready(before.conditions) != _ready(status.conditions) or _step(before) != _step(status)
        # A keepsake that is dropped is gone: a step that relied on what status still says of it would keep nothing.
        urgent = urgent or before.keepsake != status.keepsake
        return await self._write(instance.KIND, one, parsing.to_status_body(status), urgent=urgent)

    async def write_server(self, one: Server, status: EvolutionServerStatus, *, at_once: bool = False) -> float:
        """Likewise, for a server.

        Raises:
            ports.KubernetesError: it was not written.
        """
        before = one.status
        conditions = ([(c.type, c.status) for c in each.conditions] for each in (before, status))
        urgent = at_once or next(conditions) != next(conditions) or _step(before) != _step(status)
        return await self._write(server.KIND, one, parsing.to_status_body(status), urgent=urgent)

    async def _write(self, kind: str, one: Subject | Server, after: dict[str, Any], *, urgent: bool) -> float:
        before = one.body.get("status") or {}
        after["conditions"] = [*after.get("conditions", ()), *_of_others(before)]
        if after == before:
            return 0
        wait = self._wait(one)
        if wait > 0 and not urgent:
            return wait
        body = await self._send(kind, one, before=before, after=after)
        one.status_written_at = self._context.clock.monotonic()
        self._context.telemetry.status_written(kind, "written")
        one.stored(body)
        return 0

    async def _send(
        self, kind: str, one: Subject | Server, *, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> ports.Body:
        self._context.require_claim(one)
        try:
            return await self._context.kubernetes.write_status(
                kind, one.key, before=before, after=after, resource_version=one.resource_version
            )
        except ports.Conflict:
            self._context.telemetry.status_written(kind, "conflict")
            raise
        except ports.KubernetesError:
            self._context.telemetry.status_written(kind, "failed")
            raise

    def _wait(self, one: Subject | Server) -> float:
        if one.status_written_at is None:
            return 0
        return one.status_written_at + self._context.limits.status_period - self._context.clock.monotonic()


async def write_ahead(writer: StatusWriter, draft: Draft) -> None:
    """Write down what is about to be done, unless the resource is no longer the one that it was concluded from.

    Raises:
        ports.Conflict: it changed since this look began: a pause, a deletion or another operator may be in it.
        ports.KubernetesError: it was not written.
    """
    if draft.subject.instance is not draft.instance:
        raise ports.Conflict
    await writer.write_instance(draft.subject, present(draft.view(), now=draft.now), at_once=True)
    draft.instance = draft.subject.instance or draft.instance


def _of_others(status: Mapping[str, Any]) -> Sequence[Any]:
    """Conditions that others have set on our objects; a merge patch replaces the whole list."""
    return [one for one in status.get("conditions", ()) if one.get("type") not in _OURS]


def _ready(conditions: Sequence[Condition]) -> object:
    return next(((one.status, one.reason) for one in conditions if one.type is ConditionType.READY), None)


def _step(status: WhatsAppInstanceStatus | EvolutionServerStatus) -> object:
    return status.recovery.in_flight if status.recovery else None
