"""Wall clocks that are ahead and go back: what was written down as of the future holds nothing up until then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from simulation import deeds
from simulation.exhaustive.arbiter import Bound
from simulation.exhaustive.play import Scenario
from simulation.exhaustive.recoveries import not_over
from simulation.exhaustive.scenarios import BUDGET, budget, setup
from simulation.stage import Stage

AHEAD_SECONDS = 86_400.0
"""Longer than a path may last: whoever waits until then has not come to an end.

No clock is behind: `moments` tells by true time how long ago something was, and no process may believe it was less.
"""


def go_back(stage: Stage) -> None:
    """The clocks that were ahead are put right."""
    for slot, clock in enumerate(stage.clocks):
        if clock.skew:
            deeds.processes.clock_jump(stage, slot=slot, seconds=-clock.skew)


def _ahead(shows: str, *skews: float) -> Scenario:
    return replace(
        BUDGET,
        shows=shows,
        setup=replace(setup(budget=budget()), skews=skews),
        wrong=not_over,
        remembered=60.0,
        bound=Bound(faults=0, crashes=1),
    )


SCENARIOS: Mapping[str, Scenario] = {
    "clocks": replace(
        _ahead(
            "two hang, one step at a time is allowed, and the clocks, a day ahead, may go back", *2 * [AHEAD_SECONDS]
        ),
        deeds={"the clocks go back": go_back},
        bound=Bound(faults=1, crashes=0),
    ),
    "clocks-differ": _ahead(
        "two hang, one step at a time is allowed, and the clock of the one that begins is a day ahead of the other's",
        0.0,
        AHEAD_SECONDS,
    ),
}
