"""The worlds in which seeds happen: who is there at the beginning, how fast things go, and what has happened before.

Most seeds are branches. The first seed of a world is its trunk: operators start, instances are created and paired, and
from then on something happens again and again, until all faults stop. The others go along with it for a while, and then
their own ways, by their own chance. So a trunk is played once for all of them, and each begins amid the troubles that
it had by then. Most branches end with their faults. Some seeds have a world of their own, with the spans that are the
defaults, and time for what takes long.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simulation import schedule as schedules
from simulation import setup as setups
from simulation.pace import AILING, BRANCH, TRUNK, TWIG, USUAL, Pace
from simulation.system import stream

_SEEDS = 32
"""Of a world: a trunk and its branches."""
_APART = 64
"""Every so manieth seed has a world of its own."""
_GROWN = 4
"""Every so manieth branch goes on when its faults have stopped."""
_AILING = 0.5
"""Of all worlds."""
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


@dataclass(frozen=True, slots=True)
class _Trunk:
    """What a world begins with, and when branches may leave it: spans, of which each is as likely as the others."""

    setup: setups.Setup
    along: schedules.Schedule
    leaves: tuple[tuple[float, float], ...]


def of(seed: int) -> Plot:
    """The plot of a seed."""
    number = trunk_of(seed)
    if number is None:
        setup = setups.draw(seed)
        return Plot(seed, seed, setup, schedules.draw(seed, setup), USUAL)
    trunk = _ailing(number) if stream(number, "ails").random() < _AILING else _usual(number)
    if seed == number:
        return Plot(seed, seed, trunk.setup, trunk.along, TRUNK)
    pace = BRANCH if seed % _GROWN == 0 else TWIG
    own = schedules.draw(seed, trunk.setup, pace, begin=_moment(seed, number, trunk.leaves))
    return Plot(seed, number, trunk.setup, trunk.along.until(own.branches_at).then(own), pace)


def _usual(seed: int) -> _Trunk:
    setup = setups.draw(seed, TRUNK)
    along = schedules.draw(seed, setup, TRUNK)
    return _Trunk(setup, along, ((schedules.BEGIN_SECONDS, along.ends_at),))


def _ailing(seed: int) -> _Trunk:
    """One whose instances break as only one kind of step heals, and whose branches leave when that is due."""
    setup = setups.willing(setups.draw(seed, AILING))
    along = schedules.draw(seed, setup, AILING)
    ills = schedules.ailments(seed, setup, until=along.ends_at)
    due = [(entry.at + ill.healed_after[0], entry.at + ill.healed_after[1]) for entry, ill in ills]
    leaves = tuple(one for one in due if one[0] > schedules.BEGIN_SECONDS and one[1] < along.ends_at)
    return _Trunk(setup, along.beside(entry for entry, _ in ills), leaves)


def trunk_of(seed: int) -> int | None:
    """The seed of the trunk that a seed branches from, or is; None for one with a world of its own."""
    return None if seed % _APART == _APART - 1 else seed - seed % _SEEDS


def _moment(seed: int, trunk: int, leaves: Sequence[tuple[float, float]]) -> float:
    """One of few moments, so that many branches leave at each: after deeds of the trunk, while they are still felt."""
    chance = stream(trunk, "moments")
    moments = sorted(round(chance.uniform(*_one_of(leaves, chance)), 3) for _ in range(_MOMENTS))
    return moments[seed // _GROWN % _MOMENTS]


def _one_of(leaves: Sequence[tuple[float, float]], chance: random.Random) -> tuple[float, float]:
    """Where there is but one, nothing is left to chance."""
    return chance.choice(leaves) if len(leaves) > 1 else leaves[0]


def grouped(seeds: Iterable[int]) -> Mapping[int, list[int]]:
    """The seeds by the trunk that they go along with; one with a world of its own stands alone."""
    found: dict[int, list[int]] = {}
    for seed in seeds:
        trunk = trunk_of(seed)
        found.setdefault(seed if trunk is None else trunk, []).append(seed)
    return found
