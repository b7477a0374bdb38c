"""`python -m benchmarks`: measures, and prints a table."""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks import environment, plain, report, scale, scenarios

_CHANNEL, _PHONE = "EVOLUTION", "WHATSAPP-BAILEYS"
PARTS = ("channel", "limits", "phone")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures the operator.")
    parser.add_argument(
        "what",
        nargs="?",
        choices=("usual", "scale"),
        default="usual",
        help="usual: one server; scale: as many as --size and --servers say (default: %(default)s)",
    )
    parser.add_argument("--size", type=int, default=10_000, help="scale: instances (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=20, help="scale: servers (default: %(default)s)")
    parser.add_argument("--instances", type=int, default=1000, help="on the one server (default: %(default)s)")
    parser.add_argument(
        "--rest-seconds",
        type=float,
        default=310,
        help="to measure at rest, with one sweep of all resources in it (default: %(default)s)",
    )
    parser.add_argument("--samples", type=int, default=50, help="changes of state, each way (default: %(default)s)")
    parser.add_argument(
        "--apart",
        action="store_true",
        help="the API server and etcd on half of the cores, all else on the other half, in both runs of a comparison",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "--part",
        choices=PARTS,
        action="append",
        help="channel: creation of instances that are open at once; limits: the same with the default request limits; "
        "phone: creation of instances that are scanned, then rest, restart and changes (default: all)",
    )
    return parser.parse_args()


async def _scale(given: argparse.Namespace, stage: scenarios.Stage, machine: environment.Machine) -> report.Results:
    results = report.Results(machine, given.size, given.servers)
    _say(report.machine(machine, given.size, servers=given.servers))
    size = scale.Size(given.size, given.servers, rest_seconds=given.rest_seconds, samples=given.samples)
    results.scaled = await scale.measure(stage, size)
    _say(report.scaled(results.scaled))
    return results


async def _measure(
    given: argparse.Namespace, cluster: environment.Cluster, cores: environment.Cores, folder: Path
) -> report.Results:
    async with plain.connected(cluster.administrator) as api:
        machine = await environment.machine(api, cores)
        if given.what == "scale":
            return await _scale(given, scenarios.Stage(api, cluster, folder, given.size), machine)
        stage = scenarios.Stage(api, cluster, folder, given.instances)
        results = report.Results(machine, given.instances)
        _say(report.machine(results.machine, given.instances))
        parts = given.part or PARTS
        if "channel" in parts:
            await _create(stage, results, "open at once", name="channel", limits=scenarios.RAISED)
        if "limits" in parts:
            await _create(stage, results, "open at once, default limits", name="limits", limits=None)
        if "phone" in parts:
            await _live(stage, results, given)
        return results


async def _create(
    stage: scenarios.Stage, results: report.Results, title: str, *, name: str, limits: dict[str, int] | None
) -> None:
    results.created[title] = made = await scenarios.create(stage, name=name, integration=_CHANNEL, limits=limits)
    _say(report.created(title, made))


async def _live(stage: scenarios.Stage, results: report.Results, given: argparse.Namespace) -> None:
    title = "scanned a second after the QR code shows"
    results.created[title], results.lived = await scenarios.live(
        stage, name="phone", integration=_PHONE, rest_seconds=given.rest_seconds, samples=given.samples
    )
    _say(report.created(title, results.created[title]))
    _say(report.lived(results.lived))


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


def main() -> int:
    """Measure on a cluster that lives as long as this does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        cores = environment.cores_apart() if given.apart else environment.shared_cores()
        with environment.cluster(folder, cores) as cluster:
            results = asyncio.run(_measure(given, cluster, cores, folder))
    if given.json is not None:
        given.json.write_text(results.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
