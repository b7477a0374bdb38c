"""Chance that hangs on the moment, and not on how much was left to it before.

What is drawn is a function of the seed, of whose chance it is, of the moment of the calendar, and of how many draws
came before in that very moment. So a day on which a thousand quiet polls were skipped goes on as the same day without.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

_FRACTION_BITS = 53
_WHOLE = float(2**_FRACTION_BITS)
_NO_WAY = frozenset({"way", "evolution way", "watch"})
"""A call takes no time on its way: two polls would be apart by a little more than their period, and drift."""


class Chance(random.Random):
    """A source of chance; `moment` tells the time of the calendar."""

    def __init__(self, name: str, moment: Callable[[], float]) -> None:
        super().__init__(0)
        self._name, self._moment = name, moment
        self._last, self._draws = -1.0, 0

    def _digest(self) -> int:
        now = self._moment()
        self._draws = self._draws + 1 if now == self._last else 0
        self._last = now
        drawn = hashlib.blake2b(f"{self._name}/{now!r}/{self._draws}".encode(), digest_size=16).digest()
        return int.from_bytes(drawn)

    def random(self) -> float:
        """A number in [0, 1)."""
        return (self._digest() >> 128 - _FRACTION_BITS) / _WHOLE

    def getrandbits(self, bits: int, /) -> int:
        """A number of that many bits."""
        drawn, got = 0, 0
        while got < bits:
            drawn, got = drawn << 128 | self._digest(), got + 128
        return drawn >> got - bits


class _None(random.Random):
    """Leaves nothing to chance: what takes between so long and so long takes no time."""

    def uniform(self, a: float, b: float) -> float:
        """Nothing, whatever the bounds."""
        del a, b
        return 0.0


def streams(moment: Callable[[], float]) -> Callable[..., random.Random]:
    """What stands in for `simulation.system.stream` on a stage."""

    def stream(*names: object) -> random.Random:
        if _NO_WAY.intersection(map(str, names)):
            return _None(0)
        return Chance("/".join(map(str, names)), moment)

    return stream
