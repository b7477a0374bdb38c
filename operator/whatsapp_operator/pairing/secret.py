"""The Secret `<name>-pairing`, by which a human or a program gets at the QR code to scan.

It exists only while there is a code that can be scanned. The code is a credential: whoever reads it can pair a phone
of theirs, so it is handed over in a Secret and nowhere else.
"""

from __future__ import annotations

from datetime import UTC, datetime

from whatsapp_operator.pairing import qr


def values(*, code: str, expires: datetime) -> dict[str, bytes]:
    """The Secret's values: the code as text, as pictures, for a terminal, and until when WhatsApp takes it."""
    return {
        "code": code.encode(),
        "qr.png": qr.png(code),
        "qr.svg": qr.svg(code),
        "qr.txt": qr.terminal(code).encode(),
        "expires": expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode(),
    }
