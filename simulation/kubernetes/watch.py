"""The watch as an operator process sees it: in order and soon, unless something is wrong with it.

Events may be lost, repeated or late. A broken stream tells nothing until it is opened anew: then it goes on where it
was, or, where that is no longer known (410), lists what is there, so that what was deleted meanwhile is told by nobody.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Callable
from typing import Any, Protocol

from simulation.kubernetes import answers, kinds, log, server
from simulation.life import Life

_DELAY = (0.002, 0.05)
_REOPEN_SECONDS = 0.5
_KINDS = (kinds.SERVERS, kinds.INSTANCES)


class Trouble(enum.StrEnum):
    """What becomes of the next events."""

    LOST = "lost"
    REPEATED = "repeated"
    LATE = "late"
    """After those that follow it."""


class Sink(Protocol):
    """Takes what the watch sees; the operator's `Controller`."""

    def saw(self, kind: str, event: str | None, body: server.Body) -> None: ...


class Watch:
    """Both kinds of resources, for one process."""

    def __init__(
        self,
        api: server.ApiServer,
        sink: Sink,
        *,
        loop: asyncio.AbstractEventLoop,
        life: Life,
        chance: random.Random,
        on_trouble: Callable[[str, str], None],
    ) -> None:
        self._api, self._sink, self._loop, self._life, self._chance = api, sink, loop, life, chance
        self._on_trouble = on_trouble
        self._last = 0.0
        self._open = False
        self._closed_until = 0.0
        self._known: dict[kinds.Kind, int] = {}
        """The version up to which each stream has told all."""
        self.trouble: list[Trouble] = []
        self.cut = False

    def start(self) -> None:
        """List, and follow."""
        self._api.listeners.append(self._changed)
        self._loop.call_later(self._delay(), self._reopen)

    def stop(self) -> None:
        """The process is gone."""
        if self._changed in self._api.listeners:
            self._api.listeners.remove(self._changed)

    def shut(self, seconds: float, *, forgets: bool = True) -> None:
        """The stream breaks, and is opened anew after a while; after a 410, if it `forgets` where it was."""
        self._open = False
        if forgets:
            self._known.clear()
        self._closed_until = self._loop.time() + seconds
        self._loop.call_later(seconds, self._reopen)

    def _reopen(self) -> None:
        if self._life.dead or self._loop.time() < self._closed_until:
            return
        if self.cut:
            self._loop.call_later(_REOPEN_SECONDS, self._reopen)
            return
        self._open = True
        for kind in _KINDS:
            self._follow(kind)

    def _follow(self, kind: kinds.Kind) -> None:
        """Tell what has happened since, or list."""
        try:
            missed = self._api.log.since(self._known.get(kind, 0), log.Stream(kind))
        except answers.Refused:
            for body in self._api.all(kind):
                self._deliver(kind.kind, None, body, self._in_order())
            self._known[kind] = self._api.version
            return
        for change in missed:
            self._told(change, self._in_order())

    def _told(self, change: server.Change, due: float) -> None:
        self._known[change.kind] = change.version
        self._deliver(change.kind.kind, change.type, change.told, due)

    def _changed(self, change: server.Change) -> None:
        if change.kind not in _KINDS or not self._open:
            return
        if self.cut:
            self.shut(_REOPEN_SECONDS)
            return
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is not None:
            self._on_trouble(trouble, change.name)
        if trouble is Trouble.LOST:
            self._known[change.kind] = change.version
            return
        due = self._in_order()
        if trouble is Trouble.LATE:
            due += self._chance.uniform(0.5, 5.0)
        self._told(change, due)
        if trouble is Trouble.REPEATED:
            self._deliver(change.kind.kind, change.type, change.told, due + self._chance.uniform(0.0, 5.0))

    def _in_order(self) -> float:
        self._last = max(self._last, self._loop.time() + self._delay())
        return self._last

    def _delay(self) -> float:
        return self._chance.uniform(*_DELAY)

    def _deliver(self, kind: str, event: str | None, body: server.Body, due: float) -> None:
        self._loop.call_at(due + self._life.awake_in(), self._tell, kind, event, body)

    def _tell(self, kind: str, event: str | None, body: server.Body) -> None:
        if not self._life.dead:
            seen: Any = body
            self._sink.saw(kind, event, seen)
