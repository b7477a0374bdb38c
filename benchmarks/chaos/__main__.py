"""`python -m benchmarks.chaos`: runs the drills, and prints what each has cost."""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import environment, plain
from benchmarks.chaos import drills, fleet
from benchmarks.operator_process import Operator

_HEALED_SECONDS = 1800.0
_BEGUN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one drill has cost. Seconds are as measured; in life they are ten times as long."""

    title: str
    broken: int
    lost: int
    """Pairings that are gone, or another: each could have been kept."""
    seconds: float
    """From the end of the cause until every instance was Ready."""
    steps: dict[str, int]
    server_restarts: int
    calls: int
    calls_each_minute: float
    disturbed: int
    """Instances that were called to change something though nothing was wrong with them."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description="Breaks a fleet, and counts.")
    parser.add_argument("--instances", type=int, default=1000, help="on three servers (default: %(default)s)")
    parser.add_argument("--drill", choices=drills.DRILLS, action="append", help="only these (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of what is broken (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args()


async def run(given: argparse.Namespace, cluster: environment.Cluster, folder: Path) -> list[Outcome]:
    """Run the drills one after another on one fleet."""
    operator = Operator(cluster.operator, folder / "operator.log", flags=fleet.FLAGS)
    async with plain.connected(cluster.administrator) as api, fleet.opened(api, size=given.instances) as people:
        await environment.allow_server_restarts(cluster, fleet.NAMESPACE)
        await asyncio.to_thread(operator.start)
        try:
            await people.all_ready(seconds=_BEGUN_SECONDS)
            scene = drills.Scene(people, operator, random.Random(given.seed))  # noqa: S311 - the same again
            return [await _drill(scene, drills.DRILLS[name]) for name in given.drill or drills.DRILLS]
        finally:
            await asyncio.to_thread(operator.stop)


async def _drill(scene: drills.Scene, drill: drills.Drill) -> Outcome:
    people = scene.fleet
    people.reset()
    before, restarts, position = people.pairings(), _restarts(people), _log_size(scene.operator)
    began = time.monotonic()
    broken = await drill.do(scene)
    over = time.monotonic()
    await asyncio.sleep(5)  # bad news is believed when it was read twice
    await people.all_ready(seconds=_HEALED_SECONDS)
    healed = time.monotonic()
    after, calls = people.pairings(), people.calls().total()
    outcome = Outcome(
        title=drill.title,
        broken=len(broken),
        lost=sum(after.get(name) != one for name, one in before.items()),
        seconds=round(healed - over, 1),
        steps=dict(_steps(scene.operator, since=position)),
        server_restarts=_restarts(people) - restarts,
        calls=calls,
        calls_each_minute=round(calls / (healed - began) * 60, 1),
        disturbed=len(people.changed(broken)),
    )
    print(f"\n{told(outcome)}", flush=True)
    return outcome


def _restarts(people: fleet.Fleet) -> int:
    return sum(house.pod.restarts for house in people.houses)


def _log_size(operator: Operator) -> int:
    return operator.log_file.stat().st_size


def _steps(operator: Operator, *, since: int) -> Counter[str]:
    """The steps whose verdict is known, by step and result, as the audit trail tells."""
    lines = operator.log_file.read_bytes()[since:].decode(errors="replace").splitlines()
    entries = [json.loads(line) for line in lines if '"audit"' in line]
    return Counter(f"{one['step']} {one['result']}" for one in entries if one.get("phase") == "result")


def told(outcome: Outcome) -> str:
    """A drill, as a few lines."""
    steps = ", ".join(f"{count} x {step}" for step, count in sorted(outcome.steps.items())) or "none"
    return (
        f"{outcome.title} ({outcome.broken} broken)\n"
        f"  pairings lost          {outcome.lost}\n"
        f"  until all were Ready   {outcome.seconds} s, at ten times the speed of life\n"
        f"  steps                  {steps}\n"
        f"  server restarts        {outcome.server_restarts}\n"
        f"  calls to the servers   {outcome.calls}, {outcome.calls_each_minute} a minute\n"
        f"  others disturbed       {outcome.disturbed}"
    )


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """1 when a pairing was lost, or an instance disturbed that was well."""
    return int(any(one.lost or one.disturbed for one in outcomes))


def main() -> int:
    """Run on a cluster that lives as long as this does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = arguments()
    os.environ["KIND_NATIVE_NODES"] = "1"
    cores = environment.shared_cores()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, environment.cluster(Path(name), cores) as cluster:
        outcomes = asyncio.run(run(given, cluster, Path(name)))
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=2))
    return exit_code(outcomes)


if __name__ == "__main__":
    sys.exit(main())
