"""What else runs in a cluster: the garbage collector, the end of namespaces, and rollouts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from simulation.kubernetes import answers, kinds, server
from whatsapp_operator.cluster import transport

WRITER = "kube-controller-manager"
_COLLECT_SECONDS = (0.05, 1.5)
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
"""Secrets go first: whoever needs a key to clean up has lost it by then."""


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
        if change.type == "DELETED" and change.kind.custom:
            uid = change.after["metadata"]["uid"]
            self._loop.call_later(self._chance.uniform(*_COLLECT_SECONDS), self._collect, change.namespace, uid)
        elif change.kind is kinds.DEPLOYMENTS and change.subresource == "" and change.type != "DELETED":
            self._replace_pod(change)

    def _collect(self, namespace: str, uid: str) -> None:
        for kind in _OWNED:
            for body in self._api.all(kind, namespace):
                owners = body["metadata"].get("ownerReferences", ())
                if owners and all(one["uid"] == uid for one in owners):
                    self.delete(kind, namespace, body["metadata"]["name"])

    def delete(self, kind: kinds.Kind, namespace: str, name: str, *, writer: str = WRITER) -> answers.Answer:
        """Ask for the end of an object."""
        return self._api.handle(transport.Call("delete", kind.plural, path(kind, namespace, name)), writer=writer)

    def end_namespace(self, namespace: str) -> None:
        """A namespace is deleted, with all that is in it."""
        found = self._api.find(kinds.NAMESPACES, "", namespace)
        if found is None:
            return
        if "deletionTimestamp" not in found["metadata"]:
            going = {"metadata": {"deletionTimestamp": "2026-11-23T10:00:00Z", "finalizers": ["kubernetes"]}}
            merged = {**found, "metadata": {**found["metadata"], **going["metadata"]}}
            self._api.objects[kinds.NAMESPACES.plural, "", namespace] = merged
        left = [(kind, body) for kind in _IN_ORDER for body in self._api.all(kind, namespace)]
        for kind, body in left:
            if "deletionTimestamp" not in body["metadata"]:
                self.delete(kind, namespace, body["metadata"]["name"])
        if left:
            self._loop.call_later(_NAMESPACE_SECONDS, self.end_namespace, namespace)
        else:
            del self._api.objects[kinds.NAMESPACES.plural, "", namespace]

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


def path(kind: kinds.Kind, namespace: str, name: str = "") -> str:
    """Where an object is, or the collection that it goes into."""
    root = ["apis", *kind.api_version.split("/")] if "/" in kind.api_version else ["api", kind.api_version]
    inside = ["namespaces", namespace] if namespace else []
    return transport.path(*root, *inside, kind.plural, *filter(None, [name]))
