"""Stories that a Kubernetes API server and its controllers play, whichever they are: pages, owners, a namespace's end.

What is compared is told in words that do not depend on the server, and where controllers have their part only once they
have done it: when they do is theirs to choose.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support import api_operations
from support.api_operations import Operation
from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names

Told = list[Any]
_CUSTOM = ("whatsappinstances", "evolutionservers")
_EMPTIED = ("secrets", "leases", "configmaps")
_GROUPS = dict.fromkeys(_CUSTOM, f"apis/{names.API_VERSION}") | {
    "secrets": "api/v1",
    "configmaps": "api/v1",
    "leases": "apis/coordination.k8s.io/v1",
}
_NAMES = ("a", "a-b", "a0", "b", "0", "c", "c0")
_PATIENCE = 90.0
"""Seconds. The real garbage collector learns of new kinds every half a minute."""


@dataclass
class Teller:
    """Plays at one server."""

    player: api_operations.Player
    chance: random.Random
    uids: dict[str, str] = field(default_factory=dict)

    async def ask(self, verb: str, resource: str, name: str = "", **parts: Any) -> Mapping[str, Any]:
        """Make a call for an object, or all of a kind, of the namespace."""
        content = transport.MERGE_PATCH if verb == "patch" else transport.JSON
        return await self.player.play(
            Operation(verb, resource, _GROUPS[resource], name=name, content_type=content, **parts)
        )

    async def ask_for(self, verb: str, *path: str, body: Any = None, **query: str) -> Any:
        """Make a call; None where what it is about is not there."""
        call = transport.Call(verb, "any", transport.path(*path), query=tuple(query.items()), body=body)
        try:
            return await self.player.calls.call(call)
        except ports.NotFound:
            return None

    async def create_instance(self, name: str) -> None:
        """Create one, and note its uid; it stays as it is where there is one."""
        body = {"apiVersion": names.API_VERSION, "kind": "WhatsAppInstance", "metadata": {"name": name}}
        body |= {"spec": {"serverRef": {"name": "main"}}}
        await self.ask("create", "whatsappinstances", body=body)
        found = await self.ask_for("get", *self._instances(), name)
        self.uids[found["metadata"]["uid"]] = f"{name} {len(self.uids)}"

    def _instances(self) -> tuple[str, ...]:
        return "apis", names.GROUP, names.VERSION, "namespaces", self.player.namespace, "whatsappinstances"

    # Pages

    async def read_in_pages(self) -> Told:
        """Lists in pages, while somebody else writes between two of them."""
        for name in _NAMES:
            await self.create_instance(name)
        return [await self._read_in_pages(str(self.chance.randint(1, 4))) for _ in range(10)]

    async def _read_in_pages(self, limit: str) -> Told:
        told: Told = []
        token, version = "", ""
        while True:
            page = await self.ask_for("list", *self._instances(), limit=limit, **({"continue": token} if token else {}))
            metadata = page["metadata"]
            version = version or metadata["resourceVersion"]
            items = [self.player.told(one) for one in page["items"]]
            words = {"left": metadata.get("remainingItemCount"), "of one": metadata["resourceVersion"] == version}
            told.append({"items": items, "goes on": bool(metadata.get("continue")), **words})
            token = metadata.get("continue", "")
            if not token:
                return told
            await self._write()

    async def _write(self) -> None:
        name = self.chance.choice(_NAMES)
        what = self.chance.choice(("create", "delete", "mark"))
        if what == "create":
            await self.create_instance(name) if not await self._is_there(name) else None
        elif what == "delete":
            await self.ask("delete", "whatsappinstances", name)
        else:
            marks = {"metadata": {"annotations": {names.APPROVE: str(self.chance.random())}}}
            await self.ask("patch", "whatsappinstances", name, body=marks)

    async def _is_there(self, name: str) -> bool:
        return await self.ask_for("get", *self._instances(), name) is not None

    async def list_all(self, others: str) -> Told:
        """A list over all namespaces, of which the instances of two are told."""
        for name in _NAMES:
            await self.create_instance(name)
        beside = Teller(api_operations.Player(self.player.calls, others), self.chance)
        for name in reversed(_NAMES):
            await beside.create_instance(name)
        found = await self.ask_for("list", "apis", names.GROUP, names.VERSION, "whatsappinstances")
        mine = {self.player.namespace: "here", others: "there"}
        places = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found["items"]]
        return [(mine[namespace], name) for namespace, name in places if namespace in mine]

    # Owners

    async def collect(self) -> Told:
        """Owners go, and come again as others: which Secrets are left, and whose they are."""
        for name in (api_operations.KEEPER, "one", "two"):
            await self.create_instance(name)
        self.uids["0" * 32] = "nobody"
        for number in range(12):
            await self._create_owned(f"first-{number}", self.chance.choices(sorted(self.uids.values()), k=3))
        await self.ask("delete", "whatsappinstances", "one")
        await self.create_instance("one")
        for number in range(8):
            await self._create_owned(f"second-{number}", self.chance.choices(sorted(self.uids.values()), k=2))
        await self.ask("delete", "whatsappinstances", "two")
        await self._create_owned("last", ["nobody"])
        await until(lambda: self._is_gone("last"))
        await asyncio.sleep(5)
        found = await self.ask_for("list", "api", "v1", "namespaces", self.player.namespace, "secrets")
        return [(one["metadata"]["name"], self._owners_of(one)) for one in found["items"]]

    async def _create_owned(self, name: str, owners: Sequence[str]) -> None:
        uid_of = {label: uid for uid, label in self.uids.items()}
        kind = {"apiVersion": names.API_VERSION, "kind": "WhatsAppInstance"}
        references = [kind | {"name": label.split()[0], "uid": uid_of[label]} for label in dict.fromkeys(owners)]
        metadata = {"name": name, "ownerReferences": references}
        body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
        await self.ask("create", "secrets", body=body)

    def _owners_of(self, body: Mapping[str, Any]) -> list[str]:
        return sorted(self.uids[one["uid"]] for one in body["metadata"].get("ownerReferences", ()))

    async def _is_gone(self, name: str) -> bool:
        return "refused" in await self.ask("get", "secrets", name)

    # The end of a namespace

    async def end_namespace(self, seed: int) -> list[tuple[Operation | None, Any]]:
        """Calls before it, right after it was deleted, once it is emptied but for finalizers, and when it is gone."""
        drawn = [one for one in api_operations.draw(seed, count=700) if one.resource in _GROUPS]
        told: list[tuple[Operation | None, Any]] = []
        await self.player.begin()
        await self._play(drawn[:200], told)
        told += [(None, await self._namespace("delete")), (None, await self._namespace("delete"))]
        await self._play(drawn[200:280], told)
        await until(self._is_emptied)
        told += [(None, await self._left())]
        await self._play(drawn[280:400], told)
        told += [(None, await self._namespace("get"))]
        for resource in _CUSTOM:
            for one in (await self.ask("list", resource))["items"]:
                await self.ask("patch", resource, one["name"], body={"metadata": {"finalizers": []}})
        await until(self._is_over)
        await self._play(drawn[400:440], told)
        return told

    async def _play(self, operations: Sequence[Operation], told: list[tuple[Operation | None, Any]]) -> None:
        told += [(one, await self.player.play(one)) for one in operations]

    async def _namespace(self, verb: str) -> Any:
        body = await self.ask_for(verb, "api", "v1", "namespaces", self.player.namespace)
        return body and {**self.player.told(body), "status": body["status"]["phase"]}

    async def _left(self) -> Any:
        return {resource: await self.ask("list", resource) for resource in _GROUPS}

    async def _is_emptied(self) -> bool:
        left: Any = await self._left()
        going = [one["going"] for resource in _CUSTOM for one in left[resource]["items"]]
        return all(going) and not any(left[resource]["items"] for resource in _EMPTIED)

    async def _is_over(self) -> bool:
        return await self._namespace("get") is None


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(_PATIENCE):
        while not await is_so():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.25)
