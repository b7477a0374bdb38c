"""What becomes of the operator's own processes."""

from __future__ import annotations

from simulation.deeds.doing import deed, later
from simulation.stage import Stage


@deed
def crash(stage: Stage, *, slot: int, points: int) -> None:
    """The process dies at its n-th await from now."""
    one = stage.replica(slot)
    if one is not None:
        one.life.die_after(points)


@deed
def crash_in_step(stage: Stage, *, points: int) -> None:
    """Whoever announces the next step dies at the n-th await after that."""
    stage.crash_after_announcement.append(points)


@deed
def end_process(stage: Stage, *, slot: int) -> None:
    """SIGTERM."""
    one = stage.replica(slot)
    if one is not None and not one.stopping:
        stage.stop_replica(one)


@deed
def freeze(stage: Stage, *, slot: int, seconds: float) -> None:
    """The process stands still for a while, and does not notice."""
    one = stage.replica(slot)
    if one is not None:
        one.life.freeze(seconds)


@deed
def partition(stage: Stage, *, slot: int, seconds: float) -> None:
    """The process is cut off from the API server."""
    one = stage.replica(slot)
    if one is not None:
        one.cut(off=True)
        later(stage, seconds, lambda: one.cut(off=False))


@deed
def clock_jump(stage: Stage, *, slot: int, seconds: float) -> None:
    """The wall clock of a machine jumps."""
    stage.clocks[slot].skew += seconds
    stage.jumped += abs(seconds)
