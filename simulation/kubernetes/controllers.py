"""What else runs in a cluster: the garbage collector, the end of namespaces, and rollouts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from simulation.kubernetes import answers, kinds, server
from whatsapp_operator.cluster import transport

WRITER = "kube-controller-manager"
_COLLECT_SECONDS = (0.05, 1.5)
_GRACE_SECONDS = 5.0
"""From the deletion of a namespace until its content is deleted, as in Kubernetes (`namespaceDeletionGracePeriod`)."""
_NAMESPACE_SECONDS = 1.0
_OWNED = (kinds.SECRETS, kinds.EVENTS)
_IN_ORDER = (
    kinds.SECRETS,
    kinds.CONFIGS,
    kinds.EVENTS,
    kinds.LEASES,
    kinds.DEPLOYMENTS,
    kinds.STATEFUL_SETS,
    kinds.INSTANCES,
    kinds.SERVERS,
)
"""The real order is any, but for pods, which go first. Here Secrets do: whoever needs a key to clean up has lost it."""


class Controllers:
    """Follows the API server, and does what kube-controller-manager does."""

    def __init__(
        self,
        api: server.ApiServer,
        *,
        loop: asyncio.AbstractEventLoop,
        chance: random.Random,
        roll_out: Callable[[str, str], float],
    ) -> None:
        """`roll_out` replaces the pod of a Deployment, by namespace and name, and says after how long it is ready."""
        self._api, self._loop, self._chance, self._roll_out = api, loop, chance, roll_out
        api.listeners.append(self._changed)

    def _changed(self, change: server.Change) -> None:
        if change.type == "DELETED":
            if change.kind.custom:
                uid = change.after["metadata"]["uid"]
                self._later(_COLLECT_SECONDS, self._collect_of, change.namespace, uid)
        elif change.kind in _OWNED:
            if self._misses_an_owner(change.after):
                self._later(_COLLECT_SECONDS, self._collect, change.kind, change.namespace, change.name)
        elif change.kind is kinds.NAMESPACES and change.before is not None:
            self._loop.call_later(_GRACE_SECONDS, self._empty, change.name)
        elif change.kind is kinds.DEPLOYMENTS and change.subresource == "":
            self._replace_pod(change)

    def _later(self, seconds: tuple[float, float], work: Callable[..., None], *args: object) -> None:
        self._loop.call_later(self._chance.uniform(*seconds), work, *args)

    # The garbage collector

    def _collect_of(self, namespace: str, uid: str) -> None:
        """What belonged to an object that is gone."""
        for kind in _OWNED:
            for body in self._api.all(kind, namespace):
                if any(one["uid"] == uid for one in _owners(body)):
                    self._collect(kind, namespace, body["metadata"]["name"])

    def _collect(self, kind: kinds.Kind, namespace: str, name: str) -> None:
        """Delete what has lost all its owners; what has one left loses the references to the others."""
        body = self._api.find(kind, namespace, name)
        if body is None or not self._misses_an_owner(body):
            return
        left = [one for one in _owners(body) if self._is_there(namespace, one)]
        if left:
            change = {"metadata": {"ownerReferences": left}}
            where, content = path(kind, namespace, name), transport.MERGE_PATCH
            self._api.handle(
                transport.Call("patch", kind.plural, where, body=change, content_type=content), writer=WRITER
            )
        else:
            self.delete(kind, namespace, name)

    def _misses_an_owner(self, body: server.Body) -> bool:
        return not all(self._is_there(body["metadata"]["namespace"], one) for one in _owners(body))

    def _is_there(self, namespace: str, owner: Mapping[str, str]) -> bool:
        """One of its name with another uid is another one."""
        found = self._api.find(kinds.BY_KIND[owner["kind"]], namespace, owner["name"])
        return found is not None and found["metadata"]["uid"] == owner["uid"]

    def delete(self, kind: kinds.Kind, namespace: str, name: str, *, writer: str = WRITER) -> answers.Answer:
        """Ask for the end of an object."""
        return self._api.handle(transport.Call("delete", kind.plural, path(kind, namespace, name)), writer=writer)

    # The end of a namespace

    def _empty(self, namespace: str) -> None:
        """All that is in it is deleted; it ends when that is gone."""
        left = [(kind, body) for kind in _IN_ORDER for body in self._api.all(kind, namespace)]
        for kind, body in left:
            if "deletionTimestamp" not in body["metadata"]:
                self.delete(kind, namespace, body["metadata"]["name"])
        if left:
            self._loop.call_later(_NAMESPACE_SECONDS, self._empty, namespace)
        else:
            self._api.let_go(namespace, writer=WRITER)

    # Rollouts

    def _replace_pod(self, change: server.Change) -> None:
        before = change.before
        body, wanted = change.after, change.after["spec"].get("replicas", 1)
        generation = body["metadata"]["generation"]
        if before is None:
            self._show(change, generation, wanted)
        elif before["spec"].get("template") != body["spec"].get("template"):
            self._show(change, generation, 0)
            seconds = self._roll_out(change.namespace, change.name)
            self._loop.call_later(seconds, self._show, change, generation, wanted)

    def _show(self, change: server.Change, generation: int, ready: int) -> None:
        counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), ready)
        status = {"observedGeneration": generation, **counts}
        self._api.set_status(kinds.DEPLOYMENTS, change.namespace, change.name, status, writer=WRITER)


def _owners(body: server.Body) -> Sequence[Mapping[str, str]]:
    found: Sequence[Mapping[str, str]] = body["metadata"].get("ownerReferences", ())
    return found


def path(kind: kinds.Kind, namespace: str, name: str = "") -> str:
    """Where an object is, or the collection that it goes into."""
    root = ["apis", *kind.api_version.split("/")] if "/" in kind.api_version else ["api", kind.api_version]
    inside = ["namespaces", namespace] if namespace else []
    return transport.path(*root, *inside, kind.plural, *filter(None, [name]))
