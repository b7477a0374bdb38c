"""Webhook events of instances.

Events are sent and forgotten, but for two: `remove.instance` and `logout.instance` are awaited, retries included,
before the server cleans up. A dead receiver therefore delays a deletion for as long as the retries last, and the
address that counts is the one configured when the event was emitted (Evolution API 2.3.7, webhook.controller.ts,
monitor.service.ts).
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from evolution_simulator import clock, database

EVENTS = (
    "APPLICATION_STARTUP",
    "QRCODE_UPDATED",
    "MESSAGES_SET",
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_SET",
    "CONTACTS_UPSERT",
    "CONTACTS_UPDATE",
    "PRESENCE_UPDATE",
    "CHATS_SET",
    "CHATS_UPSERT",
    "CHATS_UPDATE",
    "CHATS_DELETE",
    "GROUPS_UPSERT",
    "GROUP_UPDATE",
    "GROUP_PARTICIPANTS_UPDATE",
    "CONNECTION_UPDATE",
    "LABELS_EDIT",
    "LABELS_ASSOCIATION",
    "CALL",
    "TYPEBOT_START",
    "TYPEBOT_CHANGE_STATUS",
    "REMOVE_INSTANCE",
    "LOGOUT_INSTANCE",
    "INSTANCE_CREATE",
    "INSTANCE_DELETE",
    "STATUS_INSTANCE",
)
FINAL_STATUSES = frozenset({400, 401, 403, 404, 422})
MAX_ATTEMPTS = 10
FIRST_DELAY_SECONDS = 5.0
LONGEST_DELAY_SECONDS = 300.0
JITTER = 0.2
REMEMBERED = 1000

Later = Callable[[float, clock.Callback], object]
Answered = Callable[[int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one address."""

    url: str
    headers: dict[str, str]
    body: dict[str, Any]


class Sender(Protocol):
    """Carries a delivery to its address."""

    def send(self, delivery: Delivery, answered: Answered) -> None:
        """Post it once; then tell the HTTP status, or None where there was no answer."""


class Discard:
    """A sender whose receivers all answer 200 at once."""

    def send(self, delivery: Delivery, answered: Answered) -> None:
        """Answer 200."""
        del delivery
        answered(200)


def event_name(event: str) -> str:
    """`remove.instance` as the lists of events spell it."""
    return event.replace(".", "_").replace("-", "_").upper()


def subscribes(webhook: database.Webhook, event: str) -> bool:
    """Whether an event is sent at all; an address that is not HTTP is stored and never called."""
    return webhook.enabled and event_name(event) in webhook.events and webhook.url.startswith("http")


def address(webhook: database.Webhook, event: str) -> str:
    """Where an event goes; `byEvents` appends its name."""
    return f"{webhook.url}/{event.replace('.', '-')}" if webhook.by_events else webhook.url


class Webhooks:
    """Emits the events of all instances of one server."""

    def __init__(self, *, sender: Sender, later: Later, process: Callable[[], int], rng: random.Random) -> None:
        self._later = later
        self._process = process
        self._rng = rng
        self.sender = sender
        self.dead: set[str] = set()
        self.attempts: deque[Delivery] = deque(maxlen=REMEMBERED)

    def emit(
        self, webhook: database.Webhook, *, event: str, envelope: dict[str, Any], then: clock.Callback | None = None
    ) -> None:
        """Send an event; `then` runs when it arrived or was given up."""
        headers = dict(webhook.headers) if isinstance(webhook.headers, dict) else {}
        body = {"event": event, "destination": webhook.url} | envelope
        delivery = Delivery(url=address(webhook, event), headers=headers, body=body)
        self._attempt(delivery, attempt=1, then=then)

    def _attempt(self, delivery: Delivery, *, attempt: int, then: clock.Callback | None) -> None:
        self.attempts.append(delivery)
        process = self._process()

        def answered(status: int | None) -> None:
            if process != self._process():  # who waited for this answer has ended
                return
            arrived = status is not None and (status < 400 or status in FINAL_STATUSES)
            if not arrived and attempt < MAX_ATTEMPTS:
                self._later(self._delay(attempt), lambda: self._attempt(delivery, attempt=attempt + 1, then=then))
            elif then is not None:
                then()

        if any(delivery.url.startswith(url) for url in self.dead):
            answered(None)
        else:
            self.sender.send(delivery, answered)

    def _delay(self, attempt: int) -> float:
        delay: float = min(FIRST_DELAY_SECONDS * 2 ** (attempt - 1), LONGEST_DELAY_SECONDS)
        return delay * (1 + self._rng.uniform(-JITTER, JITTER))
