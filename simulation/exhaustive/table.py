"""The states that were reached, in a file that all processes of a search share; and what they counted."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from simulation.exhaustive.arbiter import Bound

_SLOT = struct.Struct("<QQ")
_COUNTER = struct.Struct("<q")
NAMES = ("states", "again", "choices", "paths", "violations", "deepest", "seconds", "stopped", "ending")
_HEADER = 256
_MOST_FAULTS, _MOST_CRASHES = 7, 3
"""Of which a slot has a bit for each."""


class Full(Exception):  # noqa: N818 - a fact about the table
    """There is no room for another state: give the search a larger table."""


def fits(bound: Bound) -> None:
    """Raises `ValueError` for a bound that cannot be noted."""
    if not (0 <= bound.faults <= _MOST_FAULTS and 0 <= bound.crashes <= _MOST_CRASHES):
        raise ValueError(f"a search takes at most {_MOST_FAULTS} faults and {_MOST_CRASHES} crashes, and none below 0")


class Table:
    """States by the digest of them, each with the bounds under which it was gone on from.

    A state is gone on from again only with more left to go wrong than at any time before.
    """

    def __init__(self, path: Path, *, slots: int) -> None:
        """One that was there before is gone on with."""
        self._slots = slots
        size = _HEADER + slots * _SLOT.size
        self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        os.ftruncate(self._file, size)
        self._memory = mmap.mmap(self._file, size)

    def enter(self, digest: bytes, left: Bound) -> bool:
        """Whether a state is to be gone on from; it is noted that it was.

        Raises:
            Full: there is no room for it.
        """
        with self._alone():
            return self._enter(digest, left)

    def _enter(self, digest: bytes, left: Bound) -> bool:
        key = int.from_bytes(digest[:8], "little") or 1
        for step in range(self._slots):
            at = _HEADER + (key + step) % self._slots * _SLOT.size
            found, bounds = _SLOT.unpack_from(self._memory, at)
            if found == key and bounds & _no_less_than(left):
                return False
            if found in (0, key):
                self._add("states" if not found else "again", 1)
                _SLOT.pack_into(self._memory, at, key, bounds | _bit(left.faults, left.crashes))
                return True
        raise Full

    def count(self, name: str, by: int = 1) -> None:
        """Count something."""
        with self._alone():
            self._add(name, by)

    def mark(self, name: str, value: int) -> None:
        """Set something, whatever it was: without the lock, which a signal may find this process to have."""
        _COUNTER.pack_into(self._memory, NAMES.index(name) * _COUNTER.size, value)

    def most(self, name: str, value: int) -> None:
        """Note something of a path, where it is more than of any before."""
        with self._alone():
            self._add(name, max(value - self[name], 0))

    def close(self) -> None:
        """Nobody uses it any more."""
        self._memory.close()
        os.close(self._file)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """A lock of this process, which no copy has; that of a killed process is free."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _add(self, name: str, by: int) -> None:
        at = NAMES.index(name) * _COUNTER.size
        _COUNTER.pack_into(self._memory, at, self[name] + by)

    def __getitem__(self, name: str) -> int:
        """What was counted."""
        found: int = _COUNTER.unpack_from(self._memory, NAMES.index(name) * _COUNTER.size)[0]
        return found


def _bit(faults: int, crashes: int) -> int:
    return 1 << (crashes * (_MOST_FAULTS + 1) + faults)


def _no_less_than(left: Bound) -> int:
    """The bits of all bounds that leave as much, or more."""
    more_crashes, more_faults = range(left.crashes, _MOST_CRASHES + 1), range(left.faults, _MOST_FAULTS + 1)
    return sum(_bit(faults, crashes) for crashes in more_crashes for faults in more_faults)
