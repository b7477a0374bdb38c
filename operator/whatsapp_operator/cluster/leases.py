"""The operator's own Leases, as the engine's port wants them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import cast

from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports

_MANAGED = ("app.kubernetes.io/managed-by", "whatsapp-operator")
_ROLE = "whatsapp-operator.dev/lease"
_SUBJECTS = {
    ports.LeaseRole.MEMBER: "whatsapp-operator.dev/namespaces",
    ports.LeaseRole.CLAIM: "whatsapp-operator.dev/server",
}
_LEDGER = "whatsapp-operator.dev/ledger"
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class LeaseApi:
    """The Leases in one namespace. A call that takes longer than `timeout_seconds` is `Unavailable`."""

    def __init__(
        self,
        calls: transport.Caller,
        *,
        namespace: str,
        clock: ports.Clock,
        duration_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._calls, self._namespace, self._clock = calls, namespace, clock
        self._duration, self._timeout = duration_seconds, timeout_seconds

    async def list(self) -> Sequence[ports.Lease]:
        """All Leases of operators in the namespace, as of now."""
        answer = await self._call("list", query=(("labelSelector", f"{_MANAGED[0]}={_MANAGED[1]},{_ROLE}"),))
        found = (_read(item) for item in cast("Sequence[ports.Body]", answer.get("items") or ()))
        return [lease for lease in found if lease is not None]

    async def create(self, lease: ports.Lease, /) -> ports.Lease:
        """Create one; `Conflict` when there is one of the name."""
        labels = dict((_MANAGED, (_ROLE, lease.role.value)))
        metadata = {"name": lease.name, "labels": labels, "annotations": _annotations(lease)}
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": self._spec(lease),
        }
        return _written(await self._call("create", body=body))

    async def update(self, lease: ports.Lease, /) -> ports.Lease:
        """Write holder and ledger; `Conflict` when it is no longer at `resource_version`, if one is given."""
        metadata = {"annotations": _annotations(lease), **_precondition(lease)}
        body = {"metadata": metadata, "spec": self._spec(lease)}
        return _written(await self._call("patch", lease.name, body=body))

    async def delete(self, lease: ports.Lease, /) -> None:
        """Delete it; `Conflict` when it is no longer at `resource_version`, if one is given."""
        await self._call("delete", lease.name, body={"preconditions": _precondition(lease)})

    def _spec(self, lease: ports.Lease) -> Mapping[str, object]:
        # No holder is no field: the API server refuses an empty one.
        now = self._clock.now().strftime(_TIME)
        return {"holderIdentity": lease.holder, "leaseDurationSeconds": int(self._duration), "renewTime": now}

    async def _call(
        self, verb: str, name: str = "", *, query: Sequence[tuple[str, str]] = (), body: object = None
    ) -> Mapping[str, object]:
        parts = ["apis", "coordination.k8s.io", "v1", "namespaces", self._namespace, "leases", *filter(None, (name,))]
        content_type = transport.MERGE_PATCH if verb == "patch" else transport.JSON
        call = transport.Call(verb, "leases", transport.path(*parts), query=query, body=body, content_type=content_type)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._calls.call(call)
        except TimeoutError as error:
            raise ports.Unavailable(f"{verb} leases: no answer in {self._timeout:g} s") from error


def new_identity(host: str, *, bits: int) -> str:
    """The name of a replica and of its member Lease: its host for people, and 32 random bits that no other has."""
    readable = re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:40].strip("-") or "unnamed"
    return f"whatsapp-operator-member-{readable}-{bits:08x}"


def _annotations(lease: ports.Lease) -> dict[str, str | None]:
    subject: dict[str, str | None] = {_SUBJECTS[lease.role]: lease.subject}
    return subject | ({_LEDGER: lease.ledger} if lease.ledger is not None else {})


def _precondition(lease: ports.Lease) -> Mapping[str, object]:
    return {"resourceVersion": lease.resource_version} if lease.resource_version else {}


def _written(body: ports.Body) -> ports.Lease:
    lease = _read(body)
    if lease is None:
        raise ports.Conflict("a Lease of the name is not one of the operator's")
    return lease


def _read(body: ports.Body) -> ports.Lease | None:
    """A Lease; None for one that is labelled as ours and is not of this form."""
    metadata = cast("Mapping[str, object]", body.get("metadata") or {})
    labels, annotations = (cast("Mapping[str, str]", metadata.get(field) or {}) for field in ("labels", "annotations"))
    spec = cast("Mapping[str, str]", body.get("spec") or {})
    try:
        role = ports.LeaseRole(labels.get(_ROLE))
    except ValueError:
        return None
    return ports.Lease(
        name=str(metadata.get("name")),
        role=role,
        subject=annotations.get(_SUBJECTS[role], ""),
        holder=spec.get("holderIdentity"),
        renewed=spec.get("renewTime"),
        ledger=annotations.get(_LEDGER),
        resource_version=str(metadata.get("resourceVersion", "")),
    )
