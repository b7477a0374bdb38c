"""A JSON array read item by item, alone or within an object.

A list of 10,000 instances is 13 MB from an Evolution API, 50 MB from the Kubernetes API. Parsed in one go, in whichever
thread, it stops the whole process for a tenth of a second and more, and all its objects are in memory at once. Item by
item, a thread that parses lets others run in between; and what is as it was need not be parsed at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

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
        end = yield from self._read(text, 0, read)
        if _skip(text, end) != len(text):
            raise ValueError("something follows the array")

    def member(self, text: str, name: str, *, read: Callable[[object], _T]) -> tuple[list[_T], dict[str, Any]]:
        """The items of the array that an object has under a name, and its other members.

        Raises as `items` does, also where the text is no object or has no such array: that is not an empty one.
        """
        found: list[_T] | None = None
        at, others = _after(text, 0, "{"), dict[str, Any]()
        while not text.startswith("}", at):
            key, at = _DECODER.raw_decode(text, at)
            at = _after(text, at, ":")
            if key == name and text.startswith("[", at):
                found = []
                at = _collect(self._read(text, at, read), found)
            else:
                others[key], at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
            if not text.startswith("}", at):
                at = _after(text, at, ",")
        if found is None or _skip(text, at + 1) != len(text):
            raise ValueError(f"no {name!r}, or something after the object")
        return found, others

    def _read(self, text: str, start: int, read: Callable[[object], _T]) -> Generator[_T, None, int]:
        """The items of the array that stands there, and then where it ends."""
        # A read that was given up goes on in its thread, and may end in the middle of this one.
        known, places, place = self._known, dict[int, tuple[_Read[_T], int]](), 0
        found: list[_Read[_T]] = []
        at = _after(text, start, "[")
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
        self._known = found
        return at + 1


def _elsewhere(
    text: str, at: int, places: dict[int, tuple[_Read[_T], int]], place: int, read: Callable[[object], _T]
) -> tuple[_Read[_T], int]:
    """An item that is not what was expected: one from another place, from where it goes on then, or a new one."""
    value, end = _DECODER.raw_decode(text, at)
    mark = hash(text[at:end])
    return places[mark] if mark in places else (_Read(end - at, mark, read(value)), place)


def _collect(reading: Generator[_T, None, int], found: list[_T]) -> int:
    while True:
        try:
            found.append(next(reading))
        except StopIteration as ended:
            return int(ended.value)


def _after(text: str, at: int, mark: str) -> int:
    start = _skip(text, at)
    if not text.startswith(mark, start):
        raise ValueError(f"no {mark!r} where one is due")
    return _skip(text, start + len(mark))


def _skip(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return at if match is None else match.end()
