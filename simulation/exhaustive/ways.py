"""The ways from state to state on which nothing goes wrong: none of them may lead round.

A path sees by itself when it comes back to one of its own states. Where copies run side by side, each may stop at a
state of another's path, so that nobody goes the whole round: it shows in the ways of all together.
"""

from __future__ import annotations

import os
import struct
from collections import Counter, defaultdict
from pathlib import Path

from simulation.exhaustive.arbiter import Bound

_WAY = struct.Struct("<QQBB")
Place = tuple[int, int, int]
"""A state, and what was left to go wrong."""


class Ways:
    """In a file that all processes of a search add to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)

    def add(self, begin: bytes, end: bytes, left: Bound) -> None:
        """A way from the state of one digest to that of another."""
        way = _WAY.pack(_number(begin), _number(end), left.faults, left.crashes)
        if os.write(self._file, way) != len(way):  # at once, so that it is not torn by another's
            raise OSError("a way was not written whole")

    def close(self) -> None:
        """Nobody adds to it any more."""
        os.close(self._file)

    def lead_round(self) -> bool:
        """Whether some of them do: states that lead on to nothing are taken away until none is left, or a round."""
        leads_to, comes_from = self._counted()
        ends = [place for place in comes_from if not leads_to[place]]
        while ends:
            for before, times in comes_from.pop(ends.pop(), {}).items():
                leads_to[before] -= times
                if not leads_to[before]:
                    ends.append(before)
        return any(leads_to.values())

    def _counted(self) -> tuple[Counter[Place], dict[Place, Counter[Place]]]:
        leads_to, comes_from = Counter[Place](), defaultdict[Place, Counter[Place]](Counter)
        for begin, end, faults, crashes in _WAY.iter_unpack(self._path.read_bytes()):
            leads_to[begin, faults, crashes] += 1
            comes_from[end, faults, crashes][begin, faults, crashes] += 1
        return leads_to, comes_from


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little")
