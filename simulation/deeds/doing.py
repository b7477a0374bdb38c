"""How a deed is done, and by what name it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simulation.stage import Stage

Deed = Callable[..., object]
DEEDS: dict[str, Deed] = {}


def deed(function: Deed) -> Deed:
    """Give a deed its name."""
    DEEDS[function.__name__] = function
    return function


def do(stage: Stage, what: str, args: Mapping[str, Any]) -> None:
    """Do it, and note it."""
    told = " ".join(f"{name}={value}" for name, value in args.items())
    stage.history.note(f"deed: {what} {told}")
    stage.on_strike(what if "state" not in args else f"{what} {args['state']}")
    stage.fault_times[what] = stage.loop.time()
    DEEDS[what](stage, **args)


def later(stage: Stage, seconds: float, undo: Callable[..., object], *args: Any) -> None:
    """What a deed does, or undoes, so many seconds from now."""
    stage.loop.call_later(seconds, undo, *args)
