"""The search: at each choice the process is copied once for each way on, depth first; no state is gone on from twice.

A copy (`fork`) carries everything with it, also the coroutines that wait somewhere, so that no path is played twice.
As many copies run side by side as there are jobs.
A search that is to end after some time notes from which states it has not gone every way; the next one plays the paths
there once more, and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from simulation.exhaustive import fingerprint, play
from simulation.exhaustive.arbiter import Bound, Option
from simulation.exhaustive.jobs import Failed, Jobs
from simulation.exhaustive.kept import Crossing, Finding, Kept
from simulation.exhaustive.table import NAMES, Table, fits

_ENOUGH = 25
"""Findings after which a search stops."""
_SLOTS = 1 << 22
_GOES_ROUND = "comes_to_an_end", "it goes round without an end"
_GO_ROUND = "states lead to each other without an end; search again with --jobs 1, and at once, for the path"


@dataclass(frozen=True, slots=True)
class Result:
    """What a search has reached and found."""

    counted: Mapping[str, int]
    findings: tuple[Finding, ...]
    left: int = 0
    """States from which it has not gone every way, since its time was over."""

    @property
    def shortest(self) -> Finding | None:
        """The finding in which least goes wrong."""
        return min(self.findings, key=lambda one: one.size, default=None)


@dataclass
class _Search:
    """The chooser that takes every option."""

    kept: Kept
    jobs: Jobs
    enough: int
    on_end: Callable[[], None]
    ends_at: float
    """Monotonic seconds after which no more ways are gone."""
    crossings: Sequence[Crossing]
    """Where the search before has ended; none for one that begins."""
    chosen: dict[int, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    game: play.Game | None = None
    tells: fingerprint.Fingerprint | None = None
    towards: Crossing | None = None
    """Where this path is led to before it chooses for itself."""
    parent: int = field(default_factory=os.getppid)
    passed: dict[bytes, Bound] = field(default_factory=dict)
    """The states of this path. To come back to one, with nothing gone wrong since, is to go round for ever."""
    last: tuple[bytes, Bound] | None = None
    """The one of the choice before."""

    def begin(self, scenario: play.Scenario, bound: Bound) -> None:
        """The first path, of which all others are copies."""
        self.parent = os.getppid()
        self.game = play.Game(scenario, self, bound=bound)
        self.tells = fingerprint.Fingerprint(self.game)
        self.game.run()

    @property
    def _game(self) -> play.Game:
        if self.game is None:
            raise RuntimeError("nothing is played")
        return self.game

    def choose(self, options: Sequence[Option], allowed: Sequence[int], left: Bound, number: int) -> int:
        """Take every option, each in a process of its own but for the last."""
        if os.getppid() != self.parent:
            os._exit(1)  # who waits for this was killed
        if self.kept.table["stopped"]:
            self.over()
        if number == 0 and self.crossings:
            self._go_on()
        place = self._follow(left, number) if self.towards is not None else self._go(allowed, left, number)
        if place:
            self.chosen[number] = place
            self.told.append(options[place].text)
        return place

    def _go_on(self) -> None:
        """In a copy for each state at which the search before has ended."""
        for one in self.crossings:
            if self._copies():
                self.towards = one
                return
        self._end()

    def _follow(self, left: Bound, number: int) -> int:
        """The way to where the search before has ended, and from there what is left."""
        assert self.towards is not None  # noqa: S101 - who calls has looked
        self._pass(self._digest(), left)
        if number < self.towards.number:
            return self.towards.choices.get(number, 0)
        places, self.towards = self.towards.places, None
        return self._spread(places, number)

    def _go(self, allowed: Sequence[int], left: Bound, number: int) -> int:
        table, digest = self.kept.table, self._digest()
        table.most("deepest", number + 1)
        if self.last is not None and self.last[1] == left:
            self.kept.ways.add(self.last[0], digest, left)
        if not table.enter(digest, left):
            if self.passed.get(digest) == left:
                self._game.stage.history.violate(*_GOES_ROUND)
            self.over()
        self._pass(digest, left)
        table.count("choices", len(allowed))
        return self._spread(allowed, number)

    def _pass(self, digest: bytes, left: Bound) -> None:
        self.passed[digest], self.last = left, (digest, left)

    def _digest(self) -> bytes:
        assert self.tells is not None  # noqa: S101 - set before anything is played
        return self.tells.digest()

    def _spread(self, places: Sequence[int], number: int) -> int:
        """A path that was begun is gone to its end, also when the time is over: so each search gets on."""
        for at, place in enumerate(places[:-1], start=1):
            if self._copies():
                return place
            if time.monotonic() > self.ends_at or self.kept.table["ending"]:
                self.kept.leave(Crossing(self.chosen, number, places[at:]))
                self._end()
        return places[-1]

    def _copies(self) -> bool:
        """Whether this is the copy."""
        parent = os.getpid()
        try:
            is_copy = self.jobs.copy()
        except Failed:
            self._fail()
        if is_copy:
            self.parent = parent
            # A loop is known to be running in the process that began it only.
            asyncio.events._set_running_loop(self._game.loop)
        return is_copy

    def _fail(self) -> NoReturn:
        self.kept.table.count("stopped")
        os._exit(1)

    def over(self) -> NoReturn:
        """The path is over."""
        self.kept.table.count("paths")
        self.kept.table.most("seconds", int(self._game.loop.time() - play.PRELUDE_SECONDS))
        for violation in self._game.stage.history.violations[:1]:
            self._find(violation.invariant, violation.text)
        self._end()

    def _end(self) -> NoReturn:
        self.on_end()
        sys.stdout.flush()
        try:
            self.jobs.end()
        except Failed:
            self._fail()
        os._exit(0)

    def _find(self, invariant: str, text: str) -> None:
        left, taken, table = self._game.arbiter.left, self._game.arbiter.taken, self.kept.table
        self.kept.find(
            Finding(
                invariant, text, left.faults, left.crashes, tuple(self.chosen.items()), tuple(self.told), length=taken
            )
        )
        table.count("violations")
        if table["violations"] >= self.enough:
            table.count("stopped")


def search(
    scenario: play.Scenario,
    bound: Bound,
    *,
    enough: int = _ENOUGH,
    slots: int = _SLOTS,
    on_end: Callable[[], None] = lambda: None,
    keep: Path | None = None,
    seconds: float = float("inf"),
    jobs: int = 1,
) -> Result:
    """Go every way through a scenario within a bound; `on_end` is called in each process at the end of its path.

    In a folder `keep` the search goes on where one of the same scenario, bound and code has ended; each ends after so
    many `seconds`, after a SIGINT or SIGTERM, or when every way was gone. So many `jobs` are done side by side.

    Raises:
        ValueError: there is no room for so much that goes wrong, or there is to be no job.
        RuntimeError: a process of the search failed; what it said is on stderr.
        Torn: the search that was kept there was killed.
    """
    fits(bound)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Kept(keep or Path(folder), slots=slots)) as kept:
        rights = Jobs(jobs, goes_on=lambda: not kept.table["stopped"])
        with kept.under_way(), _ended_by_signals(kept.table) if keep is not None else contextlib.nullcontext():
            begins = not kept.table["states"]
            crossings = kept.take_up()
            if begins or crossings:
                ends_at = time.monotonic() + seconds
                _in_a_process(scenario, bound, _Search(kept, rights, enough, on_end, ends_at, crossings))
        if begins or crossings:
            _look_for_rounds(kept)
        counted = {name: kept.table[name] for name in NAMES}
        return Result(counted, tuple(kept.findings()), left=len(kept.left()))


@contextlib.contextmanager
def _ended_by_signals(table: Table) -> Iterator[None]:
    """Whichever process is told so notes it for all: a terminal tells all of them, a supervisor only the first."""
    table.mark("ending", 0)

    def end(*_: object) -> None:
        table.mark("ending", 1)

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _look_for_rounds(kept: Kept) -> None:
    """What no path has gone round by itself, which would have been a finding of its own."""
    known = any((one.invariant, one.text) == _GOES_ROUND for one in kept.findings())
    if kept.left() or known or not kept.ways.lead_round():
        return
    invariant, _ = _GOES_ROUND
    kept.find(Finding(invariant, _GO_ROUND, 0, 0, choices=(), told=(), length=0, can_be_played=False))
    kept.table.count("violations")


def _in_a_process(scenario: play.Scenario, bound: Bound, chooser: _Search) -> None:
    sys.stdout.flush()  # or each path would print once more what waits to be printed
    gc.collect()
    gc.freeze()
    gc.disable()  # it would write to all memory, and so have it copied
    child = os.fork()
    if child == 0:
        _begin(scenario, bound, chooser)
    _, status = os.waitpid(child, 0)
    gc.enable()
    gc.unfreeze()
    if status:
        raise RuntimeError(f"a process of the search ended with {status}")


def _begin(scenario: play.Scenario, bound: Bound, chooser: _Search) -> NoReturn:
    try:
        with play.quietly():
            chooser.begin(scenario, bound)
    finally:
        # The path's end never comes back here.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
