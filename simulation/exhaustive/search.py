"""The search: at each choice the process is copied once for each way on, depth first; no state is gone on from twice.

A copy (`fork`) carries everything with it, also the coroutines that wait somewhere, so that no path is played twice.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from simulation.exhaustive import fingerprint, play
from simulation.exhaustive.arbiter import Bound, Option
from simulation.exhaustive.table import NAMES, Table

_ENOUGH = 25
"""Findings after which a search stops."""
_SLOTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Finding:
    """A path at whose end an invariant does not hold."""

    invariant: str
    text: str
    faults_left: int
    crashes_left: int
    choices: tuple[tuple[int, int], ...]
    """What was chosen where it was not the first option, by the number of the choice."""
    told: tuple[str, ...]
    """Those choices in words."""
    length: int

    @property
    def size(self) -> tuple[int, int, int]:
        """Less of it is better: what goes wrong, what is chosen besides, how long it takes."""
        return -self.faults_left - self.crashes_left, len(self.choices), self.length


@dataclass(frozen=True, slots=True)
class Result:
    """What a search has reached and found."""

    counted: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def shortest(self) -> Finding | None:
        """The finding in which least goes wrong."""
        return min(self.findings, key=lambda one: one.size, default=None)


@dataclass
class _Search:
    """The chooser that takes every option."""

    table: Table
    findings: Path
    enough: int
    on_end: Callable[[], None]
    chosen: dict[int, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    game: play.Game | None = None
    parent: int = field(default_factory=os.getppid)
    passed: dict[bytes, Bound] = field(default_factory=dict)
    """The states of this path. To come back to one, with nothing gone wrong since, is to go round for ever."""

    @property
    def _game(self) -> play.Game:
        if self.game is None:
            raise RuntimeError("nothing is played")
        return self.game

    def choose(self, options: Sequence[Option], allowed: Sequence[int], left: Bound, number: int) -> int:
        """Take every option, each in a process of its own but for the last."""
        if os.getppid() != self.parent:
            os._exit(1)  # who waits for this was killed
        if self.table["stopped"]:
            self.over()
        self.table.deepen(number + 1)
        digest = fingerprint.of(self._game)
        if not self.table.enter(digest, left):
            if self.passed.get(digest) == left:
                self._game.stage.history.violate("comes_to_an_end", "it goes round without an end")
            self.over()
        self.passed[digest] = left
        self.table.count("choices", len(allowed))
        place = next((place for place in allowed[:-1] if self._copies()), allowed[-1])
        if place:
            self.chosen[number] = place
            self.told.append(options[place].text)
        return place

    def _copies(self) -> bool:
        """Whether this is the copy; the other one waits until that has gone every way."""
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            self.parent = parent
            # A loop is known to be running in the process that began it only.
            asyncio.events._set_running_loop(self._game.loop)
            return True
        _, status = os.waitpid(child, 0)
        if status:
            self.table.count("stopped")
            os._exit(1)
        return False

    def over(self) -> NoReturn:
        """The path is over."""
        self.table.count("paths")
        for violation in self._game.stage.history.violations[:1]:
            self._find(violation.invariant, violation.text)
        self.on_end()
        sys.stdout.flush()
        os._exit(0)

    def _find(self, invariant: str, text: str) -> None:
        left, taken = self._game.arbiter.left, self._game.arbiter.taken
        found = Finding(
            invariant, text, left.faults, left.crashes, tuple(self.chosen.items()), tuple(self.told), length=taken
        )
        with self.findings.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(found)) + "\n")
        self.table.count("violations")
        if self.table["violations"] >= self.enough:
            self.table.count("stopped")


def search(
    scenario: play.Scenario,
    bound: Bound,
    *,
    enough: int = _ENOUGH,
    slots: int = _SLOTS,
    on_end: Callable[[], None] = lambda: None,
) -> Result:
    """Go every way through a scenario within a bound; `on_end` is called in each process at the end of its path.

    Raises:
        RuntimeError: a process of the search failed; what it said is on stderr.
    """
    table = Table(slots=slots)
    with tempfile.TemporaryDirectory() as folder:
        findings = Path(folder) / "findings"
        findings.touch()
        gc.collect()
        gc.freeze()
        gc.disable()  # it would write to all memory, and so have it copied
        child = os.fork()
        if child == 0:
            _begin(scenario, bound, _Search(table, findings, enough, on_end))
        _, status = os.waitpid(child, 0)
        gc.enable()
        gc.unfreeze()
        if status:
            raise RuntimeError(f"a process of the search ended with {status}")
        lines = findings.read_text().splitlines()
    return Result({name: table[name] for name in NAMES}, tuple(_finding(line) for line in lines))


def _begin(scenario: play.Scenario, bound: Bound, chooser: _Search) -> NoReturn:
    try:
        with play.quietly():
            chooser.parent = os.getppid()
            chooser.game = play.Game(scenario, chooser, bound=bound)
            chooser.game.run()
    finally:
        # The path's end never comes back here.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _finding(line: str) -> Finding:
    body = json.loads(line)
    pairs = tuple((number, place) for number, place in body.pop("choices"))
    return Finding(choices=pairs, told=tuple(body.pop("told")), **body)
