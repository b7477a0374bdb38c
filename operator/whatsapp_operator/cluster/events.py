"""Kubernetes Events: what `kubectl describe` shows below a resource.

An Event that repeats within ten minutes becomes a higher count of the first one, so that a fault that comes back tells
how often, instead of filling the list. Events are a courtesy: failing to write one never disturbs what it tells of.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names

COMPONENT = "whatsapp-operator"
MESSAGE_BYTES = 1024
"""The API server refuses longer ones (k8s.io/kubernetes pkg/apis/core/validation/events.go, NoteLengthLimit)."""

_REPEAT_SECONDS = 600.0
_REMEMBERED = 4096
_NAME_LENGTH = 236
"""Of the resource's name; with the random part an Event's name has 253 characters at most."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Emitted:
    name: str
    count: int
    at: float


class Recorder:
    """Writes Events, and adds repeated ones to the count of the first."""

    def __init__(self, calls: transport.Caller, *, clock: ports.Clock, random: ports.Random, instance: str) -> None:
        self._calls, self._clock, self._random = calls, clock, random
        self._instance = instance
        self._emitted: OrderedDict[ports.Event, _Emitted] = OrderedDict()
        self._failing = False

    async def emit(self, event: ports.Event) -> None:
        """Write an Event; never raises a `KubernetesError`."""
        try:
            await self._write(event)
        except ports.KubernetesError as error:
            self._tell_failure(error)
        else:
            self._failing = False

    def _tell_failure(self, error: ports.KubernetesError) -> None:
        """Once per outage: the next Event that is written ends it."""
        if not self._failing:
            self._failing = True
            _log.warning("an Event could not be written", error=str(error))

    async def _write(self, event: ports.Event) -> None:
        earlier = self._emitted.get(event)
        if earlier is not None and self._clock.monotonic() - earlier.at < _REPEAT_SECONDS:
            try:
                return await self._repeat(event, earlier)
            except ports.NotFound:
                self._emitted.pop(event, None)
        return await self._create(event)

    async def _repeat(self, event: ports.Event, earlier: _Emitted) -> None:
        earlier.count += 1
        earlier.at = self._clock.monotonic()
        self._emitted.move_to_end(event)
        body = {"count": earlier.count, "lastTimestamp": _rfc3339(self._clock.now())}
        path = transport.path("api", "v1", "namespaces", event.key.namespace, "events", earlier.name)
        await self._calls.call(transport.Call("patch", "events", path, body=body, content_type=transport.MERGE_PATCH))

    async def _create(self, event: ports.Event) -> None:
        name = f"{event.key.name[:_NAME_LENGTH].rstrip('-.')}.{self._random.getrandbits(64):016x}"
        path = transport.path("api", "v1", "namespaces", event.key.namespace, "events")
        await self._calls.call(transport.Call("create", "events", path, body=self._body(event, name)))
        self._emitted[event] = _Emitted(name, 1, self._clock.monotonic())
        if len(self._emitted) > _REMEMBERED:
            self._emitted.popitem(last=False)

    def _body(self, event: ports.Event, name: str) -> Mapping[str, object]:
        now = _rfc3339(self._clock.now())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": event.key.namespace},
            "involvedObject": _involved(event),
            "type": event.type,
            "reason": str(event.reason),
            "message": truncate(event.message, MESSAGE_BYTES),
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance,
        }


def _involved(event: ports.Event) -> Mapping[str, str]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": event.kind,
        "name": event.key.name,
        "namespace": event.key.namespace,
        "uid": event.uid,
    }


def truncate(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8, with an ellipsis where it was cut."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len("…".encode())].decode(errors="ignore") + "…"


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
