"""Merge patches (RFC 7396), and JSON patches (RFC 6902) of what this operator sends; no argument is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulation.kubernetes import answers


def merged(target: Any, patch: Any) -> Any:
    """The document with a merge patch applied."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def patched(target: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The document with a JSON patch of `add`, `replace` and `remove` applied.

    Raises:
        Refused: an operation does not fit.
    """
    found: Mapping[str, Any] = target
    for operation in operations:
        names = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        found = _at(found, names, operation)
    return found


def _at(target: Any, names: Sequence[str], operation: Mapping[str, Any]) -> Any:
    if not isinstance(target, Mapping) or (len(names) > 1 and names[0] not in target):
        raise answers.Refused(422, "Invalid")
    found = dict(target)
    if len(names) > 1:
        found[names[0]] = _at(found[names[0]], names[1:], operation)
    elif operation["op"] == "remove":
        if names[0] not in found:
            raise answers.Refused(422, "Invalid")
        del found[names[0]]
    else:
        found[names[0]] = operation["value"]
    return found
