"""The branches that a search reaches, in all its processes together."""

from __future__ import annotations

import json
import mmap
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import whatsapp_operator

_LINES = 1 << 10
"""More than a module has, backwards counted as well."""
_RECOVERY = ("gates", "guard", "incident", "ladder", "ledger", "planner", "strategies", "verification")
_ENGINE = ("deletion", "owned", "steps", "treasury")
Arc = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reached:
    """Of one module: how many branches there are, and which of them no path took."""

    branches: int
    missing: tuple[Arc, ...]
    """From a line to a line; a negative one is the way out."""
    missing_lines: tuple[int, ...]


def modules() -> Sequence[Path]:
    """What the search is about: planner, strategies, safe delete, budget, and what they rest on."""
    home = Path(whatsapp_operator.__file__).parent
    return [home / "recovery" / f"{name}.py" for name in _RECOVERY] + [home / "engine" / f"{n}.py" for n in _ENGINE]


class Measure:
    """Started before a search, told the end of each path, and asked afterwards."""

    def __init__(self, modules: Sequence[Path]) -> None:
        self._include = [str(path) for path in modules]
        self._tool = coverage.Coverage(branch=True, data_file=None, include=self._include, config_file=False)
        self._seen = mmap.mmap(-1, len(self._include) * _LINES * _LINES)
        self._folder = tempfile.TemporaryDirectory()
        self._arcs = Path(self._folder.name) / "arcs"
        self._arcs.touch()

    def start(self) -> None:
        """From now on, in this process and its copies."""
        self._tool.start()

    def path_ended(self) -> None:
        """The process of a path is about to end."""
        self._tool.stop()
        self.keep()

    def keep(self) -> None:
        """Keep what this process has reached, and no other has kept."""
        data = self._tool.get_data()
        news = [
            (name, arc) for name in data.measured_files() for arc in data.arcs(name) or () if self._is_new(name, arc)
        ]
        if news:
            with self._arcs.open("a") as file:
                file.write("".join(f"{json.dumps([name, *arc])}\n" for name, arc in news))

    def _is_new(self, name: str, arc: Arc) -> bool:
        """Each arc has a place of its own: a way out of a module is a line that is counted backwards."""
        begin, end = arc
        place = (self._include.index(name) * _LINES + begin % _LINES) * _LINES + end % _LINES
        known, self._seen[place] = self._seen[place], 1
        return not known

    def result(self) -> Mapping[str, Reached]:
        """Module by module."""
        self._tool.erase()
        self._tool.get_data().add_arcs(self._kept())
        report = Path(self._folder.name) / "report"
        self._tool.json_report(outfile=str(report), include=self._include)
        found = json.loads(report.read_text())["files"]
        return {"/".join(Path(name).parts[-2:]): _reached(body) for name, body in sorted(found.items())}

    def _kept(self) -> Mapping[str, Sequence[Arc]]:
        kept = defaultdict[str, list[Arc]](list)
        for line in self._arcs.read_text().splitlines():
            name, begin, end = json.loads(line)
            kept[name].append((begin, end))
        return kept


def _reached(body: Mapping[str, object]) -> Reached:
    summary, missing, lines = body["summary"], body["missing_branches"], body["missing_lines"]
    if not isinstance(summary, dict) or not isinstance(missing, list) or not isinstance(lines, list):
        raise TypeError("coverage has another form of report")
    return Reached(summary["num_branches"], tuple((begin, end) for begin, end in missing), tuple(lines))
