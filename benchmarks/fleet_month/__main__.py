"""`python -m benchmarks.fleet_month`: runs the month under every policy, and prints what came of it."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet_month import chart, comparison, month, publishing, report
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.schedule import Population

_TREE = Path(__file__).resolve().parents[2]
CHART = _TREE / "docs" / "fleet-month.svg"
PAGE = _TREE / "docs" / "fleet-month.md"
TEXTS = (_TREE / "README.md", PAGE)
_COSTLIEST_FIRST = (Policy.OPERATOR, Policy.LITERAL, Policy.WATCHDOG, Policy.NONE)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet_month", description="A month of a fleet on simulated time, policy by policy."
    )
    parser.add_argument("--numbers", type=int, default=2000, help="paired numbers (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=3, help="that they are spread over (default: %(default)s)")
    parser.add_argument("--days", type=float, default=30.0, help="simulated (default: %(default)s)")
    parser.add_argument("--times", type=float, default=1.0, help="how much more goes wrong (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything (default: %(default)s)")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="at once (default: as processors, here %(default)s)"
    )
    parser.add_argument(
        "--policy", choices=[one.name.lower() for one in Policy], action="append", help="only these (default: all)"
    )
    parser.add_argument("--no-skip", action="store_true", help="poll through quiet time as well")
    parser.add_argument("--compare", action="store_true", help="the operator's month with and without skipping")
    parser.add_argument("--rates", action="store_true", help="print the table of the rates, and run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the chart there")
    parser.add_argument("--publish", action="store_true", help="write chart and table into README.md and docs/")
    return parser.parse_args(given)


def plans(given: argparse.Namespace, policies: Sequence[Policy], *, skip: bool) -> list[month.Plan]:
    """A plan for each policy on each server; a server is simulated by itself, since it shares nothing with others."""
    sizes = [
        given.numbers // given.servers + (number < given.numbers % given.servers) for number in range(given.servers)
    ]
    populations = [Population(f"main-{number}", size) for number, size in enumerate(sizes)]
    return [
        month.Plan(policy=policy, population=one, days=given.days, seed=given.seed, skip=skip, times=given.times)
        for policy, one in itertools.product(policies, populations)
    ]


def run(chosen: Sequence[month.Plan], *, processes: int) -> list[month.Outcome]:
    """Run the plans, and put the servers of a policy together."""
    outcomes = run_each(chosen, processes=processes)
    by_policy = {policy: [one for one in outcomes if one.policy is policy] for policy in Policy}
    return [report.together(several) for several in by_policy.values() if several]


def run_each(chosen: Sequence[month.Plan], *, processes: int) -> list[month.Outcome]:
    """Run the plans, each in its turn: whoever has nothing to do takes the next one."""
    with multiprocessing.get_context("spawn").Pool(min(processes, len(chosen))) as pool:
        return pool.map(month.run, chosen, chunksize=1)


def main() -> int:
    """Run, print, and draw; 1 where the operator lost a pairing that could have been kept."""
    given = arguments()
    if given.rates:
        print(report.rates())
        return 0
    began = time.monotonic()
    if given.compare:
        return _compare(given)
    chosen = [one for one in _COSTLIEST_FIRST if not given.policy or one.name.lower() in given.policy]
    outcomes = run(plans(given, chosen, skip=not given.no_skip), processes=given.processes)
    told = f"{report.table(outcomes)}\n\n{_said(given, outcomes, time.monotonic() - began)}"
    print(told)
    _keep(given, outcomes, told)
    return int(any(one.lost_avoidably for one in outcomes if one.policy is Policy.OPERATOR))


def _compare(given: argparse.Namespace) -> int:
    """The operator's month with and without skipping; 1 where that changes more than the number of calls."""
    chosen = [plan for skip in (False, True) for plan in plans(given, [Policy.OPERATOR], skip=skip)]
    outcomes = run_each(chosen, processes=given.processes)
    polled, skipped = outcomes[: given.servers], outcomes[given.servers :]
    both = report.together(skipped), report.together(polled)
    print(f"With skipping, and without:\n\n{report.table(both)}\n\n{comparison.told(*both)}")
    wrong = [
        f"{plan.population.server}: {each}"
        for plan, one, other in zip(chosen[: given.servers], skipped, polled, strict=True)
        for each in comparison.differences(one, other)
    ]
    print("\n".join(wrong) or "Nothing else differs.")
    return int(bool(wrong))


def _said(given: argparse.Namespace, outcomes: Sequence[month.Outcome], seconds: float) -> str:
    where = f"{given.numbers:,} numbers on {given.servers} servers, {given.days:g} days, seed {given.seed}"
    processor = sum(one.took for one in outcomes)
    processes = min(given.processes, len(outcomes) * given.servers)
    took = f"simulated in {seconds:.0f} s, {processor:.0f} s of processor time in {processes} processes"
    return f"{where}: {took}; beside it a loop of a million additions took {report.reference(outcomes) * 1000:.0f} ms."


def _keep(given: argparse.Namespace, outcomes: Sequence[month.Outcome], told: str) -> None:
    if given.json is not None:
        given.json.write_text(report.as_json(outcomes))
    if given.chart is not None:
        given.chart.write_text(chart.drawn(outcomes, servers=given.servers))
    if given.publish:
        CHART.write_text(chart.drawn(outcomes, servers=given.servers))
        for text in TEXTS:
            publishing.publish(text, told)
        publishing.publish(PAGE, report.heals(outcomes), place=publishing.HEALS)


if __name__ == "__main__":
    sys.exit(main())
