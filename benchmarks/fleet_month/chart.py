"""The chart of the README: an SVG that follows the reader's light or dark mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.schedule import DAY_SECONDS

_WIDTH, _HEIGHT = 880, 360
_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.quiet { fill: #59636e; font-size: 12px }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.ours { color: #1a7f37 } .literal { color: #cf222e } .watchdog { color: #9a6700 } .none { color: #6e7781 }
.line { stroke: currentColor } .bar { fill: currentColor } .line.ours { stroke-width: 3 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .quiet { fill: #9198a1 } .grid { stroke: #3d444d }
.ours { color: #3fb950 } .literal { color: #f85149 } .watchdog { color: #d29922 } .none { color: #9198a1 }
}
"""
_CLASSES = {Policy.NONE: "none", Policy.WATCHDOG: "watchdog", Policy.LITERAL: "literal", Policy.OPERATOR: "ours"}
_SHORT = {
    Policy.NONE: "nobody",
    Policy.WATCHDOG: "restart-only watchdog",
    Policy.LITERAL: "original algorithm",
    Policy.OPERATOR: "whatsapp-operator",
}
_PANEL = (56.0, 76.0, 380.0, 250.0)
"""Left, top, width and height of the lines."""
_MOST_STEPS = 5.0
_BARS_LEFT, _BARS_WIDTH = 640.0, 160.0
_BAR_STEP = 22.0


@dataclass(frozen=True, slots=True)
class _Scale:
    """From a day and a share to a place in the panel."""

    days: int
    least: float

    def x(self, day: float) -> float:
        return _PANEL[0] + _PANEL[2] * day / max(self.days - 1, 1)

    def y(self, share: float) -> float:
        return _PANEL[1] + _PANEL[3] * (1.0 - (share - self.least) / (1.0 - self.least))


def drawn(outcomes: Sequence[Outcome], *, servers: int) -> str:
    """The whole chart."""
    first = outcomes[0]
    told = f"{first.numbers:,} numbers on {servers} servers, {first.days:g} days, the same faults for all"
    parts = [
        _text(16, 26, "A month of a fleet, simulated", "title"),
        _text(16, 46, told, "quiet"),
        *_lines(outcomes),
        *_bars(
            outcomes, top=76.0, title="Pairings lost that could have been kept", value=lambda one: one.lost_avoidably
        ),
        *_bars(outcomes, top=216.0, title="Times a person was asked to scan", value=lambda one: one.asked),
    ]
    label = "Share of numbers connected per day, pairings lost and scans asked, by policy"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _shares(one: Outcome) -> list[float]:
    return [seconds / (one.numbers * DAY_SECONDS) for seconds in one.connected_by_day]


def _lines(outcomes: Sequence[Outcome]) -> Iterable[str]:
    least = min(min(_shares(one)) for one in outcomes) * 100
    step = next(one for one in (1, 2, 5, 10, 20, 50) if (100 - least) / one <= _MOST_STEPS)
    first = math.floor(least / step) * step
    scale = _Scale(len(outcomes[0].connected_by_day), first / 100)
    yield _text(16, _PANEL[1] - 10, f"Connected, by day; the axis begins at {first} %", "quiet")
    for percent in range(first, 101, step):
        y = scale.y(percent / 100)
        yield f'<line class="grid" x1="{_PANEL[0]}" x2="{_PANEL[0] + _PANEL[2]}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(_PANEL[0] - 6, y + 4, f"{percent} %", "quiet", "end")
    bottom = _PANEL[1] + _PANEL[3] + 18
    yield _text(_PANEL[0], bottom, "day 1", "quiet")
    yield _text(_PANEL[0] + _PANEL[2], bottom, f"day {scale.days}", "quiet", "end")
    for one in outcomes:
        points = " ".join(f"{scale.x(day):.1f},{scale.y(share):.1f}" for day, share in enumerate(_shares(one)))
        yield f'<polyline class="line {_CLASSES[one.policy]}" points="{points}"/>'


def _bars(outcomes: Sequence[Outcome], *, top: float, title: str, value: Callable[[Outcome], int]) -> Iterable[str]:
    most = max(*(value(one) for one in outcomes), 1)
    yield _text(_BARS_LEFT - 150, top - 8, title, "quiet")
    for row, one in enumerate(outcomes):
        y = top + 8 + row * _BAR_STEP
        width = max(_BARS_WIDTH * value(one) / most, 1.5)
        yield _text(_BARS_LEFT - 8, y + 12, _SHORT[one.policy], anchor="end")
        kind = _CLASSES[one.policy]
        yield f'<rect class="bar {kind}" x="{_BARS_LEFT}" y="{y:.1f}" width="{width:.1f}" height="15" rx="2"/>'
        yield _text(_BARS_LEFT + width + 6, y + 12, f"{value(one):,}")
