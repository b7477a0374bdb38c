"""The people with the phones: asked when a pairing is lost, they come after a while and scan what is shown.

They are the same under every policy: as quick, and awake at the same hours.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from simulation.system import stream

from benchmarks.fleet_month.calendar import Calendar
from benchmarks.fleet_month.schedule import DAY_SECONDS
from benchmarks.fleet_month.truth import Truth
from evolution_simulator import world

MEDIAN_SECONDS = 1800.0
"""Half of the people come within this time, if they were asked in working hours: an assumption."""
_SPREAD = 1.0
"""Standard deviation of the logarithm of the time."""
_WORKING_HOURS = (8 * 3600.0, 20 * 3600.0)
_LOOK_SECONDS = 15.0
_PATIENCE_SECONDS = 600.0


class People:
    """One for each number."""

    def __init__(
        self,
        model: world.World,
        truth: Truth,
        calendar: Calendar,
        *,
        seed: object,
        ask_for_code: Callable[[str], None],
    ) -> None:
        """`ask_for_code` is what a person does who wants to scan and sees nothing to scan."""
        self._model, self._truth, self._calendar, self._seed = model, truth, calendar, seed
        self._ask_for_code = ask_for_code
        self._asked: Counter[str] = Counter()
        self.waiting: dict[str, float] = {}
        """Numbers whose person was asked, and when it comes."""
        self.at_the_phone: set[str] = set()
        truth.on_lost.append(self._ask)

    @property
    def asked(self) -> int:
        """How often somebody was asked to scan, repetitions included."""
        return self._asked.total()

    def _ask(self, name: str) -> None:
        if name in self.waiting or name in self.at_the_phone:
            return
        self._asked[name] += 1
        chance = stream(self._seed, "person", name, self._asked[name])
        moment = _awake(self._calendar.now) + MEDIAN_SECONDS * math.exp(chance.gauss(0.0, _SPREAD))
        self.waiting[name] = _awake(moment)
        self._calendar.at(self.waiting[name], lambda: self._come(name))

    def _come(self, name: str) -> None:
        del self.waiting[name]
        if self._truth.is_paired(name):
            return
        self.at_the_phone.add(name)
        self._ask_for_code(name)
        self._look(name, self._calendar.now + _PATIENCE_SECONDS)

    def _look(self, name: str, until: float) -> None:
        """Scan what is shown; look again in a while where nothing is; come back later where nothing was for long."""
        if not self._truth.is_paired(name):
            self._model.scan(name)
            if self._calendar.now < until:
                self._calendar.at(self._calendar.now + _LOOK_SECONDS, lambda: self._look(name, until))
                return
        self.at_the_phone.discard(name)
        if not self._truth.is_paired(name):
            self._ask(name)


def _awake(moment: float) -> float:
    """The moment itself in working hours, else when they begin."""
    day, hour = divmod(moment, DAY_SECONDS)
    begin, end = _WORKING_HOURS
    if hour < begin:
        return day * DAY_SECONDS + begin
    return moment if hour < end else (day + 1) * DAY_SECONDS + begin
