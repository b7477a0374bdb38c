"""What the schema of a CustomResourceDefinition says of a value, judged apart from the API server and the operator.

Only the words that our definitions use are known; one that is not makes the walk fail, so that it is taught here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Node = Mapping[str, Any]
Steps = tuple[str, ...]

CRDS = Path(__file__).resolve().parents[3] / "crds"
ITEM = "[]"
_RULE = re.compile(r"^(?P<unless>!?)self(?:\.(?P<field>\w+))?\.matches\('(?P<pattern>.*)'\)$", re.DOTALL)
_KNOWN = {"type", "description", "properties", "required", "items", "enum", "default", "format", "pattern"} | {
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "x-kubernetes-list-type", "x-kubernetes-validations",
}  # fmt: skip
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}
_MOMENT = re.compile(r"^\d{4}-(0[1-9]|1[0-2])-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


class Unknown(Exception):  # noqa: N818 - the fact is the name
    """The schema has something that the walk does not understand."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field below `spec`; the items of a list are its step `[]`."""

    steps: Steps
    node: Node

    @property
    def path(self) -> str:
        """As a person writes it."""
        return ".".join(("spec", *self.steps)).replace(f".{ITEM}", ITEM)


def spec_of(plural: str) -> Node:
    """The schema of `spec` of one of our resources."""
    definition = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    (version,) = definition["spec"]["versions"]
    found: Node = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def fields(node: Node, steps: Steps = ()) -> Iterator[Field]:
    """Every field below, the nearest first. Raises `Unknown`."""
    if unknown := set(node) - _KNOWN:
        raise Unknown(f"{steps}: {sorted(unknown)}")
    for name, inner in node.get("properties", {}).items():
        yield Field((*steps, name), inner)
        yield from fields(inner, (*steps, name))
    if "items" in node:
        yield Field((*steps, ITEM), node["items"])
        yield from fields(node["items"], (*steps, ITEM))


def immutable(spec: Node) -> set[str]:
    """The fields of `spec` that its rules compare with what they were."""
    rules = spec.get("x-kubernetes-validations", ())
    return {rule["fieldPath"].removeprefix(".") for rule in rules if "oldSelf" in rule["rule"]}


def conditional(spec: Node) -> list[Node]:
    """The rules of `spec` that relate its fields to each other."""
    return [rule for rule in spec.get("x-kubernetes-validations", ()) if "oldSelf" not in rule["rule"]]


def wrong(node: Node, value: Any, path: str = "spec") -> list[str]:
    """The paths at which a value is not as the schema wants it."""
    kind = _TYPES[node["type"]]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return [path]
    found = [path] if _is_out_of_bounds(node, value) or _breaks_a_rule(node, value) else []
    if isinstance(value, dict):
        found += _wrong_inside(node, value, path)
    if isinstance(value, list):
        found += [each for item in value for each in wrong(node["items"], item, f"{path}{ITEM}")]
    return found


def _wrong_inside(node: Node, value: Mapping[str, Any], path: str) -> list[str]:
    known = node.get("properties", {})
    missing = [f"{path}.{name}" for name in node.get("required", ()) if name not in value]
    foreign = [f"{path}.{name}" for name in value if name not in known]
    inner = [wrong(known[name], each, f"{path}.{name}") for name, each in value.items() if name in known]
    return missing + foreign + [each for one in inner for each in one]


def _is_out_of_bounds(node: Node, value: Any) -> bool:
    if "enum" in node and value not in node["enum"]:
        return True
    if isinstance(value, str):
        return not _is_text(node, value)
    if isinstance(value, list):
        return not _is_list(node, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return not node.get("minimum", value) <= value <= node.get("maximum", value)
    return False


def _is_text(node: Node, value: str) -> bool:
    fits = node.get("minLength", 0) <= len(value) <= node.get("maxLength", len(value))
    matches = "pattern" not in node or re.search(node["pattern"], value) is not None
    return fits and matches and (node.get("format") != "date-time" or _MOMENT.match(value) is not None)


def _is_list(node: Node, value: Sequence[Any]) -> bool:
    fits = node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value))
    return fits and (node["x-kubernetes-list-type"] != "set" or len({str(each) for each in value}) == len(value))


def _breaks_a_rule(node: Node, value: Any) -> bool:
    return any("oldSelf" not in rule["rule"] and _is_broken(rule["rule"], value) for rule in _simple_rules(node))


def _simple_rules(node: Node) -> list[Node]:
    """The rules that ask whether a text matches a pattern; those of `spec` relate fields, and are told elsewhere."""
    return [rule for rule in node.get("x-kubernetes-validations", ()) if _RULE.match(rule["rule"])]


def _is_broken(rule: str, value: Any) -> bool:
    found = _RULE.match(rule)
    assert found is not None
    text = value if found["field"] is None else value.get(found["field"], "UTC")
    pattern = found["pattern"].replace("\\'", "'").replace("\\\\", "\\")
    return isinstance(text, str) and (re.search(pattern, text) is not None) is (found["unless"] == "!")
