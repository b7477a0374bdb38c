"""`python -m mutation`: makes modules wrong, one place at a time, and fails where no test notices."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

import pytest

from mutation import memory, targets
from mutation.mutants import Mutant
from mutation.plugin import Plugin
from mutation.targets import Target

_LISTED = targets.TREE / "tests" / "mutation" / "equivalent.toml"
_PYTEST = ("-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not e2e")


class Result:
    """What came of the mutants of the modules."""

    def __init__(self) -> None:
        self.survived: dict[str, list[str]] = defaultdict(list)
        self.noticed: dict[str, list[str]] = defaultdict(list)

    def told(self, target: Target, mutant: Mutant, noticed: bool) -> None:
        """Count one in."""
        if noticed:
            self.noticed[target.name].append(mutant.name)
            memory.note(target.name, mutant.name)
            return
        self.survived[target.name].append(mutant.name)
        print(f"{target.name}: {mutant.name}", flush=True)


def listed() -> dict[str, dict[str, str]]:
    """By module: the mutants that are equivalent, and why."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in tomllib.loads(_LISTED.read_text()).get("equivalent", ()):
        found[entry["module"]][entry["mutant"]] = entry["why"]
    return found


def run(names: Sequence[str], *, jobs: int, seconds: float, only: Sequence[str] = ()) -> bool:
    """Whether every mutant of these modules is noticed or listed, and no other one is listed.

    `only` are the tests that are run, where they are not all that should notice.
    """
    known, well = listed(), True
    for tests, group in groupby(names, targets.tests_of):
        chosen = [Target(name, listed=frozenset(known[name]), noticed=memory.noticed(name)) for name in group]
        result = Result()
        plugin = Plugin(chosen, jobs=jobs, seconds=seconds, told=result.told)
        code = pytest.main([*_PYTEST, *(str(targets.TREE / folder) for folder in only or tests)], plugins=[plugin])
        if code or plugin.survey.failed:
            print("These tests fail without a mutant:", *plugin.survey.failed, sep="\n  ")
            return False
        told = [_report(one, result, known[one.name]) for one in chosen]
        well = well and all(told)
    return well


def _report(target: Target, result: Result, known: dict[str, str]) -> bool:
    survived, stale = result.survived[target.name], known.keys() - target.names
    noticed = len(result.noticed[target.name]) + len(target.noticed & target.names)
    print(
        f"{target.name}: {len(target.names)} mutants, {noticed} noticed, {len(known)} listed, {len(survived)} survive"
    )
    for name in sorted(stale):
        print(f"  listed, and there is no such mutant: {name}")
    return not survived and not stale


def main() -> int:
    """The exit code is 1 where a mutant survives."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("module", nargs="*", default=[""], help="such as health, or recovery/gates.py (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15, help="of tests for each mutant (default: %(default)s)")
    parser.add_argument("--tests", nargs="*", default=[], help="only these tests, such as those that are new")
    parser.add_argument("--anew", action="store_true", help="try those again that earlier runs have noticed")
    given = parser.parse_args()
    if given.anew:
        memory.forget()
    names = [name for wanted in given.module for name in targets.chosen(wanted)]
    return int(not run(names, jobs=given.jobs, seconds=given.seconds, only=given.tests))


if __name__ == "__main__":
    sys.exit(main())
