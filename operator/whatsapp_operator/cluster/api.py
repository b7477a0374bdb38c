"""The engine's port to the Kubernetes API."""

from __future__ import annotations

import collections
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

from whatsapp_operator.cluster import events, pages, patches, permissions, secrets, transport, workloads
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names

_PAGE = 500


class KubernetesApi:
    """The calls that the engine makes, over all namespaces or only those that are named.

    Each raises a `KubernetesError`, except `emit`, which never fails.
    """

    def __init__(self, calls: transport.Caller, *, recorder: events.Recorder, namespaces: Sequence[str] = ()) -> None:
        self._calls, self._recorder = calls, recorder
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._pages_of: dict[tuple[str | None, str], pages.Pages] = collections.defaultdict(pages.Pages)

    async def list(self, kind: str) -> AsyncIterator[Sequence[ports.Listed]]:
        """All resources of a kind in the watched namespaces, in pages of 500."""
        for namespace in self._namespaces:
            async for page in self._list_in(namespace, kind):
                yield page

    async def _list_in(self, namespace: str | None, kind: str) -> AsyncIterator[Sequence[ports.Listed]]:
        """A page that is no longer to be had means beginning again, once; what came already comes again then."""
        try:
            async for page in self._pages(namespace, kind):
                yield page
        except transport.Expired:
            async for page in self._pages(namespace, kind):
                yield page

    async def _pages(self, namespace: str | None, kind: str) -> AsyncIterator[Sequence[ports.Listed]]:
        known = self._pages_of[namespace, kind]
        following = ""
        for number in itertools.count():
            page = await self._page(known, namespace, kind, number=number, following=following)
            following = page.following
            yield page.resources
            del page  # so that it is gone before the next one is there
            if not following:
                return

    async def _page(
        self, known: pages.Pages, namespace: str | None, kind: str, *, number: int, following: str
    ) -> pages.Page:
        query = (("limit", str(_PAGE)), *_after(following))
        text = await self._calls.text(_resource_call("list", kind, namespace, query=query))
        try:
            return known.read(text, number=number)
        except (ValueError, RecursionError):
            raise ports.Unavailable("a LIST was answered with something that is no list") from None

    async def read(self, kind: str, key: ports.Key) -> ports.Body:
        """One resource."""
        return await self._calls.call(_resource_call("get", kind, key.namespace, key.name))

    async def write_status(
        self, kind: str, key: ports.Key, *, before: ports.Body, after: ports.Body, resource_version: str
    ) -> ports.Body:
        """Change `status` from `before` to `after`; `Conflict` when the resource is no longer at `resource_version`."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": patches.merge_patch(before, after)}
        return await self._patch(kind, key, body, subresource="status")

    async def write_finalizers(
        self, kind: str, key: ports.Key, finalizers: Sequence[str], *, resource_version: str
    ) -> ports.Body:
        """Replace the finalizers; `Conflict` when the resource is no longer at `resource_version`."""
        body = {"metadata": {"resourceVersion": resource_version, "finalizers": [*finalizers]}}
        return await self._patch(kind, key, body)

    async def _patch(
        self, kind: str, key: ports.Key, body: Mapping[str, object], *, subresource: str = ""
    ) -> ports.Body:
        return await self._calls.call(
            _resource_call("patch", kind, key.namespace, key.name, subresource=subresource, body=body)
        )

    async def read_secret(self, key: ports.Key) -> ports.SecretData:
        """A Secret by name."""
        return secrets.read(await self._calls.call(transport.Call("get", "secrets", _secret_path(key))))

    async def create_secret(self, key: ports.Key, values: Mapping[str, bytes], *, owner: ports.Owner | None) -> None:
        """Create a labelled Secret; `Conflict` when the name is taken."""
        path = transport.path("api", "v1", "namespaces", key.namespace, "secrets")
        await self._calls.call(transport.Call("create", "secrets", path, body=secrets.build(key, values, owner)))

    async def replace_secret(self, key: ports.Key, values: Mapping[str, bytes], *, resource_version: str) -> None:
        """Replace all values of a Secret; `Conflict` when it is no longer at `resource_version`."""
        # A merge patch would keep the keys that are to go.
        change = {"op": "add", "path": "/data", "value": secrets.encode(values)}
        await self._change_secret(key, change, resource_version=resource_version)

    async def disown_secret(self, key: ports.Key, *, resource_version: str) -> None:
        """Drop the owners of a Secret; `Conflict` when it is no longer at `resource_version`."""
        change = {"op": "remove", "path": "/metadata/ownerReferences"}
        await self._change_secret(key, change, resource_version=resource_version)

    async def _change_secret(self, key: ports.Key, change: Mapping[str, object], *, resource_version: str) -> None:
        # Setting the version makes it a precondition.
        version = {"op": "add", "path": "/metadata/resourceVersion", "value": resource_version}
        await self._calls.call(
            transport.Call(
                "patch", "secrets", _secret_path(key), body=[version, change], content_type=transport.JSON_PATCH
            )
        )

    async def delete_secret(self, key: ports.Key, *, resource_version: str) -> None:
        """Delete a Secret; `Conflict` when it is no longer at `resource_version`. One that is gone is no error."""
        options = {"preconditions": {"resourceVersion": resource_version}}
        try:
            await self._calls.call(transport.Call("delete", "secrets", _secret_path(key), body=options))
        except ports.NotFound:
            return

    async def read_workload(self, kind: str, key: ports.Key) -> ports.Workload:
        """A Deployment or StatefulSet by name."""
        call = transport.Call("get", workloads.plural(kind), workloads.path(kind, key))
        return workloads.read(kind, await self._calls.call(call))

    async def restart_workload(self, kind: str, key: ports.Key, *, at: str, resource_version: str) -> None:
        """Restart it as `kubectl rollout restart` does; `Conflict` when it is no longer at `resource_version`."""
        body = workloads.restart(at=at, resource_version=resource_version)
        await self._calls.call(
            transport.Call(
                "patch",
                workloads.plural(kind),
                workloads.path(kind, key),
                body=body,
                content_type=transport.MERGE_PATCH,
            )
        )

    async def read_config(self, key: ports.Key) -> Mapping[str, str]:
        """The data of a ConfigMap by name."""
        path = transport.path("api", "v1", "namespaces", key.namespace, "configmaps", key.name)
        body = await self._calls.call(transport.Call("get", "configmaps", path))
        data = body.get("data")
        return {str(name): str(value) for name, value in data.items()} if isinstance(data, Mapping) else {}

    async def emit(self, event: ports.Event) -> None:
        """Record an Event on a resource; a failure is logged, and raises nothing."""
        await self._recorder.emit(event)

    async def namespace_is_terminating(self, name: str) -> bool:
        """Whether a namespace is being deleted, or gone."""
        try:
            path = transport.path("api", "v1", "namespaces", name)
            body = await self._calls.call(transport.Call("get", "namespaces", path))
        except ports.NotFound:
            return True
        return "deletionTimestamp" in cast("Mapping[str, object]", body.get("metadata") or {})


def _resource_call(
    verb: str,
    kind: str,
    namespace: str | None,
    name: str = "",
    *,
    subresource: str = "",
    query: Sequence[tuple[str, str]] = (),
    body: object = None,
) -> transport.Call:
    plural = permissions.PLURALS[permissions.Kind(kind)]
    parts = ["apis", names.GROUP, names.VERSION]
    parts += ["namespaces", namespace] if namespace else []
    parts += [part for part in (plural, name, subresource) if part]
    resource = f"{plural}/{subresource}" if subresource else plural
    content_type = transport.MERGE_PATCH if verb == "patch" else transport.JSON
    return transport.Call(verb, resource, transport.path(*parts), query=query, body=body, content_type=content_type)


def _secret_path(key: ports.Key) -> str:
    return transport.path("api", "v1", "namespaces", key.namespace, "secrets", key.name)


def _after(token: str) -> tuple[tuple[str, str], ...]:
    return (("continue", token),) if token else ()
