"""Logs: one line per fact, a constant message with fields, as JSON or for people.

Everything goes one way, also what kopf and other libraries log: through redaction, to standard error.
"""

from __future__ import annotations

import enum
import logging
import sys
from collections.abc import MutableMapping
from types import TracebackType
from typing import TextIO

import structlog

from whatsapp_operator.telemetry import redaction


class Format(enum.StrEnum):
    """How a line is rendered."""

    JSON = "json"
    TEXT = "text"


class Level(enum.StrEnum):
    """The least severe line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_TELLING_MODULES = frozenset({"whatsapp_operator", "kopf", "aiohttp"})
"""Whose errors say what went wrong without quoting what they were given."""

_LIBRARIES = ("kopf", "aiohttp", "asyncio", "httpx", "httpcore", "kubernetes", "client")
_SILENT_BELOW_ERROR = ("kopf._core.reactor.running",)
"""It warns at each start that signals are ignored outside of the main thread, where they are taken care of."""


def configure(*, format: Format, level: Level, stream: TextIO | None = None) -> None:  # noqa: A002 - the flag's word
    """Direct all logging of this process to `stream`, standard error if None."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(_formatter(format))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for library in _LIBRARIES:
        # Information of libraries is about themselves, and their debugging shows whole requests.
        logging.getLogger(library).setLevel(logging.WARNING)
    for library in _SILENT_BELOW_ERROR:
        logging.getLogger(library).setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _add_error(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Put the exception that is being told of into a field, as text that quotes no input."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else (sys.exc_info()[1] if given is True else None)
    if isinstance(given, tuple):
        error = given[1]
    if error is not None:
        event["exception"] = describe(error)
    return event


_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    _add_error,
)


def _formatter(chosen: Format) -> logging.Formatter:
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if chosen is Format.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.EventRenamer("message") if chosen is Format.JSON else _unchanged,
            redaction.redact,
            render,
        ],
    )


def _unchanged(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    return event


def describe(error: BaseException) -> str:
    """The frames and types of an error and of those behind it, with the texts of those that quote no input."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    earlier = f"{describe(behind)}\n\n" if behind is not None else ""
    text = f": {error}" if _quotes_nothing(error) else ""
    return f"{earlier}{_frames(error.__traceback__)}{type(error).__name__}{text}"


def _quotes_nothing(error: BaseException) -> bool:
    """A parser's error quotes what it could not read, and that may be a key. What is not known may do the same."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _TELLING_MODULES


def _frames(traceback: TracebackType | None) -> str:
    lines = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        lines.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_name}\n")
        traceback = traceback.tb_next
    return "".join(lines)
