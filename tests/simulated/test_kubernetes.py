"""The way to the simulated API server: what gets lost on it, and what the server does all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from simulation.kubernetes import controllers, faults, kinds, log, server, watch, wire
from simulation.life import Life
from simulation.loop import SimulatedLoop
from simulation.system import Clock, stream

from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports

HOME = "messaging"


@dataclass
class Sink:
    """What the watch told."""

    told: list[tuple[str | None, str]] = field(default_factory=list)
    bodies: list[server.Body] = field(default_factory=list)

    def saw(self, kind: str, event: str | None, body: server.Body) -> None:
        assert kind == "WhatsAppInstance"
        self.told.append((event, body["metadata"]["name"]))
        self.bodies.append(body)


@dataclass
class Place:
    """A server with one namespace, a way to it, and a watch."""

    loop: SimulatedLoop
    api: server.ApiServer
    way: wire.Wire
    spoilt: faults.Faults
    sink: Sink
    watch: watch.Watch
    hits: list[faults.Fault]

    def create(self, name: str, **metadata: Any) -> None:
        body = _body(name)
        call = transport.Call(
            "create", "whatsappinstances", _path(), body=body | {"metadata": body["metadata"] | metadata}
        )
        assert self.api.handle(call, writer="user").status == 201

    def mark(self, name: str, **metadata: Any) -> None:
        body = {"metadata": metadata}
        call = transport.Call(
            "patch", "whatsappinstances", f"{_path()}/{name}", body=body, content_type=transport.MERGE_PATCH
        )
        assert self.api.handle(call, writer="user").status == 200

    def delete(self, name: str) -> None:
        call = transport.Call("delete", "whatsappinstances", f"{_path()}/{name}")
        assert self.api.handle(call, writer="user").status == 200

    async def make(self, name: str) -> None:
        await self.way.call(transport.Call("create", "whatsappinstances", _path(), body=_body(name)))


def _path() -> str:
    return controllers.path(kinds.INSTANCES, HOME)


def _body(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"serverRef": {"name": "main"}}}


def play(story: Callable[[Place], Awaitable[None]]) -> Place:
    """Run a story on simulated time."""
    loop = SimulatedLoop()
    found: list[Place] = []

    async def main() -> None:
        life, spoilt, hits = Life(loop, on_death=lambda: None), faults.Faults(), list[faults.Fault]()
        api = server.ApiServer(now=Clock(loop).now, chance=stream("uids"))
        namespace = {"metadata": {"name": HOME}}
        path = transport.path("api", "v1", "namespaces", HOME)
        api.handle(transport.Call("create", "namespaces", path, body=namespace), writer="user")
        way = wire.Wire(
            api,
            loop=loop,
            life=life,
            chance=stream("way"),
            spoilt=spoilt,
            writer="operator",
            on_hit=lambda _, __, fault: hits.append(fault),
        )
        sink = Sink()
        seen = watch.Watch(api, sink, loop=loop, life=life, chance=stream("watch"), on_trouble=lambda *_: None)
        place = Place(loop, api, way, spoilt, sink, seen, hits)
        found.append(place)
        await story(place)

    loop.run(main())
    return found[0]


async def _pass(seconds: float) -> None:
    await asyncio.sleep(seconds)


def test_watch_tells_what_was_there_and_what_happens_in_order() -> None:
    async def story(place: Place) -> None:
        place.create("before")
        place.watch.start()
        await _pass(1)
        place.create("after")
        place.delete("before")
        await _pass(1)

    assert play(story).sink.told == [(None, "before"), ("ADDED", "after"), ("DELETED", "before")]


def test_deletion_while_the_stream_is_broken_is_told_by_nobody() -> None:
    async def story(place: Place) -> None:
        place.create("one")
        place.create("two")
        place.watch.start()
        await _pass(1)
        place.watch.shut(10)
        place.delete("one")
        await _pass(20)

    assert play(story).sink.told == [(None, "one"), (None, "two"), (None, "two")]


def test_stream_that_goes_on_where_it_was_tells_what_it_has_missed_in_order() -> None:
    async def story(place: Place) -> None:
        place.create("one")
        place.create("two")
        place.watch.start()
        await _pass(1)
        place.watch.shut(10, forgets=False)
        place.mark("two", annotations={"a": "b"})
        place.delete("one")
        place.create("one")
        await _pass(20)

    listed = [(None, "one"), (None, "two")]
    assert play(story).sink.told == [*listed, ("MODIFIED", "two"), ("DELETED", "one"), ("ADDED", "one")]


def test_stream_lists_where_so_much_has_happened_that_the_server_forgot_where_it_was() -> None:
    async def story(place: Place) -> None:
        place.create("one")
        place.create("two")
        place.watch.start()
        await _pass(1)
        place.watch.shut(10, forgets=False)
        place.delete("one")
        for number in range(log.KEPT):
            place.mark("two", annotations={"a": str(number)})
        await _pass(20)

    assert play(story).sink.told == [(None, "one"), (None, "two"), (None, "two")]


def test_deletion_by_the_last_finalizer_is_told_with_it() -> None:
    async def story(place: Place) -> None:
        place.create("one", finalizers=["a.b/c"])
        place.delete("one")
        place.watch.start()
        await _pass(1)
        place.mark("one", finalizers=[])
        await _pass(1)

    sink = play(story).sink
    assert sink.told == [(None, "one"), ("DELETED", "one")]
    before, gone = (body["metadata"] for body in sink.bodies)
    assert gone == {**before, "resourceVersion": str(int(before["resourceVersion"]) + 1)}


def test_namespace_that_is_deleted_refuses_what_is_new_and_ends_once_it_is_empty() -> None:
    async def story(place: Place) -> None:
        controllers.Controllers(place.api, loop=place.loop, chance=stream("c"), roll_out=lambda *_: 1.0)
        place.create("one", finalizers=["a.b/c"])
        path = transport.path("api", "v1", "namespaces", HOME)
        place.api.handle(transport.Call("delete", "namespaces", path), writer="user")
        with pytest.raises(ports.Forbidden):
            await place.make("two")
        await _pass(10)
        assert place.api.find(kinds.NAMESPACES, "", HOME) is not None
        place.mark("one", finalizers=[])
        await _pass(10)
        with pytest.raises(ports.NotFound):
            await place.make("two")

    assert play(story).api.all(kinds.NAMESPACES) == []


def test_what_is_born_without_an_owner_that_is_left_is_collected() -> None:
    async def story(place: Place) -> None:
        controllers.Controllers(place.api, loop=place.loop, chance=stream("c"), roll_out=lambda *_: 1.0)
        place.create("one")
        found = place.api.all(kinds.INSTANCES)[0]["metadata"]["uid"]
        for name, uids in {"owned": [found], "both": [found, "other"], "orphan": ["other"]}.items():
            owners = [{"kind": "WhatsAppInstance", "name": "one", "uid": uid} for uid in uids]
            body = {"metadata": {"name": name, "ownerReferences": owners}}
            await place.way.call(transport.Call("create", "secrets", controllers.path(kinds.SECRETS, HOME), body=body))
        await _pass(5)

    left = play(story).api.all(kinds.SECRETS)
    assert {one["metadata"]["name"]: len(one["metadata"]["ownerReferences"]) for one in left} == {"both": 1, "owned": 1}


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (watch.Trouble.LOST, [("ADDED", "two")]),
        (watch.Trouble.LATE, [("ADDED", "two"), ("ADDED", "one")]),
        (watch.Trouble.REPEATED, [("ADDED", "one"), ("ADDED", "two"), ("ADDED", "one")]),
    ],
)
def test_events_are_lost_late_or_repeated(trouble: watch.Trouble, told: list[tuple[str, str]]) -> None:
    async def story(place: Place) -> None:
        place.watch.start()
        await _pass(1)
        place.watch.trouble.append(trouble)
        place.create("one")
        await _pass(0.1)
        place.create("two")
        await _pass(20)

    assert play(story).sink.told == told


@pytest.mark.parametrize(
    ("fault", "error", "has_effect", "takes"),
    [
        (faults.Fault.REFUSED, ports.Unavailable, False, 0.0),
        (faults.Fault.RESET_AFTER, ports.Unavailable, True, 0.0),
        (faults.Fault.TIMEOUT_BEFORE, ports.Unavailable, False, wire.TIMEOUT_SECONDS),
        (faults.Fault.TIMEOUT_AFTER, ports.Unavailable, True, wire.TIMEOUT_SECONDS),
        (faults.Fault.CONFLICT, ports.Conflict, False, 0.0),
        (faults.Fault.TOO_MANY, ports.Unavailable, False, 0.0),
        (faults.Fault.SERVER_ERROR, ports.Unavailable, False, 0.0),
    ],
)
def test_fault_spoils_one_call_before_or_after_its_effect(
    fault: faults.Fault, error: type[ports.KubernetesError], has_effect: bool, takes: float
) -> None:
    async def story(place: Place) -> None:
        place.spoilt.rules.append(faults.Rule(fault=fault, count=1, verb="create"))
        began = place.loop.time()
        with pytest.raises(error):
            await place.make("one")
        assert place.loop.time() - began == pytest.approx(takes, abs=0.1)
        assert (place.api.find(kinds.INSTANCES, HOME, "one") is not None) is has_effect
        await place.make("two")

    assert play(story).hits == [fault]


def test_call_in_a_partition_gets_no_answer_and_has_no_effect() -> None:
    async def story(place: Place) -> None:
        place.way.cut = True
        with pytest.raises(ports.Unavailable):
            await place.make("one")

    assert play(story).api.all(kinds.INSTANCES) == []
