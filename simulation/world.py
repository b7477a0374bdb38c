"""The worlds in which seeds happen: who is there at the beginning, how fast things go, and what has happened before.

Most seeds are branches. The first seed of a world is its trunk: operators start, instances are created and paired, and
from then on something happens again and again, until all faults stop. The others go along with it for a while, and then
their own ways, by their own chance. So a trunk is played once for all of them, and each begins amid the troubles that
it had by then. Most branches end with their faults. Some seeds have a world of their own, with the spans that are the
defaults, and time for what takes long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulation import schedule as schedules
from simulation import setup as setups
from simulation.pace import BRANCH, TRUNK, TWIG, USUAL, Pace
from simulation.system import stream

_SEEDS = 32
"""Of a world: a trunk and its branches."""
_APART = 64
"""Every so manieth seed has a world of its own."""
_GROWN = 4
"""Every so manieth branch goes on when its faults have stopped."""
_MOMENTS = 8
"""At which branches leave a trunk."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What a seed decides."""

    seed: int
    trunk: int
    """The seed whose chance the beginning is left to."""
    setup: setups.Setup
    schedule: schedules.Schedule
    pace: Pace

    @property
    def is_branch(self) -> bool:
        """Whether it leaves its trunk; else it is one."""
        return self.seed != self.trunk

    @property
    def along(self) -> schedules.Schedule:
        """What happens before it leaves its trunk."""
        return self.schedule.until(self.schedule.branches_at) if self.is_branch else self.schedule


def of(seed: int) -> Plot:
    """The plot of a seed."""
    trunk = trunk_of(seed)
    if trunk is None:
        setup = setups.draw(seed)
        return Plot(seed, seed, setup, schedules.draw(seed, setup), USUAL)
    setup = setups.draw(trunk, TRUNK)
    along = schedules.draw(trunk, setup, TRUNK)
    if seed == trunk:
        return Plot(seed, seed, setup, along, TRUNK)
    pace = BRANCH if seed % _GROWN == 0 else TWIG
    own = schedules.draw(seed, setup, pace, begin=_moment(seed, trunk, along))
    return Plot(seed, trunk, setup, along.until(own.branches_at).then(own), pace)


def trunk_of(seed: int) -> int | None:
    """The seed of the trunk that a seed branches from, or is; None for one with a world of its own."""
    return None if seed % _APART == _APART - 1 else seed - seed % _SEEDS


def _moment(seed: int, trunk: int, along: schedules.Schedule) -> float:
    """One of few moments, so that many branches leave at each: after deeds of the trunk, while they are still felt."""
    chance = stream(trunk, "moments")
    begin, end = schedules.BEGIN_SECONDS, along.ends_at
    moments = sorted(round(chance.uniform(begin, end), 3) for _ in range(_MOMENTS))
    return moments[seed // _GROWN % _MOMENTS]


def grouped(seeds: Iterable[int]) -> Mapping[int, list[int]]:
    """The seeds by the trunk that they go along with; one with a world of its own stands alone."""
    found: dict[int, list[int]] = {}
    for seed in seeds:
        trunk = trunk_of(seed)
        found.setdefault(seed if trunk is None else trunk, []).append(seed)
    return found
