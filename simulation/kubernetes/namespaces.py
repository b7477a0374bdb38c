"""What the API server makes of a namespace: one that is deleted stays until a controller has emptied it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]


def created(body: Body, name: str) -> Body:
    """With the finalizer, the phase and the label that each has."""
    metadata = body["metadata"]
    labels = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": name}
    spec, status = {"finalizers": ["kubernetes"]}, {"phase": "Active"}
    return {**body, "metadata": {**metadata, "labels": labels}, "spec": spec, "status": status}


def deleted(body: Body, *, at: str) -> Body:
    """Still there, and on its way out."""
    return {**body, "metadata": {**body["metadata"], "deletionTimestamp": at}, "status": {"phase": "Terminating"}}


def is_going(body: Body) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in body["metadata"]
