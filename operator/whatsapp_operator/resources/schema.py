"""From models to the schemas of CustomResourceDefinitions.

Kubernetes takes *structural* schemas: each value has one type, nothing is referred to, and nothing is either this or
null. pydantic writes JSON Schema, which may do all of that, so it is rewritten here. A default within an object is
filled in only where the object exists, so an object that holds defaults gets an empty default of its own; one that is
optional does not, since leaving it out has a meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whatsapp_operator.resources import instance, names, server
from whatsapp_operator.resources.model import Model

Schema = dict[str, Any]

_NULL = {"type": "null"}
_DROPPED = frozenset({"title", "default", "$defs", "$ref", "anyOf", "additionalProperties"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; those of priority 1 are shown with `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As an item of `additionalPrinterColumns`."""
        return {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "jsonPath": self.path,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Resource:
    """A custom resource as the API server is told about it."""

    kind: str
    plural: str
    short_name: str
    model: type[Model]
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """Name of its CustomResourceDefinition."""
        return f"{self.plural}.{names.GROUP}"


def _ready(part: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{part}'


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since creation.", type="date")

INSTANCE = Resource(
    kind=instance.KIND,
    plural=instance.PLURAL,
    short_name="wai",
    model=instance.WhatsAppInstance,
    columns=(
        Column("Ready", _ready("status"), "Whether the instance is connected and well."),
        Column("Health", ".status.healthState", "The state that the evidence amounts to."),
        Column("Reason", ".status.reason", "Why."),
        Column("Server", ".spec.serverRef.name", "The EvolutionServer on which it lives."),
        _AGE,
        Column("State", ".status.connection.state", "The state of its connection.", priority=1),
        Column("Instance", ".status.instanceID", "Its id on the server.", priority=1),
        Column(
            "Attempts", ".status.recovery.attempts", "Restarts in the present incident.", type="integer", priority=1
        ),
        Column("Next", ".status.recovery.planned.step", "The step that comes next if nothing changes.", priority=1),
    ),
)

SERVER = Resource(
    kind=server.KIND,
    plural=server.PLURAL,
    short_name="evs",
    model=server.EvolutionServer,
    columns=(
        Column("Ready", _ready("status"), "Whether the server is acted on."),
        Column("Reason", _ready("reason"), "Why."),
        Column("Version", ".status.version", "Version of its Evolution API."),
        Column("Instances", ".status.instances.managed", "Instances that have a WhatsAppInstance.", type="integer"),
        Column("Healthy", ".status.instances.healthy", "Those that are Healthy.", type="integer"),
        _AGE,
        Column("URL", ".spec.url", "Where it answers.", priority=1),
        Column("Client", ".status.clientName", "The client name that it is held to.", priority=1),
        Column(
            "Unmanaged",
            ".status.instances.unmanaged",
            "Instances without a WhatsAppInstance.",
            type="integer",
            priority=1,
        ),
    ),
)

RESOURCES = (SERVER, INSTANCE)


def definition(resource: Resource) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a resource."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.name, "labels": {"app.kubernetes.io/name": "whatsapp-operator"}},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [resource.short_name],
                "categories": [names.CATEGORY],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.as_dict() for column in resource.columns],
                    "schema": {"openAPIV3Schema": structural(resource.model)},
                }
            ],
        },
    }


def structural(model: type[Model]) -> Schema:
    """Return the structural schema of a whole resource."""
    described = model.model_json_schema()
    schema = _object(described, described["$defs"])
    properties = {
        "apiVersion": {"type": "string", "description": names.API_VERSION},
        "kind": {"type": "string", "description": model.__name__},
        "metadata": {"type": "object"},
        "spec": schema["properties"]["spec"],
        "status": schema["properties"]["status"],
    }
    return schema | {"properties": properties, "required": ["spec"]}


def _convert(described: Schema, definitions: Mapping[str, Schema]) -> Schema:
    whole = _resolve(described, definitions)
    if "properties" in whole:
        return _object(whole, definitions)
    kept = {key: value for key, value in whole.items() if key not in _DROPPED}
    if "items" in whole:
        kept["items"] = _item(whole["items"], definitions)
    if whole.get("default") not in (None, []):
        kept["default"] = whole["default"]
    return kept


def _resolve(described: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Put in what is referred to; the description that stands beside a reference is the nearer one."""
    alternatives = [one for one in described.get("anyOf", ()) if one != _NULL]
    if alternatives:
        (only,) = alternatives
        return _resolve(only | {key: value for key, value in described.items() if key != "anyOf"}, definitions)
    if "$ref" in described:
        referred = definitions[described["$ref"].rpartition("/")[2]]
        return _resolve(referred | {key: value for key, value in described.items() if key != "$ref"}, definitions)
    return described


def _item(described: Schema, definitions: Mapping[str, Schema]) -> Schema:
    item = _convert(described, definitions)
    return item if item["type"] == "object" else {key: value for key, value in item.items() if key != "description"}


def _object(whole: Schema, definitions: Mapping[str, Schema]) -> Schema:
    kept = {key: value for key, value in whole.items() if key not in _DROPPED}
    required = whole.get("required", ())
    kept["properties"] = {
        name: _convert(field, definitions) | _empty_default(field, definitions, required=name in required)
        for name, field in whole["properties"].items()
    }
    return kept


def _empty_default(field: Schema, definitions: Mapping[str, Schema], *, required: bool) -> Schema:
    """Give an object that is always there, and holds defaults, one of its own."""
    always_there = not required and "default" not in field
    inner = _resolve(field, definitions).get("properties", {}).values()
    return {"default": {}} if always_there and any(one.get("default") is not None for one in inner) else {}
