"""What each reply proves.

One function per route takes a reply and returns evidence, or raises one of `errors.Misanswered`. First come the few
answers that carry proof although they are errors, then whatever proves nothing, then the shape of success. The texts
are those of Evolution API 2.3.3 to 2.3.7 (src/api/guards, src/api/controllers/instance.controller.ts).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Generic, TypeVar

from whatsapp_operator import arrays
from whatsapp_operator.evolution import errors, evidence, fields, metrics, transport

Reply = transport.Reply
Rows = arrays.Recurring[evidence.Row]
_Evidence = TypeVar("_Evidence")

_STATES: Final[Mapping[str, evidence.ConnectionState]] = {state.value: state for state in evidence.ConnectionState}

_SWITCHES: Final = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
SETTINGS: Final = (*_SWITCHES, "msgCall", "wavoipToken")
"""The names of an instance's settings."""

_PROXY: Final = ("host", "port", "protocol", "username", "password")
_QR_CODE_KEYS: Final = frozenset({"pairingCode", "code", "base64", "count"})

_BY_STATUS: Final[Mapping[int, type[errors.Misanswered]]] = {
    401: errors.KeyRejected,
    403: errors.KeyRejected,
    429: errors.RateLimited,
}

_METRICS_NOT_CONFIGURED: Final = b"Metrics authentication not configured"
"""METRICS_AUTH_REQUIRED without METRICS_USER and METRICS_PASSWORD."""

_CLOSED_SOCKET: Final = frozenset({"Connection Closed", "Error: Connection Closed"})


class Unchanged(Generic[_Evidence]):
    """Reads replies that are mostly the same again: one that is proves what the one before did, and is not read.

    What it proves is the same object then, so that who compares it with the one before is done at once.
    """

    def __init__(self, read: Callable[[Reply], _Evidence]) -> None:
        self._read = read
        self._last: tuple[tuple[int, bytes], _Evidence] | None = None

    def known(self, reply: Reply) -> _Evidence | None:
        """What the reply proves, where it is the same as the one before."""
        last = self._last
        return last[1] if last is not None and last[0] == _mark(reply) else None

    def __call__(self, reply: Reply) -> _Evidence:
        """What the reply proves; raise what `read` raises."""
        mark = _mark(reply)
        last = self._last  # another thread may still be at a read that was given up
        if last is None or last[0] != mark:
            last = self._last = None  # so that a list of thousands is not there twice while this one is read
            last = self._last = (mark, self._read(reply))
        return last[1]


def _mark(reply: Reply) -> tuple[int, bytes]:
    return reply.status, hashlib.blake2b(reply.content).digest()


def memory_list(reply: Reply) -> evidence.MemoryList:
    """`GET /metrics`; its refusals are plain text."""
    if reply.status in {401, 403} or (reply.status == 500 and _METRICS_NOT_CONFIGURED in reply.content):
        raise errors.MetricsRefused(reply.request)
    if reply.status != 200:
        raise _misanswer(reply)
    try:
        seen = metrics.parse(reply.content.decode())
    except UnicodeDecodeError:
        seen = None
    if seen is None:
        raise errors.UnexpectedShape(reply.request)
    return seen


def database_list(reply: Reply, *, known: Rows | None = None) -> evidence.DatabaseList:
    """`GET /instance/fetchInstances`: one row that cannot be read makes the list prove nothing, not the row absent.

    `known` are the rows of the list before, so that those that are as they were need not be read again.
    """
    if reply.status != 200:
        raise _misanswer(reply)
    if not reply.content.lstrip().startswith(b"["):
        _document(reply)
        raise errors.UnexpectedShape(reply.request)
    rows: dict[str, evidence.Row] = {}
    for row in _rows(reply, known or Rows()):
        if row.name in rows:
            raise errors.UnexpectedShape(reply.request)
        rows[row.name] = row
    return evidence.DatabaseList(rows=rows)


def database_lists() -> Unchanged[evidence.DatabaseList]:
    """Reads the database's lists one after another: what is as it was before is not read again."""
    return Unchanged(functools.partial(database_list, known=Rows()))


def memory(reply: Reply, *, name: str) -> evidence.MemoryReading:
    """`GET /instance/connectionState/{name}`.

    Existence is checked before the key (Evolution API 2.3.7, instance.guard.ts), so absence here is half a proof.
    """
    if _does_not_exist(reply, name=name):
        return evidence.Absent()
    instance = fields.Fields(reply.request, _success(reply)).child("instance")
    return _state_in_memory(instance, name=name) or evidence.NotInMemory()


def identity(reply: Reply) -> evidence.ServerIdentity:
    """`GET /`."""
    document = fields.Fields(reply.request, _success(reply))
    client_name = document.optional_text("clientName") or ""
    return evidence.ServerIdentity(version=document.text("version"), client_name=client_name)


def key(reply: Reply) -> evidence.KeyAccepted:
    """`POST /verify-creds`."""
    document = fields.Fields(reply.request, _success(reply))
    if document.number("status") != 200:
        raise document.unexpected()
    return evidence.KeyAccepted()


def created(reply: Reply, *, name: str) -> evidence.Created | evidence.Refused:
    """`POST /instance/create`."""
    if reply.status == 403 and f'This name "{name}" is already in use.' in _complaints(reply):
        return evidence.Refused(evidence.Refusal.NAME_IN_USE)
    if _is_invalid(reply):
        return evidence.Refused(evidence.Refusal.INVALID)
    instance = fields.Fields(reply.request, _success(reply)).child("instance")
    if instance.text("instanceName") != name:
        raise instance.unexpected()
    return evidence.Created(id=instance.text("instanceId"))


def connected(reply: Reply, *, name: str) -> evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused:
    """`GET /instance/connect/{name}`."""
    refusal = _refusal(reply, name=name)
    if refusal is not None:
        return refusal
    return _connection(fields.Fields(reply.request, _success(reply)), name=name)


def restarted(reply: Reply, *, name: str) -> evidence.Accepted | evidence.Refused:
    """`POST /instance/restart/{name}`: answers like `connect`, for the state before; nothing in it tells success."""
    outcome = connected(reply, name=name)
    return outcome if isinstance(outcome, evidence.Refused) else evidence.Accepted()


def logged_out(reply: Reply, *, name: str) -> evidence.Accepted | evidence.Refused:
    """`DELETE /instance/logout/{name}`."""
    if reply.status == 400 and f'The "{name}" instance is not connected' in _complaints(reply):
        return evidence.Refused(evidence.Refusal.NOT_CONNECTED)
    return deleted(reply, name=name)


def deleted(reply: Reply, *, name: str) -> evidence.Accepted | evidence.Refused:
    """`DELETE /instance/delete/{name}`."""
    refusal = _refusal(reply, name=name)
    if refusal is not None:
        return refusal
    document = fields.Fields(reply.request, _success(reply))
    if document.optional_text("status") != "SUCCESS":
        raise document.unexpected()
    return evidence.Accepted()


def settings(reply: Reply) -> Mapping[str, object] | None:
    """`GET /settings/find/{name}`; a ghost has `null`."""
    document = _success(reply)
    return None if document is None else _settings(fields.Fields(reply.request, document))


def settings_set(reply: Reply, *, name: str) -> evidence.Accepted | evidence.Refused:
    """`POST /settings/set/{name}`: the echo is what was sent, not what was stored."""
    refusal = _refusal(reply, name=name)
    if refusal is not None:
        return refusal
    fields.Fields(reply.request, _success(reply)).child("settings")
    return evidence.Accepted()


def webhook(reply: Reply) -> evidence.Webhook | None:
    """`GET /webhook/find/{name}`; an instance without a webhook, and a ghost, has `null`."""
    document = _success(reply)
    return None if document is None else _webhook(fields.Fields(reply.request, document))


def webhook_set(reply: Reply, *, name: str) -> evidence.Accepted | evidence.Refused:
    """`POST /webhook/set/{name}`: answers the stored row."""
    refusal = _refusal(reply, name=name)
    if refusal is not None:
        return refusal
    _webhook(fields.Fields(reply.request, _success(reply)))
    return evidence.Accepted()


def probed(reply: Reply) -> evidence.ProbeResult:
    """`POST /chat/fetchBusinessProfile/{name}`: the one 5xx that is a proof."""
    if reply.status == 500 and not _CLOSED_SOCKET.isdisjoint(_complaints(reply)):
        return evidence.ProbeResult.DEAD
    document = fields.Fields(reply.request, _success(reply))
    if not isinstance(document.values.get("isBusiness"), bool):
        raise document.unexpected()
    return evidence.ProbeResult.ALIVE


def _success(reply: Reply) -> object:
    if reply.status in {200, 201}:
        return _document(reply)
    raise _misanswer(reply)


def _document(reply: Reply) -> object:
    try:
        return json.loads(reply.content)
    except (ValueError, RecursionError):
        raise errors.NotJSON(reply.request) from None


def _misanswer(reply: Reply) -> errors.Misanswered:
    if reply.status >= 500:
        return _server_failure(reply)
    if reply.status in _BY_STATUS:
        return _BY_STATUS[reply.status](reply.request)
    if reply.status == 404 and any(text.startswith("Cannot ") for text in _complaints(reply)):
        return errors.NoSuchRoute(reply.request)
    if reply.status >= 400 and _object(reply) is None:
        return errors.NotJSON(reply.request)
    return errors.UnexpectedShape(reply.request)


def _server_failure(reply: Reply) -> errors.Misanswered:
    body = _object(reply) or {}
    if reply.status == 503 and body.get("code") == "LICENSE_REQUIRED":
        return errors.LicenseRequired(reply.request)
    return errors.ServerFailed(reply.request, status=reply.status)


def _object(reply: Reply) -> dict[str, object] | None:
    """The body of an error, where it is an object."""
    try:
        document = _document(reply)
    except errors.NotJSON:
        return None
    return document if isinstance(document, dict) else None


def _complaints(reply: Reply) -> tuple[str, ...]:
    """The texts in `response.message` of an error: one, an array, or an array in an array; none in any other body."""
    response = (_object(reply) or {}).get("response")
    message = response.get("message") if isinstance(response, dict) else None
    return tuple(_texts(message))


def _texts(message: object) -> list[str]:
    if isinstance(message, str):
        return [message]
    if not isinstance(message, list):
        return []
    inner = [text for item in message if isinstance(item, list) for text in item]
    return [text for text in (*message, *inner) if isinstance(text, str)]


def _does_not_exist(reply: Reply, *, name: str) -> bool:
    return reply.status == 404 and f'The "{name}" instance does not exist' in _complaints(reply)


def _is_invalid(reply: Reply) -> bool:
    return reply.status == 400 and bool(_complaints(reply))


def _refusal(reply: Reply, *, name: str) -> evidence.Refused | None:
    if _does_not_exist(reply, name=name):
        return evidence.Refused(evidence.Refusal.DOES_NOT_EXIST)
    if _is_invalid(reply):
        return evidence.Refused(evidence.Refusal.INVALID)
    return None


def _connection(
    document: fields.Fields, *, name: str
) -> evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused:
    if document.values.get("error") is True:
        return evidence.Refused(evidence.Refusal.NOTHING_DONE)
    if "instance" in document.values:
        state = _state_in_memory(document.child("instance"), name=name)
        if state is None:
            raise document.unexpected()
        return state
    if not document.values.keys() <= _QR_CODE_KEYS:
        raise document.unexpected()
    code, count = document.optional_text("code"), document.optional_number("count")
    return evidence.QRCode(code=code, count=count or 0) if code else evidence.NoCode()


def _state_in_memory(instance: fields.Fields, *, name: str) -> evidence.InMemory | None:
    if instance.text("instanceName") != name:
        raise instance.unexpected()
    return evidence.InMemory(_state(instance, "state")) if "state" in instance.values else None


def _state(values: fields.Fields, key: str) -> evidence.ConnectionState:
    state = _STATES.get(values.text(key))
    if state is None:
        raise values.unexpected()
    return state


def _rows(reply: Reply, known: Rows) -> Iterator[evidence.Row]:
    try:
        yield from known.items(reply.content.decode(), read=lambda item: _row(fields.Fields(reply.request, item)))
    except (ValueError, RecursionError):
        raise errors.NotJSON(reply.request) from None


def _row(row: fields.Fields) -> evidence.Row:
    setting = row.optional_child("Setting")
    count = row.child("_count")
    return evidence.Row(
        id=row.text("id"),
        name=row.any_text("name"),  # 2.3.7 creates one with an empty name (#1151), which is no resource's
        state=_state(row, "connectionStatus"),
        integration=row.optional_text("integration") or "",
        client_name=row.optional_text("clientName") or "",
        owner_jid=row.optional_text("ownerJid") or None,
        token=row.optional_text("token"),
        code=row.optional_number("disconnectionReasonCode"),
        disconnection_at=row.optional_moment("disconnectionAt"),
        created_at=row.optional_moment("createdAt"),
        updated_at=row.optional_moment("updatedAt"),
        settings=None if setting is None else _settings(setting),
        data_count=count.number("Message") + count.number("Contact") + count.number("Chat"),
        proxy=_proxy(row.optional_child("Proxy")),
    )


def _proxy(found: fields.Fields | None) -> evidence.Proxy | None:
    """A proxy that is switched off, or lacks a part without which nothing can be dialled, is none."""
    if found is None:
        return None
    proxy = evidence.Proxy(**{name: found.optional_text(name) or "" for name in _PROXY})
    usable = found.optional_flag("enabled") and proxy.host and proxy.port and proxy.protocol
    return proxy if usable else None


def _settings(found: fields.Fields) -> Mapping[str, object]:
    values = found.values
    for switch in _SWITCHES:
        if not isinstance(values.get(switch), bool):
            raise found.unexpected()
    settings = {name: values[name] for name in SETTINGS if name in values}
    plain = all(value is None or isinstance(value, (bool, str)) for value in settings.values())
    return _shared(tuple(settings.items())) if plain else settings


@functools.lru_cache(maxsize=1024)
def _shared(settings: tuple[tuple[str, object], ...]) -> Mapping[str, object]:
    """One mapping for what most instances have in common."""
    return dict(settings)


def _webhook(found: fields.Fields) -> evidence.Webhook:
    headers = found.optional_child("headers")
    return evidence.Webhook(
        url=found.optional_text("url") or "",  # not validated: one that is switched off may have none
        enabled=found.optional_flag("enabled"),
        events=found.optional_texts("events"),
        headers={} if headers is None else {name: _header(value) for name, value in headers.values.items()},
        by_events=found.optional_flag("webhookByEvents"),
        base64=found.optional_flag("webhookBase64"),
    )


def _header(value: object) -> str:
    """A header as it is sent; someone else may have stored a number."""
    return value if isinstance(value, str) else json.dumps(value)
