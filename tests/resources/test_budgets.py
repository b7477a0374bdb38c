"""The budget as it is written, and maintenance windows, also where the clocks change."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import cronsim
import pydantic
import pytest

from resources.objects import Body, server_body
from whatsapp_operator.resources import errors, parsing
from whatsapp_operator.resources.budgets import Budget, MaintenanceKind, MaintenanceWindow, Window
from whatsapp_operator.resources.steps import StepClass

NIGHTLY: Body = {"schedule": "0 3 * * *", "durationSeconds": 3600, "kind": "Deny"}
SPRING = datetime(2026, 3, 29, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, tzinfo=UTC)


def budget_of(**budget: object) -> Budget:
    return parsing.parse_server(server_body(budget=budget)).spec.budget


def window(schedule: str, *, seconds: int = 3600, zone: str = "UTC") -> MaintenanceWindow:
    return MaintenanceWindow(schedule=schedule, time_zone=zone, duration_seconds=seconds, kind=MaintenanceKind.DENY)


def test_budget_that_is_not_written_is_the_default_one() -> None:
    assert parsing.parse_server(server_body()).spec.budget == Budget()
    assert (Budget().max_in_flight, Budget().storm.percent, Budget().storm.floor) == (2, 30, 3)


@pytest.mark.parametrize(
    ("step_class", "most", "seconds"),
    [
        (StepClass.SOFT, 30, 600),
        (StepClass.RECREATE, 30, 3600),
        (StepClass.SERVER_RESTART, 2, 3600),
        (StepClass.SESSION_LOSS, 3, 3600),
    ],
)
def test_class_that_is_not_written_has_the_window_that_the_schema_promises(
    step_class: StepClass, most: int, seconds: int
) -> None:
    assert Budget().windows_of(step_class) == (Window(step_class=step_class, max=most, period_seconds=seconds),)


def test_written_windows_replace_the_default_of_their_class_only() -> None:
    written = budget_of(
        windows=[
            {"class": "SessionLoss", "max": 1, "periodSeconds": 60},
            {"class": "SessionLoss", "max": 5, "periodSeconds": 86400},
        ]
    )

    assert [one.max for one in written.windows_of(StepClass.SESSION_LOSS)] == [1, 5]
    assert written.windows_of(StepClass.SOFT) == Budget().windows_of(StepClass.SOFT)


BAD: Mapping[str, tuple[Body, str, str]] = {
    "four fields": ({"maintenance": [NIGHTLY | {"schedule": "0 3 * *  "}]}, "maintenance[0].schedule", "'0 3 * * *'"),
    "six fields": ({"maintenance": [NIGHTLY | {"schedule": "0 0 3 * * *"}]}, "maintenance[0].schedule", "five fields"),
    "no such hour": ({"maintenance": [NIGHTLY | {"schedule": "0 24 * * *"}]}, "maintenance[0].schedule", "five fields"),
    "no such day": ({"maintenance": [NIGHTLY | {"schedule": "0 0 30 2 *"}]}, "maintenance[0].schedule", "five fields"),
    "second": ({"maintenance": [NIGHTLY, NIGHTLY | {"schedule": "a b c d e"}]}, "maintenance[1].schedule", "five"),
    "no such zone": ({"maintenance": [NIGHTLY | {"timeZone": "Berlin"}]}, "maintenance[0].timeZone", "Europe/Berlin"),
    "path": ({"maintenance": [NIGHTLY | {"timeZone": "../UTC"}]}, "maintenance[0].timeZone", "Europe/Berlin"),
    "folder": ({"maintenance": [NIGHTLY | {"timeZone": "America"}]}, "maintenance[0].timeZone", "Europe/Berlin"),
    "short": ({"maintenance": [NIGHTLY | {"durationSeconds": 59}]}, "maintenance[0].durationSeconds", "60"),
    "kind": ({"maintenance": [NIGHTLY | {"kind": "Maybe"}]}, "maintenance[0].kind", "Deny"),
    "class": ({"windows": [{"class": "Hard", "max": 1, "periodSeconds": 60}]}, "windows[0].class", "SessionLoss"),
    "less than none": ({"windows": [{"class": "Soft", "max": -1, "periodSeconds": 60}]}, "windows[0].max", "0"),
    "never a step": ({"maxInFlight": 0}, "maxInFlight", "1"),
    "percent": ({"storm": {"percent": 101}}, "storm.percent", "100"),
}


@pytest.mark.parametrize(("budget", "field", "cure"), BAD.values(), ids=BAD)
def test_bad_budget_is_refused_with_field_and_cure(budget: Body, field: str, cure: str) -> None:
    with pytest.raises(errors.InvalidResource) as refused:
        parsing.parse_server(server_body(budget=budget))

    assert [problem.field for problem in refused.value.problems] == [f"spec.budget.{field}"]
    assert cure in str(refused.value)


def pattern_of(field: str) -> str:
    """The pattern by which the API server judges a field."""
    rule = next(rule for rule in MaintenanceWindow.validations if rule.field_path == f".{field}")
    found = re.search(r"matches\('(.*)'\)$", rule.cel)
    assert found is not None
    return found[1].replace("\\\\", "\\")


@pytest.mark.parametrize("zone", sorted(zoneinfo.available_timezones() - {"localtime"}))
def test_api_server_takes_every_time_zone_that_there_is(zone: str) -> None:
    assert re.search(pattern_of("timeZone"), zone)
    assert window("0 3 * * *", zone=zone).time_zone == zone


@pytest.mark.parametrize("schedule", ["0 3 * * *", "*/5 0-3,22 1 JAN MON", " 0 3 * * * ", "0\t3 * * *", "0 3 29 2 *"])
def test_schedule_that_the_operator_understands_passes_the_api_server(schedule: str) -> None:
    assert re.search(pattern_of("schedule"), schedule)
    assert window(schedule).schedule == schedule


@pytest.mark.parametrize("schedule", ["0 3 * *  .", "@daily   ", "0 0 3 * * *"])
def test_operator_refuses_a_schedule_that_has_not_five_fields(schedule: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="five fields"):
        window(schedule)


@pytest.mark.parametrize("schedule", ["@daily   ", "0 0 3 * * *", "0 3 * *  "])
def test_api_server_refuses_a_schedule_that_has_not_five_fields(schedule: str) -> None:
    assert not re.search(pattern_of("schedule"), schedule)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T02:59:59", False),
        ("2026-11-23T03:00:00", True),
        ("2026-11-23T03:00:01", True),
        ("2026-11-23T03:59:59", True),
        ("2026-11-23T04:00:00", False),
    ],
)
def test_window_holds_from_its_first_second_to_its_last(moment: str, is_open: bool) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    assert window("0 3 * * *").is_open(now) is is_open


@pytest.mark.parametrize(("hour", "is_open"), [(22, False), (23, True), (0, True), (1, True), (2, False)])
def test_window_that_begins_before_midnight_holds_after_it(hour: int, is_open: bool) -> None:
    assert window("0 23 * * *", seconds=3 * 3600).is_open(datetime(2026, 11, 23, hour, 30, tzinfo=UTC)) is is_open


def test_window_of_a_weekday_is_that_of_its_own_time_zone() -> None:
    """Monday begins in Auckland while it is Sunday in Greenwich."""
    monday = window("0 0 * * MON", seconds=60, zone="Pacific/Auckland")

    assert monday.is_open(datetime(2026, 11, 22, 11, 0, 30, tzinfo=UTC))
    assert not monday.is_open(datetime(2026, 11, 23, 11, 0, 30, tzinfo=UTC))


def beginnings(schedule: str, *, zone: str, around: datetime) -> Iterator[datetime]:
    """When it begins, told by one run of the schedule that starts on a day without a change of the clocks."""
    begin = (around - timedelta(days=3)).astimezone(zoneinfo.ZoneInfo(zone))
    for moment in cronsim.CronSim(schedule, begin):
        if moment.astimezone(UTC) > around + timedelta(days=3):
            return
        yield moment.astimezone(UTC)


@pytest.mark.parametrize("day", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("seconds", [1800, 7200])
@pytest.mark.parametrize(
    "schedule", ["30 2 * * *", "0 1 * * *", "*/30 * * * *", "30 * * * *", "30 1-3 * * *", "59 1 * * *", "0 23 * * *"]
)
def test_window_holds_for_its_whole_length_also_where_the_clocks_change(
    schedule: str, seconds: int, day: datetime
) -> None:
    zone = "Europe/Berlin"
    one, begun = window(schedule, seconds=seconds, zone=zone), list(beginnings(schedule, zone=zone, around=day))
    for now in (day + timedelta(minutes=minutes) for minutes in range(-180, 6 * 60, 10)):
        expected = any(begin <= now < begin + timedelta(seconds=seconds) for begin in begun)
        assert one.is_open(now) is expected, now
        assert one.opens_at(now) == min(begin for begin in begun if begin > now), now


def test_next_beginning_is_never_past_or_present() -> None:
    now = datetime(2026, 11, 23, 3, tzinfo=UTC)

    assert window("0 3 * * *").opens_at(now) == now + timedelta(days=1)
