"""The last writes, in the order of their versions: what a watch tells, and from when on it can."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulation.kubernetes import answers, kinds

if TYPE_CHECKING:
    from simulation.kubernetes.server import Change

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Stream:
    """What a watch follows: the resources of a kind, in one namespace or in all."""

    kind: kinds.Kind
    namespace: str = ""

    def has(self, change: Change) -> bool:
        """Whether it tells of a write."""
        return change.kind is self.kind and self.namespace in ("", change.namespace)


class Log:
    """Writes to the API server; those that are older than the last thousand are forgotten."""

    def __init__(self) -> None:
        self._changes: collections.deque[Change] = collections.deque(maxlen=KEPT)
        self._oldest = 0
        """A watch can begin at this version, and at each later one."""

    def add(self, change: Change) -> None:
        """A write was stored."""
        if len(self._changes) == KEPT:
            self._oldest = self._changes[0].version
        self._changes.append(change)

    def begin(self, version: int) -> None:
        """Nothing that was before is known."""
        self._oldest = version

    def since(self, version: int, stream: Stream) -> Sequence[Change]:
        """What a watch that begins at this version tells. Raises `Refused` (410) where that is forgotten."""
        if version < self._oldest:
            raise answers.gone()
        return [one for one in self._changes if one.version > version and stream.has(one)]
