"""Pages of a LIST, in which only those resources are parsed that are not as they were in the last LIST.

A sweep finds nearly all of thousands as they were; to parse them all again was nine tenths of what it cost.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from whatsapp_operator import arrays
from whatsapp_operator.engine import ports


class _Sight(NamedTuple):
    """What is remembered of a resource whose text is as it was."""

    key: ports.Key
    version: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some resources, and the token that asks for those after them; it is empty on the last page."""

    resources: Sequence[ports.Listed]
    following: str


class Pages:
    """The pages of one collection, time and again."""

    def __init__(self) -> None:
        self._known: list[arrays.Recurring[_Sight]] = []

    def read(self, text: str, *, number: int) -> Page:
        """The page of that number, from 0. Raises ValueError or RecursionError where the text is none."""
        while len(self._known) <= number:
            self._known.append(arrays.Recurring())
        new: dict[ports.Key, ports.Body] = {}

        def see(item: object) -> _Sight:
            body = _object(item)
            # Of the same strings as in the store, not of as many once more.
            sight = _Sight(ports.Key(*map(sys.intern, ports.key_of(body))), ports.version_of(body))
            new[sight.key] = body
            return sight

        seen, others = self._known[number].member(text, "items", read=see)
        following = str(_object(others.get("metadata") or {}).get("continue") or "")
        if not following:
            del self._known[number + 1 :]
        return Page([ports.Listed(*one, functools.partial(_body, text, one.key, new)) for one in seen], following)


def _body(text: str, key: ports.Key, new: Mapping[ports.Key, ports.Body]) -> ports.Body:
    """That of a resource which is as it was is seldom asked for: then whoever lists has lost it since."""
    return new[key] if key in new else next(body for body in json.loads(text)["items"] if ports.key_of(body) == key)


def _object(value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    raise ValueError("a list has something in it that is no object")
