"""Chance that is always the same, so that states which differ in nothing else are one."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from typing import Any


class Steady(random.Random):
    """Calls take no time, nothing races with itself, and each identity is a new one."""

    def __init__(self, *names: object) -> None:
        super().__init__(0)
        self._base = zlib.crc32("/".join(map(str, names)).encode())
        self._given = 0

    def random(self) -> float:
        """Below no probability, so that only faults that were chosen happen."""
        return 0.999

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 - the port of `random.Random`
        """The least that it may be; nothing where that stands for a way through the network."""
        return 0.0 if a <= _WAY_SECONDS else a

    def getrandbits(self, k: int, /) -> int:
        """Few bits belong to what tells nothing apart; many make an identity, of which there are never two."""
        if k <= _TELLS_NOTHING:
            return self._base % (1 << k)
        self._given += 1
        return (self._base * 1_000_003 + self._given) % (1 << k)

    def choices(self, population: Sequence[Any], *_: Any, k: int = 1, **__: Any) -> list[Any]:  # type: ignore[override]
        """Digits of one more identity."""
        number, found = self.getrandbits(128), []
        for _digit in range(k):
            number, rest = divmod(number, len(population))
            found.append(population[rest])
        return found


_WAY_SECONDS = 0.002
_TELLS_NOTHING = 16
