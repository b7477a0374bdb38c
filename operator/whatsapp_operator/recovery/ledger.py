"""What was spent of a server's budget, and whether a storm is on: values, changed by pure functions.

The ledger is kept outside of the process and outside of the resources that it protects, so that neither a restart of
the operator nor a deleted resource refills it. A step is entered before it is taken; one that a crash prevented was
spent all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from whatsapp_operator.resources.budgets import Budget, StormLimits, Window
from whatsapp_operator.resources.steps import StepClass


@dataclass(frozen=True, slots=True)
class Storm:
    """So many are bad at once that the cause is not theirs."""

    since: datetime
    calm_since: datetime | None = None
    """Since when fewer are bad. Not kept: whether that lasted, only the process knows that has looked all the while."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was spent, by class, the oldest first."""

    spent: Mapping[StepClass, tuple[datetime, ...]] = field(default_factory=dict)
    storm: Storm | None = None
    storm_ended_at: datetime | None = None
    failed_at: datetime | None = None
    """When a step last failed that was taken in a storm; one that healed takes it back."""


def spend(ledger: Ledger, step_class: StepClass, *, budget: Budget, now: datetime) -> Ledger:
    """Enter a step that is about to be taken, and forget what no window looks back on."""
    kept = (*_recent(ledger, step_class, budget=budget, now=now), now)
    return replace(ledger, spent={**ledger.spent, step_class: kept})


def refund(ledger: Ledger, step_class: StepClass, *, at: datetime) -> Ledger:
    """Take a step back that was entered at this moment and was surely not taken."""
    entries = list(ledger.spent.get(step_class, ()))
    if at in entries:
        entries.remove(at)
    return replace(ledger, spent={**ledger.spent, step_class: tuple(entries)})


def _recent(ledger: Ledger, step_class: StepClass, *, budget: Budget, now: datetime) -> Iterable[datetime]:
    windows = budget.windows_of(step_class)
    longest = timedelta(seconds=max((window.period_seconds for window in windows), default=0))
    most = max((window.max for window in windows), default=0)
    recent = [at for at in ledger.spent.get(step_class, ()) if now - at < longest]
    return recent[-most:] if most else ()


def used(ledger: Ledger, window: Window, *, now: datetime) -> int:
    """How many steps of the window's class began within it."""
    span = timedelta(seconds=window.period_seconds)
    return sum(now - at < span for at in ledger.spent.get(window.step_class, ()))


def free_at(ledger: Ledger, step_class: StepClass, *, budget: Budget, now: datetime) -> datetime | None:
    """None when another step of the class may begin now; else when the budget has room again."""
    moments = [_free_at(ledger, window, now=now) for window in budget.windows_of(step_class)]
    return max((moment for moment in moments if moment is not None), default=None)


def _free_at(ledger: Ledger, window: Window, *, now: datetime) -> datetime | None:
    if used(ledger, window, now=now) < window.max:
        return None
    if window.max == 0:
        return datetime.max.replace(tzinfo=UTC)
    return ledger.spent[window.step_class][-window.max] + timedelta(seconds=window.period_seconds)


def exhausted(budget: Budget, *, now: datetime) -> Ledger:
    """A ledger in which everything is spent: for one that cannot be read, and may have held anything."""
    most = {one: max((window.max for window in budget.windows_of(one)), default=0) for one in StepClass}
    return Ledger(spent={one: (now,) * count for one, count in most.items()})


def weathered(ledger: Ledger, *, bad: int, paired: int, limits: StormLimits, now: datetime) -> Ledger:
    """Fold how many of the paired instances are bad now: a storm begins at once, and ends after a calm."""
    threshold = max(limits.floor, paired * limits.percent / 100)
    storm = ledger.storm
    if bad > threshold:
        return ledger if storm is not None and storm.calm_since is None else _stormy(ledger, now=now)
    if storm is None:
        return ledger
    calm_since = storm.calm_since or now
    if now - calm_since >= timedelta(seconds=limits.cooldown_seconds):
        return replace(ledger, storm=None, storm_ended_at=now, failed_at=None)
    return replace(ledger, storm=replace(storm, calm_since=calm_since))


def _stormy(ledger: Ledger, *, now: datetime) -> Ledger:
    since = ledger.storm.since if ledger.storm is not None else now
    return replace(ledger, storm=Storm(since=since))


def judged(ledger: Ledger, *, healed: bool, now: datetime) -> Ledger:
    """Note the verdict on a step that was taken in a storm: the next one waits until one has healed."""
    return replace(ledger, failed_at=None if healed else now) if ledger.storm is not None else ledger


def dumps(ledger: Ledger) -> str:
    """The ledger as text, but for the calm of a storm; moments are seconds since the epoch."""
    body: dict[str, Any] = {
        "spent": {str(one): [_seconds(at) for at in moments] for one, moments in ledger.spent.items() if moments}
    }
    if ledger.storm is not None:
        body["storm"] = {"since": _seconds(ledger.storm.since)}
    body |= {"stormEndedAt": _optional(ledger.storm_ended_at), "failedAt": _optional(ledger.failed_at)}
    return json.dumps({name: value for name, value in body.items() if value is not None}, separators=(",", ":"))


def loads(text: str) -> Ledger:
    """The ledger from its text.

    Raises:
        ValueError: it is none; what was spent is not known then.
    """
    try:
        body = json.loads(text)
        storm = body.get("storm")
        return Ledger(
            spent={StepClass(one): tuple(_moment(at) for at in moments) for one, moments in body["spent"].items()},
            storm=Storm(since=_moment(storm["since"])) if storm is not None else None,
            storm_ended_at=_optional_moment(body.get("stormEndedAt")),
            failed_at=_optional_moment(body.get("failedAt")),
        )
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError("no ledger") from error


def clamped(ledger: Ledger, *, now: datetime) -> Ledger:
    """Without a future: a clock that was ahead when something was entered must not hold recovery up until then."""
    if all(moment <= now for moment in _latest(ledger)):
        return ledger
    storm = ledger.storm
    return Ledger(
        spent={one: tuple(min(at, now) for at in moments) for one, moments in ledger.spent.items()},
        storm=Storm(min(storm.since, now), _unless_after(storm.calm_since, now)) if storm is not None else None,
        storm_ended_at=not_after(ledger.storm_ended_at, now),
        failed_at=not_after(ledger.failed_at, now),
    )


def _latest(ledger: Ledger) -> Iterator[datetime]:
    """Moments of which none is later than all of these."""
    yield from (moments[-1] for moments in ledger.spent.values() if moments)
    storm = ledger.storm
    of_storms = (storm.since, storm.calm_since) if storm is not None else ()
    yield from filter(None, (*of_storms, ledger.storm_ended_at, ledger.failed_at))


def _unless_after(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment <= now else None


def not_after(moment: datetime | None, now: datetime) -> datetime | None:
    """A moment that a clock which was ahead may have noted: now, where it is of the future."""
    return None if moment is None else min(moment, now)


def _seconds(moment: datetime) -> float:
    return round(moment.timestamp(), 3)


def _optional(moment: datetime | None) -> float | None:
    return None if moment is None else _seconds(moment)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _optional_moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else _moment(seconds)
