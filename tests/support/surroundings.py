"""The engine's surroundings, with nothing behind the ports that a test does not name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

from support import simulated
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import ports
from whatsapp_operator.engine import queue as queues
from whatsapp_operator.health.spans import Spans


class AllHeld:
    """Claims of the only replica there is."""

    def __init__(self) -> None:
        self.ledgers: dict[ports.Key, str] = {}

    def holds(self, _: ports.Key, /) -> bool:
        return True

    @contextlib.contextmanager
    def work(self, _: ports.Key, /) -> Iterator[bool]:
        yield True

    def ledger(self, server: ports.Key, /) -> str | None:
        return self.ledgers.get(server)

    async def save_ledger(self, server: ports.Key, text: str, /) -> None:
        self.ledgers[server] = text


class Untouched:
    """A port that must not be used."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(name)

    def __call__(self, *_: object) -> NoReturn:
        raise AssertionError


def context(time: simulated.Time, **given: Any) -> contexts.Context:
    """A context on simulated time; every port that is not given must not be used."""
    chance = simulated.Chance()
    untouched: Any = Untouched()
    others = dict.fromkeys(("tasks", "kubernetes", "make_client", "telemetry"), untouched)
    return contexts.Context(
        clock=time,
        sleep=time.sleep,
        timers=time,
        random=chance,
        spans=Spans(),
        limits=contexts.Limits(),
        queue=queues.WorkQueue(clock=time, timers=time, random=chance),
        **others | {"claims": AllHeld()} | given,
    )
