"""The proxy of an instance (Evolution API 2.3.7, proxy.controller.ts, proxy.service.ts).

The server tries a proxy before it stores it, against a page on the internet. It does not wait for the write: what the
database refuses is lost behind a 201. A connection takes the proxy that is stored when it dials, so that a change shows
at the next one.
"""

import contextlib
from typing import Any

from evolution_simulator import database
from evolution_simulator.api import errors, message, validation
from evolution_simulator.api.call import Call

TEXTS = validation.PROXY_TEXTS
CREATE_KEYS = {f"proxy{column.capitalize()}": column for column in TEXTS}
"""The keys of `create`, and the columns they fill."""


def find_proxy(call: Call) -> message.Reply:
    """From the database; null where there is none."""
    _require_in_memory(call)
    return message.reply(200, database.proxy_body(call.row) if call.row else None)


def set_proxy(call: Call) -> message.Reply:
    """The answer repeats the request, whatever was stored. Disabling empties all texts."""
    validation.check_proxy(call.values)
    _require_in_memory(call)
    proxy = {key: call.values[key] for key in ("enabled", *TEXTS) if key in call.values}
    if not proxy["enabled"]:
        proxy |= dict.fromkeys(TEXTS, "")
    store_proxy(call, call.name, proxy)
    return message.reply(201, {"proxy": {"instanceName": call.name, "proxy": proxy}})


def create_proxy(call: Call, row: database.Row) -> None:
    """The proxy that `create` was given; without host, port or protocol there is none."""
    proxy = {column: call.values[key] for key, column in CREATE_KEYS.items() if key in call.values}
    if all(proxy.get(column) for column in ("host", "port", "protocol")):
        store_proxy(call, row.name, {"enabled": True, **proxy})


def store_proxy(call: Call, name: str, proxy: dict[str, Any]) -> None:
    """Try a proxy and store it. Raises `ApiError` where the trial fails; a write that fails is not noticed."""
    if proxy["host"] and call.server.internet_down:
        raise errors.ApiError(400, "Invalid proxy")
    row = call.server.database.rows.get(name)
    if row is not None:
        with contextlib.suppress(database.DatabaseDownError):
            call.server.database.save_proxy(row, now=call.server.scheduler.now(), values=proxy)


def _require_in_memory(call: Call) -> None:
    if call.instance is None:
        raise errors.ApiError(404, f'The "{call.name}" instance does not exist')
