"""`python -m simulation.exhaustive`: goes every way through the scenarios, and says what it has found."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from simulation.exhaustive import play, scenarios
from simulation.exhaustive.arbiter import Bound
from simulation.exhaustive.search import Finding, Result, search

_COLUMNS = ("faults", "crashes", "states", "ways", "paths", "longest", "wrong", "s")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m simulation.exhaustive", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="SCENARIO", help=f"of {', '.join(scenarios.SCENARIOS)}; default: all"
    )
    parser.add_argument("--faults", type=int, help="at most so many on a path (default: the scenario's)")
    parser.add_argument("--crashes", type=int, help="at most so many on a path (default: the scenario's)")
    parser.add_argument("--path", metavar="N:M,...", help="play one path of one scenario: option M at choice N")
    return parser.parse_args(given)


def main() -> int:
    """The exit code is 1 where an invariant did not hold."""
    given = arguments()
    chosen = given.names or list(scenarios.SCENARIOS)
    if given.path is not None:
        return _replay(chosen[0], given.path)
    print(_line("scenario", *_COLUMNS))
    results = [_search(name, _bound(given, scenarios.SCENARIOS[name])) for name in chosen]
    states = sum(one.counted["states"] for one in results)
    wrong = sum(one.counted["violations"] for one in results)
    print(f"{states} distinct states, {wrong} violations")
    return int(bool(wrong))


def _bound(given: argparse.Namespace, scenario: play.Scenario) -> Bound:
    faults = scenario.bound.faults if given.faults is None else given.faults
    return Bound(faults, scenario.bound.crashes if given.crashes is None else given.crashes)


def _search(name: str, bound: Bound) -> Result:
    began = time.monotonic()
    found = search(scenarios.SCENARIOS[name], bound)
    told, took = found.counted, time.monotonic() - began
    columns = (told["states"], told["choices"], told["paths"], told["deepest"], told["violations"], f"{took:.0f}")
    print(_line(name, bound.faults, bound.crashes, *columns), flush=True)
    if found.shortest is not None:
        print(schedule(name, found.shortest))
    return found


def _line(name: str, *columns: object) -> str:
    return f"{name:<12}" + "".join(f"{column!s:>9}" for column in columns)


def schedule(name: str, found: Finding) -> str:
    """A path for people, and how to play it again."""
    path = ",".join(f"{number}:{place}" for number, place in found.choices)
    told = "\n".join(f"  {line}" for line in found.told) or "  nothing goes wrong"
    replay = f"python -m simulation.exhaustive {name} --path {path or '0:0'}"
    return f"{found.invariant}: {found.text}\n{told}\nreplay: {replay}"


def _replay(name: str, path: str) -> int:
    pairs = (pair.partition(":") for pair in path.split(","))
    choices = {int(number): int(place) for number, _, place in pairs}
    game = play.replay(scenarios.SCENARIOS[name], choices)
    print(game.stage.history.text(since=play.PRELUDE_SECONDS))
    return int(bool(game.stage.history.violations))


if __name__ == "__main__":
    sys.exit(main())
