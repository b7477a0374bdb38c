"""Whether a step did what it was for, by what was observed after it and never by what the server replied.

The first read after a restart can still be the old one, so one read proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepInFlight, StepResult

_READS = 2


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was observed since a step was taken."""

    now: datetime
    carried_out_at: datetime
    """When the last call of the step was answered; a Recreate takes its time between the announcement and this."""
    verdict: Verdict
    record: records.Record
    """Everything in it is from after the step."""
    observable: bool
    """The server could be read; while it cannot, no verdict is passed."""
    announced_at: datetime | None = None
    """When the first call of the step may have been made."""
    replaced_id: str | None = None
    """The incarnation that was to be replaced."""

    @property
    def reads(self) -> int:
        """Reads in a row, all since the step, that said the same: what memory shows, or that it is absent."""
        if self.record.absence is not None:
            return self.record.absence.times
        return self.record.memory.reads if self.record.memory else 0


def judge(flying: StepInFlight, seen: Aftermath, *, timeout: timedelta) -> StepResult | None:
    """The verdict on the step in flight, or None while it is too early."""
    if not seen.observable:
        return None
    by_probe = flying.step.may_restart and flying.reason is Reason.DEAD_SOCKET
    proof = _answers_again if by_probe else _PROOFS.get(flying.step, _is_well_to_both)
    if seen.reads >= _READS and proof(seen):
        return StepResult.SUCCEEDED
    began = _probed_from(seen) if by_probe else seen.carried_out_at
    return StepResult.FAILED if seen.now - began >= timeout else None


def _answers_again(seen: Aftermath) -> bool:
    """A dead socket is open to both witnesses before the step and after it: only a probe tells them apart."""
    return seen.record.probe.alive_at is not None and _works_again(seen)


def _probed_from(seen: Aftermath) -> datetime:
    """From when on a probe could be taken: memory must be open for one."""
    memory = seen.record.memory
    is_open = memory is not None and memory.state is ConnectionState.OPEN
    return memory.since if memory is not None and is_open else seen.carried_out_at


def _works_again(seen: Aftermath) -> bool:
    if seen.verdict.reason is Reason.AWAITING_SCAN:
        return _a_code_was_issued(seen)
    return seen.verdict.reason is Reason.HEALTHY


def _a_code_was_issued(seen: Aftermath) -> bool:
    """A dead socket goes on showing the code of before, which only the passing of time tells from a new one."""
    database = seen.record.database
    return database is not None and database.moved_at >= seen.carried_out_at


def _is_well_to_both(seen: Aftermath) -> bool:
    """A plugin's step chooses no proof of its own: both witnesses, each read since, have to find the instance well."""
    database = seen.record.database
    return database is not None and database.seen_at >= seen.carried_out_at and _offers_a_code_or_works(seen)


def _offers_a_code_or_works(seen: Aftermath) -> bool:
    """After a logout whatever code is shown is a new one, also when it was issued before the last call was answered."""
    announced_at = seen.announced_at or seen.carried_out_at
    return _works_again(replace(seen, carried_out_at=announced_at))


def _has_a_socket(seen: Aftermath) -> bool:
    memory = seen.record.memory
    return memory is not None and memory.state in (ConnectionState.OPEN, ConnectionState.CONNECTING)


def _exists(seen: Aftermath) -> bool:
    """Both witnesses have it; a row that memory does not hold is a ghost."""
    memory = seen.record.memory
    return memory is not None and memory.state is not None and seen.record.row is not None


def _is_another(seen: Aftermath) -> bool:
    row = seen.record.row
    return _exists(seen) and row is not None and row.id != seen.replaced_id


def _is_gone(seen: Aftermath) -> bool:
    return seen.record.absence is not None


_PROOFS: dict[Step, Callable[[Aftermath], bool]] = {
    Step.CREATE: _exists,
    Step.RECONNECT: _has_a_socket,
    Step.RESTART: _works_again,
    Step.RELOGIN: _offers_a_code_or_works,
    Step.RECREATE: _is_another,
    Step.DELETE: _is_gone,
}
