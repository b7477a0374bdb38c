"""Structural schemas of CustomResourceDefinitions: what is pruned, filled in, and refused.

Rules in CEL are not evaluated here; `admission` asks the operator's own models for those.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).resolve().parents[2] / "crds"
Schema = Mapping[str, Any]
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
}


_PLAIN = frozenset({str, int})
_FLAWLESS: dict[tuple[Any, ...], Schema] = {}
"""Objects of texts and numbers; each keeps the schema of whose identity it tells."""
_REMEMBERED = 10_000


@functools.cache
def of(plural: str) -> Schema:
    """The schema of one of our resources, without its metadata."""
    definition = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    schema: Schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@functools.cache
def of_status(plural: str) -> Schema:
    """The part of that schema that a write of the status is held to."""
    return {"type": "object", "properties": {"status": of(plural)["properties"]["status"]}}


def completed(value: Any, schema: Schema) -> Any:
    """Without the fields that the schema does not know, and with its defaults."""
    if isinstance(value, dict):
        return _completed_object(value, schema)
    if isinstance(value, list):
        return [completed(one, schema.get("items", {})) for one in value]
    return value


def _completed_object(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        return {name: completed(inner, more) for name, inner in value.items()}
    if schema.get("x-kubernetes-preserve-unknown-fields") or not known:
        return value
    found = {name: inner for name, inner in value.items() if name in known}
    for name, inner in known.items():
        if "default" in inner and (name not in found or (found[name] is None and not inner.get("nullable"))):
            found[name] = inner["default"]
    return {name: completed(inner, known[name]) for name, inner in found.items() if _is_kept(inner, known[name])}


def _is_kept(value: Any, schema: Schema) -> bool:
    """Nulls stay to be refused, except where a default took their place."""
    return value is not None or "default" not in schema or bool(schema.get("nullable"))


@dataclass(frozen=True, slots=True)
class Flaw:
    """A field that the schema refuses."""

    field: str
    stops_rules: bool = True
    """Rules in CEL are not evaluated beside a flaw of this kind."""


def flaws(value: Any, schema: Schema, path: str = "") -> Iterator[Flaw]:
    """The fields that the schema refuses."""
    if value is None and schema.get("nullable"):
        return
    wanted = _TYPES.get(schema.get("type", ""))
    if wanted is not None and (not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool))):
        yield Flaw(path)
        return
    if "enum" in schema and value not in schema["enum"]:
        yield Flaw(path)
    elif not _fits(value, schema):
        yield Flaw(path, stops_rules=_is_too_long(value, schema))
    if isinstance(value, dict):
        yield from _flaws_within(value, schema, path)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from flaws(one, schema.get("items", {}), f"{path}[{index}]")


def _flaws_within(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[Flaw]:
    """Conditions say the same in thousands of resources: one that had no flaw is not gone through again."""
    plain = all(type(inner) in _PLAIN for inner in value.values())
    same = (id(schema), *value.items()) if plain else None
    if same in _FLAWLESS:
        return
    found = list(_flaws_of_fields(value, schema, path))
    if same is not None and not found:
        if len(_FLAWLESS) >= _REMEMBERED:
            _FLAWLESS.clear()
        _FLAWLESS[same] = schema
    yield from found


def _flaws_of_fields(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[Flaw]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield Flaw(_join(path, name))
    for name, inner in value.items():
        if name in known:
            yield from flaws(inner, known[name], _join(path, name))
        elif isinstance(schema.get("additionalProperties"), Mapping):
            yield from flaws(inner, schema["additionalProperties"], _join(path, name))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fits(value: Any, schema: Schema) -> bool:
    if isinstance(value, str):
        return _text_fits(value, schema)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return not isinstance(value, list) or _list_fits(value, schema)


def _is_too_long(value: Any, schema: Schema) -> bool:
    longest = schema.get("maxLength" if isinstance(value, str) else "maxItems")
    return isinstance(value, str | list) and longest is not None and len(value) > longest


def _text_fits(value: str, schema: Schema) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    if schema.get("format") == "date-time" and re.fullmatch(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)", value) is None:
        return False
    return "pattern" not in schema or re.search(schema["pattern"], value) is not None


def _list_fits(value: Sequence[Any], schema: Schema) -> bool:
    return bool(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
