"""What stands where chance stands in a drawn run: a loop that asks before time goes on, and processes that wait for it.

While any call is about to leave, no time passes: calls take none. So "at the same time" means in every order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from simulation import life, loop
from simulation.exhaustive import fates

_OF_HEALTH = frozenset({"sample", "probe"})


class Loop(loop.SimulatedLoop):
    """Asks `idle` whenever nothing is ready; time goes on only where that did nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.idle: Callable[[], bool] = lambda: False

    def timers(self) -> Sequence[asyncio.TimerHandle]:
        """All that are set, those that were cancelled included."""
        return [timer for _, _, timer in self._timers]

    def _run_once(self) -> None:
        is_due = bool(self._timers) and self._timers[0][0] <= self._seconds
        if self._ready or self._stopping or is_due or not self.idle():
            super()._run_once()


@dataclass(eq=False)
class Parked:
    """A call that waits to leave its process."""

    process: Life
    call: fates.Outgoing
    gate: asyncio.Future[None]

    @property
    def text(self) -> str:
        """Whose call, and what for."""
        return f"{self.process.name}: {self.call.text}"


@dataclass
class Platform:
    """Where all calls wait that are about to leave."""

    lists_pass: bool
    """The bulk reads of the Evolution API are served at once."""
    sharing_passes: bool = True
    """Likewise what a process does besides when it takes a claim."""
    stalls_reads: bool = False
    """A process may stand still after a read, too."""
    only: Sequence[str] = ()
    """Where something is named, nothing goes wrong but with calls of such a name."""
    parked: list[Parked] = field(default_factory=list)
    open: bool = True
    """Before the search begins everybody passes."""

    def passes(self, call: fates.Outgoing) -> bool:
        """Whether a call is served at once, and nothing happens to it."""
        if self.open or call.quiet:
            return True
        return (call.bulk and self.lists_pass) or (call.shares and self.sharing_passes)

    def fates(self, call: fates.Outgoing) -> Sequence[fates.Fate]:
        """What can become of a call here."""
        if self.only and not any(name in call.text for name in self.only):
            return (fates.Fate.WELL,)
        stalls = self.stalls_reads and fates.Fate.STANDS_STILL not in call.fates
        return (*call.fates, fates.Fate.STANDS_STILL) if stalls else call.fates

    def waiting(self) -> list[Parked]:
        """The calls of the living, in an order that does not depend on who came first."""
        self.parked = [one for one in self.parked if not one.process.dead]
        return sorted(self.parked, key=lambda one: one.text)


def _is_of_health() -> bool:
    """Samples and probes only make evidence, of which there is enough when the search begins."""
    task = asyncio.current_task()
    return task is not None and task.get_name() in _OF_HEALTH


class Life(life.Life):
    """A process whose every call waits to be let go."""

    def __init__(
        self, around: asyncio.AbstractEventLoop, *, on_death: Callable[[], None], platform: Platform, name: str
    ) -> None:
        super().__init__(around, on_death=on_death)
        self.name = name
        self._platform = platform

    async def leave(self, call: object) -> None:
        """Wait until the call is let go."""
        found = fates.outgoing(call)
        if not (self.dead or self._platform.passes(found) or _is_of_health()):
            one = Parked(self, found, self._loop.create_future())
            self._platform.parked.append(one)
            await one.gate
        await super().leave(call)
