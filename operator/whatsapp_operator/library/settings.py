"""How the library judges and acts, and the time and chance that it does it with."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

from whatsapp_operator.health.spans import Spans
from whatsapp_operator.library import errors
from whatsapp_operator.resources.overrides import SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy

_ABSENCE_SECONDS = 2.0
"""Shorter than the operator's: the library creates nothing, so that nothing follows from an absence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Spans in seconds; all numbers are above 0."""

    max_attempts: int = 3
    """Gentle steps in one call, and restarts in one incident before a cleanup is called for."""
    retry_delay_seconds: int = 2
    """Between the verdict on a step and the next one; doubling, with jitter."""
    check_timeout_seconds: float = 10
    """For each call to the server."""
    stuck_timeout_seconds: float = 30
    """A connection has to be unchanged for so long to be stuck; a check observes for so long at most."""
    step_timeout_seconds: int = 30
    """A step has failed when nothing is better after this long."""
    min_healthy_seconds: float = 600
    """Health that lasts so long ends an incident: attempts count from zero again."""
    poll_seconds: float = 1
    """Between two readings of memory during an observation."""
    database_poll_seconds: float = 5
    """Between two readings of the database, which the server counts whole tables for; ten times what one took if that
    is longer."""
    pairing_wanted: bool = True
    """Somebody wants to scan a QR code: an instance that shows none is not well, and is reconnected."""
    probe: bool = False
    """An open connection is tried by a round trip to WhatsApp at each check: it can be dead, and still be called open.
    It asks for the business profile of the instance's own number, and changes nothing."""
    spans: Spans = field(default_factory=lambda: Spans(absence=_ABSENCE_SECONDS))
    """How long evidence must last before it means something."""

    def __post_init__(self) -> None:
        """Refuse what could not be meant.

        Raises:
            errors.InvalidArgument: a value is of another type than its field, or a number is not above 0.
        """
        _refuse_what_cannot_be_meant(self)
        _refuse_what_cannot_be_meant(self.spans, prefix="spans.")

    @property
    def policy(self) -> RecoveryPolicy:
        """The operator's policy that stands for these settings: each loss is allowed by its own call."""
        return RecoveryPolicy(
            max_attempts=self.max_attempts,
            retry_delay_seconds=self.retry_delay_seconds,
            step_timeout_seconds=self.step_timeout_seconds,
            session_loss=SessionLoss.REQUIRE_APPROVAL,
        )


_ACCEPTED: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "int": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "bool": ("True or False", (bool,)),
    "Spans": ("Spans", (Spans,)),
}


def _refuse_what_cannot_be_meant(given: Settings | Spans, *, prefix: str = "") -> None:
    for one in fields(given):
        value, kind = getattr(given, one.name), str(one.type)
        if not _is_of(kind, value):
            wanted = _ACCEPTED[kind][0]
            raise errors.InvalidArgument(f"{prefix}{one.name} must be {wanted}, and is {type(value).__name__}")
        if kind in ("int", "float") and not 0 < value < math.inf:
            raise errors.InvalidArgument(f"{prefix}{one.name} must be above 0, and finite")


def _is_of(kind: str, value: object) -> bool:
    """To Python True is a number, too."""
    return isinstance(value, _ACCEPTED[kind][1]) and (kind == "bool" or not isinstance(value, bool))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time and chance; tests give their own."""

    now: Callable[[], datetime] = _now
    """The wall time, in UTC."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds that never go back."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits a number of seconds."""
    random: Callable[[], float] = field(default_factory=lambda: secrets.SystemRandom().random)
    """A number in [0, 1), for jitter."""
