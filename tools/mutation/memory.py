"""What earlier runs have noticed, so that one that was ended goes on where it was.

A mutant that a test notices is noticed as long as the module and the test stay as they are. Tests are added far more
often than taken out, so only the module is looked at here; `--anew` forgets all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from mutation.targets import SOURCES, TREE

_FOLDER = TREE / ".cache" / "mutation"


def noticed(module: str) -> frozenset[str]:
    """The mutants of a module, as it is now, that were noticed."""
    file = _file(module)
    return frozenset(file.read_text().splitlines()) if file.exists() else frozenset()


def note(module: str, mutant: str) -> None:
    """Remember one."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with _file(module).open("a") as file:
        file.write(f"{mutant}\n")


def forget() -> None:
    """Remember none."""
    shutil.rmtree(_FOLDER, ignore_errors=True)


def survey(modules: Sequence[str], tests: Sequence[str]) -> str | None:
    """What these tests reach, if nothing has changed since."""
    file = _survey_file(modules, tests)
    return file.read_text() if file.exists() else None


def keep_survey(modules: Sequence[str], tests: Sequence[str], text: str) -> None:
    """Remember it."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    _survey_file(modules, tests).write_text(text)


def _survey_file(modules: Sequence[str], tests: Sequence[str]) -> Path:
    digest = hashlib.sha256(json.dumps([list(modules), list(tests)]).encode())
    files = {TREE / test.partition("::")[0] for test in tests}
    for file in (*sorted(SOURCES.rglob("*.py")), *sorted(files)):
        digest.update(file.read_bytes())
    return _FOLDER / f"survey-{digest.hexdigest()[:16]}"


def _file(module: str) -> Path:
    digest = hashlib.sha256((SOURCES / module).read_bytes()).hexdigest()[:16]
    return _FOLDER / f"{module.replace('/', '-')}-{digest}"
