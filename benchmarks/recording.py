"""What was written to the API server, seen from outside, and the same writes once more: the reference.

Three watches see every version of every instance, Secret and Event of a namespace. What lies between two versions is
one write. Replayed into another namespace, instance by instance and in their order, the same writes tell how long the
API server alone takes for what the operator had it do.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import plain
from whatsapp_operator.cluster import patches
from whatsapp_operator.resources import names

INSTANCES = f"apis/{names.API_VERSION}/namespaces/{{}}/whatsappinstances"
SECRETS = "api/v1/namespaces/{}/secrets"
EVENTS = "api/v1/namespaces/{}/events"
_SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")

Listener = Callable[[float, plain.Json], None]


@dataclass(slots=True)
class Recording:
    """Every event of one collection from its start, with the wall time at which each was read."""

    api: plain.Api
    path: str
    listener: Listener | None = None
    lines: list[bytes] = field(default_factory=list)
    _task: "asyncio.Task[None] | None" = None

    async def start(self, namespace: str) -> None:
        """Begin after what is there now."""
        path = "/" + self.path.format(namespace)
        listed = await self.api.call("GET", f"{path}?limit=1")
        self._task = asyncio.create_task(self._follow(path, since=listed["metadata"]["resourceVersion"]))

    async def _follow(self, path: str, *, since: str) -> None:
        async for line in self.api.watch(path, since=since):
            self.lines.append(line)
            if self.listener is not None:
                self.listener(time.time(), json.loads(line))

    async def stop(self) -> None:
        """End it. Raises what it failed with, if it ended before."""
        if self._task is None:
            return
        if not self._task.done():
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if not self._task.cancelled():
            self._task.result()


def watches(api: plain.Api, *, listener: Listener) -> list[Recording]:
    """Of all that belongs to instances; the listener hears of the instances themselves."""
    return [Recording(api, INSTANCES, listener=listener), Recording(api, SECRETS), Recording(api, EVENTS)]


@dataclass(frozen=True, slots=True)
class Write:
    """One write, in order of `version`; `{}` in its path stands for the namespace."""

    version: int
    method: str
    path: str
    body: plain.Json | None = None

    @property
    def kind(self) -> str:
        """What it writes, such as `PATCH whatsappinstances/status`."""
        tail = self.path.partition("{}/")[2].split("/")
        return f"{self.method} {tail[0]}{'/status' if tail[-1] == 'status' else ''}"


def writes(recordings: Sequence[Recording]) -> Mapping[str, Sequence[Write]]:
    """The writes that belong to each instance, by its name, in their order."""
    found: dict[str, list[Write]] = defaultdict(list)
    for recording in recordings:
        for instance, write in _writes_of(recording):
            found[instance].append(write)
    return {name: sorted(each, key=lambda write: write.version) for name, each in found.items() if name}


def _writes_of(recording: Recording) -> Iterator[tuple[str, Write]]:
    before: dict[str, plain.Json] = {}
    for line in recording.lines:
        event = json.loads(line)
        now = event["object"]
        name = now["metadata"]["name"]
        for write in _between(recording.path, event["type"], before.get(name), now):
            yield _instance_of(now), write
        before[name] = now


def _between(path: str, change: str, before: plain.Json | None, now: plain.Json) -> Iterable[Write]:
    version, own = int(now["metadata"]["resourceVersion"]), f"{path}/{now['metadata']['name']}"
    if change == "DELETED":
        return [Write(version, "DELETE", own)]
    if before is None:
        return [Write(version, "POST", path, _created(now))]
    return [Write(version, "PATCH", *one) for one in _differences(own, before, now)]


def _created(now: plain.Json) -> plain.Json:
    metadata = {key: value for key, value in now["metadata"].items() if key not in _SERVERS_OWN}
    return {key: value for key, value in now.items() if key != "status"} | {"metadata": metadata}


def _differences(own: str, before: plain.Json, now: plain.Json) -> Iterator[tuple[str, plain.Json]]:
    if before["metadata"].get("finalizers") != now["metadata"].get("finalizers"):
        yield own, {"metadata": {"finalizers": now["metadata"].get("finalizers")}}
    status = patches.merge_patch(before.get("status", {}), now.get("status", {}))
    if status:
        yield f"{own}/status", {"status": status}
    rest = [{key: value for key, value in one.items() if key not in ("metadata", "status")} for one in (before, now)]
    other = patches.merge_patch(rest[0], rest[1])
    if other:
        yield own, other


def _instance_of(body: plain.Json) -> str:
    owners = [one["name"] for one in body["metadata"].get("ownerReferences", ())]
    involved = body.get("involvedObject", {})
    if involved:
        return str(involved["name"]) if involved["kind"] == "WhatsAppInstance" else ""
    return str(owners[0]) if owners else str(body["metadata"]["name"]) if body["kind"] == "WhatsAppInstance" else ""


async def replay(api: plain.Api, histories: Iterable[Sequence[Write]], *, namespace: str, concurrency: int) -> float:
    """Make all writes again in another namespace, so many instances at once. Returns the seconds that it took."""

    async def again(history: Sequence[Write]) -> None:
        owner = ""
        for write in history:
            answer = await _send(api, write, namespace=namespace, owner=owner)
            owner = owner or answer["metadata"]["uid"]  # the first write creates the instance, which owns the rest

    began = time.monotonic()
    await plain.each(histories, again, concurrency=concurrency)
    return time.monotonic() - began


async def _send(api: plain.Api, write: Write, *, namespace: str, owner: str) -> plain.Json:
    path = "/" + write.path.format(namespace)
    if write.method == "PATCH":
        return await api.patch(path, write.body)
    body = _moved(write.body, namespace=namespace, owner=owner) if write.body is not None else None
    return await api.call(write.method, path, body)


def _moved(body: plain.Json, *, namespace: str, owner: str) -> plain.Json:
    """The body in another namespace; an owner that is not there would have the garbage collector delete it."""
    metadata = body["metadata"] | {"namespace": namespace}
    if "ownerReferences" in metadata:
        metadata["ownerReferences"] = [one | {"uid": owner} for one in metadata["ownerReferences"]]
    involved = body.get("involvedObject")
    moved = {"involvedObject": involved | {"namespace": namespace}} if involved else {}
    return body | {"metadata": metadata} | moved
