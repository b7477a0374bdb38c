"""What is kept of a resource's body: small, since there are thousands, and nearly all of them rest.

The spec is not kept, which is parsed, nor who manages which field. The status is kept packed: a resting resource is
asked for it a few times a day, and unpacked it would be most of the operator's memory.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

_METADATA, _STATUS = "metadata", "status"
_QUICKLY = 1


class Kept(Mapping[str, Any]):
    """A resource's metadata and status, as they were read or written."""

    __slots__ = ("_metadata", "_status")

    def __init__(self, body: Mapping[str, Any]) -> None:
        metadata = {name: value for name, value in body.get(_METADATA, {}).items() if name != "managedFields"}
        self._metadata = _shared(metadata)
        self._status = _pack(body.get(_STATUS) or {})

    def __getitem__(self, name: str) -> Any:
        """`metadata`, or `status` unpacked anew each time."""
        if name == _METADATA:
            return self._metadata
        if name == _STATUS:
            return json.loads(zlib.decompress(self._status)) if self._status else {}
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((_METADATA, _STATUS))

    def __len__(self) -> int:
        return 2


def _pack(status: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(status, separators=(",", ":")).encode(), _QUICKLY) if status else b""


def _shared(value: Any) -> Any:
    """The same, with one string for what occurs in thousands of resources: JSON is read with new ones each time."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, Mapping):
        return {sys.intern(key): _shared(inner) for key, inner in value.items()}
    return [_shared(inner) for inner in value] if isinstance(value, list) else value
