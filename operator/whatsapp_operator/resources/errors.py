"""Errors of this package.

ResourceError
└── InvalidResource    the object cannot be understood; nothing may be done on its behalf
"""

from __future__ import annotations

from dataclasses import dataclass


class ResourceError(Exception):
    """Base of all errors of this package."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the field's path, and how to put it right."""

    field: str
    cure: str

    def __str__(self) -> str:
        return f"{self.field}: {self.cure}"


class InvalidResource(ResourceError):  # noqa: N818 - named for what it says about the object
    """The object does not follow the schema that this operator knows.

    The message names each field and its cure, never the value that was found there: it may be a secret put into the
    wrong place.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))
