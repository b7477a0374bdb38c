"""Restarts of a server count against its budget where they were carried out, and the one that is announced."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from simulation.exhaustive import play, recoveries
from simulation.invariants import restarts

from whatsapp_operator.resources.budgets import Budget

TWO_WRITES_WITHOUT_AN_ANSWER = {2: 2, 5: 2}
HOUR = 3600.0


@dataclass
class Clock:
    skew: float = 0.0


@dataclass
class Stage:
    now: float
    jumped: float = 0.0
    clocks: tuple[Clock, ...] = (Clock(), Clock())

    @property
    def loop(self) -> Stage:
        return self

    def time(self) -> float:
        return self.now


@dataclass
class Sight:
    """What the invariant asks for: the default budget allows two restarts an hour."""

    stage: Stage
    restarts: dict[str, list[float]]
    forgotten: dict[str, float] = field(default_factory=dict)

    def budget(self, _: str) -> Budget:
        return Budget()


def judged(*carried_out: float, now: float, **stage: Any) -> str | None:
    sight = Sight(Stage(now, **stage), {"main": list(carried_out)})
    return restarts.keeps_to_the_budget_of_restarts(cast("Any", sight), "main", "operator")


@pytest.mark.parametrize(
    ("carried_out", "too_many"), [((), False), ((10.0,), False), ((10.0, 20.0), True)], ids=["none", "one", "two"]
)
def test_third_restart_within_an_hour_is_one_too_many(carried_out: tuple[float, ...], *, too_many: bool) -> None:
    assert (judged(*carried_out, now=30.0) is not None) is too_many


def test_restart_counts_for_an_hour_less_what_clocks_may_be_apart() -> None:
    assert judged(10.0, 20.0, now=10 + HOUR - 3) is not None
    assert judged(10.0, 20.0, now=10 + HOUR - 2) is None
    assert judged(10.0, 20.0, now=10 + HOUR - 3, clocks=(Clock(), Clock(5.0))) is None


def test_announcement_that_is_written_and_not_answered_is_no_restart() -> None:
    game = play.replay(recoveries.SCENARIOS["workload"], TWO_WRITES_WITHOUT_AN_ANSWER)

    assert [one.invariant for one in game.stage.history.violations] == []
    assert game.stage.history.text(since=0).count("announces RestartServer of main") == 3
    assert len(game.sight.restarts["main"]) == 1
