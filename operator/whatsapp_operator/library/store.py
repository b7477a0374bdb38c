"""What is known of each instance from one call to the next.

A record is kept in step with the server: it says what the last check proved, begins anew when another incarnation has
the name, and is removed when the instance is proved gone. A check that proved nothing leaves it as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.library.results import State
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import RecoveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """What is known of one instance. Moments are in UTC; there is no key, token, QR code or phone number in it."""

    name: str
    instance_id: str | None = None
    """The server's id; another one means that the instance was created anew."""
    state: State = "unknown"
    reason: Reason = Reason.NOT_OBSERVED
    since: datetime | None = None
    """Since when it is in this state, for this reason."""
    checked_at: datetime | None = None
    """When the server last proved something about it."""
    last_healthy_at: datetime | None = None
    """When both witnesses last called it open."""
    connection: ConnectionState | None = None
    """What the running server last said; None also for one that it does not hold."""
    connection_since: datetime | None = None
    paired: bool | None = None
    """Whether a phone is linked; None is unknown, and counts as linked."""
    baseline: datetime | None = None
    """The server's `disconnectionAt` when it was last seen open: only a later one ends the pairing."""
    row_updated_at: datetime | None = None
    """The `updatedAt` of its row: while it is the same, nothing was written about the instance in between."""
    client_name: str | None = None
    """The server's client name: under another one it is another database that answers."""
    recovery: RecoveryStatus = field(default_factory=RecoveryStatus)
    """The present incident and its steps, as the operator keeps it in a status."""
    deletion_since: datetime | None = None
    """Since when DELETE was sent, perhaps, and the instance neither seen gone nor well."""
    webhook_events: tuple[str, ...] | None = None
    """The events of the webhook that a cleanup has switched off, until it is on again; None where none is."""

    @property
    def attempts(self) -> int:
        """Gentle steps taken in the present incident."""
        return self.recovery.attempts + self.recovery.reconnects


class RecordStore(Protocol):
    """Keeps records by the name of the instance. One store serves one server."""

    async def get(self, name: str) -> InstanceRecord | None:
        """The record of an instance, None without one."""

    async def put(self, record: InstanceRecord) -> None:
        """Keep a record in place of the one before; when this returns, it survives what the store promises."""

    async def delete(self, name: str) -> bool:
        """Forget an instance; whether there was a record."""

    async def names(self) -> tuple[str, ...]:
        """The names of all that have a record, in order."""

    async def close(self) -> None:
        """Let go of what the store holds open; it is not used after that."""


class MemoryRecordStore:
    """Keeps records for as long as the process lives."""

    def __init__(self) -> None:
        self._records: dict[str, InstanceRecord] = {}

    async def get(self, name: str) -> InstanceRecord | None:
        """The record of an instance, None without one."""
        return self._records.get(name)

    async def put(self, record: InstanceRecord) -> None:
        """Keep a record in place of the one before."""
        self._records[record.name] = record

    async def delete(self, name: str) -> bool:
        """Forget an instance; whether there was a record."""
        return self._records.pop(name, None) is not None

    async def names(self) -> tuple[str, ...]:
        """The names of all that have a record, in order."""
        return tuple(sorted(self._records))

    async def close(self) -> None:
        """Nothing is held open."""
