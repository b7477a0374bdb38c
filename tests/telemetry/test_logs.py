"""Every line goes one way: through redaction, in one format, whoever logs it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
import structlog

from whatsapp_operator.telemetry import audit, logs


def loggers() -> list[logging.Logger]:
    root = logging.getLogger()
    return [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is the process's: what a test configures would silence `httpx` in all tests after it."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {one.name: one.level for one in loggers()}
    yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    for one in loggers():
        one.setLevel(levels.get(one.name, logging.NOTSET))
    structlog.reset_defaults()


def configured(*, format: logs.Format = logs.Format.JSON, level: logs.Level = logs.Level.INFO) -> io.StringIO:  # noqa: A002 - the flag's word
    stream = io.StringIO()
    logs.configure(format=format, level=level, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_is_a_constant_message_with_fields() -> None:
    stream = configured()
    structlog.get_logger("engine").warning("the server is away", server="shop/main", seconds=3)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "message": "the server is away",
        "level": "warning",
        "logger": "engine",
        "server": "shop/main",
        "seconds": 3,
    }


def test_libraries_log_the_same_way() -> None:
    stream = configured()
    logging.getLogger("kopf.objects").error("Handler %s failed", "x", extra={"apikey": "canary"})
    (line,) = lines(stream)
    assert (line["message"], line["level"], line["logger"]) == ("Handler x failed", "error", "kopf.objects")
    assert "canary" not in stream.getvalue()


def test_libraries_do_not_chat() -> None:
    stream = configured(level=logs.Level.DEBUG)
    logging.getLogger("kopf.objects").info("Handler succeeded")
    logging.getLogger("httpx").info("HTTP Request: GET")
    logging.getLogger("kopf._core.reactor.running").warning("OS signals are ignored")
    assert stream.getvalue() == ""


def test_lines_below_the_level_are_not_written() -> None:
    stream = configured(level=logs.Level.WARNING)
    structlog.get_logger("engine").info("hidden")
    structlog.get_logger("engine").warning("shown")
    assert [line["message"] for line in lines(stream)] == ["shown"]


def test_secret_reaches_no_line() -> None:
    stream = configured()
    structlog.get_logger("engine").info("fetched", token="canary-1", answer=b"canary-2")  # noqa: S106 - a canary
    logging.getLogger("aiohttp").error("apikey=canary-3 from 491700000000@s.whatsapp.net")
    assert "canary" not in stream.getvalue()
    assert "491700000000" not in stream.getvalue()


class Shape(pydantic.BaseModel):
    """Something with a field that a server may fill wrongly."""

    count: int


def trip() -> None:
    """Fail as a parser does, which quotes what it was given, and once more for it."""
    try:
        Shape.model_validate({"count": "canary"})
    except pydantic.ValidationError as inner:
        raise LookupError("canary") from inner


@pytest.mark.parametrize("format", logs.Format)
def test_traceback_quotes_no_input(format: logs.Format) -> None:  # noqa: A002 - the flag's word
    stream = configured(format=format)
    try:
        trip()
    except LookupError:
        structlog.get_logger("engine").exception("a bug")
        logging.getLogger("kopf").exception("a bug")
    assert "canary" not in stream.getvalue()
    assert stream.getvalue().count("ValidationError") == 2
    assert stream.getvalue().count("LookupError") == 2
    assert "test_logs.py" in stream.getvalue()


def test_error_of_the_network_keeps_its_text() -> None:
    assert logs.describe(ConnectionRefusedError(111, "Connect call failed")).endswith("Connect call failed")


def test_text_format_is_for_people() -> None:
    stream = configured(format=logs.Format.TEXT)
    structlog.get_logger("engine").warning("the server is away", server="shop/main")
    assert "the server is away" in stream.getvalue()
    assert "server=shop/main" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_audit_record_tells_who_what_why_and_how_it_ended() -> None:
    stream = configured()
    record = audit.StepRecord(
        phase="result",
        namespace="shop",
        name="one",
        uid="u1",
        instance="one_whatsapp",
        server="shop/main",
        step="Restart",
        step_class="Soft",
        reason="Connecting",
        evidence="connecting/connecting",
        incident="20261123-7f3a",
        result="Succeeded",
    )
    audit.AuditTrail().record(record)
    (line,) = lines(stream)
    assert line["logger"] == "audit"
    assert line["actor"] == "whatsapp-operator"
    told = {name: line[name] for name in ("phase", "step", "reason", "evidence", "result", "incident", "server")}
    assert told == {
        "phase": "result",
        "step": "Restart",
        "reason": "Connecting",
        "evidence": "connecting/connecting",
        "result": "Succeeded",
        "incident": "20261123-7f3a",
        "server": "shop/main",
    }
    assert "blocked_by" not in line
