"""What all the things are called that can strike, whether or not any run has drawn them."""

from __future__ import annotations

from evolution_simulator import breakage, faults
from simulation import schedule
from simulation.deeds.doing import DEEDS
from simulation.kubernetes import faults as kubernetes_faults
from simulation.kubernetes import watch


def every_fault() -> frozenset[str]:
    """As a run tells them."""
    breaks = {
        "break_instance": tuple(breakage.BREAKAGES),
        "break_all": schedule.OF_ALL,
        "break_and_delete": schedule.OF_ONE_GIVEN_UP,
    }
    kinds = {"evolution": faults.Kind, "kubernetes": kubernetes_faults.Fault, "watch": watch.Trouble}
    named = {f"{what} {state}" for what, states in breaks.items() for state in states}
    spoilt = {f"{where} {kind}" for where, every in kinds.items() for kind in every}
    return frozenset(DEEDS.keys() - breaks.keys() | named | spoilt)
