"""What becomes of calls and of watch events on their way."""

from __future__ import annotations

from evolution_simulator import faults
from simulation.deeds.doing import deed, later
from simulation.evolution import host
from simulation.kubernetes import faults as kubernetes_faults
from simulation.kubernetes import watch
from simulation.stage import Stage

_HOLDS = (faults.Kind.HOLD_BEFORE, faults.Kind.HOLD_AFTER, faults.Kind.HALF_OPEN)


@deed
def evolution_fault(
    stage: Stage, *, server: str, fault: str, route: str | None, count: int, status: int, seconds: float
) -> None:
    """The next requests to a server are spoilt; those that are held are let go some time later."""
    there = stage.hosts[server]
    there.faults.add(faults.Kind(fault), route=route, count=count, status=status, seconds=seconds)
    if faults.Kind(fault) in _HOLDS:
        later(stage, seconds, _let_go, there)


def _let_go(there: host.Host) -> None:
    """Held requests arrive now; what they match from now on is held no more."""
    there.faults.active = [one for one in there.faults.active if one.kind not in _HOLDS]
    there.release()


@deed
def kubernetes_fault(stage: Stage, *, fault: str, verb: str | None, resource: str | None, count: int) -> None:
    """The next calls to the API server are spoilt."""
    kind = kubernetes_faults.Fault(fault)
    stage.spoilt.rules.append(kubernetes_faults.Rule(fault=kind, verb=verb, resource=resource, count=count))


@deed
def watch_trouble(stage: Stage, *, slot: int, what: str, count: int) -> None:
    """The next events of the watch are lost, repeated or late."""
    one = stage.replica(slot)
    if one is not None:
        one.watch.trouble += [watch.Trouble(what)] * count


@deed
def watch_break(stage: Stage, *, slot: int, seconds: float, forgets: bool) -> None:
    """The stream breaks, and is opened anew later: where it was, or where that is forgotten, with a list."""
    one = stage.replica(slot)
    if one is not None:
        one.watch.shut(seconds, forgets=forgets)
