"""From the objects that the Kubernetes API gives to models, and back.

The API server has checked an object against the schema that is installed, which may be older than this operator or,
after a downgrade, newer. So a spec is checked again and refused as a whole when anything in it is not understood. A
status is the operator's own and is never in the way: one that cannot be read is replaced by a fresh one.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pydantic
from pydantic_core import ErrorDetails

from whatsapp_operator.resources import conditions, errors, instance, metadata, references, server, status
from whatsapp_operator.resources.model import Model

Body = Mapping[str, Any]
M = TypeVar("M", bound=Model)

_CONDITIONS_KEPT = 4096
_SPECS_KEPT = 1024

_CURES = {
    "missing": "is required: set it",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be an object",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
}


def parse_instance(body: Body) -> instance.WhatsAppInstance:
    """Read a WhatsAppInstance.

    Raises:
        errors.InvalidResource: its metadata or spec is not understood.
    """
    spec = _same_spec(json.dumps(body["spec"])) if "spec" in body else None
    found = body if spec is None else {**body, "spec": spec}
    return _parse(instance.WhatsAppInstance, found, status=parse_instance_status(body))


@functools.lru_cache(maxsize=_SPECS_KEPT)
def _same_spec(text: str) -> instance.WhatsAppInstanceSpec | None:
    """Thousands of resources say the same, and each says it again with every change of its status.

    None for one that is not understood: what is wrong is told where the whole resource is read.
    """
    try:
        return instance.WhatsAppInstanceSpec.model_validate(json.loads(text))
    except pydantic.ValidationError:
        return None


def parse_server_key(body: Body) -> tuple[str, str] | None:
    """Namespace and name of the EvolutionServer that an instance names, whatever the rest of its spec says.

    None where not even that is understood.
    """
    spec = body.get("spec")
    try:
        named = references.ServerReference.model_validate(spec["serverRef"] if isinstance(spec, Mapping) else None)
        return named.namespace or parse_metadata(body).namespace, named.name
    except (KeyError, pydantic.ValidationError, errors.InvalidResource):
        return None


def parse_server(body: Body) -> server.EvolutionServer:
    """Read an EvolutionServer.

    Raises:
        errors.InvalidResource: its metadata or spec is not understood.
    """
    return _parse(server.EvolutionServer, body, status=parse_server_status(body))


def parse_metadata(body: Body) -> metadata.ObjectMeta:
    """Read the metadata alone, for an object whose spec is not understood.

    Raises:
        errors.InvalidResource: not even that is understood.
    """
    try:
        return metadata.ObjectMeta.model_validate(body.get("metadata", {}))
    except pydantic.ValidationError as error:
        raise errors.InvalidResource(_problems(error, within="metadata")) from None


def parse_instance_status(body: Body) -> status.WhatsAppInstanceStatus:
    """Read the status of a WhatsAppInstance; a fresh one where it cannot be read."""
    return _status(status.WhatsAppInstanceStatus, body)


def parse_server_status(body: Body) -> server.EvolutionServerStatus:
    """Read the status of an EvolutionServer; a fresh one where it cannot be read."""
    return _status(server.EvolutionServerStatus, body)


def to_status_body(wanted: status.WhatsAppInstanceStatus | server.EvolutionServerStatus) -> dict[str, Any]:
    """Write a status as the Kubernetes API takes it: camelCase, times in UTC with `Z`, nothing that is empty."""
    return wanted.model_dump(mode="json", by_alias=True, exclude_none=True)


def _parse(model: type[M], body: Body, *, status: Model) -> M:
    try:
        return model.model_validate({"metadata": {}, "spec": {}} | dict(body) | {"status": status})
    except pydantic.ValidationError as error:
        raise errors.InvalidResource(_problems(error)) from None


def _status(model: type[M], body: Body) -> M:
    found = body.get("status")
    if not isinstance(found, Mapping):
        return model()
    try:
        return model.model_validate({**found, "conditions": _understood(found.get("conditions"))})
    except pydantic.ValidationError:
        return model()


def _understood(found: object) -> tuple[conditions.Condition, ...]:
    """Leave out single conditions of others: they may set their own on our objects."""
    return tuple(one for item in found if (one := _condition(item))) if isinstance(found, Sequence) else ()


def _condition(item: object) -> conditions.Condition | None:
    try:
        return _same(tuple(item.items())) if isinstance(item, Mapping) else None
    except pydantic.ValidationError:
        return None
    except TypeError:  # something in it is no plain value, so that it is none of ours
        return None


@functools.lru_cache(maxsize=_CONDITIONS_KEPT)
def _same(fields: tuple[tuple[str, Any], ...]) -> conditions.Condition:
    """Thousands of resources are in the same condition since the same second: one model stands for all of them."""
    return conditions.Condition.model_validate(dict(fields))


def _problems(error: pydantic.ValidationError, *, within: str = "") -> tuple[errors.Problem, ...]:
    return tuple(
        errors.Problem(field=_path(within, detail), cure=_cure(detail))
        for detail in error.errors(include_url=False, include_input=False)
    )


def _path(within: str, detail: ErrorDetails) -> str:
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    return f"{within}{dotted}{detail.get('ctx', {}).get('field_path', '')}".removeprefix(".") or "metadata.name"


def _cure(detail: ErrorDetails) -> str:
    known = _CURES.get(detail["type"])
    return known.format(**detail.get("ctx", {})) if known else detail["msg"].replace("Input should", "must")
