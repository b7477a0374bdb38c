"""`python -m benchmarks.fleet_month`: runs the month under every policy, prints the table, and draws the chart."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet_month import chart, month, report
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.schedule import MONTH_DAYS, Population

CHART = Path(__file__).resolve().parents[2] / "docs" / "fleet-month.svg"
_COSTLIEST_FIRST = (Policy.OPERATOR, Policy.LITERAL, Policy.WATCHDOG, Policy.NONE)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet_month", description="A month of a fleet on simulated time, policy by policy."
    )
    parser.add_argument("--numbers", type=int, default=2000, help="paired numbers (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=3, help="that they are spread over (default: %(default)s)")
    parser.add_argument("--days", type=float, default=30.0, help="simulated (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="at once (default: %(default)s)")
    parser.add_argument(
        "--policy", choices=[one.name.lower() for one in Policy], action="append", help="only these (default: all)"
    )
    parser.add_argument("--no-skip", action="store_true", help="poll through quiet time as well")
    parser.add_argument("--compare", action="store_true", help="the operator's month with and without skipping")
    parser.add_argument("--rates", action="store_true", help="print the table of the rates, and run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw there (default: docs/, for a whole month)")
    return parser.parse_args(given)


def plans(given: argparse.Namespace, policies: Sequence[Policy], *, skip: bool) -> list[month.Plan]:
    """A plan for each policy on each server; a server is simulated by itself, since it shares nothing with others."""
    sizes = [
        given.numbers // given.servers + (number < given.numbers % given.servers) for number in range(given.servers)
    ]
    populations = [Population(f"main-{number}", size) for number, size in enumerate(sizes)]
    return [
        month.Plan(policy=policy, population=one, days=given.days, seed=given.seed, skip=skip)
        for policy, one in itertools.product(policies, populations)
    ]


def run(chosen: Sequence[month.Plan], *, processes: int) -> list[month.Outcome]:
    """Run the plans, and put the servers of a policy together."""
    with multiprocessing.get_context("spawn").Pool(min(processes, len(chosen))) as pool:
        outcomes = pool.map(month.run, chosen, chunksize=1)
    by_policy = {policy: [one for one in outcomes if one.policy is policy] for policy in Policy}
    return [report.together(several) for several in by_policy.values() if several]


def main() -> int:
    """Run, print, and draw; 1 where the operator lost a pairing that could have been kept."""
    given = arguments()
    if given.rates:
        print(report.rates())
        return 0
    began = time.monotonic()
    if given.compare:
        outcomes = [
            run(plans(given, [Policy.OPERATOR], skip=skip), processes=given.processes)[0] for skip in (True, False)
        ]
        print("With skipping, and without:\n")
    else:
        chosen = [one for one in _COSTLIEST_FIRST if not given.policy or one.name.lower() in given.policy]
        outcomes = run(plans(given, chosen, skip=not given.no_skip), processes=given.processes)
    print(report.table(outcomes))
    print(f"\n{given.numbers} numbers on {given.servers} servers, {given.days:g} days, seed {given.seed}; ", end="")
    print(f"{time.monotonic() - began:.0f} s, {sum(one.took for one in outcomes):.0f} s of processor time")
    _keep(given, outcomes)
    return int(any(one.lost_avoidably for one in outcomes if one.policy is Policy.OPERATOR))


def _keep(given: argparse.Namespace, outcomes: Sequence[month.Outcome]) -> None:
    if given.json is not None:
        given.json.write_text(report.as_json(outcomes))
    is_whole = len(outcomes) == len(Policy) and given.days >= MONTH_DAYS
    target = given.chart or (CHART if is_whole else None)
    if target is not None and not given.compare:
        target.write_text(chart.drawn(outcomes))


if __name__ == "__main__":
    sys.exit(main())
