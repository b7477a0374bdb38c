"""Writes what the Helm chart says about the operator's options, and what the documentation says about the chart.

    .venv/bin/python tools/chart.py [--check]

In `values.schema.json` the options are those of `whatsapp-operator run`, but for the ones that the chart sets itself.
In `docs/helm.md` the table of values stands between two marks: names and meanings are the schema's, defaults those of
`values.yaml`. With `--check` nothing is written, and the exit code is 1 when a file differs from what would be written.
"""

import argparse
import enum
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from native import places
from whatsapp_operator.cli import options

CHART = places.TREE / "helm" / "whatsapp-operator"
SCHEMA = CHART / "values.schema.json"
DOCUMENT = places.TREE / "docs" / "helm.md"
MARKS = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- end of values -->)", re.DOTALL)
SET_BY_THE_CHART = frozenset({"namespace", "kubeconfig", "telemetry_host", "telemetry_port", "lease_namespace"})

Schema = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or checks them; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file differs")
    chosen = parser.parse_args(arguments)
    stale = {path: text for path, text in files().items() if path.read_text() != text}
    for path, text in stale.items():
        if chosen.check:
            print(f"{path.relative_to(places.TREE)} differs from the options: run `make generate`", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if chosen.check and stale else 0


def files() -> Mapping[Path, str]:
    """The files with their generated parts as they have to be."""
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["options"]["properties"] = dict(_options())
    table = _table(schema, yaml.safe_load((CHART / "values.yaml").read_text()))
    return {
        SCHEMA: json.dumps(schema, indent=2) + "\n",
        DOCUMENT: MARKS.sub(lambda _: f"\n{table}\n", DOCUMENT.read_text()),
    }


def camel_case(name: str) -> str:
    """The name of an option as a value of the chart: `logLevel`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _options() -> Iterator[tuple[str, Schema]]:
    for name, default, flag in options.flags():
        if name not in SET_BY_THE_CHART:
            meaning = f"{flag.help} Default: {options.shown(default) or 'none'}."
            yield camel_case(name), _type(name, default) | {"description": meaning}


def _type(name: str, default: object) -> Schema:
    """The JSON type of an option; the operator itself knows the bounds of each, and tells them at start."""
    if name.endswith("_seconds"):
        return {"type": "number", "minimum": 1}
    if isinstance(default, enum.StrEnum):
        return {"type": "string", "enum": list(type(default))}
    if isinstance(default, tuple):
        return {"type": "array", "items": {"type": "string"}}
    if isinstance(default, int):
        return {"type": "integer", "minimum": 1}
    raise TypeError(f"{name}, by default {default!r}, has no type in the chart yet")


def _table(schema: Schema, values: Mapping[str, Any]) -> str:
    rows = [f"| `{name}` | `{json.dumps(default)}` | {meaning} |" for name, default, meaning in _rows(schema, values)]
    return "\n".join(["| Value | Default | Meaning |", "| --- | --- | --- |", *rows, ""])


def _rows(schema: Schema, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object, str]]:
    """Each value with its default and meaning; the single options stand in docs/configuration.md."""
    for name, one in schema["properties"].items():
        if name in values:
            if one.get("properties") and name != "options":
                yield from _rows(one, values[name], f"{prefix}{name}.")
            else:
                yield prefix + name, values[name], one["description"]


if __name__ == "__main__":
    sys.exit(main())
