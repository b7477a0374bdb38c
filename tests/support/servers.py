"""A server as the engine holds it, read, warm and known, and the ports around it, which tests script."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from support import simulated, surroundings
from support.simulated import START
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import ports, reporting, warmup
from whatsapp_operator.engine.server import Server, Wish
from whatsapp_operator.engine.standing import Standing
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.resources.reasons import Reason

KEY = ports.Key("messaging", "main")
SAFE = ports.Workload(
    resource_version="1", replicas=1, one_at_a_time=True, paused=False, restarted_at=None, rolled_out=True
)


def a_server(*, instances: int = 3, status: object = None, **spec: Any) -> Server:
    """A server of version 2.3.7 that was just read and is warm; all its instances were looked at, and are well."""
    metadata = {"name": "main", "namespace": "messaging", "uid": "u-1", "resourceVersion": "1", "generation": 1}
    least = {"url": "http://evolution-api:8080", "apiKeySecretRef": {"name": "evolution-api"}}
    body = {"metadata": metadata, "spec": least | spec, "status": status or {"clientName": "evolution"}}
    one = Server(key=KEY, body=body)
    one.update(body)
    one.observed.client_name, one.observed.version = "evolution", "2.3.7"
    seen(one)
    for number in range(instances):
        subject = a_subject(f"i{number}")
        one.subjects[f"i{number}"] = subject
        one.note_standing(subject, Standing.WELL)
    return one


def seen(one: Server, *, at: Any = START) -> Server:
    """Both witnesses were read at a moment, and the server has warmed up."""
    one.observed.memory_at = one.observed.rows_at = at
    one.observed.ever_read = True
    one.warm_up = warmup.WarmUp(done=True)
    return one


def a_subject(name: str, *, status: object = None, annotations: object = None, **spec: Any) -> Subject:
    """An instance that lives on the server."""
    metadata = {"name": name, "namespace": "messaging", "uid": name, "resourceVersion": "1"}
    body: dict[str, Any] = {
        "metadata": metadata | {"annotations": annotations or {}},
        "spec": {"serverRef": {"name": "main"}} | spec,
        "status": status or {"instanceID": f"id-of-{name}"},
    }
    one = Subject(key=ports.Key("messaging", name), body=body)
    one.update(body)
    return one


def wish(one: Server, *names: str, reason: Reason = Reason.CONNECTING, since: Any = START) -> Server:
    """Instances wait for a restart of the server."""
    for name in names:
        one.wishes[ports.Key("messaging", name)] = Wish(since=since, reason=reason)
    return one


@dataclass
class Cluster:
    """A Kubernetes API that keeps Secrets, a workload and statuses, and fails where it is told to."""

    workload: ports.Workload | None = SAFE
    secrets: dict[ports.Key, ports.SecretData] = field(default_factory=dict)
    statuses: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    events: list[Reason] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)
    during: dict[str, Any] = field(default_factory=dict)
    """What happens while a call is under way."""

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.during:
            self.during[name]()
        await asyncio.sleep(0)
        if name in self.fails:
            raise self.fails[name]

    async def read_workload(self, _kind: str, _key: ports.Key) -> ports.Workload:
        await self._call("read workload")
        if self.workload is None:
            raise ports.NotFound
        return self.workload

    async def restart_workload(self, _kind: str, _key: ports.Key, *, at: str, resource_version: str) -> None:
        await self._call("restart workload")
        assert self.workload is not None
        if resource_version != self.workload.resource_version:
            raise ports.Conflict
        self.restarted.append(at)

    async def read(self, _kind: str, _key: ports.Key) -> ports.Body:
        await self._call("read")
        return {"metadata": {"resourceVersion": "1"}}

    async def write_status(self, *_: object, after: Mapping[str, Any], **_rest: object) -> ports.Body:
        await self._call("write status")
        self.statuses.append(after)
        return self.body_with(after)

    def body_with(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """The resource as the API server gives it back: each write makes another version of it."""
        metadata = self.resource.get("metadata", {})
        version = int(metadata.get("resourceVersion", 0)) + len(self.statuses)
        return {**self.resource, "metadata": {**metadata, "resourceVersion": str(version)}, "status": status}

    resource: dict[str, Any] = field(default_factory=dict)

    async def create_secret(self, key: ports.Key, values: Mapping[str, bytes], *, owner: ports.Owner | None) -> None:
        await self._call("create secret")
        if key in self.secrets:
            raise ports.Conflict
        owners = frozenset({owner.uid}) if owner is not None else frozenset[str]()
        self.secrets[key] = ports.SecretData(values=values, resource_version="1", owner_uids=owners, managed=True)

    async def read_secret(self, key: ports.Key) -> ports.SecretData:
        await self._call("read secret")
        if key not in self.secrets:
            raise ports.NotFound
        return self.secrets[key]

    async def replace_secret(self, key: ports.Key, values: Mapping[str, bytes], *, resource_version: str) -> None:
        await self._call("replace secret")
        before = self.secrets[key]
        assert before.resource_version == resource_version
        self.secrets[key] = ports.SecretData(values=values, resource_version="2", owner_uids=before.owner_uids)

    async def delete_secret(self, key: ports.Key, *, resource_version: str) -> None:
        await self._call("delete secret")
        assert self.secrets[key].resource_version == resource_version
        self.secrets.pop(key, None)

    def emit(self, event: ports.Event) -> Coroutine[object, object, None]:
        """Noted at once, since `Tasks` sends nothing."""
        self.events.append(event.reason)
        return asyncio.sleep(0)


@dataclass
class Told:
    """Telemetry that remembers."""

    audits: list[reporting.Audit] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def audit(self, entry: reporting.Audit, /) -> None:
        self.audits.append(entry)

    def problem(self, message: str, /, **_: str | float) -> None:
        self.problems.append(message)

    def status_written(self, kind: str, result: str, /) -> None:
        """Not of interest."""


class Tasks:
    """Starts nothing."""

    def spawn(self, _name: str, work: Coroutine[object, object, None], /) -> None:
        work.close()


def a_context(time: simulated.Time, one: Server, cluster: Cluster, **ports_given: Any) -> contexts.Context:
    """The engine's surroundings with one server in it."""
    given = {"kubernetes": cluster, "telemetry": Told(), "tasks": Tasks()} | ports_given
    context = surroundings.context(time, **given)
    context.servers[one.key] = one
    if one.resource is not None:
        spec = one.resource.spec.model_dump(by_alias=True, mode="json", exclude_none=True)
        cluster.resource = {"metadata": dict(one.body["metadata"]), "spec": spec}
    return context
