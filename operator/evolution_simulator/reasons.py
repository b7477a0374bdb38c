"""Why a connection ended: Baileys' disconnect codes, and the object that the database keeps of it."""

import json
from dataclasses import dataclass
from typing import Any

from evolution_simulator import database, version

FINAL_CODES = frozenset({401, 402, 403, 406})
"""Only these end the session; after any other code the server reconnects without delay or limit."""

ERRORS = {401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 406: "Not Acceptable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A disconnect. `gap` is how long memory stays `close` before the server connects again, in seconds."""

    code: int
    message: str
    gap: float = 0.0
    data: Any = None

    @property
    def final(self) -> bool:
        """Whether the session is over."""
        return self.code in FINAL_CODES

    def disconnection_object(self, now: float) -> str:
        """The JSON text that the column `disconnectionObject` keeps."""
        payload = {"statusCode": self.code, "error": ERRORS[self.code], "message": self.message}
        output = {"statusCode": self.code, "payload": payload, "headers": {}}
        error = {"data": self.data, "isBoom": True, "isServer": False, "output": output}
        return json.dumps({"error": error, "date": database.iso(now)}, separators=(",", ":"))


def transient(code: int, *, gap: float) -> Reason:
    """A lost connection that the server takes up again."""
    return Reason(code=code, message="Connection Failure", gap=gap)


def refused(release: version.Version) -> Reason:
    """WhatsApp cannot be reached."""
    return Reason(code=408, message="Connection Failure", gap=release.refused.close)


def corrupt(release: version.Version) -> Reason:
    """The stored credentials cannot be used."""
    return Reason(code=500, message="Bad Session", gap=release.corrupt.close)


def replaced() -> Reason:
    """Another connection logged in with the same credentials."""
    return Reason(code=440, message="Stream Errored (conflict)", gap=0.01)


def logout(name: str) -> Reason:
    """The server logged the instance out."""
    return Reason(code=401, message=f"Log out instance: {name}")


def unauthorized() -> Reason:
    """A login with credentials that no phone has linked."""
    return Reason(code=401, message="Connection Failure")


def device_removed(release: version.Version) -> Reason:
    """The phone removed the linked device."""
    conflict: dict[str, Any] = {"tag": "conflict", "attrs": {"type": "device_removed"}}
    if release.nests_conflict:
        conflict = {"tag": "stream:error", "attrs": {"code": "401"}, "content": [conflict]}
    return Reason(code=401, message="Stream Errored (conflict)", data=conflict)


def stopped(code: int, release: version.Version) -> Reason:
    """WhatsApp ended the session with a code of `FINAL_CODES`."""
    return device_removed(release) if code == 401 else Reason(code=code, message="Connection Failure")
