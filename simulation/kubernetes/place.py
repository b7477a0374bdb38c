"""Paths of the API, read."""

from __future__ import annotations

from dataclasses import dataclass

from simulation.kubernetes import kinds


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to; without a name, the whole collection, and without a namespace, that of all."""

    kind: kinds.Kind
    namespace: str
    name: str
    subresource: str


def read(path: str) -> Place | None:
    """The place of a path; None where the API has nothing."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if len(rest) == 2 and rest[0] == "namespaces":
        return Place(kinds.NAMESPACES, "", rest[1], "")
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    kind = kinds.ALL.get(rest[0]) if rest else None
    if kind is None:
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    return Place(kind, namespace, name, subresource)
