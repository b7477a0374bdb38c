"""One path through a scenario: the stage is set, everybody comes to rest, and from then on each call is chosen."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog.testing

from simulation import drawing
from simulation import setup as setups
from simulation.exhaustive import small, stand
from simulation.exhaustive.arbiter import Arbiter, Bound, Chooser, Deed, Option
from simulation.exhaustive.rounds import Task
from simulation.history import History
from simulation.invariants import calls, rest
from simulation.invariants.watchdog import Watchdog
from simulation.kubernetes import kinds
from simulation.sight import Sight
from whatsapp_operator.plugins.plugged import NOTHING, Plugged

Wrong = Callable[[Sight], str | None]
"""What is wrong at the end of a path, or None."""


_BEFORE_SECONDS = 100.0
PRELUDE_SECONDS = 200.0
"""Long enough that nothing measures the time from before it."""
_LIMIT_SECONDS = 3000.0
_BOUND = Bound(faults=1, crashes=0)


def _nothing(_: Sight) -> Iterable[float]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A small closed world, and what has to come of it whatever goes wrong."""

    shows: str
    """What it is for."""
    setup: setups.Setup
    before: Deed
    """What has happened long ago; everybody has come to rest since."""
    begin: Deed
    """What happens now."""
    wrong: Wrong
    remembered: float
    """Seconds; nothing that the operator or an invariant does depends on how much longer ago something was."""
    bound: Bound = _BOUND
    """What is exhausted where nobody says otherwise."""
    spoils_lists: bool = False
    """Whether faults also strike the bulk reads of the Evolution API; else these are part of the round."""
    spoils_sharing: bool = False
    """Whether faults also strike the claim on what has no server, and the lists of who takes a claim."""
    stalls_reads: bool = False
    """Whether a process may stand still after a read, too; what rests on it is old then."""
    only: Sequence[str] = ()
    """Where calls are named, nothing goes wrong but with those: for a meeting that would else take long to search."""
    reads_beside: bool = False
    """Whether a list that a look asks for is one of the observer's, which it folds while others look."""
    task: Task | None = None
    """What the operators do in place of their rounds: one strategy alone."""
    of_calls: Sequence[calls.Check] = calls.CHECKS
    """Without announcements there is nothing to hold calls to them."""
    remembers: Callable[[Sight], Iterable[float]] = _nothing
    """The moments that checks of its own go by, which tell states apart as well."""
    plugged: Plugged = NOTHING
    """What a plugin adds."""
    deeds: Mapping[str, Deed] = field(default_factory=dict)
    """What may come in between, each once; each counts as a fault."""


class Game:
    """A path while it is played. It is over when everything is as it has to be, and rests."""

    def __init__(self, scenario: Scenario, chooser: Chooser, *, bound: Bound) -> None:
        self.scenario, self._chooser = scenario, chooser
        self.loop = stand.Loop()
        self.stage = small.SmallStage(scenario.setup, self.loop, platform=_platform(scenario))
        self.stage.plugged, self.stage.reads_beside = scenario.plugged, scenario.reads_beside
        self.loop.set_exception_handler(functools.partial(_fail, self.stage.history))
        self.sight = Sight(self.stage)
        self.dog = Watchdog(self.stage, self.sight, of_calls=scenario.of_calls)
        self.arbiter = Arbiter(self.stage, chooser, bound=bound, deeds=scenario.deeds)
        self._over: asyncio.Future[None] = self.loop.create_future()

    def run(self) -> None:
        """To the end of the path."""
        self.loop.run(self.main())

    async def main(self) -> None:
        """Set the stage, wait until everybody rests, and begin."""
        stage, setup = self.stage, self.scenario.setup
        stage.furnish()
        for slot in range(setup.replicas):
            stage.start_replica(slot)
        for one in setup.instances:
            stage.create(kinds.INSTANCES, one.namespace, one.name, spec=one.spec)
        await asyncio.sleep(_BEFORE_SECONDS)
        self.scenario.before(stage)
        await asyncio.sleep(PRELUDE_SECONDS - _BEFORE_SECONDS)
        self.scenario.begin(stage)
        stage.task = self.scenario.task
        stage.platform.open = False
        self.loop.idle = self._idle
        await self._over
        stage.end()

    def _idle(self) -> bool:
        if not self._is_over():
            return self.arbiter.idle()
        self.loop.idle = lambda: False
        self._chooser.over()
        self._over.set_result(None)
        return True

    def _is_over(self) -> bool:
        if self.loop.time() > PRELUDE_SECONDS + _LIMIT_SECONDS:
            self.stage.history.violate("comes_to_an_end", self.scenario.wrong(self.sight) or "it never rests")
        if self.stage.history.violations:
            return True
        return self.scenario.wrong(self.sight) is None and rest.rests(self.sight)


def _platform(scenario: Scenario) -> stand.Platform:
    return stand.Platform(
        lists_pass=not scenario.spoils_lists,
        sharing_passes=not scenario.spoils_sharing,
        stalls_reads=scenario.stalls_reads,
        only=scenario.only,
    )


def _fail(history: History, _: object, context: dict[str, Any]) -> None:
    error = context.get("exception")
    history.violate("NothingFails", f"{context.get('message')}: {error!r}")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without logs and pictures, which nobody looks at."""
    with structlog.testing.capture_logs(), drawing.left_out():
        yield


@dataclass
class Replay:
    """The chooser that follows a path; where it says nothing, the first option is taken."""

    choices: Mapping[int, int]
    told: list[str] = field(default_factory=list)

    def choose(self, options: Sequence[Option], _: Sequence[int], __: Bound, number: int) -> int:
        """The option of the path."""
        place = self.choices.get(number, 0)
        if place:
            self.told.append(options[place].text)
        return place

    def over(self) -> None:
        """There is no other path to go."""


_ANY = Bound(7, 3)


def replay(scenario: Scenario, choices: Mapping[int, int]) -> Game:
    """Play one path."""
    with quietly():
        game = Game(scenario, Replay(choices), bound=_ANY)
        game.run()
    return game
