"""What each witness last said of one instance: memory, the database, both together, samples and probes."""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import dataclass
from datetime import datetime, timedelta

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState

PROBES = 2
"""Dead probes in a row that a conclusion takes."""
_VANISH_AT_LEAST = 3


def vanish_at_once(known: Collection[str], listed: Container[str], *, besides: int = 0) -> bool:
    """Whether a list lacks so many that were there that the database changed, and not they.

    `besides` are as many as make a fleet of the others, and may be missing for a reason of their own.
    """
    missing = sum(name not in listed for name in known)
    return len(known) + besides >= _VANISH_AT_LEAST and missing > 1 and missing * 2 > len(known)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the running server last said of the instance. `state` is None when it does not hold it."""

    state: ConnectionState | None
    since: datetime
    seen_at: datetime
    reads: int = 1


@dataclass(frozen=True, slots=True)
class Database:
    """What the database last said. `row` is None when the list lacks it."""

    row: evidence.Row | None
    since: datetime
    seen_at: datetime
    moved_at: datetime
    """When `updatedAt` was last seen to move."""
    reads: int = 1


@dataclass(frozen=True, slots=True)
class Absence:
    """How often, and for how long, both witnesses did not have the instance."""

    since: datetime
    seen_at: datetime
    times: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """Many reads of memory in a short time: a flapping instance shows `close` in 56 of 57."""

    taken_at: datetime
    states: frozenset[ConnectionState | None]
    openings: int = 0
    """How often it turned open within it."""
    contradicted: bool = False
    """The one after it saw nothing but close where this one saw turns; it takes two to believe that they are over."""

    @property
    def constant(self) -> ConnectionState | None:
        """The one state that all reads showed."""
        return next(iter(self.states)) if len(self.states) == 1 else None

    @property
    def turns(self) -> bool:
        """Whether it was close and connecting in turn, and never open."""
        return self.states == {ConnectionState.CLOSE, ConnectionState.CONNECTING}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Samples in a row that showed close and connecting in turn, and it never open."""

    first: datetime
    last: datetime

    def lasted(self, span: timedelta) -> bool:
        """Whether there are two, this far apart: one can miss every opening of what opens for tenths of a second."""
        return self.last - self.first >= span


@dataclass(frozen=True, slots=True)
class Turning:
    """Since when close and connecting took turns, as an earlier process saw it, or this one before a gap.

    A login writes the row, and turns do not (evolution-api.md, section 3, S6 and S7). So while `updatedAt` is the same,
    the instance was not open meanwhile, whoever looked.
    """

    since: datetime
    row_updated_at: datetime


@dataclass(frozen=True, slots=True)
class Probe:
    """What round trips to WhatsApp through the instance proved since the last step; silence proves nothing."""

    dead: int = 0
    """Probes in a row that met a dead socket, while memory said open all the time."""
    dead_since: datetime | None = None
    dead_at: datetime | None = None
    """When the first of them, and the last, was answered."""
    alive_at: datetime | None = None
    """When the last one was answered, if it was alive."""
    dead_before: bool = False
    """The socket was dead before the last step, and nothing since says that it is not."""
    taken: bool = False
    """A probe was taken since the last step, whatever came of it."""

    def lasted(self, span: timedelta) -> bool:
        """Whether it was found dead twice, this far apart: once may be the gap of a reconnect."""
        if self.dead < PROBES or self.dead_since is None or self.dead_at is None:
            return False
        return self.dead_at - self.dead_since >= span
