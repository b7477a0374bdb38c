"""`whatsapp-operator`: the operator as a program."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

from whatsapp_operator.cli import options, run

USAGE_ERROR = 2


def main(
    arguments: Sequence[str] | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    start: Callable[[options.Options], int] = run.run,
) -> int:
    """Run the command that `arguments` name and return its exit code: 0 when it was stopped, 2 for unusable options."""
    parser = build_parser()
    given = parser.parse_args(arguments)
    try:
        chosen = options.read(given, environment)
    except options.OptionsError as error:
        sys.stderr.write(f"{parser.prog}: unusable options\n{error}\n")
        return USAGE_ERROR
    return start(chosen)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="whatsapp-operator", description="Keeps WhatsApp instances alive.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    operate = commands.add_parser(
        "run",
        help="run the operator until SIGTERM or SIGINT",
        description="Run the operator. Each flag can also be set by a variable: --log-level by "
        "WHATSAPP_OPERATOR_LOG_LEVEL, and so on.",
        allow_abbrev=False,
    )
    options.add_to(operate)
    return parser


def _version() -> str:
    try:
        return metadata.version("whatsapp-operator")
    except metadata.PackageNotFoundError:
        return "from source, not installed"
