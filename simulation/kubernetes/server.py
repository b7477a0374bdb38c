"""The API server: objects with versions, the rules of their writes, and who is told of them.

Stored bodies are never changed, only replaced; so they may be handed out as they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from simulation.kubernetes import admission, answers, kinds, lists, log, namespaces, patching, place
from whatsapp_operator.cluster import transport

Body = Mapping[str, Any]
Spot = tuple[str, str, str]
"""Plural, namespace and name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write that was stored."""

    type: str
    """ADDED, MODIFIED or DELETED."""
    kind: kinds.Kind
    before: Body | None
    after: Body
    """Of what was deleted, what it would be now: without its last finalizer."""
    writer: str
    subresource: str = ""

    @property
    def version(self) -> int:
        """Which the object has by it."""
        return int(self.after["metadata"]["resourceVersion"])

    @property
    def told(self) -> Body:
        """As a watch tells it: what was deleted as it was stored last, with the finalizer that went."""
        if self.type != "DELETED" or self.before is None:
            return self.after
        return {**self.before, "metadata": {**self.before["metadata"], "resourceVersion": str(self.version)}}

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.after["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.after["metadata"]["name"])


class Objects(dict[Spot, Body]):
    """Objects by kind, namespace and name; those of one kind can be had without a look at all others."""

    def __init__(self) -> None:
        super().__init__()
        self._by_plural: dict[str, dict[Spot, Body]] = {}

    def __setitem__(self, spot: Spot, body: Body) -> None:
        super().__setitem__(spot, body)
        self._by_plural.setdefault(spot[0], {})[spot] = body

    def __delitem__(self, spot: Spot) -> None:
        super().__delitem__(spot)
        del self._by_plural[spot[0]][spot]

    def of_kind(self, plural: str) -> list[tuple[Spot, Body]]:
        """The objects of a kind, in the order of their keys in etcd: `shops-b/…` comes before `shops/…`."""
        return sorted(self._by_plural.get(plural, {}).items(), key=lambda pair: f"{pair[0][1]}/{pair[0][2]}")


class ApiServer:
    """Objects by kind, namespace and name."""

    def __init__(self, *, now: Callable[[], datetime], chance: random.Random) -> None:
        self._now, self._chance = now, chance
        self.objects = Objects()
        self.version = 100
        self.log, self._lists = log.Log(), lists.Lists()
        self.log.begin(self.version)
        self.listeners: list[Callable[[Change], None]] = []
        self.on_vain: list[Callable[[Change], None]] = []
        """Told of writes that change nothing, which make no new version."""

    def handle(self, call: transport.Call, *, writer: str) -> answers.Answer:
        """Answer one request."""
        where = place.read(call.path)
        if where is None:
            return answers.not_found().answer
        try:
            return self._answer(where, call, writer)
        except answers.Refused as refusal:
            return refusal.answer

    def _answer(self, where: place.Place, call: transport.Call, writer: str) -> answers.Answer:
        body = cast("Body", call.body)
        match call.verb:
            case "list":
                found = self.all(where.kind, where.namespace)
                return answers.Answer(200, self._lists.answer(found, dict(call.query), version=self.version))
            case "get":
                return answers.Answer(200, self._get(where))
            case "create":
                return answers.Answer(201, self._create(where, body, writer))
            case "patch":
                return answers.Answer(200, self._patch(where, call, writer))
            case _:
                return answers.Answer(200, self._delete(where, body, writer))

    # Reading

    def find(self, kind: kinds.Kind, namespace: str, name: str) -> Body | None:
        """An object as it is now."""
        return self.objects.get((kind.plural, namespace, name))

    def all(self, kind: kinds.Kind, namespace: str = "") -> list[Body]:
        """All objects of a kind, in one namespace or in all."""
        return [one for spot, one in self.objects.of_kind(kind.plural) if namespace in ("", spot[1])]

    def _get(self, where: place.Place) -> Body:
        found = self.find(where.kind, where.namespace, where.name)
        if found is None:
            raise answers.not_found()
        return found

    # Writing

    def _create(self, where: place.Place, body: Body, writer: str) -> Body:
        name = where.name or str(body["metadata"]["name"])
        if where.kind is kinds.NAMESPACES:
            body = namespaces.created(body, name)
        else:
            self._require_namespace(where.namespace)
        given = {field: value for field, value in body.items() if field != "status" or not where.kind.custom}
        complete = admission.completed(where.kind, given if where.kind.custom else _without_nulls(given))
        found = {**complete, "metadata": self._born(where, complete["metadata"], name)}
        admission.check(where.kind, found, before=None)
        if self.find(where.kind, where.namespace, name) is not None:
            raise answers.exists()
        return self._store("ADDED", where.kind, None, found, writer)

    def _born(self, where: place.Place, given: Body, name: str) -> Body:
        uid = f"{self._chance.getrandbits(128):032x}"
        metadata: dict[str, Any] = {**given, "name": name, "uid": uid, "creationTimestamp": _rfc3339(self._now())}
        metadata |= {"namespace": where.namespace} if where.namespace else {}
        metadata |= {"generation": 1} if where.kind.counted else {}
        metadata.pop("resourceVersion", None)
        return metadata

    def _require_namespace(self, namespace: str) -> None:
        found = self.find(kinds.NAMESPACES, "", namespace)
        if found is None:
            raise answers.not_found()
        if namespaces.is_going(found):
            raise answers.forbidden("metadata.namespace")

    def _patch(self, where: place.Place, call: transport.Call, writer: str) -> Body:
        before = self._get(where)
        if call.content_type == transport.JSON_PATCH:
            wanted = patching.patched(before, cast("Any", call.body))
        else:
            wanted = patching.merged(before, call.body)
        if wanted["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"]:
            raise answers.conflict()
        if where.kind.custom and where.subresource == "status":
            after = self._with_status(where.kind, before, wanted)
        else:
            after = admission.completed(where.kind, self._updated(where.kind, before, wanted))
            admission.check(where.kind, after, before=before)
        return self._replace(where.kind, before, after, writer, where.subresource)

    @staticmethod
    def _with_status(kind: kinds.Kind, before: Body, wanted: Body) -> Body:
        """A write of the status: it cannot touch anything else."""
        kept = _without(before, "status")
        return admission.with_status(kind, kept, wanted["status"]) if "status" in wanted else kept

    @staticmethod
    def _updated(kind: kinds.Kind, before: Body, wanted: Body) -> Body:
        """A write of the object itself: it cannot touch status, nor what the server says of it."""
        kept = before["metadata"]
        metadata = dict(wanted["metadata"])
        for name in ("name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp"):
            metadata.pop(name, None)
            metadata |= {name: kept[name]} if name in kept else {}
        added = set(metadata.get("finalizers", ())) - set(kept.get("finalizers", ()))
        if "deletionTimestamp" in kept and added:
            # It is found by two validations, and told twice.
            raise answers.invalid("metadata.finalizers", "metadata.finalizers")
        after = {**wanted, "metadata": {name: value for name, value in metadata.items() if value not in ([], {})}}
        if not kind.custom:
            return _without_nulls(after)
        return {**_without(after, "status"), **({"status": before["status"]} if "status" in before else {})}

    def _replace(self, kind: kinds.Kind, before: Body, after: Body, writer: str, subresource: str) -> Body:
        if kind.counted and after.get("spec") != before.get("spec"):
            generation = before["metadata"]["generation"] + 1
            after = {**after, "metadata": {**after["metadata"], "generation": generation}}
        if after == before:
            for listener in self.on_vain:
                listener(Change("UNCHANGED", kind, before, after, writer, subresource))
            return before
        if "deletionTimestamp" in after["metadata"] and not after["metadata"].get("finalizers"):
            return self._remove(kind, before, after, writer)
        return self._store("MODIFIED", kind, before, after, writer, subresource=subresource)

    def _delete(self, where: place.Place, options: Body | None, writer: str) -> Body:
        before = self._get(where)
        metadata = before["metadata"]
        preconditions = (options or {}).get("preconditions") or {}
        if preconditions.get("resourceVersion", metadata["resourceVersion"]) != metadata["resourceVersion"]:
            raise answers.conflict()
        if where.kind is kinds.NAMESPACES:
            return self._delete_namespace(before, writer)
        if not metadata.get("finalizers"):
            self._remove(where.kind, before, before, writer)
            return {"kind": "Status", "status": "Success"}
        if "deletionTimestamp" in metadata:
            return before
        going = {**metadata, "deletionTimestamp": _rfc3339(self._now()), "deletionGracePeriodSeconds": 0}
        going |= {"generation": metadata["generation"] + 1} if where.kind.counted else {}
        return self._store("MODIFIED", where.kind, before, {**before, "metadata": going}, writer)

    def _delete_namespace(self, before: Body, writer: str) -> Body:
        if namespaces.is_going(before):
            return before
        going = namespaces.deleted(before, at=_rfc3339(self._now()))
        return self._store("MODIFIED", kinds.NAMESPACES, before, going, writer)

    def _remove(self, kind: kinds.Kind, before: Body, last: Body, writer: str) -> Body:
        """The answer shows the version before; only the watch tells the one of the removal."""
        self.version += 1
        gone = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.version)}}
        del self.objects[_spot(kind, before)]
        self._tell(Change("DELETED", kind, before, gone, writer))
        return last

    def _store(
        self, change: str, kind: kinds.Kind, before: Body | None, after: Body, writer: str, *, subresource: str = ""
    ) -> Body:
        self.version += 1
        stored = {**after, "metadata": {**after["metadata"], "resourceVersion": str(self.version)}}
        self.objects[_spot(kind, stored)] = stored
        self._tell(Change(change, kind, before, stored, writer, subresource))
        return stored

    def _tell(self, change: Change) -> None:
        self.log.add(change)
        for listener in self.listeners:
            listener(change)

    # What controllers do, or was stored under another schema, past the API

    def set_spec(self, kind: kinds.Kind, namespace: str, name: str, spec: Body, *, writer: str) -> None:
        """Replace the spec of an object, if it is there, by one that this schema would refuse."""
        before = self.find(kind, namespace, name)
        if before is not None:
            self._replace(kind, before, admission.completed(kind, {**before, "spec": spec}), writer, "")

    def let_go(self, namespace: str, *, writer: str) -> None:
        """A namespace that is empty ends."""
        before = self.find(kinds.NAMESPACES, "", namespace)
        if before is not None:
            self._remove(kinds.NAMESPACES, before, before, writer)

    def set_status(self, kind: kinds.Kind, namespace: str, name: str, status: Body, *, writer: str) -> None:
        """Replace the status of a built-in object, if it is there."""
        before = self.find(kind, namespace, name)
        if before is not None:
            self._replace(kind, before, {**before, "status": status}, writer, "status")


def _spot(kind: kinds.Kind, body: Body) -> Spot:
    return kind.plural, body["metadata"].get("namespace", ""), body["metadata"]["name"]


def _without(body: Body, field: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != field}


def _without_nulls(body: Body) -> Body:
    """A built-in kind has no nulls, and no data that is empty: they are fields that are not set."""
    spec = body.get("spec")
    kept = body if body.get("data", True) else _without(body, "data")
    if not isinstance(spec, Mapping):
        return kept
    return {**kept, "spec": {name: value for name, value in spec.items() if value is not None}}


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
