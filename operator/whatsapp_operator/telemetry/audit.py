"""The audit trail: who did what to which instance, why, on which evidence, and how it ended.

One line per phase of a step. The intent is written before the step is taken, so that what a crash interrupted is known;
the result when a later observation has given the verdict; a refusal when a gate held a step back. The line is an
ordinary log line of the logger `audit`, so that it goes where logs go and can be filtered out there.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import structlog

ACTOR = "whatsapp-operator"
LOGGER = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One phase of one step, in words; its time is that of the line."""

    phase: str
    """`intent`, `result`, `refused` or `orphaned`."""
    namespace: str
    name: str
    uid: str
    instance: str
    """The instance's name on its server."""
    server: str
    """`namespace/name` of the EvolutionServer."""
    step: str
    step_class: str
    reason: str
    """Why the step is called for."""
    evidence: str
    """What was seen, in words of state, such as `connecting/open`; never what a server sent as text."""
    incident: str | None = None
    result: str | None = None
    blocked_by: tuple[str, ...] = ()
    actor: str = ACTOR


class AuditTrail:
    """Writes records, in order."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(LOGGER)

    def record(self, record: StepRecord) -> None:
        """Write one record; what it does not know is left out."""
        fields = dataclasses.asdict(record)
        self._log.info("recovery step", **{name: value for name, value in fields.items() if value not in (None, ())})
