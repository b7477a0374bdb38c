"""Whether a step did what it was for, by what was observed after it and never by what the server replied.

The first read after a restart can still be the old one, so one read proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepInFlight, StepResult

_READS = 2
_WORKS = frozenset({Reason.HEALTHY, Reason.AWAITING_SCAN})


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was observed since a step was taken."""

    now: datetime
    verdict: Verdict
    record: records.Record
    """Everything in it is from after the step."""
    observable: bool
    """The server could be read; while it cannot, no verdict is passed."""

    @property
    def reads(self) -> int:
        """Reads of memory since the step."""
        return self.record.memory.reads if self.record.memory else 0


def judge(flying: StepInFlight, seen: Aftermath, *, timeout: timedelta) -> StepResult | None:
    """The verdict on the step in flight, or None while it is too early."""
    if not seen.observable:
        return None
    if seen.reads >= _READS and _PROOFS[flying.step](seen):
        return StepResult.SUCCEEDED
    return StepResult.FAILED if seen.now - flying.since >= timeout else None


def _works_again(seen: Aftermath) -> bool:
    return seen.verdict.reason in _WORKS


def _has_a_socket(seen: Aftermath) -> bool:
    memory = seen.record.memory
    return memory is not None and memory.state in (ConnectionState.OPEN, ConnectionState.CONNECTING)


def _exists(seen: Aftermath) -> bool:
    return seen.record.memory is not None and seen.record.row is not None


def _is_gone(seen: Aftermath) -> bool:
    return seen.record.absence is not None


_PROOFS: dict[Step, Callable[[Aftermath], bool]] = {
    Step.CREATE: _exists,
    Step.RECONNECT: _has_a_socket,
    Step.RESTART: _works_again,
    Step.RECREATE: _exists,
    Step.DELETE: _is_gone,
}
