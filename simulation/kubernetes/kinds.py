"""The kinds that the simulated API server has."""

from __future__ import annotations

from dataclasses import dataclass

from whatsapp_operator.resources import names


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource of the API."""

    plural: str
    kind: str
    api_version: str
    custom: bool = False
    """Ours: validated by its schema, with a status subresource."""
    counted: bool = False
    """Has a `metadata.generation`."""
    group: str = ""


INSTANCES = Kind(
    "whatsappinstances", "WhatsAppInstance", names.API_VERSION, custom=True, counted=True, group=names.GROUP
)
SERVERS = Kind("evolutionservers", "EvolutionServer", names.API_VERSION, custom=True, counted=True, group=names.GROUP)
SECRETS = Kind("secrets", "Secret", "v1")
CONFIGS = Kind("configmaps", "ConfigMap", "v1")
EVENTS = Kind("events", "Event", "v1")
NAMESPACES = Kind("namespaces", "Namespace", "v1")
LEASES = Kind("leases", "Lease", "coordination.k8s.io/v1", group="coordination.k8s.io")
DEPLOYMENTS = Kind("deployments", "Deployment", "apps/v1", counted=True, group="apps")
STATEFUL_SETS = Kind("statefulsets", "StatefulSet", "apps/v1", counted=True, group="apps")

ALL = {
    one.plural: one
    for one in (INSTANCES, SERVERS, SECRETS, CONFIGS, EVENTS, NAMESPACES, LEASES, DEPLOYMENTS, STATEFUL_SETS)
}
BY_KIND = {one.kind: one for one in ALL.values()}
