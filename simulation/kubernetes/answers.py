"""Answers of the API server, in its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status with its JSON body."""

    status: int
    body: Body


class Refused(Exception):  # noqa: N818 - the answer is the name
    """The server says no; `answer` is what it says."""

    def __init__(self, status: int, reason: str, *, fields: Iterable[str] = ()) -> None:
        super().__init__(f"{status} {reason}")
        causes = [{"field": field} for field in fields]
        details = {"details": {"causes": causes}} if causes else {}
        self.answer = Answer(status, {"kind": "Status", "reason": reason, "code": status, **details})


def not_found() -> Refused:
    """404."""
    return Refused(404, "NotFound")


def conflict() -> Refused:
    """409: it is at another version."""
    return Refused(409, "Conflict")


def exists() -> Refused:
    """409: the name is taken."""
    return Refused(409, "AlreadyExists")


def invalid(*fields: str) -> Refused:
    """422, with the fields that are wrong."""
    return Refused(422, "Invalid", fields=fields)


def forbidden(*fields: str) -> Refused:
    """403: a namespace that is being deleted takes nothing new."""
    return Refused(403, "Forbidden", fields=fields)


def gone() -> Refused:
    """410: what was at that version is forgotten."""
    return Refused(410, "Expired")
