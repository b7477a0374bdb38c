"""What a search keeps in a folder, so that it can be gone on with: states, findings, and the ways still to be gone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.exhaustive.table import Table
from simulation.exhaustive.ways import Ways


class Torn(Exception):  # noqa: N818 - a fact about the folder
    """A search was killed in it: which ways it has gone from the states that it had entered is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A path at whose end an invariant does not hold."""

    invariant: str
    text: str
    faults_left: int
    crashes_left: int
    choices: tuple[tuple[int, int], ...]
    """What was chosen where it was not the first option, by the number of the choice."""
    told: tuple[str, ...]
    """Those choices in words."""
    length: int
    can_be_played: bool = True
    """Whether the choices lead there; else it is one of all paths together."""

    @property
    def size(self) -> tuple[bool, int, int, int]:
        """Less of it is better: what goes wrong, what is chosen besides, how long it takes."""
        return not self.can_be_played, -self.faults_left - self.crashes_left, len(self.choices), self.length


@dataclass(frozen=True, slots=True)
class Crossing:
    """A state from which some ways were not gone yet."""

    choices: Mapping[int, int]
    """The path there: what was chosen where it was not the first option."""
    number: int
    """Of the choice that is to be made there."""
    places: Sequence[int]
    """Of the options that are left."""


class Kept:
    """One search's folder."""

    def __init__(self, folder: Path, *, slots: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.table, self.ways = Table(folder / "table", slots=slots), Ways(folder / "ways")
        self._findings, self._left, self._mark = folder / "findings", folder / "left", folder / "under-way"

    def close(self) -> None:
        """Nothing is asked of it any more."""
        self.table.close()
        self.ways.close()

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """For the time of a search, so that one that was killed is known by it.

        Raises:
            Torn: one was killed before.
        """
        try:
            self._mark.touch(exist_ok=False)
        except FileExistsError:
            raise Torn(self._mark) from None
        yield
        self._mark.unlink()

    def find(self, one: Finding) -> None:
        """A path has ended badly."""
        _append(self._findings, dataclasses.asdict(one))

    def leave(self, one: Crossing) -> None:
        """The time is over before all was gone."""
        _append(self._left, dataclasses.asdict(one))

    def take_up(self) -> Sequence[Crossing]:
        """What the search before has left; from here on it is this one's."""
        found = self.left()
        self._left.unlink(missing_ok=True)
        return found

    def left(self) -> Sequence[Crossing]:
        """What is left to be gone."""
        return [_crossing(**body) for body in _lines(self._left)]

    def findings(self) -> Sequence[Finding]:
        """What was found."""
        return [_finding(**body) for body in _lines(self._findings)]


def _append(path: Path, body: object) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(f"{json.dumps(body)}\n".encode())  # at once, so that no other process writes in between


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _crossing(*, choices: dict[str, int], number: int, places: Sequence[int]) -> Crossing:
    return Crossing({int(at): place for at, place in choices.items()}, number, places)


def _finding(*, choices: Sequence[tuple[int, int]], told: Sequence[str], **more: Any) -> Finding:
    return Finding(choices=tuple((number, place) for number, place in choices), told=tuple(told), **more)
