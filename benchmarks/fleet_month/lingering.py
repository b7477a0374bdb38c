"""Incidents that are over, but for the ten minutes for which health has to last.

Such an incident waits for nothing but the time, is nothing to any other number, and to its own only when that falls ill
again: it would then be the same incident, with what was tried in it. So time may be skipped meanwhile, as long as the
ten minutes are played before anything strikes that can reach the number, in which case they would have passed.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence

from benchmarks.fleet_month.rates import Healer
from benchmarks.fleet_month.schedule import Strike

ENOUGH_SECONDS = 700.0
"""To let lasting health begin, last for ten minutes, and be written."""


class Lingering:
    """What strikes whom next."""

    def __init__(self, strikes: Sequence[Strike]) -> None:
        self._of: defaultdict[str | None, list[float]] = defaultdict(list)
        for strike in sorted(strikes, key=lambda one: one.at):
            self._of[None if _reaches_all(strike) else strike.name].append(strike.at)

    def may_last_until(self, names: Iterable[str], now: float) -> float:
        """The moment from which on the incidents of these numbers have to be played to their end."""
        reached = [*names]
        return min((self._next(one, now) for one in (None, *reached) if reached), default=float("inf")) - ENOUGH_SECONDS

    def _next(self, reached: str | None, now: float) -> float:
        times = self._of.get(reached, [])
        place = bisect.bisect_right(times, now)
        return times[place] if place < len(times) else float("inf")


def _reaches_all(strike: Strike) -> bool:
    """Whether it is one of a proxy or of a server, or ends with a restart of the server."""
    return strike.name is None or strike.fault.healer is Healer.SERVER
