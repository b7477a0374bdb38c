"""What moved between two looks: which objects were written, and what of them is another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LONGEST = 120
_ONLY_THAT = "data"
"""Of a Secret it is told that something changed, not what it was."""


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """The objects that were made, written or removed, each with the paths at which it is another, and how."""
    return {
        name: list(_differences(before.get(name), after.get(name), "")) or ["written as it was"]
        for name in sorted(before.keys() | after.keys())
        if _version(before.get(name)) != _version(after.get(name))
    }


def _version(body: Any) -> Any:
    return body and body["metadata"]["resourceVersion"]


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if before == after or path in (".metadata.resourceVersion", ".metadata.managedFields"):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}")
    elif path == ".status.conditions":
        yield from _differences(_by_type(before), _by_type(after), path)
    elif path.startswith(f".{_ONLY_THAT}"):
        yield f"{path} is another"
    else:
        yield f"{path or 'all'}: {_short(before)} -> {_short(after)}"


def _by_type(conditions: Any) -> dict[str, Any]:
    return {one["type"]: one for one in conditions or ()}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def is_by_the_clock(name: str, body: Mapping[str, Any], differences: Sequence[str]) -> bool:
    """Whether it is news that comes when it comes: a QR code, an answered probe, a maintenance window."""
    if name.startswith("secrets/") and name.endswith("-pairing"):
        return True
    spec, conditions = body.get("spec", {}), _by_type(body.get("status", {}).get("conditions"))
    probed = spec.get("health", {}).get("probe", {}).get("mode") == "Enabled"
    answered = probed and conditions.get("Functional", {}).get("reason") == "Answered"
    may_move = {
        ".status.pairing": waits_for_a_phone(body),
        ".status.conditions.Functional.": waits_for_a_phone(body) or answered,
        ".status.conditions.RemediationAllowed.": bool(spec.get("budget", {}).get("maintenance")),
    }
    paths = tuple(path for path, may in may_move.items() if may)
    return all(one.startswith(paths) for one in differences)


def waits_for_a_phone(body: Mapping[str, Any]) -> bool:
    """Whether it is an instance that is not paired: its code is another twice a minute."""
    return body.get("status", {}).get("paired") is False
