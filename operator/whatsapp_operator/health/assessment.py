"""What is looked at, and what is concluded from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from whatsapp_operator.evolution.evidence import ConnectionState, Row
from whatsapp_operator.health import record as records
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the other instances of the same server tell about this one."""

    fresh: bool
    """The server's last reads are recent enough, and proved something."""
    warm: bool
    """The server has loaded what it will load."""
    why_unknown: Reason = Reason.SERVER_UNREACHABLE
    mostly_flapping: bool = False
    vouched_at: datetime | None = None
    """When another instance, through the same proxy, last proved that WhatsApp can be reached from the server."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a rule may look at."""

    now: datetime
    record: records.Record
    spans: Spans
    neighbours: Neighbours
    integration: str
    stuck_timeout: timedelta
    pairing_wanted: bool
    deleting: bool = False
    last_resort: timedelta = timedelta.max
    """How long what may be WhatsApp's own trouble has to last before it is the instance's own all the same."""

    @property
    def baileys(self) -> bool:
        """Whether the instance is a phone's session; the others have no socket of their own."""
        return self.integration == records.BAILEYS

    @property
    def row(self) -> Row | None:
        """The database's row."""
        return self.record.row

    @property
    def memory(self) -> ConnectionState | None:
        """The memory state; None also when the server does not hold the instance."""
        return self.record.memory.state if self.record.memory else None

    @property
    def database(self) -> ConnectionState | None:
        """The database's state; None also when there is no row."""
        return self.row.state if self.row else None

    @property
    def row_is_newer(self) -> bool:
        """Whether the row was read since memory shows its present state; one from before contradicts nothing."""
        memory, database = self.record.memory, self.record.database
        return memory is not None and database is not None and database.seen_at >= memory.since

    def states(self, memory: ConnectionState, database: ConnectionState) -> bool:
        """Whether the two witnesses say exactly this."""
        return self.memory is memory and self.database is database

    def lasted(self, span: timedelta) -> bool:
        """Whether every read of memory over this span, and at least two, showed its present state."""
        memory = self.record.memory
        return memory is not None and memory.reads > 1 and memory.seen_at - memory.since >= span

    def sampled(self, state: ConnectionState) -> bool:
        """Whether a sample of stability showed nothing but this state."""
        return self.record.sample is not None and self.record.sample.constant is state


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule concludes."""

    state: HealthState
    reason: Reason


HEALTHY = Verdict(HealthState.HEALTHY, Reason.HEALTHY)


def seconds(value: float) -> timedelta:
    """A span given in seconds."""
    return timedelta(seconds=value)
