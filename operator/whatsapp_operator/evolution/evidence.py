"""What a read of an Evolution API server proved.

An instance can be read in two places that disagree in normal operation. *Memory* (`connectionState`, `/metrics`) is the
state of the running session; the *database* (`fetchInstances`) is what was last written. A read proves a value, or
absence, or nothing: an error is never absence, and what proves nothing is `Unknown`.

This module is only words: it imports no client, so that health rules can be read, and tested, without one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

ENDED_CODES = frozenset({401, 402, 403, 406})
"""Disconnection codes after which the server does not reconnect (Evolution API 2.3.7, whatsapp.baileys.service.ts)."""

RESTRICTED_CODES = frozenset({402, 403, 406})
"""Codes with which WhatsApp refuses the account itself; a new pairing would not help."""


_PHONES = "s.whatsapp.net"
"""The part of a JID after the `@` when what stands before it is a phone number."""


class ConnectionState(enum.Enum):
    """The three states an instance can have, in memory and in the database."""

    OPEN = "open"
    CONNECTING = "connecting"
    CLOSE = "close"


class Ignorance(enum.Enum):
    """Why a read proved nothing."""

    TIMEOUT = "Timeout"
    NOT_RESOLVED = "NameNotResolved"
    REFUSED = "ConnectionRefused"
    TLS = "TLSError"
    BROKEN = "ConnectionBroken"
    RATE_LIMITED = "RateLimited"
    SERVER_ERROR = "ServerError"
    NOT_JSON = "NotJSON"
    UNEXPECTED_SHAPE = "UnexpectedShape"
    KEY_REJECTED = "KeyRejected"
    METRICS_REFUSED = "MetricsRefused"
    NO_SUCH_ROUTE = "NoSuchRoute"
    LICENSE_REQUIRED = "LicenseRequired"
    OTHER_IDENTITY = "OtherIdentity"
    REFUSED_BY_POLICY = "RefusedByPolicy"
    BREAKER_OPEN = "CircuitOpen"
    """Not sent: the server does not answer, and is not asked for single instances until it does."""
    NOT_HELD = "NotHeld"
    """Not sent: another replica of the operator may be working on the server."""

    @property
    def is_refusal(self) -> bool:
        """Whether a server that answers does not accept who asks: another Secret may cure it at any time."""
        return self is Ignorance.KEY_REJECTED or self is Ignorance.METRICS_REFUSED


@dataclass(frozen=True, slots=True)
class Unknown:
    """The read proved nothing."""

    why: Ignorance


Way = tuple[str, str, str, str]
"""What tells the ways to WhatsApp apart: protocol, host, port and user name of a proxy."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy through which an instance reaches WhatsApp. It may hold a password: no repr shows it."""

    host: str = field(repr=False)
    port: str = field(repr=False)
    protocol: str = field(repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def way(self) -> Way:
        """Two proxies that differ in nothing but the password lead the same way."""
        return self.protocol, self.host, self.port, self.username


@dataclass(frozen=True, slots=True)
class Circuit:
    """Whether calls to a server are sent at all. It is open where `why` says what did not work."""

    why: Ignorance | None = None
    trial_in: float = 0.0
    """Seconds until the next bulk read may be sent."""

    @property
    def is_open(self) -> bool:
        """Whether calls for single instances are not sent."""
        return self.why is not None


@dataclass(frozen=True, slots=True)
class Row:
    """One instance as the database has it.

    `owner_jid` and `token` are a phone number and a key: they never appear in a repr, and callers never log them.
    """

    id: str
    name: str
    state: ConnectionState
    integration: str
    client_name: str
    owner_jid: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    code: int | None = None
    disconnection_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    settings: Mapping[str, object] | None = field(default=None, repr=False)
    data_count: int = 0
    """Messages, contacts and chats together."""
    proxy: Proxy | None = field(default=None, repr=False)
    """None also for one that is switched off."""

    @property
    def has_owner(self) -> bool:
        """Whether a phone was ever paired; proves nothing about now, since a logout keeps it."""
        return self.owner_jid is not None

    @property
    def own_number(self) -> str | None:
        """The number of the phone that was paired last, in digits; None where the owner is known by something else."""
        account, _, kind = (self.owner_jid or "").partition("@")
        number = account.partition(":")[0]
        return number if kind == _PHONES and number.isascii() and number.isdigit() else None


@dataclass(frozen=True, slots=True)
class MemoryList:
    """`/metrics`: the memory state of every instance of the server, in one read."""

    states: Mapping[str, ConnectionState]
    version: str
    client_name: str


@dataclass(frozen=True, slots=True)
class DatabaseList:
    """`fetchInstances` without a filter: every row of the server."""

    rows: Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class InMemory:
    """`connectionState` answered with a state."""

    state: ConnectionState


@dataclass(frozen=True, slots=True)
class NotInMemory:
    """`connectionState` answered without a state: a row exists, the running server does not hold it."""


@dataclass(frozen=True, slots=True)
class Absent:
    """`connectionState` answered 404, naming the instance, to the server's own key."""


MemoryReading = InMemory | NotInMemory | Absent | Unknown


@dataclass(frozen=True, slots=True)
class QRCode:
    """A QR code as `connect` returned it; `code` is a credential, so no repr shows it."""

    code: str = field(repr=False)
    count: int = 0


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Version and client name, from `GET /` or the labels of `/metrics`."""

    version: str
    client_name: str


@dataclass(frozen=True, slots=True)
class KeyAccepted:
    """`/verify-creds` accepted the key."""


@dataclass(frozen=True, slots=True)
class NoCode:
    """`connect` answered, but without a QR code: none was issued yet, or there is nothing to pair."""


class Refusal(enum.Enum):
    """Why the server says that it did not do what was asked."""

    NAME_IN_USE = "NameInUse"
    DOES_NOT_EXIST = "DoesNotExist"
    NOT_CONNECTED = "NotConnected"
    NOTHING_DONE = "NothingDone"
    """200 with `error: true`: restart or connect found nothing it could act on."""
    INVALID = "Invalid"
    """400 of any other kind: a body it does not accept, or a delete that happened half."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server says that it did, or began, what was asked. Only a later observation proves it."""


@dataclass(frozen=True, slots=True)
class Created:
    """201 of `create`."""

    id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server says no; nothing is proved about the instance."""

    why: Refusal


Outcome = Accepted | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Webhook:
    """An instance's webhook; `headers` are secrets. `events` are as stored: `[]` written is stored as all of them."""

    url: str = field(repr=False)
    enabled: bool = True
    events: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    by_events: bool = False
    base64: bool = False


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What `create` is asked for. `qrcode` is always false: true blocks for 5 s and more (evolution-api 2.3.7)."""

    name: str
    integration: str
    token: str = field(repr=False)
    number: str | None = field(default=None, repr=False)
    business_id: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)
    webhook: Webhook | None = None
    proxy: Proxy | None = field(default=None, repr=False)


class ProbeResult(enum.Enum):
    """What `fetchBusinessProfile` with the instance's own number proved of an open socket."""

    ALIVE = "Alive"
    DEAD = "Dead"
    """500 `Connection Closed`: the only error that is a proof."""
