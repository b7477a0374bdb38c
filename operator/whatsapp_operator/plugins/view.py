"""What a rule of a plugin may look at: what the server's reads proved, without its secrets."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health.assessment import Seen

_SECRET_SETTINGS = frozenset({"wavoipToken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One instance, as both of its witnesses have it. Moments are in UTC."""

    now: datetime
    """When it is looked at."""
    integration: str
    """`WHATSAPP-BAILEYS`, `WHATSAPP-BUSINESS` or `EVOLUTION`."""
    memory: ConnectionState
    """What the running server says."""
    memory_since: datetime
    """Since when each read of it said so."""
    database: ConnectionState
    """What the row in the database says."""
    database_read_at: datetime
    """When the row was read last; that may be before `memory_since`."""
    paired: bool | None
    """Whether a phone is linked; None while nothing proves either."""
    pairing_wanted: bool
    """Whether somebody wants a QR code now."""
    code: int | None
    """401, 402, 403 or 406 where the last pairing ended with it and none has begun since."""
    data_count: int
    """Messages, contacts and chats in the database, together."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """The instance's settings in the server's words, such as `alwaysOnline`; empty where its row told none."""
    wanted_settings: Mapping[str, object] = field(default_factory=dict)
    """Those that the resource's spec asks for; empty where it asks for none."""
    stuck_timeout: timedelta = timedelta(seconds=30)
    """`health.stuckTimeoutSeconds`, as it holds for this instance."""


def evidence_of(seen: Seen, *, wanted_settings: Mapping[str, object]) -> Evidence | None:
    """What was seen, for a plugin; None unless both witnesses have the instance."""
    memory, database = seen.record.memory, seen.record.database
    if memory is None or memory.state is None or database is None or database.row is None:
        return None
    return Evidence(
        now=seen.now,
        integration=seen.integration,
        memory=memory.state,
        memory_since=memory.since,
        database=database.row.state,
        database_read_at=database.seen_at,
        paired=seen.record.paired,
        pairing_wanted=seen.pairing_wanted,
        code=seen.record.new_code,
        data_count=seen.record.known_data,
        settings=without_secrets(database.row.settings or {}),
        wanted_settings=without_secrets(wanted_settings),
        stuck_timeout=seen.stuck_timeout,
    )


def without_secrets(settings: Mapping[str, object]) -> Mapping[str, object]:
    """Those that are no secret; nobody can change them here."""
    return types.MappingProxyType({name: value for name, value in settings.items() if name not in _SECRET_SETTINGS})
