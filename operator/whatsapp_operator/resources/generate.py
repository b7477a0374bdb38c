"""Writes what follows from the models: `crds/*.yaml`, their copies in the Helm chart, and `docs/api.md`.

    python -m whatsapp_operator.resources.generate [--check] [--root DIRECTORY]

With `--check` nothing is written, and the exit code is 1 when a file differs from what would be written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from whatsapp_operator.resources import reference, schema

_HEADER = "# Generated from operator/whatsapp_operator/resources by `make generate`.\n"
_DEFINITIONS = (Path("crds"), Path("helm") / "whatsapp-operator" / "files" / "crds")
"""A chart is packed from its own folder: it cannot reach the other copy, and links are not followed everywhere."""


def files() -> Mapping[Path, str]:
    """Return the generated files by their path within the repository."""
    definitions = {f"{one.plural}.yaml": _manifest(one) for one in schema.RESOURCES}
    copies = {folder / name: text for folder in _DEFINITIONS for name, text in definitions.items()}
    return copies | {Path("docs") / "api.md": reference.document(schema.RESOURCES)}


def outdated(root: Path) -> list[Path]:
    """Return the files below `root` that differ from what the models say."""
    return [path for path, text in files().items() if not _holds(root / path, text)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the CRDs and their reference from the models.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file differs")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository; the current directory by default")
    chosen = parser.parse_args(arguments)
    stale = outdated(chosen.root)
    if chosen.check:
        _report(stale)
        return 1 if stale else 0
    for path in stale:
        _write(chosen.root / path, files()[path])
    return 0


def _manifest(resource: schema.Resource) -> str:
    return _HEADER + yaml.dump(
        schema.definition(resource), Dumper=_NoAliases, sort_keys=False, width=110, allow_unicode=True
    )


class _NoAliases(yaml.SafeDumper):
    """Writes repeated parts out, since not every reader of manifests follows YAML anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _report(stale: Sequence[Path]) -> None:
    for path in stale:
        sys.stderr.write(f"{path} differs from the models: run `make generate`\n")


if __name__ == "__main__":
    sys.exit(main())
