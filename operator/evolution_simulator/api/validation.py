"""The JSON schemas of the requests, as far as their errors are known.

A schema error answers 400 with its texts in an array within the array.
"""

import json
from typing import Any

from evolution_simulator import webhooks
from evolution_simulator.api import errors, message

REQUIRED_SETTINGS = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
SETTINGS_TYPES: dict[str, type] = dict.fromkeys(REQUIRED_SETTINGS, bool) | {"msgCall": str, "wavoipToken": str}
REQUIRED_WEBHOOK = ("enabled", "url")
REQUIRED_PROXY = ("enabled", "host", "port", "protocol")
PROXY_TEXTS = ("host", "port", "protocol", "username", "password")
TYPE_NAMES: dict[type, str] = {bool: "boolean", str: "string"}


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request. No body is an empty one; a broken one is 400 with the words of a 500."""
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise BrokenJsonError(str(error)) from error
    return parsed if isinstance(parsed, dict) else {}


class BrokenJsonError(errors.ApiError):
    """The body is not JSON."""

    def __init__(self, text: str) -> None:
        super().__init__(400, text)

    def reply(self) -> message.Reply:
        """400, with `error` as if it were a 500."""
        body = {"status": 400, "error": "Internal Server Error", "response": {"message": self.text}}
        return message.reply(400, body)


def refuse(problems: list[str]) -> None:
    """Answer 400 where there are problems."""
    if problems:
        raise errors.ApiError(400, problems)


def wrong_types(values: dict[str, Any], expected: dict[str, type]) -> list[str]:
    """Texts for the values that are not of their type."""
    return [
        f"{key} is not of a type(s) {TYPE_NAMES[kind]}"
        for key, kind in expected.items()
        if key in values and not isinstance(values[key], kind)
    ]


def check_settings(values: dict[str, Any]) -> None:
    """`settings/set` is a full replacement: six booleans are required."""
    missing = [f'instance requires property "{key}"' for key in REQUIRED_SETTINGS if key not in values]
    refuse(missing + wrong_types(values, SETTINGS_TYPES))


def check_webhook(values: dict[str, Any]) -> dict[str, Any]:
    """The `webhook` object of `webhook/set`."""
    webhook = values.get("webhook")
    if not isinstance(webhook, dict):
        refuse(['instance requires property "webhook"'])
        return {}
    missing = [f'webhook requires property "{key}"' for key in REQUIRED_WEBHOOK if key not in webhook]
    types = wrong_types(webhook, {"enabled": bool, "url": str})
    refuse(missing + [f"webhook.{text}" for text in types] + unknown_events(webhook.get("events")))
    return webhook


def check_proxy(values: dict[str, Any]) -> None:
    """`proxy/set` requires three texts that are not empty, even to disable the proxy."""
    missing = [f'instance requires property "{key}"' for key in REQUIRED_PROXY if key not in values]
    types: dict[str, type] = {"enabled": bool} | dict.fromkeys(PROXY_TEXTS, str)
    empty = [f'The "{key}" cannot be empty' for key in REQUIRED_PROXY if values.get(key) == ""]
    refuse(missing + wrong_types(values, types) + empty)


def unknown_events(events: Any) -> list[str]:
    """Texts for events that do not exist."""
    known = ",".join(webhooks.EVENTS)
    return [
        f"webhook.events[{position}] is not one of enum values: {known}"
        for position, event in enumerate(events or [])
        if event not in webhooks.EVENTS
    ]
