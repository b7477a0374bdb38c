"""The month as a table, for people and for the README, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.rates import FAULTS

HEADER = (
    "policy",
    "connected",
    "pairings lost that could have been kept",
    "scans asked of people",
    "time to heal, median / p95",
    "never healed",
    "restarts of a server",
    "API calls",
)


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Several servers under one policy as one."""
    first = outcomes[0]
    days = zip(*(one.connected_by_day for one in outcomes), strict=True)
    sums: dict[str, Any] = {name: sum(getattr(one, name) for one in outcomes) for name in _ADDED}
    joined: dict[str, Any] = {name: tuple(part for one in outcomes for part in getattr(one, name)) for name in _JOINED}
    by_day = tuple(sum(day) for day in days)
    return dataclasses.replace(first, connected_by_day=by_day, reference=reference(outcomes), **joined, **sums)


def reference(outcomes: Sequence[Outcome]) -> float:
    """The time of the loop beside them, by how much of theirs it stands for."""
    took = sum(one.took for one in outcomes)
    return sum(one.reference * one.took for one in outcomes) / took if took else 0.0


_ADDED = (
    "numbers",
    "lost_avoidably",
    "lost_to_faults",
    "asked",
    "never_healed",
    "calls",
    "server_restarts",
    "simulated",
    "took",
)


_JOINED = ("healed", "steps")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the sorted values do not exceed."""
    return values[max(math.ceil(len(values) * share) - 1, 0)] if values else 0.0


def table(outcomes: Iterable[Outcome]) -> str:
    """A table in Markdown, which can be read as it is."""
    rows = [HEADER, ("---",) * len(HEADER), *(_row(one) for one in outcomes)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(one: Outcome) -> tuple[str, ...]:
    return (
        one.policy,
        f"{one.connected:.3%}",
        f"{one.lost_avoidably:,}",
        f"{one.asked:,}",
        f"{span(percentile(one.heals, 0.5))} / {span(percentile(one.heals, 0.95))}",
        f"{one.never_healed} of {len(one.heals)}",
        f"{one.server_restarts}",
        count(one.calls),
    )


def heals(outcomes: Sequence[Outcome]) -> str:
    """The times to heal of each fault that needs a step, median and p95 under each policy, in Markdown."""
    titles = [fault.title for fault in FAULTS if fault.needs_a_step]
    rows: list[tuple[str, ...]] = [
        ("what went wrong", *(one.policy for one in outcomes)),
        ("---",) * (len(outcomes) + 1),
    ]
    rows += [(title, *(_healed(one, title) for one in outcomes)) for title in titles]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _healed(one: Outcome, title: str) -> str:
    times = sorted(heal.seconds for heal in one.healed if heal.fault == title)
    return f"{span(percentile(times, 0.5))} / {span(percentile(times, 0.95))} ({len(times)})" if times else ""


def span(seconds: float) -> str:
    """A time in the unit that a person would use."""
    for unit, length in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def count(number: int) -> str:
    """A number, in millions where it is large."""
    return f"{number / 1e6:.1f} million" if number >= 1_000_000 else f"{number:,}"


def rates() -> str:
    """The table of the declared rates, in Markdown."""
    rows = [("what goes wrong", "rate", "lasts", "healed by", "reported in"), ("---",) * 5]
    for fault in FAULTS:
        lasts = " to ".join(span(one) for one in fault.seconds) if fault.seconds else ""
        issues = " ".join(f"#{issue}" for issue in fault.issues)
        rows.append((fault.title, f"{fault.rate:g} {fault.unit.value}", lasts, fault.healer.value, issues))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_json(outcomes: Iterable[Outcome]) -> str:
    """All of it."""
    return json.dumps([dataclasses.asdict(one) | {"connected": one.connected} for one in outcomes], indent=2)
