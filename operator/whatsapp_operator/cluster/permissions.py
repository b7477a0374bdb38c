"""What the operator asks of the Kubernetes API: the one list behind preflight and the shipped roles."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from whatsapp_operator.resources import names


class Kind(enum.StrEnum):
    """The kinds that this operator owns."""

    INSTANCE = "WhatsAppInstance"
    SERVER = "EvolutionServer"


PLURALS = {Kind.INSTANCE: "whatsappinstances", Kind.SERVER: "evolutionservers"}


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one resource; `resource` contains the subresource, as in `whatsappinstances/status`."""

    group: str
    resource: str
    verb: str
    name: str = ""
    """The one object that it is about; all of them without."""


def _each(group: str, resource: str, *verbs: str) -> tuple[Permission, ...]:
    return tuple(Permission(group, resource, verb) for verb in verbs)


PERMISSIONS: tuple[Permission, ...] = (
    *(one for plural in PLURALS.values() for one in _each(names.GROUP, plural, "get", "list", "watch", "patch")),
    *(one for plural in PLURALS.values() for one in _each(names.GROUP, f"{plural}/status", "patch")),
    *_each("", "secrets", "get", "create", "patch", "delete"),
    *_each("", "events", "create", "patch"),
    *_each("", "namespaces", "get"),
)

OWN_PERMISSIONS: tuple[Permission, ...] = (
    *_each("coordination.k8s.io", "leases", "list", "create", "patch", "delete"),
    Permission("", "configmaps", "get", names.PAUSE_CONFIG),
)
"""In the operator's own namespace, and nowhere else."""
