"""What the calls of the library answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

State = Literal["healthy", "disconnected", "degraded", "stuck", "corrupted", "not_found", "terminating", "unknown"]
"""The operator's health states, in lower case."""

_WORDS: dict[HealthState, State] = {
    HealthState.HEALTHY: "healthy",
    HealthState.DISCONNECTED: "disconnected",
    HealthState.DEGRADED: "degraded",
    HealthState.STUCK: "stuck",
    HealthState.CORRUPTED: "corrupted",
    HealthState.NOT_FOUND: "not_found",
    HealthState.TERMINATING: "terminating",
    HealthState.UNKNOWN: "unknown",
}


def word(state: HealthState) -> State:
    """The word for a health state."""
    return _WORDS[state]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """What a check concluded."""

    name: str
    healthy: bool
    """It works, or waits for nothing but a scan of its QR code."""
    state: State
    reason: Reason
    """Why, as one word of the operator's; see docs/recovery.md."""
    seconds: float
    """For how long the connection has been as it is, as far as it was watched."""
    detail: str
    """State, connection and seconds as a sentence: `stuck in connecting for 45 s`. Where nothing is known, why, and
    what to do about it."""
    should_cleanup: bool
    """No gentle step is left, and to delete the instance is what would help."""
    protected: bool
    """It is paired or holds data, or may: a cleanup would lose that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureResult:
    """What `ensure_healthy_instance` came to."""

    name: str
    healthy: bool
    """It works, or waits for nothing but a scan, by the last observation. False after a cleanup: there is none."""
    cleaned: bool
    """It was deleted, is proved gone, and its record was reset; it can be created anew."""
    recovered: bool
    """It was not well, and is after the steps that were taken."""
    state: State
    reason: Reason
    detail: str

    @property
    def ready(self) -> bool:
        """Whether a QR code can be had: of the instance, or of a new one under its name."""
        return self.healthy or self.cleaned
