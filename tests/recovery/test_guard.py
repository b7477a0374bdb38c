"""What a server as a whole says to a step: storm, budget, places, maintenance, and to a restart of itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from support.world import START
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery.guard import Guard, Hold
from whatsapp_operator.recovery.ledger import Ledger, Storm
from whatsapp_operator.resources.budgets import Budget, MaintenanceKind, MaintenanceWindow, StormLimits, Window
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import StepClass

GENTLE = (StepClass.SOFT, StepClass.SERVER_RESTART)
LOSING = (StepClass.RECREATE, StepClass.SESSION_LOSS)
DISTURBING = (StepClass.SERVER_RESTART, *LOSING)
COOL = Budget(storm=StormLimits(cooldown_seconds=300))
STORMY = Ledger(storm=Storm(since=START))


@pytest.mark.parametrize("step_class", StepClass)
def test_fair_weather_holds_nothing(step_class: StepClass) -> None:
    assert guards.storm_holds(Guard(in_flight=9), step_class, now=START) is None


@pytest.mark.parametrize("step_class", LOSING)
def test_storm_stops_what_loses_something(step_class: StepClass) -> None:
    assert guards.storm_holds(Guard(ledger=STORMY), step_class, now=START) == Hold(Reason.STORM)


@pytest.mark.parametrize("step_class", GENTLE)
def test_gentle_steps_go_on_in_a_storm_one_at_a_time(step_class: StepClass) -> None:
    assert guards.storm_holds(Guard(ledger=STORMY), step_class, now=START) is None
    assert guards.storm_holds(Guard(ledger=STORMY, in_flight=1), step_class, now=START) == Hold(Reason.STORM)


def test_next_soft_step_in_a_storm_waits_after_one_that_failed() -> None:
    failed = Ledger(storm=Storm(since=START), failed_at=START)
    until = START + timedelta(seconds=300)

    held = guards.storm_holds(Guard(budget=COOL, ledger=failed), StepClass.SOFT, now=until - timedelta(seconds=1))
    assert held == Hold(Reason.STORM, until)
    assert guards.storm_holds(Guard(budget=COOL, ledger=failed), StepClass.SOFT, now=until) is None


def test_restart_of_the_server_does_not_wait_for_what_soft_steps_could_not_heal() -> None:
    failed = Ledger(storm=Storm(since=START), failed_at=START)

    assert guards.storm_holds(Guard(budget=COOL, ledger=failed), StepClass.SERVER_RESTART, now=START) is None


def test_budget_names_when_there_is_room_again() -> None:
    budget = Budget(windows=(Window(step_class=StepClass.SOFT, max=1, period_seconds=60),))
    spent = Guard(budget=budget, ledger=Ledger(spent={StepClass.SOFT: (START,)}))

    until = START + timedelta(seconds=60)
    assert guards.budget_holds(spent, StepClass.SOFT, now=START) == Hold(Reason.BUDGET_EXHAUSTED, until)
    assert guards.budget_holds(spent, StepClass.SOFT, now=until) is None
    assert guards.budget_holds(spent, StepClass.RECREATE, now=START) is None


def test_budget_of_none_names_no_end() -> None:
    none = Guard(budget=Budget(windows=(Window(step_class=StepClass.SOFT, max=0, period_seconds=60),)))

    assert guards.budget_holds(none, StepClass.SOFT, now=START) == Hold(Reason.BUDGET_EXHAUSTED, None)


@pytest.mark.parametrize(("in_flight", "held"), [(0, False), (1, False), (2, True), (3, True)])
def test_so_many_steps_may_be_under_way_at_once(in_flight: int, held: bool) -> None:
    found = guards.others_are_under_way(Guard(budget=Budget(max_in_flight=2), in_flight=in_flight), StepClass.SOFT)

    assert found == (Hold(Reason.TOO_MANY_IN_FLIGHT) if held else None)


def maintained(*kinds: tuple[MaintenanceKind, str], zone: str = "UTC") -> Guard:
    windows = tuple(
        MaintenanceWindow(schedule=schedule, time_zone=zone, duration_seconds=7200, kind=kind)
        for kind, schedule in kinds
    )
    return Guard(budget=Budget(maintenance=windows))


ALLOW, DENY = MaintenanceKind.ALLOW, MaintenanceKind.DENY


def at(hour: int, minute: int = 0, *, month: int = 11, day: int = 23) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize("step_class", StepClass)
def test_without_windows_maintenance_holds_nothing(step_class: StepClass) -> None:
    assert guards.maintenance_holds(Guard(), step_class, now=START) is None


@pytest.mark.parametrize("step_class", StepClass)
def test_nothing_begins_within_deny_and_everything_may_outside(step_class: StepClass) -> None:
    guard = maintained((DENY, "0 23 * * *"))

    assert guards.maintenance_holds(guard, step_class, now=at(23)) == Hold(Reason.MAINTENANCE_WINDOW)
    assert guards.maintenance_holds(guard, step_class, now=at(0, 59)) == Hold(Reason.MAINTENANCE_WINDOW)
    assert guards.maintenance_holds(guard, step_class, now=at(1)) is None
    assert guards.maintenance_holds(guard, step_class, now=at(22, 59)) is None


@pytest.mark.parametrize("step_class", DISTURBING)
def test_what_disturbs_begins_only_within_allow_and_waits_for_the_next_one(step_class: StepClass) -> None:
    guard = maintained((ALLOW, "0 3 * * *"), (ALLOW, "0 13 * * *"))

    held = Hold(Reason.MAINTENANCE_WINDOW, at(13))
    assert guards.maintenance_holds(guard, step_class, now=at(10)) == held
    assert guards.maintenance_holds(guard, step_class, now=at(13)) is None
    assert guards.maintenance_holds(guard, step_class, now=at(3, 30)) is None


def test_soft_steps_need_no_allow() -> None:
    assert guards.maintenance_holds(maintained((ALLOW, "0 3 * * *")), StepClass.SOFT, now=at(10)) is None


def test_deny_goes_before_allow() -> None:
    guard = maintained((ALLOW, "0 3 * * *"), (DENY, "0 4 * * *"))

    assert guards.maintenance_holds(guard, StepClass.RECREATE, now=at(3, 30)) is None
    assert guards.maintenance_holds(guard, StepClass.RECREATE, now=at(4, 30)) == Hold(Reason.MAINTENANCE_WINDOW)


def test_deny_lasts_through_the_hour_that_is_repeated_in_autumn() -> None:
    """02:30 summer time is 00:30 UTC; two hours later it is 03:30... of winter time, 02:30 UTC."""
    guard = maintained((DENY, "30 2 * * *"), zone="Europe/Berlin")

    for minutes in range(30, 150, 5):
        now = at(0, month=10, day=25) + timedelta(minutes=minutes)
        assert guards.maintenance_holds(guard, StepClass.SOFT, now=now) == Hold(Reason.MAINTENANCE_WINDOW), now
    assert guards.maintenance_holds(guard, StepClass.SOFT, now=at(2, 30, month=10, day=25)) is None


def restart_holds(
    *ages: float,
    problem: Reason | None = None,
    without_session: int = 0,
    managed: int = 10,
    enough: int = 3,
) -> tuple[Hold, ...]:
    return guards.restart_holds(
        problem=problem,
        without_session=without_session,
        waiting=len(ages),
        waiting_since=[START - timedelta(seconds=age) for age in ages],
        managed=managed,
        enough=enough,
        max_wait_seconds=600,
        now=START,
    )


def test_enough_that_wait_restart_the_server_at_once() -> None:
    assert restart_holds(0, 0, 0) == ()


def test_fewer_wait_until_the_first_of_them_has_waited_long_enough() -> None:
    assert restart_holds(100, 0) == (Hold(Reason.FEW_INSTANCES, START + timedelta(seconds=500)),)
    assert restart_holds(599) == (Hold(Reason.FEW_INSTANCES, START + timedelta(seconds=1)),)
    assert restart_holds(600) == ()


def test_all_of_a_small_server_are_enough() -> None:
    assert restart_holds(0, managed=1) == ()
    assert restart_holds(0, managed=2) == (Hold(Reason.FEW_INSTANCES, START + timedelta(seconds=600)),)
    assert restart_holds(0, 0, managed=2) == ()


def test_those_who_are_enough_are_not_gone_through_one_by_one() -> None:
    def untouched() -> Iterator[datetime]:
        raise AssertionError
        yield

    held = guards.restart_holds(
        problem=None,
        without_session=0,
        waiting=10_000,
        waiting_since=untouched(),
        managed=10_000,
        enough=3,
        max_wait_seconds=600,
        now=START,
    )

    assert held == ()


def test_nobody_waiting_names_no_end() -> None:
    assert restart_holds() == (Hold(Reason.FEW_INSTANCES, None),)


def test_everything_against_a_restart_is_told() -> None:
    assert restart_holds(0, problem=Reason.UNSAFE_ROLLOUT, without_session=1) == (
        Hold(Reason.UNSAFE_ROLLOUT),
        Hold(Reason.SESSION_MISSING),
        Hold(Reason.FEW_INSTANCES, START + timedelta(seconds=600)),
    )


@pytest.mark.parametrize("waited", [0, 10_000_000])
def test_instance_that_would_lose_its_pairing_keeps_the_server_from_being_restarted_however_long(waited: float) -> None:
    assert Hold(Reason.SESSION_MISSING) in restart_holds(waited, waited, waited, without_session=1)
