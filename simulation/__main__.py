"""`python -m simulation`: runs seeds, shrinks what fails, and replays it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from simulation import campaign, deeds, run
from simulation.shrink import shrink

_SHOWN = 3
_LINES = 400


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed, and show its history")
    parser.add_argument(
        "--keep", metavar="NUMBERS", help="with --seed: only these deeds, such as 2,5; none where empty"
    )
    parser.add_argument("--first", type=int, default=0, help="the first of many seeds (default: %(default)s)")
    parser.add_argument("--count", type=int, default=500, help="how many seeds (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=0, help="how many at once (default: as processors)")
    parser.add_argument("--coverage", type=Path, metavar="FILE", help="write the whole coverage there")
    return parser.parse_args(given)


def main() -> int:
    """The exit code is 1 where an invariant did not hold."""
    given = arguments()
    if given.seed is not None:
        return _one(given.seed, _numbers(given.keep))
    return _many(given)


def _numbers(text: str | None) -> list[int] | None:
    return [int(number) for number in text.split(",") if number] if text is not None else None


def _one(seed: int, kept: Sequence[int] | None) -> int:
    outcome = run.run(seed, kept=kept)
    if kept is None and outcome.violations:
        outcome = _shrunk(outcome)
    _show(outcome)
    return int(bool(outcome.violations))


def _shrunk(outcome: run.Outcome) -> run.Outcome:
    return shrink(outcome, lambda kept: run.run(outcome.seed, kept=kept))


def _show(outcome: run.Outcome) -> None:
    print(outcome.history.text(last=_LINES))
    print(f"\nseed {outcome.seed}: {outcome.seconds:.0f} simulated seconds, {len(outcome.schedule.entries)} deeds")
    for entry in outcome.schedule.entries:
        print(f"  {entry}")
    for violation in outcome.violations:
        print(violation)
    if outcome.violations:
        kept = ",".join(str(entry.number) for entry in outcome.schedule.entries)
        print(f"replay: make simulate SEED={outcome.seed} KEEP={kept}")
    print(f"history {outcome.history.digest()}")


def _many(given: argparse.Namespace) -> int:
    total, began = campaign.Total(), time.monotonic()
    for result in campaign.play_all(range(given.first, given.first + given.count), processes=given.processes):
        total.add(result)
        if result.violation is not None:
            print(f"seed {result.seed}: {result.violation}", flush=True)
    took = time.monotonic() - began
    print(f"{total.runs} runs in {took:.0f} s ({total.runs * 60 / took:.0f} a minute), {len(total.failed)} failed")
    print(
        f"{total.seconds / 86400:.1f} simulated days, {total.calls} Evolution calls, {total.writes} Kubernetes writes"
    )
    print(total.coverage.report(deeds.every_fault()))
    if given.coverage is not None:
        given.coverage.write_text(total.coverage.details(deeds.every_fault()))
    for result in sorted(total.failed, key=lambda one: one.seed)[:_SHOWN]:
        _show(_shrunk(run.run(result.seed)))
    return int(bool(total.failed))


if __name__ == "__main__":
    sys.exit(main())
