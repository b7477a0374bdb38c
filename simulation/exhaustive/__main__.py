"""`python -m simulation.exhaustive`: goes every way through the scenarios, and says what it has found."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from simulation.exhaustive import alone, clocks, deletions, measure, play, recoveries, scenarios, situations, spending
from simulation.exhaustive.arbiter import Bound
from simulation.exhaustive.kept import Finding
from simulation.exhaustive.search import Result, search
from simulation.exhaustive.table import fits

SCENARIOS: Mapping[str, play.Scenario] = {
    **alone.SCENARIOS,
    **scenarios.SCENARIOS,
    **deletions.SCENARIOS,
    **recoveries.SCENARIOS,
    **spending.SCENARIOS,
    **clocks.SCENARIOS,
}
_COUNTED = ("states", "choices", "paths", "deepest", "seconds", "violations")
_COLUMNS = ("faults", "crashes", "states", "ways", "paths", "longest", "seconds", "wrong", "took")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m simulation.exhaustive", description=__doc__)
    names = ", ".join(SCENARIOS)
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help=f"of {names}; all of them where none is named")
    parser.add_argument("--faults", type=int, help="at most so many on a path (default: the scenario's)")
    parser.add_argument("--crashes", type=int, help="at most so many on a path (default: the scenario's)")
    parser.add_argument("--path", metavar="N:M,...", help="play one path of one scenario: option M at choice N")
    parser.add_argument(
        "--coverage", action="store_true", help="measure the branches that are reached; it takes longer"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="go on with what was reached, and keep it there")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="end each scenario after so long; with --keep it goes on"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="ways that are gone side by side")
    chosen = parser.parse_args(given)
    if chosen.jobs < 1:
        parser.error("argument --jobs: there have to be 1 or more")
    try:
        fits(Bound(chosen.faults or 0, chosen.crashes or 0))
    except ValueError as error:
        parser.error(f"argument --faults, or --crashes: {error}")
    return chosen


def main() -> int:
    """The exit code is 1 where an invariant did not hold."""
    given = arguments()
    chosen = given.names or list(SCENARIOS)
    if given.path is not None:
        return _replay(chosen[0], given.path)
    measured = measure.Measure(measure.modules()) if given.coverage else None
    if measured is not None:
        measured.start()
    wrong = _plan_everywhere() if given.coverage or not given.names else 0
    wrong += _search_all(chosen, given, measured.path_ended if measured is not None else lambda: None)
    if measured is not None:
        measured.keep()
        measured.path_ended()
        _show_branches(measured.result())
    return int(bool(wrong))


def _plan_everywhere() -> int:
    began = time.monotonic()
    grid = situations.explore()
    told = f"{grid.situations} situations, in {grid.steps} of which a step is called for, and due in {grid.due}"
    print(f"planner: {told}; {len(grid.wrong)} wrong, {time.monotonic() - began:.0f} s")
    for one in sorted(set(grid.wrong)):
        print(f"  {one}")
    return len(grid.wrong)


def _search_all(chosen: Sequence[str], given: argparse.Namespace, on_end: Callable[[], None]) -> int:
    print(_line("scenario", *_COLUMNS))
    results = [_search(name, _bound(given, SCENARIOS[name]), on_end, given) for name in chosen]
    states = sum(one.counted["states"] for one in results)
    wrong = sum(one.counted["violations"] for one in results)
    print(f"{states} distinct states, {wrong} violations")
    return wrong


def _bound(given: argparse.Namespace, scenario: play.Scenario) -> Bound:
    faults = scenario.bound.faults if given.faults is None else given.faults
    return Bound(faults, scenario.bound.crashes if given.crashes is None else given.crashes)


def _search(name: str, bound: Bound, on_end: Callable[[], None], given: argparse.Namespace) -> Result:
    began = time.monotonic()
    keep = given.keep / f"{name}-{bound.faults}-{bound.crashes}" if given.keep is not None else None
    found = search(SCENARIOS[name], bound, on_end=on_end, keep=keep, seconds=given.minutes * 60, jobs=given.jobs)
    told, took = found.counted, time.monotonic() - began
    columns = (*(told[one] for one in _COUNTED), f"{took:.0f}")
    print(_line(name, bound.faults, bound.crashes, *columns), flush=True)
    if found.left:
        print(f"{name}: not exhausted; {found.left} states are to be gone on from")
    if found.shortest is not None:
        print(schedule(name, found.shortest))
    return found


def _line(name: str, *columns: object) -> str:
    return f"{name:<20}" + "".join(f"{column!s:>9}" for column in columns)


def schedule(name: str, found: Finding) -> str:
    """A path for people, and how to play it again."""
    path = ",".join(f"{number}:{place}" for number, place in found.choices)
    told = "\n".join(f"  {line}" for line in found.told) or "  nothing goes wrong"
    replay = f"\n{told}\nreplay: python -m simulation.exhaustive {name} --path {path or '0:0'}"
    return f"{found.invariant}: {found.text}{replay if found.can_be_played else ''}"


def _show_branches(found: Mapping[str, measure.Reached]) -> None:
    for name, one in found.items():
        print(f"{name}: {one.branches - len(one.missing)} of {one.branches} branches")
        for begin, end in one.missing:
            print(f"  not from line {begin} to {end if end > 0 else 'the end'}")


def _replay(name: str, path: str) -> int:
    pairs = (pair.partition(":") for pair in path.split(","))
    choices = {int(number): int(place) for number, _, place in pairs}
    game = play.replay(SCENARIOS[name], choices)
    print(game.stage.history.text(since=play.PRELUDE_SECONDS))
    return int(bool(game.stage.history.violations))


if __name__ == "__main__":
    sys.exit(main())
