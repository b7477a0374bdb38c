"""What a clock that was ahead has written down holds nothing up, and vouches for nothing, once it is right."""

from __future__ import annotations

from typing import Any

import pytest

from simulated.scenarios import (
    PAIRED,
    ROLLED_OUT,
    ROOMY,
    SOON,
    Deed,
    broken,
    created,
    of_server,
    scenario,
    spoilt,
    told,
)

AWAY_SECONDS = 500.0


def out_of_reach(*jumps: Deed) -> str:
    """One opens again, as it is let in; soon after that WhatsApp answers nobody, and all connections are lost."""
    opens_again = (
        (-30, *of_server("reach", name="i1", how="refused", seconds=25.0)),
        (-29, *of_server("disconnect", name="i1", code=408)),
    )
    lost = ((41, *of_server("disconnect", name=f"i{number}", code=408)) for number in range(3))
    away = (40, *of_server("reach", how="silent", seconds=3000.0))
    patient = SOON | {"lastResortDelaySeconds": 7200}
    return told(
        scenario(
            *jumps, *opens_again, away, *lost, ends=AWAY_SECONDS, workloadRef=ROLLED_OUT, recovery=patient, budget=ROOMY
        )
    )


@pytest.mark.parametrize("seconds", [0.0, 3600.0, 86400.0])
def test_voucher_from_before_a_clock_went_back_vouches_for_nobody_in_an_outage(seconds: float) -> None:
    ahead, right = ({"slot": 0, "seconds": by} for by in (seconds, -seconds))

    history = out_of_reach((-10, "clock_jump", ahead), (20, "clock_jump", right))

    restarted = [float(line.split()[0]) for line in history.splitlines() if "announces RestartServer" in line]
    assert "plans RestartServer against [NotVouchedFor" in history
    assert all(at > PAIRED + AWAY_SECONDS for at in restarted)


DAY = 86_400.0


def set_right(state: str, *deeds: Deed, **spec: Any) -> str:
    """An instance breaks, and is taken care of, while the clock is ahead by a day; then that is set right."""
    ahead, right = ({"slot": 0, "seconds": by} for by in (DAY, -DAY))
    jumps = ((-20, "clock_jump", ahead), (100, "clock_jump", right))
    return told(scenario(*jumps, (0, *broken("i0", state)), *deeds, ends=900.0, workloadRef=ROLLED_OUT, **spec))


CRASH: Deed = (150, "crash", {"slot": 0, "points": 1})


@pytest.mark.parametrize("crash", [(), (CRASH,)], ids=["", "and the process is another"])
def test_steps_that_a_clock_that_was_ahead_has_written_down_keep_no_other_waiting(crash: tuple[Deed, ...]) -> None:
    again = (400, *broken("i0", "S17"))

    same_incident = set_right("S4", *crash)
    another = set_right("S17", again, *crash)

    assert same_incident.count("announces Restart of i0") > 1
    assert another.count("announces Restart of i0") == 2


def test_budget_that_was_spent_while_the_clock_was_ahead_is_not_spent_until_then() -> None:
    two = {"windows": [{"class": "Soft", "max": 2, "periodSeconds": 600}]} | ROOMY
    others = ((0, *broken("i1", "S17")), (800, *broken("i2", "S17")))

    history = set_right("S17", *others, budget=two)

    assert history.index("deed: break_instance server=main name=i2") < history.index("announces Restart of i2")


def test_create_that_got_no_answer_while_the_clock_was_ahead_is_sent_again_once_it_is_right() -> None:
    ahead, right = ({"slot": 0, "seconds": by} for by in (DAY, -DAY))
    create = ((-0.1, *spoilt("html", "create")), (0, *created("n1")))

    history = told(scenario((-20, "clock_jump", ahead), *create, (5, "clock_jump", right)))

    assert history.index("verdict on Create of n1: ServerError") < history.index("tells of n1: Healthy")
