"""Generated sequences of calls to a Kubernetes API server, and what its answers say, whichever server it is.

The calls are those that the operator and its users make, valid and not. What a server chooses freely (uids, times,
numbers of versions) is told as what it means: whether a version is a new one, whether an object is being deleted.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from whatsapp_operator.cluster import transport, workloads
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names

CURRENT, STALE = "$current", "$stale"
"""Stand for versions that only the server knows: the one that was seen last, and one before it."""

KEEPER, UID = "keeper", "$uid"
"""An instance that stays, and its uid: the real cluster collects what belongs to nobody."""

_FINALIZER = [names.FINALIZER]
_SPECS: tuple[dict[str, Any], ...] = (
    {"serverRef": {"name": "main"}},
    {"serverRef": {"name": "main"}, "settings": {"rejectCall": True}},
    {"serverRef": {"name": "main"}, "pairing": {}, "deletionPolicy": "Retain"},
    {"serverRef": {"name": "main"}, "unknown": {"field": 1}},
    {"serverRef": {"name": "main"}, "recovery": {"mode": "Enabled", "maxAttempts": 3}},
)
_BAD_SPECS: tuple[dict[str, Any], ...] = (
    {},
    {"serverRef": {"name": "main"}, "deletionPolicy": "Perhaps"},
    {"serverRef": {"name": "main"}, "recovery": {"maxAttempts": 0}},
    {"serverRef": {"name": "main"}, "settings": {"rejectCall": "yes"}},
    {"serverRef": {"name": "main"}, "settings": {"msgCall": "x" * 101}},
)
_CHANGES: tuple[dict[str, Any], ...] = (
    {"settings": {"groupsIgnore": True}},
    {"settings": None},
    {"deletionPolicy": "Delete"},
    {"pause": {"reason": "work"}},
    {"pause": None},
    {"unknown": 1},
    {"deletionPolicy": "Perhaps"},
    {"serverRef": {"name": "other"}},
    {"instanceName": "other"},
)
_STATUSES: tuple[Any, ...] = (
    {"observedGeneration": 1, "reason": "Healthy", "healthState": "Healthy"},
    {"observedGeneration": 1, "reason": "Settling"},
    {"observedGeneration": 1, "reason": None},
    {"recovery": {"attempts": 1, "blockedBy": ["Storm"]}},
    {"recovery": {"attempts": -1}},
    {"healthState": "Canary"},
    {"observedGeneration": "one"},
    {"observedGeneration": 1, "unknown": True},
    {"observedGeneration": 2},
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One call, with words for the versions that only the server knows."""

    verb: str
    resource: str
    group: str
    name: str = ""
    subresource: str = ""
    body: Any = None
    content_type: str = transport.JSON
    query: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}/{self.name} {self.subresource} {self.body}"


def draw(seed: int, *, count: int) -> Iterator[Operation]:
    """A sequence of so many calls."""
    chance = random.Random(seed)  # noqa: S311 - a sequence that can be repeated, no cryptography
    for _ in range(count):
        yield chance.choices(_KINDS, _OFTEN)[0](chance)


def _version(chance: random.Random) -> dict[str, str]:
    """No precondition, one that holds, or one that does not."""
    return chance.choice(({}, {"resourceVersion": CURRENT}, {"resourceVersion": CURRENT}, {"resourceVersion": STALE}))


def _on_instances(chance: random.Random) -> Operation:
    name = chance.choice(("one", "two"))
    kind = chance.choices(("create", "get", "list", "spec", "status", "finalizers", "mark", "delete"), _SHARES)[0]
    base = ("whatsappinstances", f"apis/{names.API_VERSION}")
    match kind:
        case "create":
            return Operation("create", *base, body=_new(chance, name))
        case "get":
            return Operation("get", *base, name=name)
        case "list":
            return Operation("list", *base)
        case "delete":
            return Operation("delete", *base, name=name, body=_preconditions(chance))
    subresource, body = _change(chance, kind)
    return Operation("patch", *base, name=name, subresource=subresource, body=body, content_type=transport.MERGE_PATCH)


_SHARES = (4, 1, 1, 3, 5, 3, 1, 2)


def _new(chance: random.Random, name: str) -> dict[str, Any]:
    spec = chance.choice(_SPECS if chance.random() < 0.7 else _BAD_SPECS)
    metadata: dict[str, Any] = {"name": name}
    if chance.random() < 0.3:
        metadata["finalizers"] = _FINALIZER
    body: dict[str, Any] = {"apiVersion": names.API_VERSION, "kind": "WhatsAppInstance", "metadata": metadata}
    return body | {"spec": spec} | ({"status": {"reason": "Healthy"}} if chance.random() < 0.2 else {})


def _change(chance: random.Random, kind: str) -> tuple[str, dict[str, Any]]:
    metadata: dict[str, Any] = {**_version(chance)}
    if kind == "spec":
        return "", {"metadata": metadata, "spec": chance.choice(_CHANGES)}
    if kind == "status":
        metadata |= {"annotations": {"ignored": "here"}} if chance.random() < 0.2 else {}
        more = {"spec": {"deletionPolicy": "Delete"}} if chance.random() < 0.2 else {}
        return "status", {"metadata": metadata, "status": chance.choice(_STATUSES), **more}
    if kind == "finalizers":
        return "", {"metadata": metadata | {"finalizers": chance.choice(([], _FINALIZER, [*_FINALIZER, "a.b/c"]))}}
    metadata["annotations"] = {names.APPROVE: chance.choice(("a", "b", None))}
    return "", {"metadata": metadata} | ({"status": {"reason": "Settling"}} if chance.random() < 0.3 else {})


def _preconditions(chance: random.Random) -> Any:
    version = _version(chance)
    return {"preconditions": version} if version else None


def _on_secrets(chance: random.Random) -> Operation:
    base = ("secrets", "api/v1")
    match chance.choice(("create", "get", "replace", "disown", "delete")):
        case "create":
            owner = {"apiVersion": names.API_VERSION, "kind": "WhatsAppInstance", "name": KEEPER, "uid": UID}
            metadata = {"name": "token", "labels": {"a": "b"}} | (
                {"ownerReferences": [owner]} if chance.random() < 0.5 else {}
            )
            body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
            return Operation("create", *base, body=body | {"data": {"token": "Zmlyc3Q="}})
        case "get":
            return Operation("get", *base, name="token")
        case "delete":
            return Operation("delete", *base, name="token", body=_preconditions(chance))
        case "replace":
            change: dict[str, Any] = {"op": "add", "path": "/data", "value": {"token": chance.choice(("b25l", "dHdv"))}}
        case _:
            change = {"op": "remove", "path": "/metadata/ownerReferences"}
    version = {"op": "add", "path": "/metadata/resourceVersion", "value": chance.choice((CURRENT, CURRENT, STALE))}
    return Operation("patch", *base, name="token", body=[version, change], content_type=transport.JSON_PATCH)


def _on_leases(chance: random.Random) -> Operation:
    base = ("leases", "apis/coordination.k8s.io/v1")
    labels = {"app.kubernetes.io/managed-by": "whatsapp-operator", "whatsapp-operator.dev/lease": "claim"}
    holder = chance.choice(("first", "second", None))
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-11-23T10:00:00.000000Z"}
    match chance.choice(("create", "update", "update", "delete", "list")):
        case "create":
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "claim"}}
            body["metadata"] = {"name": "claim", "labels": labels, "annotations": {"ledger": "1"}}
            return Operation("create", *base, body=body | {"spec": spec})
        case "update":
            metadata = {"annotations": {"ledger": chance.choice(("1", "2"))}, **_version(chance)}
            body = {"metadata": metadata, "spec": spec}
            return Operation("patch", *base, name="claim", body=body, content_type=transport.MERGE_PATCH)
        case "delete":
            return Operation("delete", *base, name="claim", body=_preconditions(chance))
        case _:
            selector = "app.kubernetes.io/managed-by=whatsapp-operator,whatsapp-operator.dev/lease"
            return Operation("list", *base, query=(("labelSelector", selector),))


_SERVER_SPECS: tuple[dict[str, Any], ...] = (
    {"url": "http://evolution:8080", "apiKeySecretRef": {"name": "key"}},
    {"url": "https://evolution.example.com/api", "apiKeySecretRef": {"name": "key", "key": "global"}},
    {"url": "http://evolution:8080", "apiKeySecretRef": {"name": "key"}, "allowedNamespaces": ["shops"]},
)
_BAD_SERVER_SPECS: tuple[dict[str, Any], ...] = (
    {"url": "http://evolution:8080"},
    {"url": "ftp://evolution", "apiKeySecretRef": {"name": "key"}},
    {"url": "http://evolution:8080", "apiKeySecretRef": {}},
)
_SERVER_CHANGES: tuple[dict[str, Any], ...] = (
    {"budget": {"maxInFlight": 2}},
    {"budget": {"maxInFlight": 0}},
    {"budget": None},
    {"maintenance": {"windows": "always"}},
    {"workloadRef": {"kind": "Deployment", "name": "evolution"}},
    {"workloadRef": {"kind": "DaemonSet", "name": "evolution"}},
)
_SERVER_STATUSES: tuple[Any, ...] = (
    {"observedGeneration": 1, "version": "2.3.7"},
    {"observedGeneration": 1, "version": None},
    {"observedGeneration": "one"},
    {"observedGeneration": 2, "unknown": {"field": True}},
)


def _on_servers(chance: random.Random) -> Operation:
    base = ("evolutionservers", f"apis/{names.API_VERSION}")
    match chance.choices(("create", "get", "list", "delete", "spec", "status", "finalizers"), (3, 1, 1, 1, 3, 3, 2))[0]:
        case "create":
            spec = chance.choice(_SERVER_SPECS if chance.random() < 0.7 else _BAD_SERVER_SPECS)
            body = {"apiVersion": names.API_VERSION, "kind": "EvolutionServer", "metadata": {"name": "main"}}
            return Operation("create", *base, body=body | {"spec": spec})
        case "get":
            return Operation("get", *base, name="main")
        case "list":
            return Operation("list", *base)
        case "delete":
            return Operation("delete", *base, name="main", body=_preconditions(chance))
        case "spec":
            part, change = "", {"spec": chance.choice(_SERVER_CHANGES)}
        case "status":
            part, change = "status", {"status": chance.choice(_SERVER_STATUSES)}
        case _:
            part, change = "", {"metadata": {"finalizers": chance.choice(([], [names.SERVER_FINALIZER]))}}
    change = {**change, "metadata": {**change.get("metadata", {}), **_version(chance)}}
    return Operation("patch", *base, name="main", subresource=part, body=change, content_type=transport.MERGE_PATCH)


def _on_workloads(chance: random.Random) -> Operation:
    """As the operator restarts one, and its users scale and remove it.

    On the real cluster its controller writes it, too, and rolls it out when it likes: what else the operator reads of
    it is compared, and of the preconditions one that never holds.
    """
    base = ("deployments", "apis/apps/v1")
    match chance.choices(("create", "get", "restart", "scale", "delete"), (3, 2, 4, 2, 1))[0]:
        case "create":
            labels = {"app": "evolution"}
            pod = {"containers": [{"name": "evolution", "image": "evolution", "env": [{"name": "A", "value": "1"}]}]}
            template = {"metadata": {"labels": labels}, "spec": pod}
            spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}}
            body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "evolution"}}
            return Operation("create", *base, body=body | {"spec": {**spec, "template": template}})
        case "get":
            return Operation("get", *base, name="evolution")
        case "delete":
            return Operation("delete", *base, name="evolution")
        case "restart":
            at = f"2026-11-23T10:00:0{chance.randrange(3)}Z"
            spec = {"template": {"metadata": {"annotations": {names.RESTARTED_AT: at}}}}
        case _:
            spec = {"replicas": chance.randrange(3)}
    change = {"metadata": chance.choice(({}, {}, {"resourceVersion": "1"})), "spec": spec}
    return Operation("patch", *base, name="evolution", body=change, content_type=transport.MERGE_PATCH)


def _on_configs(chance: random.Random) -> Operation:
    base = ("configmaps", "api/v1")
    match chance.choice(("create", "get", "change", "delete")):
        case "create":
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": names.PAUSE_CONFIG}}
            return Operation("create", *base, body=body | {"data": {"reason": "work"}})
        case "get":
            return Operation("get", *base, name=names.PAUSE_CONFIG)
        case "delete":
            return Operation("delete", *base, name=names.PAUSE_CONFIG, body=_preconditions(chance))
        case _:
            change = {"metadata": _version(chance), "data": {"reason": chance.choice(("work", "more", None))}}
            return Operation("patch", *base, name=names.PAUSE_CONFIG, body=change, content_type=transport.MERGE_PATCH)


_KINDS = (_on_instances, _on_servers, _on_secrets, _on_leases, _on_workloads, _on_configs)
_OFTEN = (12, 6, 4, 4, 4, 2)


def agree(found: Any, expected: Any, operation: Operation | None) -> bool:
    """Equal; but a write of spec or metadata that changes nothing may make a version of who has set which field."""
    if operation is not None and operation.subresource != "status" and expected.get("new version"):
        return bool({**found, "new version": True} == expected)
    return bool(found == expected)


@dataclass
class Player:
    """Makes the calls of a sequence at one server, and says what was answered."""

    calls: transport.Caller
    namespace: str
    versions: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    uid: str = ""

    async def begin(self) -> None:
        """Create the instance that Secrets belong to."""
        where = transport.path("apis", *names.API_VERSION.split("/"), "namespaces", self.namespace, "whatsappinstances")
        body = {"apiVersion": names.API_VERSION, "kind": "WhatsAppInstance", "metadata": {"name": KEEPER}}
        call = transport.Call("create", "whatsappinstances", where, body=body | {"spec": _SPECS[0]})
        created: Any = await self.calls.call(call)
        self.uid = created["metadata"]["uid"]

    async def play(self, operation: Operation) -> Mapping[str, Any]:
        """Make a call; the answer, in words that do not depend on the server."""
        name = operation.name or str((operation.body or {}).get("metadata", {}).get("name", ""))
        key = operation.resource, name
        subresource = (operation.subresource,) if operation.subresource else ()
        parts = ("namespaces", self.namespace, operation.resource, *filter(None, (operation.name,)), *subresource)
        call = transport.Call(
            operation.verb,
            "/".join((operation.resource, *subresource)),
            transport.path(*operation.group.split("/"), *parts),
            query=operation.query,
            body=self._filled(operation.body, key),
            content_type=operation.content_type,
        )
        try:
            answer: Any = await self.calls.call(call)
        except ports.KubernetesError as error:
            return {"refused": type(error).__name__, "why": str(error)}
        if operation.resource == "deployments" and answer.get("kind") == "Deployment":
            seen = workloads.read("Deployment", answer)
            return {"workload": replace(seen, resource_version="", rolled_out=False)}
        if operation.verb == "list":
            versions = [int(one["metadata"]["resourceVersion"]) for one in answer["items"]]
            is_newest = int(answer["metadata"]["resourceVersion"]) >= max(versions, default=0)
            return {"items": [self.told(one) for one in answer["items"]], "version of all": is_newest}
        return self._seen(answer, key) if "metadata" in answer and answer.get("kind") != "Status" else {"done": True}

    def _filled(self, value: Any, key: tuple[str, str]) -> Any:
        seen = self.versions.get(key, [])
        if value == CURRENT:
            return seen[-1] if seen else "1"
        if value == UID:
            return self.uid
        if value == STALE:
            return seen[-2] if len(seen) > 1 else "1"
        if isinstance(value, dict):
            return {name: self._filled(inner, key) for name, inner in value.items()}
        return [self._filled(inner, key) for inner in value] if isinstance(value, list) else value

    def _seen(self, body: Mapping[str, Any], key: tuple[str, str]) -> Mapping[str, Any]:
        seen, version = self.versions.setdefault(key, []), str(body["metadata"]["resourceVersion"])
        is_new = not seen or seen[-1] != version
        if is_new:
            seen.append(version)
        return {**self.told(body), "new version": is_new}

    @staticmethod
    def told(body: Mapping[str, Any]) -> Mapping[str, Any]:
        """An object, without what a server chooses freely."""
        metadata = body["metadata"]
        kept = {name: metadata.get(name) for name in ("name", "generation", "labels", "annotations", "finalizers")}
        owners = [one["name"] for one in metadata.get("ownerReferences", ())]
        rest = {name: body.get(name) for name in ("spec", "status", "data")}
        return {**kept, "owners": owners, "going": "deletionTimestamp" in metadata, **rest}
