"""The last defence against secrets in logs.

The first is that nobody logs them: messages are constant, and fields are chosen. This one renders no field whose name
says that it holds a secret, and masks what looks like a phone number, a key or a QR code in every text, also in those
that libraries log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping

HIDDEN = "[redacted]"

_SECRET_FIELDS = frozenset(
    {
        "apikey", "api_key", "authorization", "body", "ca_bundle", "code", "content", "cookie", "data", "headers",
        "jid", "key", "number", "owner_jid", "ownerjid", "password", "payload", "phone", "qr", "qr_code", "qrcode",
        "secret", "text", "token", "values",
    }
)  # fmt: skip

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Phone numbers and their devices: 491700000000@s.whatsapp.net, 491700000000:12@s.whatsapp.net, 1234@lid.
    (re.compile(r"\b\d+(?::\d+)?@(s\.whatsapp\.net|c\.us|lid)\b"), rf"{HIDDEN}@\1"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{16,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(api_?key|token|password)(['\"]?\s*[:=]\s*['\"]?)[^\s'\",;&}]+"), rf"\1\2{HIDDEN}"),
    # What a WhatsApp QR code holds: 2@<reference>,<key>,<key>,<key>.
    (re.compile(r"\b\d@[\w+/=-]{8,}(,[\w+/=-]+)*"), HIDDEN),
    (re.compile(r"://[^/\s@]+@"), f"://{HIDDEN}@"),
)


def redact(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """A structlog processor: every field, at any depth, without secrets."""
    return {name: _field(name, value) for name, value in event.items()}


def _field(name: str, value: object) -> object:
    return HIDDEN if name.lower() in _SECRET_FIELDS and value is not None else _value(value)


def _value(value: object) -> object:
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {str(name): _field(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(inner) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return HIDDEN
    return mask(str(value))


def mask(text: str) -> str:
    """The text with everything hidden that looks like a secret."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
