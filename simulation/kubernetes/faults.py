"""What goes wrong between an operator process and the API server."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from whatsapp_operator.cluster import transport


class Fault(enum.StrEnum):
    """What becomes of one call."""

    REFUSED = "refused"
    """No connection, no effect."""
    RESET_AFTER = "reset-after"
    """The effect, and a connection that breaks instead of an answer."""
    TIMEOUT_BEFORE = "timeout-before"
    """No effect, no answer."""
    TIMEOUT_AFTER = "timeout-after"
    """The effect, no answer."""
    SLOW = "slow"
    """All as it should be, some seconds late: a list is stale by the time that it arrives."""
    CONFLICT = "409"
    GONE = "410"
    TOO_MANY = "429"
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"


STATUS = {
    Fault.CONFLICT: (409, "Conflict"),
    Fault.GONE: (410, "Expired"),
    Fault.TOO_MANY: (429, "TooManyRequests"),
    Fault.SERVER_ERROR: (500, "InternalError"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable"),
}
NO_ANSWER = frozenset({Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER})
NO_EFFECT = frozenset({Fault.REFUSED, Fault.TIMEOUT_BEFORE})


@dataclass(slots=True, kw_only=True)
class Rule:
    """A fault for the next `count` calls that it fits; None fits all."""

    fault: Fault
    count: int
    verb: str | None = None
    resource: str | None = None
    writer: str | None = None
    seconds: float = 4.0
    """How late `SLOW` is."""

    def fits(self, call: transport.Call, writer: str) -> bool:
        """Whether a call is spoilt."""
        if self.count <= 0 or self.verb not in (None, call.verb) or self.writer not in (None, writer):
            return False
        if self.fault is Fault.CONFLICT and call.verb not in ("create", "patch", "delete"):
            return False
        if self.fault is Fault.GONE and call.verb != "list":
            return False
        return self.resource in (None, call.resource)


class Faults:
    """The rules that are in force, the oldest first."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.hits = 0
        self.last_hit = float("-inf")

    def take(self, call: transport.Call, writer: str, *, now: float) -> Rule | None:
        """The rule that spoils a call, which counts as one of its uses."""
        for rule in self.rules:
            if rule.fits(call, writer):
                rule.count -= 1
                self.hits += 1
                self.last_hit = now
                return rule
        return None
