"""The work queue: which resources to look at next.

It has client-go's semantics. A key is in one worker's hands at most; adding it meanwhile marks it dirty, once, and it
comes back when that worker is done. What a user did comes before what a poll noticed. A key that failed comes back
after a backoff of its own, with jitter, so that a fleet does not come back as one.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from whatsapp_operator.engine import ports

K = TypeVar("K", bound=Hashable)

_BACKOFF_FIRST = 0.5
_BACKOFF_LONGEST = 60.0
_JITTER = 0.5
_TURNS = 4
"""Every so many keys, the less urgent ones go first."""


class Urgency(enum.Enum):
    """Why a key is queued."""

    USER = "User"
    """A resource was created, edited or deleted."""
    CHANGE = "Change"
    """An observation differs, or the time for something has come."""


class WorkQueue(Generic[K]):
    """Keys to look at, each in one worker's hands at most."""

    def __init__(self, *, clock: ports.Clock, timers: ports.Timers, random: ports.Random) -> None:
        self._clock, self._timers, self._random = clock, timers, random
        self._waiting: dict[Urgency, deque[K]] = {urgency: deque() for urgency in Urgency}
        self._queued: dict[K, tuple[Urgency, float]] = {}
        self._busy: set[K] = set()
        self._dirty: dict[K, Urgency] = {}
        self._failures: dict[K, int] = {}
        self._timed: dict[K, tuple[float, Callable[[], None]]] = {}
        self._ready = asyncio.Semaphore(0)
        """As many as there are keys that wait: an arrival wakes one worker, and not all who have nothing to do."""
        self._closed = False
        self._turn = 0

    def add(self, key: K, urgency: Urgency = Urgency.CHANGE) -> None:
        """Queue a key; one that is queued already keeps its place, unless it becomes more urgent."""
        if self._closed:
            return
        if key in self._busy:
            self._dirty[key] = _more_urgent(self._dirty.get(key), urgency)
            return
        queued = self._queued.get(key)
        if queued is not None and _more_urgent(queued[0], urgency) is queued[0]:
            return
        since = queued[1] if queued is not None else self._clock.monotonic()
        self._queued[key] = (urgency, since)
        self._waiting[urgency].append(key)
        if queued is None:
            self._ready.release()

    def add_after(self, key: K, seconds: float) -> None:
        """Queue a key after some seconds; of several such wishes the earliest counts."""
        due = self._clock.monotonic() + seconds
        earlier = self._timed.get(key)
        if self._closed or (earlier is not None and earlier[0] <= due):
            return
        if earlier is not None:
            earlier[1]()
        self._timed[key] = (due, self._timers.call_later(seconds, lambda: self._ring(key)))

    def _ring(self, key: K) -> None:
        self._timed.pop(key, None)
        self.add(key)

    async def get(self) -> K | None:
        """Take the next key, the urgent ones first; None when the queue is closed."""
        await self._ready.acquire()
        if self._closed:
            self._ready.release()  # for the next one that waits
            return None
        return self._pop()

    def _pop(self) -> K:
        self._turn += 1
        # Users go first, but a thousand of their edits must not keep what was observed waiting until the last is done.
        turns = tuple(Urgency) if self._turn % _TURNS else tuple(Urgency)[::-1]
        for urgency in turns:
            waiting = self._waiting[urgency]
            while waiting:
                key = waiting.popleft()
                # A key that became more urgent stands in both lines; the entry says which one counts.
                if self._queued.get(key, (None, 0.0))[0] is urgency:
                    del self._queued[key]
                    self._busy.add(key)
                    return key
        raise LookupError("no key waits")

    def done(self, key: K) -> None:
        """Give a key back; if it was added meanwhile, it is queued again."""
        self._busy.discard(key)
        urgency = self._dirty.pop(key, None)
        if urgency is not None:
            self.add(key, urgency)

    def retry(self, key: K) -> float:
        """Queue a key that failed, after its backoff, which is returned in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(_BACKOFF_FIRST * 2.0 ** min(failures, 16), _BACKOFF_LONGEST)
        delay *= 1 + _JITTER * self._random.random()
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Start the key's backoff afresh."""
        self._failures.pop(key, None)

    def drop(self, key: K) -> None:
        """Forget a key that is gone, with its timer."""
        self._failures.pop(key, None)
        timed = self._timed.pop(key, None)
        if timed is not None:
            timed[1]()

    def close(self) -> None:
        """Hand out no further key, and wake every worker."""
        self._closed = True
        for _, cancel in self._timed.values():
            cancel()
        self._timed.clear()
        self._ready.release()

    def __contains__(self, key: K) -> bool:
        """Whether a key waits for a worker."""
        return key in self._queued

    @property
    def depth(self) -> int:
        """Keys that wait."""
        return len(self._queued)

    @property
    def busy(self) -> int:
        """Keys in workers' hands."""
        return len(self._busy)

    def oldest_age(self) -> float:
        """Seconds that the longest waiting key has waited; 0 when none waits."""
        if not self._queued:
            return 0.0
        return self._clock.monotonic() - min(since for _, since in self._queued.values())


def _more_urgent(one: Urgency | None, other: Urgency) -> Urgency:
    return Urgency.USER if Urgency.USER in (one, other) else other
