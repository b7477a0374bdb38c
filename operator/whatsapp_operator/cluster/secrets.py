"""Secrets as this operator writes and reads them.

A Secret of ours carries a label, so that one that a user made is never taken for it, and an owner, so that it goes with
the resource that it belongs to.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from whatsapp_operator.engine import ports
from whatsapp_operator.resources import instance, names

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "whatsapp-operator"


def build(key: ports.Key, values: Mapping[str, bytes], owner: ports.Owner | None) -> dict[str, object]:
    """The body of a Secret that is to be created."""
    metadata: dict[str, object] = {"name": key.name, "namespace": key.namespace, "labels": {MANAGED_BY: MANAGER}}
    if owner is not None:
        metadata["ownerReferences"] = [_reference(owner)]
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": encode(values)}


def _reference(owner: ports.Owner) -> dict[str, str]:
    return {"apiVersion": names.API_VERSION, "kind": owner.kind, "name": owner.name, "uid": owner.uid}


def encode(values: Mapping[str, bytes]) -> dict[str, str]:
    """Values as `data` holds them."""
    return {name: base64.b64encode(value).decode("ascii") for name, value in values.items()}


def read(body: ports.Body) -> ports.SecretData:
    """A Secret's values and owners. A value that is no base64 cannot be stored, so it is left out."""
    metadata = _mapping(body.get("metadata"))
    return ports.SecretData(
        values=dict(_decoded(_mapping(body.get("data")))),
        resource_version=str(metadata.get("resourceVersion", "")),
        owner_uids=frozenset(_of_owners(metadata.get("ownerReferences"), "uid")),
        owner_names=frozenset(_of_owners(metadata.get("ownerReferences"), "name", kind=instance.KIND)),
        managed=_mapping(metadata.get("labels")).get(MANAGED_BY) == MANAGER,
    )


def _decoded(data: Mapping[str, object]) -> Iterable[tuple[str, bytes]]:
    for name, value in data.items():
        try:
            yield name, base64.b64decode(str(value), validate=True)
        except binascii.Error:
            continue


def _of_owners(references: object, field: str, *, kind: str | None = None) -> Iterable[str]:
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, Mapping) and field in reference and kind in (None, reference.get("kind")):
            yield str(reference[field])


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
