"""What the API server makes of a resource of ours before it stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation.kubernetes import answers, kinds, schema
from whatsapp_operator.resources import errors, parsing

_IMMUTABLE = ("serverRef", "integration", "instanceName", "number", "businessId")
"""Fields of an instance that rules in CEL keep as they are."""

Body = Mapping[str, Any]


def completed(kind: kinds.Kind, body: Body) -> Body:
    """Pruned, and with defaults."""
    if not kind.custom:
        return body
    full: Body = schema.completed(dict(body), schema.of(kind.plural))
    # The schema of the metadata is the API server's own.
    return {**full, "metadata": body.get("metadata", {}), "apiVersion": kind.api_version, "kind": kind.kind}


def with_status(kind: kinds.Kind, before: Body, status: Any) -> Body:
    """A stored object with another status, pruned and with defaults.

    Raises `Refused` for what the schema refuses; all else of the object went through it when it was stored.
    """
    only = schema.of_status(kind.plural)
    part = schema.completed({"status": status}, only)
    _refuse(tuple(schema.flaws(part, only)))
    return {**before, **part}


def check(kind: kinds.Kind, body: Body, *, before: Body | None) -> None:
    """Raise `Refused` for what the schema or a rule in CEL refuses."""
    if not kind.custom:
        return
    _refuse(tuple(schema.flaws(body, schema.of(kind.plural))))
    if before is not None and before.get("spec") == body.get("spec"):
        return
    _check_rules(kind, body, before)


def _refuse(flaws: tuple[schema.Flaw, ...]) -> None:
    if flaws:
        # The last one says that the rules in CEL could not be evaluated, and names no field.
        stopped = any(flaw.stops_rules for flaw in flaws)
        raise answers.invalid(*(flaw.field for flaw in flaws), *(["<nil>"] if stopped else []))


def _check_rules(kind: kinds.Kind, body: Body, before: Body | None) -> None:
    if before is not None and kind is kinds.INSTANCES:
        moved = [f"spec.{name}" for name in _IMMUTABLE if before["spec"].get(name) != body["spec"].get(name)]
        if moved:
            raise answers.invalid(*moved)
    try:
        parse = parsing.parse_instance if kind is kinds.INSTANCES else parsing.parse_server
        parse(body)
    except errors.InvalidResource as error:
        raise answers.invalid(*dict.fromkeys(problem.field for problem in error.problems)) from error
