"""The development control plane: builds, starts, stops and lists it.

.venv/bin/python tools/control_plane.py start --name dev --kubeconfig dev.kubeconfig
.venv/bin/python tools/control_plane.py stop --name dev
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from native import binaries, places, plane, supervisor

DEFAULT_NAME = "development"


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(COMMANDS[chosen.command](chosen))
    except (supervisor.ControlPlaneError, binaries.BuildError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def build(chosen: argparse.Namespace) -> int:
    """Builds the programs, where they are not built yet."""
    binaries.ensure(nodes=chosen.nodes > 0, scheduler=chosen.scheduler)
    print(binaries.CONTROL_PLANE.folder())
    if chosen.nodes:
        print(binaries.NODES.folder())
    if chosen.scheduler:
        print(binaries.SCHEDULER.folder())
    return 0


def start(chosen: argparse.Namespace) -> int:
    """Starts a control plane and returns once it answers."""
    state = plane.start(chosen.name, kubeconfig=chosen.kubeconfig, **_parts(chosen))
    print(f"The control plane {state.name!r} answers at {state.url}; logs: {state.logs}")
    print(f"export KUBECONFIG={(chosen.kubeconfig or Path(state.kubeconfig)).absolute()}")
    return 0


def run(chosen: argparse.Namespace) -> int:
    """Runs a control plane in the foreground until Ctrl-C."""
    folder = places.run_folder(chosen.name)
    supervisor.Supervisor(chosen.name, folder, **_parts(chosen)).run()
    return 0


def stop(chosen: argparse.Namespace) -> int:
    """Stops a control plane and removes its data."""
    stopped = plane.stop(chosen.name, kubeconfig=chosen.kubeconfig)
    print(f"The control plane {chosen.name!r} " + ("is stopped." if stopped else "was not running."))
    return 0


def list_running(_chosen: argparse.Namespace) -> int:
    """Lists the control planes that run: name, process, address and logs."""
    for state in plane.running():
        print(f"{state.name}\t{state.pid}\t{state.url}\t{state.logs}")
    return 0


def env(chosen: argparse.Namespace) -> int:
    """Prints the line that points kubectl to a control plane."""
    state = plane.find(chosen.name)
    if state is None:
        raise supervisor.ControlPlaneError(f"the control plane {chosen.name!r} is not running")
    print(f"export KUBECONFIG={state.kubeconfig}")
    return 0


def _parts(chosen: argparse.Namespace) -> dict[str, Any]:
    """What the control plane consists of, and which process it must not outlive."""
    return {
        "owner": chosen.owner,
        "audits": chosen.audit,
        "nodes": chosen.nodes,
        "schedules": chosen.scheduler,
    }


COMMANDS = {"build": build, "start": start, "run": run, "stop": stop, "list": list_running, "env": env}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="control_plane.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        command = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        if name in {"start", "run", "stop", "env"}:
            command.add_argument("--name", default=DEFAULT_NAME, help="which control plane (default: %(default)s)")
        if name in {"start", "stop"}:
            command.add_argument("--kubeconfig", type=Path, help="file for the administrator's kubeconfig")
        if name in {"start", "run"}:
            command.add_argument("--owner", type=int, help="process that the control plane must not outlive")
            command.add_argument("--audit", action="store_true", help="log every request to audit.log, without bodies")
        if name in {"build", "start", "run"}:
            command.add_argument(
                "--nodes", type=int, default=0, help="how many nodes kwok plays (default: %(default)s)"
            )
            command.add_argument("--scheduler", action="store_true", help="give pods that name no node one of these")
    return parser


if __name__ == "__main__":
    sys.exit(main())
