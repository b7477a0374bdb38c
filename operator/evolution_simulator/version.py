"""What differs between the releases of Evolution API that are simulated.

Timings are what was seen on real servers; the names say from where.
"""

import enum
from dataclasses import dataclass


class ConnectionState(enum.StrEnum):
    """Evolution API's words for the state of an instance, in memory and in the database."""

    OPEN = "open"
    CLOSE = "close"
    CONNECTING = "connecting"


class Integration(enum.StrEnum):
    """The channels an instance can use."""

    BAILEYS = "WHATSAPP-BAILEYS"
    BUSINESS = "WHATSAPP-BUSINESS"
    EVOLUTION = "EVOLUTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlapTiming:
    """One round of an instance that fails to connect and tries again: seconds in each memory state."""

    connecting: float
    close: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One release."""

    number: str
    starts_closed_rows: bool
    """A server start connects every row; later releases load rows in `close` idle."""
    awaits_logout: bool
    """`logout` and `delete` wait for the logout, so that its failures and its race with itself are answered."""
    remounts_messages: bool
    """`connect` after a logout receives messages again (PR #2186)."""
    settings_line: int
    """Line of channel.service.ts that Prisma's error text quotes."""
    nests_conflict: bool
    """`disconnectionObject` of a device removal nests the conflict in the stream error."""
    refused: FlapTiming
    corrupt: FlapTiming


V2_3_6 = Version(
    number="2.3.6",
    starts_closed_rows=True,
    awaits_logout=False,
    remounts_messages=False,
    settings_line=159,
    nests_conflict=True,
    refused=FlapTiming(connecting=0.13, close=0.27),
    corrupt=FlapTiming(connecting=0.11, close=0.055),
)
V2_3_7 = Version(
    number="2.3.7",
    starts_closed_rows=False,
    awaits_logout=True,
    remounts_messages=True,
    settings_line=160,
    nests_conflict=False,
    refused=FlapTiming(connecting=0.03, close=1.55),
    corrupt=FlapTiming(connecting=0.065, close=0.026),
)
VERSIONS = {version.number: version for version in (V2_3_6, V2_3_7)}
