"""The bounded share of the search that every test run goes through, and that it finds what is broken."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from simulation.exhaustive import (
    alone,
    clocks,
    deletions,
    fates,
    fingerprint,
    moments,
    play,
    recoveries,
    scenarios,
    situations,
    spending,
)
from simulation.exhaustive.arbiter import Bound
from simulation.exhaustive.kept import Finding, Kept, Torn
from simulation.exhaustive.search import Result, search
from simulation.exhaustive.stand import Platform
from simulation.exhaustive.table import Table
from simulation.exhaustive.walk import Walk
from simulation.exhaustive.ways import Ways
from simulation.kubernetes import kinds
from simulation.replica import NAMESPACE
from simulation.system import BEGIN

from simulated import sabotage as drawn
from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import deletion, leadership, ports, steps, treasury
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Deletion
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import gates, incident, ledger, strategies
from whatsapp_operator.recovery.ledger import Ledger, dumps
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import StepClass

T = TypeVar("T")
SHARE = {
    "deletion": (scenarios.SCENARIOS["deletion"], Bound(faults=1, crashes=0)),
    "restart": (scenarios.SCENARIOS["restart"], Bound(faults=1, crashes=0)),
    "creation": (scenarios.SCENARIOS["creation"], Bound(faults=0, crashes=1)),
    "delete": (alone.SCENARIOS["delete"], Bound(faults=2, crashes=0)),
    "deletion-lost": (deletions.SCENARIOS["deletion-lost"], Bound(faults=0, crashes=0)),
    "deletion-replaced": (deletions.SCENARIOS["deletion-replaced"], Bound(faults=0, crashes=0)),
    "deletion-replaced-late": (deletions.SCENARIOS["deletion-replaced-late"], Bound(faults=0, crashes=0)),
    "deletion-unread": (deletions.SCENARIOS["deletion-unread"], Bound(faults=1, crashes=1)),
    "restart-stalled": (recoveries.SCENARIOS["restart-stalled"], Bound(faults=1, crashes=0)),
    "deletion-orphan": (deletions.SCENARIOS["deletion-orphan"], Bound(faults=0, crashes=0)),
    "reconnect": (recoveries.SCENARIOS["reconnect"], Bound(faults=0, crashes=1)),
    "storm": (recoveries.SCENARIOS["storm"], Bound(faults=0, crashes=0)),
    "workload": (recoveries.SCENARIOS["workload"], Bound(faults=1, crashes=0)),
    "recreation-lost": (recoveries.SCENARIOS["recreation-lost"], Bound(faults=0, crashes=0)),
    "deletion-given-up": (deletions.SCENARIOS["deletion-given-up"], Bound(faults=0, crashes=0)),
    "deletion-let-be": (deletions.SCENARIOS["deletion-let-be"], Bound(faults=1, crashes=0)),
    "clocks": (clocks.SCENARIOS["clocks"], Bound(faults=1, crashes=0)),
    "spending": (spending.SCENARIOS["spending"], Bound(faults=1, crashes=1)),
}


@pytest.mark.parametrize("name", SHARE)
def test_no_invariant_is_violated_whatever_goes_wrong_within_the_bound(name: str) -> None:
    scenario, bound = SHARE[name]

    found = search(scenario, bound)

    assert found.findings == ()
    assert found.counted["states"] > 10


def test_no_step_is_due_that_anything_is_against() -> None:
    grid = situations.explore()

    assert grid.wrong == ()
    assert grid.situations > grid.steps > grid.due > 10_000


def test_gate_that_is_not_asked_is_missed_by_the_grid() -> None:
    left = tuple(one for one in gates.GATES if one is not gates.storm_is_on)

    with mock.patch.object(gates, "GATES", left):
        grid = situations.explore([Reason.ROW_MISSING])

    assert any("a storm is on" in one for one in grid.wrong)


async def nothing(*_: object, **__: object) -> None:
    """Not done."""


def as_it_is(value: T, *, now: datetime) -> T:
    """With its moments of the future."""
    del now
    return value


async def gone_or_unknown(work: strategies.Work) -> bool:
    """An error is taken for absence."""
    memory = await work.server.read_memory(work.name)
    if isinstance(memory, evidence.Unknown):
        return True
    rows = await work.list_rows()
    listed = isinstance(rows, evidence.DatabaseList) and work.name in rows.rows
    return isinstance(memory, evidence.Absent) and not listed


@dataclass(frozen=True)
class Bug:
    """Where a bug shows, within which bound, by which invariant, and the shortest way there."""

    scenario: play.Scenario
    sabotage: Callable[[], AbstractContextManager[Any]]
    bound: Bound
    invariant: str
    told: tuple[str, ...] = ()


BUDGET = scenarios.SCENARIOS["budget"]
AT_ONCE = replace(BUDGET, setup=scenarios.setup(budget={"maxInFlight": 1}))
LONG = replace(BUDGET, setup=scenarios.setup(budget=scenarios.budget(seconds=120)), remembered=130.0)
NOTHING, A_FAULT, A_CRASH = Bound(0, 0), Bound(1, 0), Bound(0, 1)
BUGS = {
    "no budget": Bug(BUDGET, drawn.BUGS["no budget"][0], NOTHING, "keeps_to_the_budget"),
    "no limit at once": Bug(AT_ONCE, drawn.BUGS["no limit at once"][0], NOTHING, "keeps_to_the_number_at_once"),
    "finalizer goes early": Bug(
        scenarios.SCENARIOS["deletion"],
        drawn.BUGS["finalizer goes early"][0],
        NOTHING,
        "finalizer_stays_until_the_instance_is_gone",
    ),
    "create before it is gone": Bug(
        alone.SCENARIOS["recreate"], drawn.BUGS["finalizer goes early"][0], NOTHING, "create_only_what_does_not_exist"
    ),
    "no write-ahead": Bug(
        scenarios.SCENARIOS["restart"],
        lambda: mock.patch.object(steps, "write_ahead", nothing),
        NOTHING,
        "restart_only_in_a_step",
    ),
    "error is absence": Bug(
        scenarios.SCENARIOS["deletion"],
        lambda: mock.patch.object(strategies, "is_gone", gone_or_unknown),
        A_FAULT,
        "finalizer_stays_until_the_instance_is_gone",
        ("B: GET /instance/connectionState/i0 is lost before it has an effect",),
    ),
    "no fence": Bug(
        scenarios.SCENARIOS["restart"],
        drawn.BUGS["no fence"][0],
        A_FAULT,
        "only_the_holder_of_the_claim_writes",
        ("B: POST /instance/restart/i0 has its effect, and its process stands still",),
    ),
    "budget refilled by a restart": Bug(
        LONG, lambda: mock.patch.object(treasury, "save", nothing), A_CRASH, "keeps_to_the_budget"
    ),
    "ledger of the future counts": Bug(
        clocks.SCENARIOS["clocks-differ"],
        lambda: mock.patch.object(ledger, "clamped", as_it_is),
        A_CRASH,
        "comes_to_an_end",
        ("B: patch whatsappinstances/status is not made: its process dies",),
    ),
    "health of the future counts": Bug(
        clocks.SCENARIOS["clocks"],
        lambda: mock.patch.object(incident, "without_future", as_it_is),
        A_FAULT,
        "comes_to_an_end",
        ("meanwhile the clocks go back",),
    ),
    "webhook stays off": Bug(
        deletions.SCENARIOS["deletion-given-up"],
        lambda: mock.patch.object(deletion, "_lacks_something", return_value=False),
        NOTHING,
        "comes_to_an_end",
    ),
    "budget alone is refilled by a restart": Bug(
        spending.SCENARIOS["spending"],
        lambda: mock.patch.object(treasury, "save", nothing),
        A_CRASH,
        "keeps_to_the_window",
        ("B: POST /instance/restart/i0 has its effect, and its process dies",),
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_seeded_bug_is_found_by_its_shortest_schedule(name: str) -> None:
    bug = BUGS[name]

    with bug.sabotage():
        found = search(bug.scenario, bug.bound, enough=2).shortest

    assert found is not None
    assert found.invariant == bug.invariant
    assert len(found.told) >= bug.bound.faults + bug.bound.crashes
    assert bug.told in ((), found.told)


def test_schedule_that_was_found_plays_again() -> None:
    bug = BUGS["error is absence"]
    with bug.sabotage():
        found = search(bug.scenario, bug.bound, enough=1).shortest
        assert found is not None
        game = play.replay(bug.scenario, dict(found.choices))

    assert game.stage.history.violations[0].invariant == bug.invariant


def test_search_that_ended_in_between_goes_on_and_reaches_what_one_without_an_end_does(tmp_path: Path) -> None:
    scenario, bound = alone.SCENARIOS["delete"], Bound(faults=1, crashes=0)
    at_once = search(scenario, bound)

    rounds = 1
    while (found := search(scenario, bound, keep=tmp_path, seconds=0.05)).left:
        rounds += 1

    assert found == at_once
    assert rounds > 1


def test_search_in_several_jobs_reaches_what_one_in_one_does() -> None:
    scenario, bound = alone.SCENARIOS["delete"], Bound(faults=2, crashes=0)

    one, three = search(scenario, bound), search(scenario, bound, jobs=3)

    assert three.findings == one.findings == ()
    assert three.counted["states"] == one.counted["states"]


def test_search_in_several_jobs_that_ended_in_between_goes_on(tmp_path: Path) -> None:
    scenario, bound = alone.SCENARIOS["delete"], Bound(faults=1, crashes=0)

    while (found := search(scenario, bound, keep=tmp_path, seconds=0.05, jobs=3)).left:
        assert found.findings == ()

    assert found.counted["states"] == search(scenario, bound).counted["states"]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_search_that_is_told_to_end_can_be_gone_on_with(tmp_path: Path, told: signal.Signals) -> None:
    scenario, bound, before = alone.SCENARIOS["delete"], Bound(faults=1, crashes=0), signal.getsignal(told)

    ended = search(scenario, bound, keep=tmp_path, on_end=lambda: signal.raise_signal(told), jobs=2)

    assert ended.left
    assert search(scenario, bound, keep=tmp_path).counted["states"] == search(scenario, bound).counted["states"]
    assert signal.getsignal(told) is before


def test_search_in_several_jobs_finds_a_bug() -> None:
    bug = BUGS["error is absence"]

    with bug.sabotage():
        found = search(bug.scenario, bug.bound, enough=2, jobs=3).shortest

    assert found is not None
    assert found.invariant == bug.invariant


def breaks_down() -> None:
    """What is called at the end of a path, and fails."""
    raise ZeroDivisionError


@pytest.mark.parametrize("jobs", [1, 3])
def test_search_whose_copy_ends_badly_says_so(jobs: int, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError):
        search(alone.SCENARIOS["delete"], Bound(faults=1, crashes=0), on_end=breaks_down, jobs=jobs)

    assert "ZeroDivisionError" in capfd.readouterr().err


async def reads_without_an_end(_: Context, server: Server) -> None:
    """The same in each round."""
    if server.client is not None:
        await server.client.read_memory(alone.NAME)


def test_path_that_goes_round_is_found() -> None:
    scenario = replace(alone.SCENARIOS["delete"], task=reads_without_an_end)

    found = search(scenario, Bound(faults=0, crashes=0)).shortest

    assert found is not None
    assert (found.invariant, found.text) == ("comes_to_an_end", "it goes round without an end")


def test_round_that_no_path_goes_by_itself_is_found(tmp_path: Path) -> None:
    with closing(Ways(tmp_path / "ways")) as ways:
        ways.add(b"1 state.", b"2 state.", Bound(1, 0))
        ways.add(b"2 state.", b"1 state.", Bound(1, 0))

    found = search(alone.SCENARIOS["delete"], Bound(faults=0, crashes=0), keep=tmp_path)

    (round_,) = found.findings
    assert round_.invariant == "comes_to_an_end"
    assert "--jobs 1" in round_.text
    assert not round_.can_be_played
    assert found.counted["violations"] == 1


def test_finding_that_can_be_played_comes_before_one_that_cannot() -> None:
    played = Finding("one", "", faults_left=0, crashes_left=0, choices=((1, 1),), told=("a fault",), length=9)
    round_ = replace(played, choices=(), told=(), length=0, can_be_played=False)

    assert Result({}, (round_, played)).shortest is played


def test_search_that_is_to_have_no_job_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    scenario, bound = alone.SCENARIOS["delete"], Bound(faults=1, crashes=0)
    left = search(scenario, bound, keep=tmp_path, seconds=0.05).left

    with pytest.raises(ValueError, match="jobs"):
        search(scenario, bound, keep=tmp_path, jobs=0)

    assert left
    assert search(scenario, bound, keep=tmp_path).findings == ()


@pytest.mark.parametrize("bound", [Bound(8, 0), Bound(0, 4), Bound(-1, 0)])
def test_bound_for_which_the_table_has_no_room_is_refused(bound: Bound) -> None:
    with pytest.raises(ValueError, match="at most 7 faults and 3 crashes"):
        search(alone.SCENARIOS["delete"], bound)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("", False),
        ("ab bc ac", False),
        ("ab bc ca", True),
        ("aa", True),
        ("xa ab bc cb by", True),
        ("ab ab ba", True),
        ("ab ab bc bc", False),
    ],
)
def test_ways_lead_round_where_they_come_back(tmp_path: Path, told: str, *, expected: bool) -> None:
    with closing(Ways(tmp_path / "ways")) as ways:
        for way in told.split():
            ways.add(way[0].encode() * 8, way[1].encode() * 8, Bound(1, 0))

        assert ways.lead_round() is expected


def test_way_back_with_less_left_to_go_wrong_leads_nowhere(tmp_path: Path) -> None:
    with closing(Ways(tmp_path / "ways")) as ways:
        ways.add(b"1 state.", b"2 state.", Bound(1, 0))
        ways.add(b"2 state.", b"1 state.", Bound(0, 0))
        ways.add(b"2 state.", b"1 state.", Bound(1, 1))

        assert not ways.lead_round()


def test_search_that_was_killed_is_not_gone_on_with(tmp_path: Path) -> None:
    with closing(Kept(tmp_path, slots=8)) as kept, pytest.raises(KeyboardInterrupt), kept.under_way():
        raise KeyboardInterrupt

    with pytest.raises(Torn):
        search(alone.SCENARIOS["delete"], Bound(faults=0, crashes=0), keep=tmp_path, slots=8)


def test_state_is_gone_on_from_again_only_with_more_left_to_go_wrong(tmp_path: Path) -> None:
    with closing(Table(tmp_path / "table", slots=8)) as table:
        assert table.enter(b"a state.", Bound(2, 0))
        assert not table.enter(b"a state.", Bound(1, 0))
        assert table.enter(b"a state.", Bound(1, 1))
        assert table.enter(b"a state.", Bound(3, 0))
        assert table["states"] == 1


def call_to(verb: str, kind: kinds.Kind, name: str | None) -> transport.Call:
    """A request about a resource, or about all of its kind."""
    path = f"/apis/{kind.api_version}/namespaces/{NAMESPACE}/{kind.plural}"
    if verb == "create":
        return transport.Call(verb, kind.plural, path, body={"metadata": {"name": name}})
    return transport.Call(verb, kind.plural, path if name is None else f"{path}/{name}", body={})


@pytest.mark.parametrize(
    ("verb", "kind", "name"),
    [
        ("list", kinds.SERVERS, None),
        ("list", kinds.INSTANCES, None),
        ("patch", kinds.LEASES, leadership.claim_name(ports.REST, scope="")),
        ("create", kinds.LEASES, leadership.claim_name(ports.REST, scope="")),
    ],
)
def test_what_a_process_does_besides_when_it_takes_a_claim_is_chosen_only_where_a_scenario_says_so(
    verb: str, kind: kinds.Kind, name: str | None
) -> None:
    call = fates.outgoing(call_to(verb, kind, name))

    assert Platform(lists_pass=True, open=False).passes(call)
    assert not Platform(lists_pass=True, sharing_passes=False, open=False).passes(call)


@pytest.mark.parametrize(
    ("verb", "kind", "name"),
    [
        ("get", kinds.INSTANCES, "i0"),
        ("patch", kinds.INSTANCES, "i0"),
        ("patch", kinds.LEASES, leadership.claim_name(ports.Key("messaging", "main"), scope="")),
    ],
)
def test_what_a_step_rests_on_is_always_chosen(verb: str, kind: kinds.Kind, name: str) -> None:
    assert not Platform(lists_pass=True, open=False).passes(fates.outgoing(call_to(verb, kind, name)))


def test_moments_are_told_in_relation_to_now_and_all_one_when_long_ago() -> None:
    def told(*seconds: float, now: float) -> str:
        return moments.told(" ".join(moments.of(one) for one in seconds), now=now, remembered=60.0)

    assert told(90.0, 20.0, now=100.0) == told(190.0, 110.0, now=200.0)
    assert told(90.0, now=100.0) != told(80.0, now=100.0)


def test_moment_that_is_waited_for_is_all_one_once_it_has_come() -> None:
    def told(moment: float) -> str:
        return moments.told(moments.due(moment), now=100.0, remembered=60.0)

    assert told(100.0) == told(99.0) == told(20.0)
    assert told(101.0) != told(100.0)
    assert told(101.0) != told(102.0)


@pytest.mark.parametrize("name", ["deletionTimestamp", "deletion_asked_at"])
def test_how_long_ago_a_deletion_was_asked_for_tells_states_apart(name: str) -> None:
    def told(seconds: float) -> str:
        return moments.told(Walk({}).field(name, BEGIN + timedelta(seconds=seconds)), now=100.0, remembered=60.0)

    assert told(80.0) != told(90.0)
    assert told(10.0) == told(20.0)


def test_how_long_ago_a_delete_was_due_tells_states_apart() -> None:
    def told(next_at: float) -> str:
        one = Deletion(since=BEGIN, sent=1, next_at=next_at)
        return moments.told(Walk({}).text(one), now=100.0, remembered=60.0)

    assert told(80.0) != told(90.0)
    assert told(10.0) == told(20.0)


def test_step_that_no_window_counts_any_more_is_as_if_it_had_never_been() -> None:
    def told(*spent: float) -> str:
        ledger = dumps(Ledger(spent={StepClass.SOFT: tuple(BEGIN + timedelta(seconds=one) for one in spent)}))
        return moments.told(moments.of_a_ledger(ledger), now=100.0, remembered=60.0)

    assert told(20.0, 90.0) == told(90.0)
    assert told(20.0, 30.0) == told(20.0)
    assert told(50.0, 90.0) != told(90.0)


def test_text_of_what_may_change_is_kept_until_something_may_have_changed() -> None:
    walk, value = Walk({}), {"a": 1}
    before = walk.text(value)
    value["a"] = 2

    assert walk.text(value) == before
    walk.anew()
    assert walk.text(value) == Walk({}).text({"a": 2}) != before


def test_word_that_an_outer_frame_has_told_is_the_same_word_only_where_it_is() -> None:
    def told(*words: str) -> list[str]:
        places: dict[str, int] = {}
        return [fingerprint.again(word, places) for word in words]

    one, other = "a" * 60, "b" * 60
    assert told(one, other, one) == [one, other, "again 0"]
    assert told(one, other, other) == [one, other, "again 1"]
    assert told("short", "short") == ["short", "short"]


def test_of_steps_of_one_kind_and_end_only_the_last_tells_states_apart() -> None:
    def told(*records: tuple[str, str, int]) -> str:
        history = [{"step": step, "result": result, "at": at} for step, result, at in records]
        return Walk({}).field("history", history)

    last = ("Restart", "Failed", 2)
    assert told(("Restart", "Failed", 1), last) == told(last)
    assert told(("Restart", "Succeeded", 1), last) != told(last)
    assert told(("Recreate", "Failed", 1), last) != told(last)
