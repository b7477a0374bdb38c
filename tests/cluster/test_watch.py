"""kopf does nothing here but watch."""

from __future__ import annotations

import asyncio
import threading

import kopf
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from cluster.doubles import Scripted
from whatsapp_operator.cluster import login, runtime, watch
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names


@pytest.fixture
def handlers() -> kopf.OperatorRegistry:
    source = login.Source("none", lambda _configuration: never())
    return watch.registry(lambda _kind, _change, _body: None, login.Login(source, clock=runtime.SystemClock()))


async def never() -> None: ...


def test_finalizer_of_kopf_is_not_ours() -> None:
    """kopf takes its own finalizer off every object at the first listing when it has no use for it."""
    assert watch.settings().persistence.finalizer != names.FINALIZER


def test_both_kinds_are_watched_by_event_handlers_only(handlers: kopf.OperatorRegistry) -> None:
    watched = {handler.selector.any_name for handler in handlers._watching.get_all_handlers() if handler.selector}  # noqa: SLF001 - kopf offers no other way to look
    assert watched == {"whatsappinstances", "evolutionservers"}
    for others in (handlers._changing, handlers._spawning, handlers._indexing, handlers._webhooks):  # noqa: SLF001 - as above
        assert not others.get_all_handlers()


def test_kopf_marks_no_resource_and_posts_no_event() -> None:
    chosen = watch.settings()
    assert chosen.peering.standalone
    assert not chosen.posting.enabled
    assert chosen.scanning.disabled


def test_kopf_never_kills_the_process() -> None:
    assert watch.settings().process.ultimate_exiting_timeout is None


class Nothing:
    """A sink that expects nothing."""

    def saw(self, kind: str, change: str | None, body: ports.Body, /) -> None:
        raise AssertionError((kind, change, body))


async def test_kopf_that_gives_up_is_told_of_and_leaves_other_tasks_alone(scripted: Scripted) -> None:
    async def load(configuration: Configuration) -> None:
        configuration.host = scripted.url
        configuration.api_key["BearerToken"] = "Bearer refused"

    scripted.answers = [web.json_response({}, status=401) for _ in range(100)]
    step = asyncio.create_task(asyncio.Event().wait())
    one = watch.Watch(sink=Nothing(), access=login.Login(login.Source("x", load), clock=runtime.SystemClock()))
    with pytest.raises(watch.WatchFailed) as raised:
        await asyncio.wait_for(one.run(), 20)
    assert raised.value.__cause__ is not None
    assert not one.alive
    assert not step.done()
    step.cancel()


class Noting:
    """A sink that notes what it is given, and in which thread."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.threads: set[int] = set()

    def saw(self, _kind: str, _change: str | None, body: ports.Body, /) -> None:
        self.seen.append(body["number"])
        self.threads.add(threading.get_ident())


async def test_what_the_watch_sees_arrives_in_order_and_whole_in_the_callers_thread() -> None:
    sink = Noting()
    handover = watch._Handover(asyncio.get_running_loop(), sink)  # noqa: SLF001 - kopf alone would drive it otherwise

    def see() -> None:
        for number in range(2000):
            handover.saw("WhatsAppInstance", "ADDED", {"number": number})

    await asyncio.to_thread(see)
    await asyncio.sleep(0)  # whatever was called for runs before this does again
    await asyncio.sleep(0)

    assert sink.seen == list(range(2000))
    assert sink.threads == {threading.get_ident()}


async def test_kopf_remembers_no_object() -> None:
    memories = watch.NoMemories()
    body = kopf.RawBody(metadata={"uid": "u-1"}, spec={})

    first = await memories.recall(body, noticed_by_listing=True)

    assert first.noticed_by_listing
    assert await memories.recall(body) is not first
    assert not list(memories.iter_all_memories())
    await memories.forget(body)
