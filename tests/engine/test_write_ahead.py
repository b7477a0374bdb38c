"""A step is announced only on the resource that it was concluded from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support import simulated, surroundings
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.status import StatusWriter, write_ahead
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.resources.status import WhatsAppInstanceStatus


class Recording:
    """A Kubernetes API that takes every status, and notes at which version; a watch may tell of it first."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.tell: Callable[[ports.Body], None] = lambda _: None

    async def write_status(self, *_: object, **write: Any) -> ports.Body:
        self.versions.append(write["resource_version"])
        written = body(version="8", status=write["after"])
        self.tell(written)
        return written


class Silent:
    """Telemetry that nobody listens to."""

    def status_written(self, kind: str, result: str, /) -> None:
        """Nothing."""


def body(*, version: str, status: object = None, **spec: object) -> dict[str, Any]:
    metadata = {"name": "shop", "namespace": "messaging", "uid": "u", "resourceVersion": version, "generation": 1}
    return {"metadata": metadata, "spec": {"serverRef": {"name": "main"}} | spec, "status": status or {}}


def begun() -> tuple[drafts.Draft, StatusWriter, Recording]:
    time, kubernetes = simulated.Time(), Recording()
    one = Subject(key=ports.Key("messaging", "shop"), body={})
    one.update(body(version="7"))
    assert one.instance is not None
    draft = drafts.begin(one, one.instance, None, pause=None, now=time.now())
    context = surroundings.context(time, kubernetes=kubernetes, telemetry=Silent())
    return draft, StatusWriter(context), kubernetes


async def test_intent_names_the_version_that_it_was_concluded_from() -> None:
    draft, writer, kubernetes = begun()

    await write_ahead(writer, draft)

    assert kubernetes.versions == ["7"]


async def test_pause_that_came_meanwhile_keeps_the_intent_from_being_written() -> None:
    draft, writer, kubernetes = begun()
    draft.subject.update(body(version="9", pause={"reason": "moving the server"}))

    with pytest.raises(ports.Conflict):
        await write_ahead(writer, draft)

    assert kubernetes.versions == []


async def test_pause_that_comes_while_the_intent_is_written_keeps_it_from_being_done() -> None:
    draft, writer, kubernetes = begun()

    def tell(written: ports.Body) -> None:
        draft.subject.update(written)
        draft.subject.update(body(version="9", pause={"reason": "moving the server"}))

    kubernetes.tell = tell
    with pytest.raises(ports.Conflict):
        await write_ahead(writer, draft)

    assert draft.subject.resource_version == "9"
    assert draft.subject.instance is not draft.instance, "whoever went on all the same would be held up at the next one"


async def test_own_write_is_no_reason_to_stop_where_a_watch_tells_it_first() -> None:
    draft, writer, kubernetes = begun()
    kubernetes.tell = draft.subject.update

    await write_ahead(writer, draft)

    assert draft.subject.resource_version == "8"
    assert draft.instance is draft.subject.instance


async def test_own_write_is_no_reason_to_stop() -> None:
    draft, writer, kubernetes = begun()

    await write_ahead(writer, draft)
    draft.adopted = False
    await write_ahead(writer, draft)

    assert kubernetes.versions == ["7", "8"]


async def test_keepsake_that_comes_or_goes_is_written_at_once() -> None:
    draft, writer, kubernetes = begun()
    await writer.write_instance(draft.subject, WhatsAppInstanceStatus(observed_generation=1, keepsake="shop-keepsake"))

    wait = await writer.write_instance(draft.subject, WhatsAppInstanceStatus(observed_generation=1))

    assert wait == 0
    assert kubernetes.versions == ["7", "8"]


async def test_change_of_no_urgency_waits_for_the_period() -> None:
    draft, writer, kubernetes = begun()
    await writer.write_instance(draft.subject, WhatsAppInstanceStatus(observed_generation=1))

    wait = await writer.write_instance(draft.subject, WhatsAppInstanceStatus(observed_generation=2))

    assert wait > 0
    assert kubernetes.versions == ["7"]
