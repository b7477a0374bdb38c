"""A JSON array read item by item.

The list of 10,000 instances is 13 MB. Parsed in one go, in whichever thread, it stops the whole process for a tenth of
a second, and all its objects are in memory at once. Item by item, a thread that parses lets others run in between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

_GAP: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Read(Generic[_T]):
    """What an item was read as; its text is not kept, which may be ten times as long."""

    length: int
    mark: int
    item: _T

    def stands_in(self, text: str, at: int) -> bool:
        """Whether the same text stands there: a JSON object ends where it ends, whatever follows it."""
        return hash(text[at : at + self.length]) == self.mark


class Recurring(Generic[_T]):
    """Reads an array that comes again and again: an item whose text is as before is the same object, and not parsed.

    Items may come and go, and change their places, as rows of a table do that are updated.
    """

    def __init__(self) -> None:
        self._known: list[_Read[_T]] = []

    def items(self, text: str, *, read: Callable[[object], _T]) -> Iterator[_T]:
        """The items, each read by `read`, whose errors pass; what was read before stays known until the end.

        Raises:
            ValueError: the text is no array of objects.
            RecursionError: it nests too deep.
        """
        # A read that was given up goes on in its thread, and may end in the middle of this one.
        known, places, place = self._known, dict[int, tuple[_Read[_T], int]](), 0
        found: list[_Read[_T]] = []
        at = _after(text, 0, "[")
        closed = text.startswith("]", at)
        while not closed:
            if place < len(known) and known[place].stands_in(text, at):
                one = known[place]
            else:
                places = places or {before.mark: (before, index) for index, before in enumerate(known)}
                one, place = _elsewhere(text, at, places, place, read)
            found.append(one)
            yield one.item
            place += 1
            at = _skip(text, at + one.length)
            closed = text.startswith("]", at)
            if not closed:
                at = _after(text, at, ",")
        _end(text, at)
        self._known = found


def _elsewhere(
    text: str, at: int, places: dict[int, tuple[_Read[_T], int]], place: int, read: Callable[[object], _T]
) -> tuple[_Read[_T], int]:
    """An item that is not what was expected: one from another place, from where it goes on then, or a new one."""
    value, end = _DECODER.raw_decode(text, at)
    mark = hash(text[at:end])
    return places[mark] if mark in places else (_Read(end - at, mark, read(value)), place)


def _end(text: str, at: int) -> None:
    if _after(text, at, "]") != len(text):
        raise ValueError("something follows the array")


def _after(text: str, at: int, mark: str) -> int:
    start = _skip(text, at)
    if not text.startswith(mark, start):
        raise ValueError(f"no {mark!r} where one is due")
    return _skip(text, start + len(mark))


def _skip(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return at if match is None else match.end()
