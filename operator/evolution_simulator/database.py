"""The database of the server: instance rows with their settings and webhook, and the session store.

It is the second truth beside the server's memory. Any write to a row moves `updatedAt`; the disconnection columns are
never cleared, and `ownerJid` survives a logout, as on a real server. While the database is down every access raises.
"""

import contextlib
import datetime
import enum
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from evolution_simulator import version

SETTING_DEFAULTS: dict[str, Any] = {
    "rejectCall": False,
    "msgCall": "",
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
    "wavoipToken": "",
}
CUID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class DatabaseDownError(Exception):
    """The database does not answer."""


class CredentialsKind(enum.Enum):
    """What the session store holds for an instance."""

    UNPAIRED = "unpaired"
    PAIRED = "paired"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A Session row. `device` names the linked device at WhatsApp."""

    kind: CredentialsKind
    device: str = ""
    owner_jid: str | None = None


@dataclass(slots=True, kw_only=True)
class Setting:
    """A Setting row."""

    id: str
    values: dict[str, Any]
    created_at: float
    updated_at: float


@dataclass(slots=True, kw_only=True)
class Webhook:
    """A Webhook row."""

    id: str
    url: str
    headers: Any
    enabled: bool
    events: list[str]
    by_events: bool
    base64: bool
    created_at: float
    updated_at: float


@dataclass(slots=True, kw_only=True)
class Proxy:
    """A Proxy row. A disabled one has empty texts."""

    id: str
    enabled: bool
    host: str
    port: str
    protocol: str
    username: str
    password: str
    created_at: float
    updated_at: float


@dataclass(slots=True, kw_only=True)
class Row:
    """An Instance row with what belongs to it."""

    id: str
    name: str
    connection_status: version.ConnectionState
    integration: version.Integration
    token: str
    created_at: float
    updated_at: float
    number: str | None = None
    business_id: str | None = None
    owner_jid: str | None = None
    profile_name: str | None = None
    profile_pic_url: str | None = None
    disconnection_reason_code: int | None = None
    disconnection_object: str | None = None
    disconnection_at: float | None = None
    setting: Setting | None = None
    webhook: Webhook | None = None
    proxy: Proxy | None = None
    counts: dict[str, int] = field(default_factory=lambda: {"Message": 0, "Contact": 0, "Chat": 0})
    rendered: str | None = None
    """The row as JSON, kept until the next write: lists of thousands of rows stay cheap."""

    @property
    def dials_through(self) -> str:
        """`host:port` of the proxy that a new connection takes; empty where it takes none."""
        proxy = self.proxy
        return f"{proxy.host}:{proxy.port}" if proxy is not None and proxy.enabled else ""


def iso(moment: float | None) -> str | None:
    """A time as Prisma writes it: UTC, milliseconds, `Z`."""
    if moment is None:
        return None
    return (
        datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def setting_body(row: Row) -> dict[str, Any] | None:
    """The Setting of a row as `fetchInstances` lists it."""
    setting = row.setting
    if setting is None:
        return None
    stamps = {"createdAt": iso(setting.created_at), "updatedAt": iso(setting.updated_at), "instanceId": row.id}
    return {"id": setting.id, **setting.values, **stamps}


def proxy_body(row: Row) -> dict[str, Any] | None:
    """The Proxy of a row, in clear: nothing hides its password, in the list least of all."""
    stored = row.proxy
    if stored is None:
        return None
    return {
        "id": stored.id,
        "enabled": stored.enabled,
        "host": stored.host,
        "port": stored.port,
        "protocol": stored.protocol,
        "username": stored.username,
        "password": stored.password,
        "createdAt": iso(stored.created_at),
        "updatedAt": iso(stored.updated_at),
        "instanceId": row.id,
    }


def row_body(row: Row, client_name: str) -> dict[str, Any]:
    """A row as `fetchInstances` lists it."""
    return {
        "id": row.id,
        "name": row.name,
        "connectionStatus": row.connection_status,
        "ownerJid": row.owner_jid,
        "profileName": row.profile_name,
        "profilePicUrl": row.profile_pic_url,
        "integration": row.integration,
        "number": row.number,
        "businessId": row.business_id,
        "token": row.token,
        "clientName": client_name,
        "disconnectionReasonCode": row.disconnection_reason_code,
        "disconnectionObject": row.disconnection_object,
        "disconnectionAt": iso(row.disconnection_at),
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
        "Chatwoot": None,
        "Proxy": proxy_body(row),
        "Rabbitmq": None,
        "Nats": None,
        "Sqs": None,
        "Websocket": None,
        "Setting": setting_body(row),
        "_count": row.counts,
    }


class Database:
    """Rows by name, in the order they were made, and sessions by instance id."""

    def __init__(self, *, rng: random.Random, client_name: str) -> None:
        self._rng = rng
        self.client_name = client_name
        self.rows: dict[str, Row] = {}
        self.sessions: dict[str, Credentials] = {}
        self.down = False

    def require(self) -> None:
        """Raise `DatabaseDownError` while the database is down."""
        if self.down:
            raise DatabaseDownError

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """A fault so short that only what happens inside the block notices it."""
        before, self.down = self.down, True
        try:
            yield
        finally:
            self.down = before

    def new_id(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def new_cuid(self) -> str:
        """An id as Prisma's `cuid()` makes them."""
        return "c" + "".join(self._rng.choices(CUID_ALPHABET, k=24))

    def find(self, name: str) -> Row | None:
        """The row of a name. Raises `DatabaseDownError`."""
        self.require()
        return self.rows.get(name)

    def insert(self, row: Row) -> None:
        """Add a row. Raises `DatabaseDownError`."""
        self.require()
        self.rows[row.name] = row

    def update(self, row: Row, *, now: float, **changes: Any) -> None:
        """Write columns of a row, which moves `updatedAt`. Raises `DatabaseDownError`."""
        self.require()
        for column, value in changes.items():
            setattr(row, column, value)
        row.updated_at = now
        row.rendered = None

    def delete(self, name: str) -> None:
        """Remove a row and all that belongs to it."""
        row = self.rows.pop(name, None)
        if row is not None:
            self.sessions.pop(row.id, None)

    def save_setting(self, row: Row, *, now: float, values: dict[str, Any]) -> None:
        """Create or update the Setting of a row; omitted fields keep their value. Raises `DatabaseDownError`."""
        self.require()
        if row.setting is None:
            row.setting = Setting(id=self.new_cuid(), values=dict(SETTING_DEFAULTS), created_at=now, updated_at=now)
        known = {key: value for key, value in values.items() if key in SETTING_DEFAULTS}
        row.setting.values = {**row.setting.values, **known}
        row.setting.updated_at = now
        row.rendered = None

    def save_webhook(self, row: Row, *, now: float, changes: dict[str, Any]) -> Webhook:
        """Create or update the Webhook of a row; omitted fields keep their value. Raises `DatabaseDownError`."""
        self.require()
        if row.webhook is None:
            row.webhook = Webhook(
                id=self.new_cuid(),
                url="",
                headers=None,
                enabled=False,
                events=[],
                by_events=False,
                base64=False,
                created_at=now,
                updated_at=now,
            )
        for column, value in changes.items():
            setattr(row.webhook, column, value)
        row.webhook.updated_at = now
        return row.webhook

    def save_proxy(self, row: Row, *, now: float, values: dict[str, Any]) -> None:
        """Create or update the Proxy of a row; omitted columns keep their value.

        A new one without user name and password is not stored: the columns are NOT NULL. Raises `DatabaseDownError`.
        """
        self.require()
        if row.proxy is None:
            if not values.keys() >= {"username", "password"}:
                return
            row.proxy = Proxy(id=self.new_cuid(), created_at=now, updated_at=now, **values)
        for column, value in values.items():
            setattr(row.proxy, column, value)
        row.proxy.updated_at = now
        row.rendered = None

    def listing(self, rows: list[Row]) -> str:
        """Rows as a JSON array. Raises `DatabaseDownError`."""
        self.require()
        return "[" + ",".join(self._rendered(row) for row in rows) + "]"

    def rename_client(self, client_name: str) -> None:
        """Answer with another `clientName`, as a server with a changed environment does."""
        self.client_name = client_name
        for row in self.rows.values():
            row.rendered = None

    def _rendered(self, row: Row) -> str:
        if row.rendered is None:
            row.rendered = json.dumps(row_body(row, self.client_name), separators=(",", ":"), ensure_ascii=False)
        return row.rendered
