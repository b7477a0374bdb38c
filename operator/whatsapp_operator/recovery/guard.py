"""What a server as a whole says to a step on one of its instances: budget, storm, maintenance, workload.

A `Guard` is a value, taken anew for each look. It refuses steps; it never keeps anyone from observing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from whatsapp_operator.recovery import ledger as ledgers
from whatsapp_operator.resources.budgets import Budget, MaintenanceKind
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import StepClass

_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a step is not taken, and until when, where that is known."""

    reason: Reason
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """What holds on the server now."""

    budget: Budget = field(default_factory=Budget)
    ledger: ledgers.Ledger = field(default_factory=ledgers.Ledger)
    in_flight: int = 0
    """Steps under way on other instances of the server."""
    surveyed: bool = True
    """Every instance was looked at since the server can be read: it is known how many are bad."""
    restarting: bool = False
    """The server itself is being restarted."""
    restartable: bool = False
    """A workload is named that the operator may restart, whether or not it may now."""
    restart_holds: tuple[Hold, ...] = ()
    """What is against a restart of the server, seen from the server."""
    restarted_at: datetime | None = None
    """When a restart of the server that was carried out last began."""
    relogin_deafens: bool = False
    """Evolution API up to 2.3.6: after a logout and a connect the instance is deaf until the server restarts."""
    refuses_zombies: bool = False
    """Evolution API from 2.3.7: a paired instance whose socket is dead cannot be logged out or deleted."""


def storm_holds(guard: Guard, step_class: StepClass, *, now: datetime) -> Hold | None:
    """A storm stops what loses something; gentler steps go on one at a time, the next after one has healed.

    A restart of the server does not wait for that: it heals what the steps that failed could not.
    """
    if guard.ledger.storm is None:
        return None
    if step_class in (StepClass.RECREATE, StepClass.SESSION_LOSS) or guard.in_flight > 0:
        return Hold(Reason.STORM)
    failed_at = guard.ledger.failed_at
    if failed_at is None or step_class is StepClass.SERVER_RESTART:
        return None
    until = failed_at + timedelta(seconds=guard.budget.storm.cooldown_seconds)
    return Hold(Reason.STORM, until) if now < until else None


def budget_holds(guard: Guard, step_class: StepClass, *, now: datetime) -> Hold | None:
    """So many steps of a class may begin within a time."""
    until = ledgers.free_at(guard.ledger, step_class, budget=guard.budget, now=now)
    if until is None:
        return None
    return Hold(Reason.BUDGET_EXHAUSTED, until if until < _EVER else None)


def others_are_under_way(guard: Guard, step_class: StepClass) -> Hold | None:
    """So many steps may be under way at once; what interrupts all instances waits for all of them."""
    most = 1 if step_class is StepClass.SERVER_RESTART else guard.budget.max_in_flight
    return Hold(Reason.TOO_MANY_IN_FLIGHT) if guard.in_flight >= most else None


def maintenance_holds(guard: Guard, step_class: StepClass, *, now: datetime) -> Hold | None:
    """Within `Deny` nothing begins; where there is an `Allow`, what disturbs begins only within one."""
    windows = guard.budget.maintenance
    if any(window.kind is MaintenanceKind.DENY and window.is_open(now) for window in windows):
        return Hold(Reason.MAINTENANCE_WINDOW)
    allowed = [window for window in windows if window.kind is MaintenanceKind.ALLOW]
    if step_class is StepClass.SOFT or not allowed or any(window.is_open(now) for window in allowed):
        return None
    opens = [moment for window in allowed if (moment := window.opens_at(now)) is not None]
    return Hold(Reason.MAINTENANCE_WINDOW, min(opens, default=None))


def restart_holds(
    *,
    problem: Reason | None,
    without_session: int,
    waiting: int,
    waiting_since: Iterable[datetime],
    managed: int,
    enough: int,
    max_wait_seconds: int,
    now: datetime,
) -> tuple[Hold, ...]:
    """What is against a restart of the server, besides its budget.

    Each instance that waits asks this at each look, so `waiting_since`, one moment for each of them, is only gone
    through while they are fewer than `enough`.
    """
    against = [Hold(problem)] if problem is not None else []
    if without_session:
        # S19: they work until the next restart of anything, and then need a person with the phone.
        against.append(Hold(Reason.SESSION_MISSING))
    if waiting < min(enough, managed):
        first = min(waiting_since, default=None)
        until = first + timedelta(seconds=max_wait_seconds) if first is not None else None
        if until is None or now < until:
            against.append(Hold(Reason.FEW_INSTANCES, until))
    return tuple(against)
