"""Seeds that are run with every test run, and what makes them worth something: they repeat, and they can fail."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from simulation import campaign, world
from simulation.invariants import calls, liveness, restarts, steps, verdicts, writes
from simulation.run import Outcome, run
from simulation.shrink import shrink

from simulated.sabotage import BUGS
from simulated.scenarios import SCENARIOS, SMALL_BUDGET, broken, of_server, scenario

TREE = Path(__file__).resolve().parents[2]
SEEDS, SHARE = 320, 32
FAULTY = 52
"""A branch with many deeds."""
TWO_SERVERS = 68
APART = 63
"""A world of its own."""
DELETING = 208


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_no_invariant_is_violated(first: int) -> None:
    for result in campaign.play_all(range(first, first + SHARE), processes=1):
        assert result.violation is None, f"{result.violation}; make simulate SEED={result.seed}"


def test_branch_that_is_copied_from_its_trunk_is_what_it_is_alone() -> None:
    seeds = [64, TWO_SERVERS, TWO_SERVERS + 1]

    together = {one.seed: one for one in campaign.play_all(seeds, processes=1)}

    for seed in seeds:
        alone = run(seed)
        assert together[seed].digest == alone.history.digest()
        assert together[seed].coverage == alone.coverage


def test_world_is_shared_by_a_trunk_and_its_branches() -> None:
    groups = world.grouped(range(64))

    assert [len(seeds) for seeds in groups.values()] == [32, 31, 1]
    assert groups[APART] == [APART]
    assert world.of(1).setup == world.of(0).setup != world.of(32).setup
    assert world.of(1).along.entries == world.of(0).schedule.until(world.of(1).schedule.branches_at).entries


def test_same_seed_gives_the_same_history() -> None:
    assert run(FAULTY).history.lines == run(FAULTY).history.lines


@pytest.mark.parametrize("seed", [APART, TWO_SERVERS])
def test_same_seed_gives_the_same_history_in_processes_that_hash_otherwise(seed: int) -> None:
    assert digest(seed, hash_seed="1") == digest(seed, hash_seed="77") == run(seed).history.digest()


def digest(seed: int, *, hash_seed: str) -> str:
    program = f"from simulation.run import run; print(run({seed}).history.digest())"
    path = os.pathsep.join([str(TREE / "operator"), str(TREE)])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, cwd=TREE
    )
    return done.stdout.strip()


def test_other_seeds_give_other_histories() -> None:
    assert run(1).history.digest() != run(2).history.digest()


def test_deeds_that_are_left_out_do_not_change_the_others() -> None:
    whole = world.of(FAULTY).schedule

    kept = whole.only([2, 0])

    assert kept.entries == (whole.entries[0], whole.entries[2])
    assert run(FAULTY, kept=[2, 0]).schedule == kept


@pytest.mark.parametrize("bug", BUGS)
def test_seeded_bug_is_found_and_without_it_all_is_well(bug: str) -> None:
    sabotage, invariant = BUGS[bug]

    assert run(1, scenario=SCENARIOS[bug], sabotage=sabotage).broken == invariant
    assert run(1, scenario=SCENARIOS[bug]).broken is None


@pytest.mark.parametrize("bug", ["no limit at once", "no budget"])
def test_step_that_was_one_too_many_is_found_when_it_begins_as_well(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage, invariant = BUGS[bug]
    others = tuple(check for check in steps.CHECKS if check.__name__ != invariant)
    monkeypatch.setattr(steps, "CHECKS", others)

    assert run(1, scenario=SCENARIOS[bug], sabotage=sabotage).broken == invariant


@pytest.mark.parametrize("deed", [(0, "lose_lease", {"number": 0}), (0, *of_server("recreate_server", seconds=5.0))])
def test_budget_is_judged_again_once_what_was_spent_is_kept_again(deed: tuple[float, str, Mapping[str, Any]]) -> None:
    both = ((100, *broken("i0", "S17")), (190, *broken("i1", "S17")))
    scene, (sabotage, invariant) = scenario(deed, *both, budget=SMALL_BUDGET), BUGS["no budget"]

    assert run(1, scenario=scene, sabotage=sabotage).broken == invariant
    assert run(1, scenario=scene).broken is None


def test_every_seeded_bug_has_its_scenario() -> None:
    assert BUGS.keys() == SCENARIOS.keys()


def judges() -> set[str]:
    """Everything that a violation can be called: the checks, and what is told where nothing but a look around shows."""
    modules = (calls, restarts, steps, verdicts, writes)
    checks = itertools.chain(*(one.CHECKS for one in modules), writes.IN_VAIN)
    lasting = itertools.chain(liveness.OF_INSTANCES, liveness.OF_SERVERS, verdicts.OF_SERVERS)
    places = ("*.py", "invariants/*.py")  # the search has judges of its own
    sources = (path.read_text() for place in places for path in (TREE / "simulation").glob(place))
    named = itertools.chain.from_iterable(re.findall(r'violate\(\s*"(\w+)"', text) for text in sources)
    return {one.__name__ for one in (*checks, *lasting)} | set(named)


def test_every_judge_is_one_that_finds_a_seeded_bug() -> None:
    assert judges() - {found for _, found in BUGS.values()} == set()


def test_docs_list_every_seeded_bug_with_the_invariant_that_finds_it() -> None:
    lines = (TREE / "docs" / "simulation.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    told = {bug: found.strip("`") for bug, _, found in (row for row in cells if len(row) == 3) if bug in BUGS}

    assert told == {bug: invariant for bug, (_, invariant) in BUGS.items()}


def test_failing_seed_is_shrunk_to_few_deeds_that_still_fail() -> None:
    seed, invariant = DELETING, BUGS["finalizer goes early"][1]
    broken = run(seed, sabotage=BUGS["finalizer goes early"][0])
    runs: list[Outcome] = []

    def attempt(kept: object) -> Outcome:
        runs.append(run(seed, kept=kept, sabotage=BUGS["finalizer goes early"][0]))  # type: ignore[arg-type]  # numbers
        return runs[-1]

    small = shrink(broken, attempt)

    assert small.broken == invariant
    assert len(small.schedule.entries) < len(broken.schedule.entries)
    assert "VIOLATION" in small.history.text()
