"""How an instance that a Relogin has left deaf hears again, and what does not end that."""

from __future__ import annotations

from typing import Any

import pytest
from simulation import deeds
from simulation import setup as setups
from simulation.kubernetes import kinds
from simulation.run import Scenario, run
from simulation.stage import Stage, status_of

from simulated.scenarios import (
    ROLLED_OUT,
    ROOMY,
    SOON,
    Deed,
    broken,
    created,
    named,
    of_server,
    scenario,
    told,
)


@deeds.doing.deed
def name_no_workload(stage: Stage) -> None:
    """A person takes the right to restart the server away."""
    stage.user("patch", kinds.SERVERS, setups.HOME, "main", {"spec": {"workloadRef": None}})


@deeds.doing.deed
def roll_out_by_hand(stage: Stage) -> None:
    """A person restarts the server."""
    stage.roll_out_by_hand("main")


@deeds.doing.deed
def is_deaf(stage: Stage, *, said: bool) -> None:
    """Looks whether i0 is said to be deaf."""
    recovery = status_of(stage.api.find(kinds.INSTANCES, setups.HOME, "i0") or {}).get("recovery", {})
    assert ("deafSince" in recovery) is said


WAITS_FOR_MANY = ROLLED_OUT | {"minInstances": 50, "maxWaitSeconds": 86400}
NO_WORKLOAD: Deed = (900, "name_no_workload", {})
BY_HAND: Deed = (1000, "roll_out_by_hand", {})
DEAF: Deed = (990, "is_deaf", {"said": True})
HEARS: Deed = (1200, "is_deaf", {"said": False})
RESET = ("request", {"namespace": setups.HOME, "name": "i0", "what": "reset", "value": "now"})


def deafened(*more: Deed, ends: float = 1300.0, **setup: Any) -> Scenario:
    """A Relogin on 2.3.6, and the restart of the server that it asks for waits."""
    return scenario(
        (0, *broken("i0", "S7")),
        *more,
        DEAF,
        ends=ends,
        workloadRef=WAITS_FOR_MANY,
        recovery=SOON,
        budget=ROOMY,
        **({"version": "2.3.6"} | setup),
    )


@pytest.mark.parametrize(
    "scene",
    [
        deafened(BY_HAND, HEARS),
        deafened(NO_WORKLOAD, BY_HAND, HEARS, load_seconds=8.0),
        deafened(NO_WORKLOAD, (1000, *of_server("change_version", number="2.3.7")), HEARS),
        deafened(NO_WORKLOAD, (1000, *RESET), HEARS),
    ],
    ids=["a rollout", "what is loaded anew", "another version", "a person who says so"],
)
def test_deafness_ends_with_a_restart_of_the_server_that_somebody_else_did(scene: Scenario) -> None:
    assert run(1, scenario=scene).broken is None


def test_outage_ends_no_deafness() -> None:
    away = ("server_down", {"server": "main", "seconds": 60.0, "listener_only": True})

    assert run(1, scenario=deafened((1000, *away), (1200, "is_deaf", {"said": True}))).broken is None


@pytest.mark.parametrize("metrics", [True, False], ids=["with /metrics", "without"])
def test_instance_that_loses_its_resource_for_a_while_ends_no_deafness_of_others(metrics: bool) -> None:
    wanted = {"deletionPolicy": "Retain", "tokenSecretRef": {"name": "i2-token"}}
    kept = (940, *named("edit", "i2", spec=wanted))
    goes, comes_back = (1000, *named("delete", "i2")), (1060, *created("i2", **wanted))
    scene = deafened(NO_WORKLOAD, kept, goes, comes_back, (1200, "is_deaf", {"said": True}), metrics=metrics)

    assert run(1, scenario=scene).broken is None


def test_deaf_instance_that_hangs_or_is_gone_gets_what_heals_that() -> None:
    hangs = told(deafened(NO_WORKLOAD, (1000, *broken("i0", "S17")), ends=2000.0))
    gone = told(deafened(NO_WORKLOAD, (1000, "wipe", {"server": "main", "names": ("i0",)}), HEARS, ends=2000.0))

    assert hangs.rindex("announces Restart of i0") > hangs.index("break_instance server=main name=i0 state=S17")
    assert gone.rindex("announces Create of i0") > gone.index("deed: wipe")
