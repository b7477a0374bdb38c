"""What a watch of a Kubernetes API server tells of generated calls, whichever server it is.

A watch here is one that the operator's has to be able to follow: it begins at a version, ends by itself after a while,
and is begun anew at the version that it told last, a bookmark's included.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support import api_operations
from whatsapp_operator.cluster import transport
from whatsapp_operator.resources import names

WATCHED = ("whatsappinstances", "evolutionservers")
_END = "end"
"""An annotation of what stays: where it is told, all that was before has been."""
_SECONDS = 3
"""A watch that ends by itself tells a bookmark two seconds before; so this is the shortest that has one."""

Event = Mapping[str, Any]


@dataclass
class Told:
    """What one server has told."""

    live: dict[str, list[Event]] = field(default_factory=dict)
    """By resource, from the first call on."""
    resumed: list[tuple[str, int, list[Event]]] = field(default_factory=list)
    """Of watches that began later: the resource, how many calls had been made, and what it told up to the end."""
    forgotten: list[Event] = field(default_factory=list)
    """By a watch from a version that is too old."""
    bookmarks: int = 0


@dataclass
class Follower:
    """Makes calls, and follows what the watches tell of them."""

    player: api_operations.Player
    bears_vain: bool
    """A write that changes nothing may be told of, as a version of who has set which field."""
    _now: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    _vain: set[str] = field(default_factory=set)

    async def follow(self, operations: Sequence[api_operations.Operation], *, chance: random.Random) -> Told:
        """What is told of these calls, from their beginning and from some moments among them."""
        found = Told()
        await self.player.begin()
        await self._keep_a_server()
        following = {one: asyncio.ensure_future(self._live(one, await self._version(one), found)) for one in WATCHED}
        marks = await self._play(operations, sorted(chance.sample(range(len(operations)), 4)))
        for resource in WATCHED:
            await self._change(resource, {_END: "here"})
        for resource in WATCHED:
            found.live[resource] = await following[resource]
        later = await asyncio.gather(*(self._watch(resource, version) for _, resource, version in marks))
        for (number, resource, _), events in zip(marks, later, strict=True):
            found.resumed.append((resource, number, self._told(resource, events)))
        found.forgotten = [self._refusal(one) for one in await self._watch(WATCHED[0], "1")]
        return found

    async def _play(
        self, operations: Sequence[api_operations.Operation], moments: Sequence[int]
    ) -> list[tuple[int, str, str]]:
        marks: list[tuple[int, str, str]] = []
        for number, operation in enumerate(operations):
            if number in moments:
                marks += [(number, resource, await self._version(resource)) for resource in WATCHED]
            await self.player.play(operation)
        return marks

    async def _live(self, resource: str, version: str, found: Told) -> list[Event]:
        """Watch after watch, each from where the one before has ended."""
        events: list[Event] = []
        while not any(_is_end(one) for one in events):
            new = await self._watch(resource, version)
            found.bookmarks += sum(one["type"] == "BOOKMARK" for one in new)
            version = str(new[-1]["object"]["metadata"]["resourceVersion"]) if new else version
            events += new
            await asyncio.sleep(0.01)
        self._note_vain(resource, events)
        return self._told(resource, events)

    def _note_vain(self, resource: str, events: Iterable[Event]) -> None:
        for one in events:
            if one["type"] == "BOOKMARK":
                continue
            key = resource, str(one["object"]["metadata"]["name"])
            told = self.player.told(one["object"])
            if self.bears_vain and one["type"] == "MODIFIED" and self._now.get(key) == told:
                self._vain.add(_version_of(one))
            self._now[key] = told

    def _told(self, resource: str, events: Iterable[Event]) -> list[Event]:
        """In words that do not depend on the server: whether a version is one that a call was answered with."""
        told: list[Event] = []
        last = 0
        for one in events:
            if one["type"] == "BOOKMARK" or _version_of(one) in self._vain:
                continue
            version, body = _version_of(one), one["object"]
            known = self.player.versions.get((resource, body["metadata"]["name"]), [])
            words = {"type": one["type"], "is later": int(version) > last, "was answered": version in known}
            told.append({**words, **self.player.told(body), "kind": body["kind"]})
            last = int(version)
            if _is_end(one):
                break
        return told

    @staticmethod
    def _refusal(event: Event) -> Event:
        return {"type": event["type"]} | {name: event["object"].get(name) for name in ("kind", "code", "reason")}

    async def _version(self, resource: str) -> str:
        listed: Any = await self.player.calls.call(transport.Call("list", resource, self._path(resource)))
        return str(listed["metadata"]["resourceVersion"])

    async def _watch(self, resource: str, version: str) -> list[Event]:
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        query["timeoutSeconds"] = str(_SECONDS)
        call = transport.Call("list", resource, self._path(resource), query=tuple(query.items()))
        return [json.loads(line) for line in (await self.player.calls.text(call)).splitlines()]

    async def _keep_a_server(self) -> None:
        body = {"apiVersion": names.API_VERSION, "kind": "EvolutionServer", "metadata": {"name": api_operations.KEEPER}}
        spec = {"url": "http://evolution:8080", "apiKeySecretRef": {"name": "key"}}
        call = transport.Call("create", WATCHED[1], self._path(WATCHED[1]), body=body | {"spec": spec})
        await self.player.calls.call(call)

    async def _change(self, resource: str, annotations: Mapping[str, str]) -> None:
        path = f"{self._path(resource)}/{api_operations.KEEPER}"
        body = {"metadata": {"annotations": annotations}}
        call = transport.Call("patch", resource, path, body=body, content_type=transport.MERGE_PATCH)
        await self.player.calls.call(call)

    def _path(self, resource: str) -> str:
        return transport.path("apis", *names.API_VERSION.split("/"), "namespaces", self.player.namespace, resource)


def _version_of(event: Event) -> str:
    return str(event["object"]["metadata"]["resourceVersion"])


def _is_end(event: Event) -> bool:
    return _END in event["object"]["metadata"].get("annotations", {})
