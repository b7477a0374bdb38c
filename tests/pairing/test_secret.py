"""The pairing Secret holds one code in every form, and until when it can be scanned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from whatsapp_operator.pairing import qr, secret

EXPIRES = datetime(2026, 11, 23, 10, 0, 45, tzinfo=UTC)


def test_secret_holds_the_code_in_every_form() -> None:
    values = secret.values(code="2@canary", expires=EXPIRES)
    assert values == {
        "code": b"2@canary",
        "qr.png": qr.png("2@canary"),
        "qr.svg": qr.svg("2@canary"),
        "qr.txt": qr.terminal("2@canary").encode(),
        "expires": b"2026-11-23T10:00:45Z",
    }


def test_expiry_is_written_in_utc() -> None:
    elsewhere = EXPIRES.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert secret.values(code="2@x", expires=elsewhere)["expires"] == b"2026-11-23T10:00:45Z"
