"""Answers as the `kind` program, with a control plane of plain processes in place of containers.

It knows what pytest-kind asks for, and refuses what needs a container. The process named in `KIND_NATIVE_OWNER`, if
any, is one that no cluster created here outlives. `KIND_NATIVE_NODES` is how many nodes kwok plays in it, else none.
"""

import argparse
import os
import sys
from pathlib import Path

from native import binaries, plane, supervisor


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.function(chosen))
    except (supervisor.ControlPlaneError, binaries.BuildError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1


def get_clusters(_chosen: argparse.Namespace) -> int:
    states = plane.running()
    for state in states:
        print(state.name)
    if not states:
        print("No kind clusters found.", file=sys.stderr)
    return 0


def create_cluster(chosen: argparse.Namespace) -> int:
    owner = os.environ.get("KIND_NATIVE_OWNER")
    nodes = int(os.environ.get("KIND_NATIVE_NODES", "0"))
    plane.start(chosen.name, kubeconfig=chosen.kubeconfig, owner=int(owner) if owner else None, nodes=nodes)
    return 0


def delete_cluster(chosen: argparse.Namespace) -> int:
    plane.stop(chosen.name, kubeconfig=chosen.kubeconfig)
    return 0


def load_image(_chosen: argparse.Namespace) -> int:
    raise supervisor.ControlPlaneError("images cannot be loaded: this cluster has no nodes that could run them")


def version(_chosen: argparse.Namespace) -> int:
    print(f"kind-native, Kubernetes {binaries.VERSION}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kind-native", description="kind, without containers")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("version").set_defaults(function=version)
    _cluster_command(commands, "create", create_cluster)
    _cluster_command(commands, "delete", delete_cluster)
    get = commands.add_parser("get").add_subparsers(required=True)
    get.add_parser("clusters").set_defaults(function=get_clusters)
    load = commands.add_parser("load")
    load.add_argument("what", nargs=argparse.REMAINDER)
    load.set_defaults(function=load_image)
    return parser


def _cluster_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", verb: str, function: object
) -> None:
    command = commands.add_parser(verb).add_subparsers(required=True).add_parser("cluster")
    command.add_argument("--name", default="kind")
    command.add_argument("--kubeconfig", type=Path)
    for taken_for_compatibility in ("--image", "--config", "--wait"):
        command.add_argument(taken_for_compatibility, help=argparse.SUPPRESS)
    command.set_defaults(function=function)
