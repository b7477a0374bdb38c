"""What the engine tells of itself, and of what it does: the port behind metrics, logs and the audit trail."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from whatsapp_operator.engine import ports


class Phase(enum.Enum):
    """What an audit record tells of a step."""

    INTENT = "intent"
    """Written before the step is taken."""
    RESULT = "result"
    REFUSED = "refused"
    """Planned, and not taken; for the reasons given."""
    ORPHANED = "orphaned"
    """The resource went, and the instance may still be there."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Who did what to which instance, why, on what evidence, with what result. It carries no secret."""

    phase: Phase
    key: ports.Key
    uid: str
    server: ports.Key
    instance: str
    step: str
    step_class: str
    reason: str
    evidence: str
    """The two witnesses' words, such as `connecting/open`."""
    incident: str | None = None
    result: str | None = None
    blocked_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guarded:
    """What holds steps back on a server as a whole."""

    storm: bool
    waiting: int
    """Instances that wait for a restart of the server."""
    budget: Mapping[str, tuple[int, int]]
    """Steps that are used, and allowed, by class: of the window that has least left."""


class Telemetry(Protocol):
    """What the engine tells of itself."""

    def check_took(self, witness: str, seconds: float, /) -> None:
        """One bulk read of `memory` or `database`."""

    def audit(self, entry: Audit, /) -> None:
        """One audit record, and the counters that follow from it."""

    def status_written(self, kind: str, result: str, /) -> None:
        """One write of a status: `written`, `conflict` or `failed`."""

    def reconciled(self, kind: str, seconds: float, /) -> None:
        """One look at a resource."""

    def sweep(self, drift: int, /) -> None:
        """One LIST sweep, and how many resources it found that the watch had missed."""

    def instances(self, server: ports.Key, states: Mapping[str, int], reasons: Mapping[str, int], /) -> None:
        """How many instances of a server are in which health state, and why those are that are not healthy.

        Both are empty when the server is gone.
        """

    def guarded(self, server: ports.Key, guarded: Guarded | None, /) -> None:
        """What holds steps back on a server; None when it is gone."""

    def circuit(self, server: ports.Key, /, *, is_open: bool | None) -> None:
        """Whether a server's circuit breaker is open; None when the server is gone."""

    def claims(self, held: int, /, *, live: bool) -> None:
        """How many claims this replica holds, and whether its member Lease was renewed in time."""

    def claim_lost(self, why: str, /) -> None:
        """A claim ended without having been given up: `Lapsed`, `Taken` or `Vanished`."""

    def problem(self, message: str, /, **fields: str | float) -> None:
        """Something went wrong that is not a resource's fault; a constant message, with fields."""

    def plugin_failed(self, part: str, word: str, origin: str, error: BaseException, /) -> None:
        """A `rule` or `strategy` of a plugin failed; `word` is its reason or step, `origin` its entry point."""

    def crashed(self, message: str, error: Exception, /, **fields: str | float) -> None:
        """A bug, with its traceback; the text of the error may hold anything and is not logged."""
