"""Requests and replies without a socket."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json; charset=utf-8"
METRICS = "text/plain; charset=utf-8; version=0.0.4"
PLAIN = "text/html; charset=utf-8"
"""What Express calls a text without more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `path` is still percent-encoded; `key` is the `apikey` header, `basic` that of `/metrics`."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    raw_query: str = ""
    key: str | None = None
    basic: str | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply."""

    status: int
    body: str
    content_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A reply that the server makes only after a wait of `seconds`, or after yet another."""

    seconds: float
    reply: "Callable[[], Reply | Later]"


def reply(status: int, body: Any) -> Reply:
    """A JSON reply, written as Node writes it."""
    return Reply(status=status, body=json.dumps(body, separators=(",", ":"), ensure_ascii=False))
