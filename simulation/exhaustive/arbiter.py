"""Lets calls go one at a time, each with the fate that was chosen for it; and the deeds that may come in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from simulation.exhaustive import small, stand
from simulation.exhaustive.fates import CRASHES, Fate
from simulation.stage import Stage

STANDSTILL_SECONDS = 35.0
_POINTS_TO_THE_ANSWER = 2

Deed = Callable[[Stage], object]


@dataclass(frozen=True, slots=True)
class Bound:
    """How much may still go wrong on a path."""

    faults: int
    crashes: int

    def after(self, option: Option) -> Bound:
        """What is left after an option was taken."""
        return Bound(self.faults - option.faults, self.crashes - option.crashes)

    def allows(self, option: Option) -> bool:
        """Whether an option may be taken."""
        return option.faults <= self.faults and option.crashes <= self.crashes


@dataclass(frozen=True, slots=True)
class Option:
    """One way on."""

    text: str
    call: stand.Parked | None = None
    fate: Fate = Fate.WELL
    deed: str | None = None

    @property
    def faults(self) -> int:
        """Faults that it takes."""
        return int(self.deed is not None or (self.fate is not Fate.WELL and self.fate not in CRASHES))

    @property
    def crashes(self) -> int:
        """Crashes that it takes."""
        return int(self.fate in CRASHES)


class Chooser(Protocol):
    """Decides which way a path goes on."""

    def choose(self, options: Sequence[Option], allowed: Sequence[int], left: Bound, number: int) -> int:
        """The place of the option that is taken, at the choice of this number; one of those that are allowed."""

    def over(self) -> None:
        """The path is over."""


class Arbiter:
    """Asks which call is next, and what becomes of it."""

    def __init__(self, stage: small.SmallStage, chooser: Chooser, *, bound: Bound, deeds: Mapping[str, Deed]) -> None:
        self._stage, self._chooser, self.left = stage, chooser, bound
        self.deeds = dict(deeds)
        """Those that have not been done yet; each is done at most once."""
        self.taken = 0

    def idle(self) -> bool:
        """Let one call go; False where none waits, so that time may go on."""
        waiting = self._stage.platform.waiting()
        if not waiting:
            return False
        options = self._all(waiting)
        allowed = [place for place, one in enumerate(options) if self.left.allows(one)]
        option = options[self._chooser.choose(options, allowed, self.left, self.taken)]
        self.taken += 1
        self.left = self.left.after(option)
        self._take(option)
        return True

    def _all(self, waiting: Sequence[stand.Parked]) -> list[Option]:
        well = [Option(one.text, one) for one in waiting]
        spoilt = [
            Option(f"{one.text} {fate.value}", one, fate)
            for one in waiting
            for fate in self._stage.platform.fates(one.call)
            if fate is not Fate.WELL
        ]
        return [*well, *spoilt, *(Option(f"meanwhile {name}", deed=name) for name in self.deeds)]

    def _take(self, option: Option) -> None:
        self._stage.history.note(f"chosen: {option.text}")
        if option.deed is not None:
            self.deeds.pop(option.deed)(self._stage)
        if option.call is None:
            return
        self._stage.platform.parked.remove(option.call)
        life, fate = option.call.process, option.fate
        if fate is Fate.DIES_BEFORE:
            life.die()
        elif fate is Fate.DIES_AFTER:
            life.die_after(_POINTS_TO_THE_ANSWER)
        elif fate is Fate.STANDS_STILL:
            life.freeze(STANDSTILL_SECONDS)
            self._stage.fault_times["freeze"] = self._stage.loop.time()
        else:
            self._spoil(fate, kubernetes=option.call.call.to_kubernetes)
        option.call.gate.set_result(None)

    def _spoil(self, fate: Fate, *, kubernetes: bool) -> None:
        if kubernetes:
            self._stage.chosen.fate = fate
            return
        for one in self._stage.hosts.values():
            assert isinstance(one, small.Host)  # noqa: S101 - a small stage has no others
            one.fate = fate
