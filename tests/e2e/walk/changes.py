"""A change of one field of a spec, and what has to become of it by the schema."""

import copy
import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from e2e.walk import schema, values

Spec = dict[str, Any]


class Verdict(enum.Enum):
    """What the API server has to say."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EITHER = "either"
    """`null` is pruned in some places and refused in others; a time without a zone likewise."""


class _Removed:
    def __repr__(self) -> str:
        return "removed"


REMOVED = _Removed()


@dataclass(frozen=True, slots=True)
class Change:
    """A field gets a value, or goes."""

    field: schema.Field
    value: Any

    def __str__(self) -> str:
        text = repr(self.value)
        return f"{self.field.path}={text if len(text) < 60 else text[:50] + '...'}"

    def applied_to(self, spec: Spec, whole: schema.Node) -> Spec:
        """A copy of `spec` with the change; objects around the field are made where they are missing."""
        changed = copy.deepcopy(spec)
        _put(changed, whole, self.field.steps, self.value, ())
        return changed


def _put(inside: Any, node: schema.Node, steps: schema.Steps, value: Any, above: schema.Steps) -> None:
    name, rest = steps[0], steps[1:]
    inner = node["items"] if name == schema.ITEM else node["properties"][name]
    key: Any = 0 if name == schema.ITEM else name
    if not rest:
        _set(inside, key, value)
        return
    if key not in (range(len(inside)) if isinstance(inside, list) else inside):
        _set(inside, key, values.least(inner, (*above, name)))
    _put(inside[key], inner, rest, value, (*above, name))


def _set(inside: Any, key: Any, value: Any) -> None:
    if value is REMOVED:
        if isinstance(inside, list) or key in inside:
            del inside[key]
    elif isinstance(inside, list) and not inside:
        inside.append(value)
    else:
        inside[key] = value


RELATIONS: Mapping[str, Callable[[Spec], bool]] = {
    "is required for the integration WHATSAPP-BUSINESS: set it to the phone": lambda spec: (
        spec.get("integration") != "WHATSAPP-BUSINESS" or "number" in spec
    ),
    "is required for the integration WHATSAPP-BUSINESS: put the token": lambda spec: (
        spec.get("integration") != "WHATSAPP-BUSINESS" or "tokenSecretRef" in spec
    ),
    "has no effect with the integration WHATSAPP-BAILEYS": lambda spec: (
        spec.get("integration", "WHATSAPP-BAILEYS") != "WHATSAPP-BAILEYS" or "number" not in spec
    ),
    "has an effect with the integration WHATSAPP-BUSINESS only": lambda spec: (
        spec.get("integration") == "WHATSAPP-BUSINESS" or "businessId" not in spec
    ),
}
"""The rules of a spec that relate its fields, by the beginning of their message."""


def verdict(whole: schema.Node, spec: Spec, *, before: Spec | None = None) -> Verdict:
    """What has to become of a spec that is created, or, with `before`, put in place of another."""
    if _has_null(spec):
        return Verdict.EITHER
    if schema.wrong(whole, spec) or not all(_relation(rule)(spec) for rule in schema.conditional(whole)):
        return Verdict.REFUSED
    if before is not None and any(_differs(name, spec, before, whole) for name in schema.immutable(whole)):
        return Verdict.REFUSED
    return Verdict.ACCEPTED


def _differs(name: str, spec: Spec, before: Spec, whole: schema.Node) -> bool:
    default = whole["properties"][name].get("default")
    return bool(spec.get(name, default) != before.get(name, default))


def _relation(rule: schema.Node) -> Callable[[Spec], bool]:
    for begins, holds in RELATIONS.items():
        if rule["message"].startswith(begins):
            return holds
    raise schema.Unknown(f"a rule that the walk was not taught: {rule['message']}")


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_null(one) for one in value.values())
    return value is None or (isinstance(value, list) and any(_has_null(one) for one in value))


def singles(whole: schema.Node) -> Iterator[Change]:
    """Every field with each of its values, and without it."""
    for field in schema.fields(whole):
        yield from (Change(field, value) for value in values.of(field))
        if field.steps[-1] != schema.ITEM:
            yield Change(field, REMOVED)


def of(spec: Spec, steps: schema.Steps) -> Any:
    """What a spec has at a path, or that it has nothing there."""
    found: Any = spec
    for step in steps:
        if step == schema.ITEM or step not in found:
            return REMOVED
        found = found[step]
    return found
