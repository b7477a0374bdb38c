"""What is printed and drawn of the month."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.fleet_month import __main__ as command
from benchmarks.fleet_month import chart, publishing, report
from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.rates import FAULTS
from benchmarks.fleet_month.schedule import DAY_SECONDS
from benchmarks.fleet_month.truth import Heal

SVG = "{http://www.w3.org/2000/svg}"


def outcome(policy: Policy, *, connected: float = 1.0, lost: int = 0, heals: tuple[float, ...] = ()) -> Outcome:
    return Outcome(
        policy=policy,
        numbers=10,
        days=2.0,
        connected_by_day=(10 * DAY_SECONDS, 10 * DAY_SECONDS * connected),
        lost_avoidably=lost,
        lost_to_faults=1,
        asked=lost + 1,
        healed=tuple(Heal("number-00001", "a fault", seconds) for seconds in heals),
        never_healed=0,
        calls=100,
        server_restarts=1,
        simulated=1.0,
    )


ALL = [outcome(policy, connected=0.9 + 0.02 * number, lost=number) for number, policy in enumerate(Policy)]


def test_servers_of_a_policy_are_added_up() -> None:
    one, other = outcome(Policy.NONE, heals=(1.0, 9.0)), outcome(Policy.NONE, connected=0.5, lost=3, heals=(2.0,))

    both = report.together([one, other])

    assert (both.numbers, both.lost_avoidably, both.calls, both.heals) == (20, 3, 200, (1.0, 2.0, 9.0))
    assert both.connected == (one.connected + other.connected) / 2


def test_time_of_the_loop_counts_by_how_much_it_stands_for() -> None:
    one = dataclasses.replace(outcome(Policy.OPERATOR), took=30.0, reference=0.1)
    other = dataclasses.replace(outcome(Policy.OPERATOR), took=10.0, reference=0.2)

    assert report.together([one, other]).reference == report.reference([one, other]) == pytest.approx(0.125)
    assert report.reference([outcome(Policy.NONE)]) == 0.0


def test_percentile_is_a_value_that_was_there() -> None:
    values = tuple(float(number) for number in range(1, 101))

    assert (report.percentile(values, 0.5), report.percentile(values, 0.95)) == (50.0, 95.0)
    assert report.percentile((7.0,), 0.95) == 7.0
    assert report.percentile((), 0.5) == 0.0


def test_times_are_told_in_the_unit_that_a_person_would_use() -> None:
    assert [report.span(one) for one in (59, 180, 7200, 200_000)] == ["59 s", "3.0 min", "2.0 h", "2.3 d"]


def test_table_has_a_row_for_each_policy_and_each_rate_one_in_its_own() -> None:
    assert len(report.table(ALL).splitlines()) == 2 + len(Policy)
    assert len(report.rates().splitlines()) == 2 + len(FAULTS)


def test_times_to_heal_are_told_fault_by_fault() -> None:
    title = next(fault.title for fault in FAULTS if fault.needs_a_step)
    healed = (Heal("shop", title, 55.0), Heal("bank", title, 300.0), Heal("post", "another", 9.0))
    ours = dataclasses.replace(outcome(Policy.OPERATOR), healed=healed)

    assert f"| {title} |  | 55 s / 5.0 min (2) |" in report.heals([outcome(Policy.NONE), ours])


def test_chart_is_well_formed_and_follows_the_readers_mode() -> None:
    drawn = chart.drawn(ALL, servers=3)
    tree = ElementTree.fromstring(drawn)  # noqa: S314 - drawn here, a moment ago

    assert len(tree.findall(f"{SVG}polyline")) == len(Policy)
    assert len(tree.findall(f"{SVG}rect")) == 2 * len(Policy)
    assert "prefers-color-scheme: dark" in drawn


def test_numbers_are_spread_over_the_servers_and_none_is_left_out() -> None:
    given = command.arguments(["--numbers", "2000", "--servers", "3"])

    plans = command.plans(given, list(Policy), skip=True)

    assert len(plans) == 12
    assert sum(one.population.size for one in plans) == 2000 * len(Policy)


def test_documentation_shows_the_rates_that_are_used() -> None:
    text = (Path(command.__file__).resolve().parents[2] / "docs" / "fleet-month.md").read_text()

    assert report.rates() in text


def test_numbers_replace_those_that_were_published_before(tmp_path: Path) -> None:
    text = tmp_path / "README.md"
    text.write_text("before\n<!-- fleet month: begin -->\nold\n<!-- fleet month: end -->\nafter\n")

    publishing.publish(text, "| new |")

    assert text.read_text() == "before\n<!-- fleet month: begin -->\n| new |\n<!-- fleet month: end -->\nafter\n"


def test_numbers_go_to_the_place_that_is_meant(tmp_path: Path) -> None:
    text = tmp_path / "page.md"
    text.write_text("<!-- a: begin -->\n1\n<!-- a: end -->\n<!-- b: begin -->\n2\n<!-- b: end -->\n")

    publishing.publish(text, "new", place="b")

    assert text.read_text() == "<!-- a: begin -->\n1\n<!-- a: end -->\n<!-- b: begin -->\nnew\n<!-- b: end -->\n"


def test_text_without_a_place_for_the_numbers_is_left_as_it_is(tmp_path: Path) -> None:
    text = tmp_path / "README.md"
    text.write_text("before\n<!-- fleet month: begin -->\nold\n")

    with pytest.raises(publishing.NoPlaceError):
        publishing.publish(text, "| new |")

    assert "old" in text.read_text()
