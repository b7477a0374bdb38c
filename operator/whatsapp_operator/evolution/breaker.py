"""The circuit breaker of one server: while it does not answer, it is asked rarely, and by one read only.

    closed ── several failures in a row that speak of the server ──▶ open
      ▲                                                               │
      └───────── a bulk read that is answered ─────────┐  calls for single instances are not sent;
                                                        └─ one bulk read is, after a pause that doubles

A failure speaks of the server when it could not be reached, did not answer in time, or asks for fewer calls. An error
in answer to a call for one instance can be that instance's own, and so can a call that hangs: the failures of one
instance count once in a row, so that no instance shuts the others off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from whatsapp_operator.evolution import errors, evidence, routes

_IN_A_ROW: Final = 5
_LONGEST_SECONDS: Final = 30.0
_JITTER: Final = 0.25
_GATEWAY: Final = frozenset({502, 503, 504})
"""What a proxy answers for a server that it cannot reach."""


class Breaker:
    """Counts failures, and tells which calls may be sent."""

    def __init__(self, *, period: float, monotonic: Callable[[], float], random: Callable[[], float]) -> None:
        """`period` is the usual one of the bulk reads, in seconds: the pause before the first trial, and the least."""
        self._period, self._monotonic, self._random = period, monotonic, random
        self._in_a_row = 0
        self._instances: set[str] = set()
        self._why: evidence.Ignorance | None = None
        self._trials = 0
        self._due = 0.0

    @property
    def circuit(self) -> evidence.Circuit:
        """How it stands now."""
        trial_in = max(self._due - self._monotonic(), 0.0) if self._why is not None else 0.0
        return evidence.Circuit(why=self._why, trial_in=trial_in)

    def admits(self, route: routes.Route) -> bool:
        """Whether a call may be sent now."""
        return self._why is None or (route.bulk and self._monotonic() >= self._due)

    def answered(self, route: routes.Route) -> None:
        """A call was answered with what proves something."""
        if self._why is not None and not route.bulk:
            # It was sent before the circuit opened: the server may have gone since.
            return
        self._in_a_row, self._why, self._trials = 0, None, 0
        self._instances.clear()

    def failed(self, route: routes.Route, error: errors.EvolutionError, *, instance: str | None) -> None:
        """A call proved nothing; `instance` is the one that it was for."""
        if not _speaks_of_the_server(route, error):
            return
        if self._why is not None:
            if route.bulk:
                self._pause()
            return
        if instance is not None and instance in self._instances:
            return
        if instance is not None:
            self._instances.add(instance)
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:
            self._why = error.why
            self._pause()

    def _pause(self) -> None:
        """Put off the next trial: twice as long each time, and not at the same moment as those of other servers."""
        pause = min(self._period * 2.0 ** min(self._trials, 16), max(self._period, _LONGEST_SECONDS))
        self._trials += 1
        self._due = self._monotonic() + pause * (1 + _JITTER * self._random())


def _speaks_of_the_server(route: routes.Route, error: errors.EvolutionError) -> bool:
    """`GET /` asks the internet first, so its failure says nothing."""
    if route is routes.IDENTIFY:
        return False
    if isinstance(error, errors.ServerFailed):
        return route.bulk or error.status in _GATEWAY
    return isinstance(error, errors.Unreachable | errors.RateLimited)
