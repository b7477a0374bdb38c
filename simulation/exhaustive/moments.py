"""Moments in relation to now: what happens, and is judged, depends on how long ago something was, and not on when.

What was longer ago than anything measures is all one, but for moments that are compared with each other and nothing
else: they are put in order. So a path that has lost some time to a fault meets the one that has not.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from simulation.system import BEGIN

_MEASURED, _COMPARED, _AWAITED, _SPENT, _END = "⟦", "⟪", "⟬", "⟮", "⟧"
"""Printed as they are, whatever text they end up in."""
_MOMENT = re.compile(rf"([{_MEASURED}{_COMPARED}{_AWAITED}{_SPENT}])([-\d.]+){_END}")
_IN_A_LEDGER = re.compile(r"\b\d{10}\.\d+\b")
"""Seconds since the epoch."""
_SPENT_IN_A_LEDGER = re.compile(r"(?<=[\[,])(\d{10}\.\d+),?")
"""Likewise, in a list: all else has a name."""
_EPOCH = BEGIN.timestamp()


def of(moment: datetime | float, *, measured: bool = True) -> str:
    """A moment, for `told`; without `measured` nobody asks how long ago it was, only what was before what."""
    return _marked(moment, _MEASURED if measured else _COMPARED)


def due(moment: datetime | float) -> str:
    """A moment that something waits for: once it has come, nobody asks how long ago."""
    return _marked(moment, _AWAITED)


def spent(moment: datetime | float) -> str:
    """A moment that counts for a while, and then no more than if it had never been."""
    return _marked(moment, _SPENT)


def _marked(moment: datetime | float, kind: str) -> str:
    seconds = (moment - BEGIN).total_seconds() if isinstance(moment, datetime) else float(moment)
    if math.isinf(seconds):
        return str(seconds)
    if seconds >= _EPOCH:
        seconds -= _EPOCH
    return f"{kind}{seconds:.4f}{_END}"


def of_a_ledger(text: str) -> str:
    """A ledger's text, with its moments as `of` writes them."""
    lists = _SPENT_IN_A_LEDGER.sub(lambda match: spent(float(match[1])), text)
    return _IN_A_LEDGER.sub(lambda match: of(float(match[0])), lists)


def told(text: str, *, now: float, remembered: float) -> str:
    """The text with its moments in relation to now; all that is further away than `remembered` is one."""
    parts = _MOMENT.split(text)
    found = [(kind, float(seconds)) for kind, seconds in zip(parts[1::3], parts[2::3], strict=True)]
    order = sorted({seconds for kind, seconds in found if kind == _COMPARED})
    places = {seconds: f"the {place}th" for place, seconds in enumerate(order)}
    for number, (kind, seconds) in enumerate(found):
        parts[3 * number + 1] = ""
        parts[3 * number + 2] = places[seconds] if kind == _COMPARED else _ago(kind, now - seconds, remembered)
    return "".join(parts)


def _ago(kind: str, seconds: float, remembered: float) -> str:
    if kind == _AWAITED and seconds >= 0:
        return "come"
    if seconds <= remembered:
        return f"{seconds:.3f} ago"
    return "" if kind == _SPENT else "long ago"
