"""Whatever is logged, no secret comes out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp_operator.telemetry import redaction

CANARY = "c4n4ryc4n4ryc4n4ryc4n4ry"


def rendered(**fields: object) -> str:
    return json.dumps(redaction.redact(None, "info", dict(fields)), ensure_ascii=False)


@pytest.mark.parametrize(
    "name", ["token", "apikey", "api_key", "key", "qr", "code", "body", "Authorization", "number", "password"]
)
def test_field_that_is_named_for_a_secret_is_not_rendered(name: str) -> None:
    assert CANARY not in rendered(**{name: CANARY})
    assert CANARY not in rendered(outer=[{"inner": {name: [CANARY]}}])


@pytest.mark.parametrize(
    "text",
    [
        "apikey={}",
        "apikey: {}",
        "{{'apikey': '{}'}}",
        '{{"token": "{}"}}',
        "Authorization: Bearer {}",
        "authorization: basic {}",
        "2@{},abc+/=,def",
        "http://user:{}@host/path",
        "https://host/?apikey={}&x=1",
    ],
)
def test_secret_inside_a_text_is_masked(text: str) -> None:
    assert CANARY not in rendered(message=text.format(CANARY))


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True), st.sampled_from(["s.whatsapp.net", "c.us", "lid"]))
def test_phone_number_is_masked_in_every_text(number: str, host: str) -> None:
    assert number not in rendered(message=f"owner {number}@{host} left")
    assert number not in rendered(message=f"owner {number}:12@{host}")
    assert number not in rendered(error=ValueError(f"bad {number}@{host}"))


def test_bytes_are_never_rendered() -> None:
    assert CANARY not in rendered(answer=CANARY.encode(), more={"x": bytearray(CANARY.encode())})


def test_what_is_no_secret_stays_as_it_is() -> None:
    fields = {"namespace": "shop", "attempts": 3, "ready": True, "ratio": 0.5, "reason": None, "states": ["close"]}
    assert redaction.redact(None, "info", dict(fields)) == fields
    text = "basic checks of port 8080 at 10:30:00, see whatsappinstances/one-two"
    assert redaction.mask(text) == text
