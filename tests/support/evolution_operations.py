"""Generated sequences of calls to an Evolution API server, made through the operator's own client."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from evolution_simulator import breakage, faults, population, world
from whatsapp_operator.evolution import client, evidence

NAMES = ("shop", "sales", "nobody")
HOOK = evidence.Webhook(
    url="http://127.0.0.1:9/hook",
    events=frozenset({"MESSAGES_UPSERT"}),
    headers={"Authorization": "x"},
    by_events=False,
    base64=False,
)
_SETTINGS = {
    "rejectCall": True,
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of the client, a deed of the simulator, or the passing of some seconds of its time."""

    what: str
    name: str = ""
    detail: str = ""


_CALLS = (
    "list_memory",
    "list_database",
    "read_memory",
    "verify_key",
    "create",
    "connect",
    "restart",
    "logout",
    "delete",
    "find_settings",
    "set_settings",
    "find_webhook",
    "set_webhook",
    "probe",
)
_DEEDS = ("scan", "break", "database", "pair", "fault")
_LATE_SECONDS = 0.2
_BREAKS = (faults.Kind.REFUSED, faults.Kind.RESET, faults.Kind.HALF_OPEN)
"""Reads go over the socket once more where their connection breaks, as `evolution.transport` says."""


def draw(seed: int, *, count: int) -> Iterator[Operation]:
    """A sequence of so many operations; time passes after each."""
    chance = random.Random(seed)  # noqa: S311 - a sequence that can be repeated, no cryptography
    for _ in range(count):
        what = chance.choice(_CALLS) if chance.random() < 0.75 else chance.choice(_DEEDS)
        details = tuple(faults.Kind) if what == "fault" else tuple(breakage.BREAKAGES)
        yield Operation(what, chance.choice(NAMES), str(chance.choice(details)))


async def call(api: client.Client, one: Operation) -> object:
    """Make a call; what it proved."""
    match one.what:
        case "list_memory" | "list_database" | "verify_key":
            return await getattr(api, one.what)()
        case "create":
            wanted = evidence.NewInstance(
                name=one.name,
                integration="WHATSAPP-BAILEYS",
                token=f"token-of-{one.name}",
                number=None,
                business_id=None,
                settings={},
                webhook=None,
                proxy=None,
            )
            return await api.create(wanted)
        case "set_settings":
            return await api.set_settings(one.name, _SETTINGS)
        case "set_webhook":
            return await api.set_webhook(one.name, HOOK)
        case "probe":
            return await api.probe(one.name, number="5511")
    return await getattr(api, one.what)(one.name)


def do(model: world.World, spoilt: faults.Faults, one: Operation) -> None:
    """Do a deed; one that does not fit does nothing."""
    known = model.memory.get(one.name)
    match one.what:
        case "fault":
            kind = faults.Kind(one.detail)
            method = "POST" if kind in _BREAKS else None
            spoilt.add(kind, count=1, method=method, status=502, seconds=_LATE_SECONDS)
        case "scan":
            model.scan(one.name)
        case "database":
            model.database.down = not model.database.down
        case "pair":
            _pair(model, known)
        case _:
            try:
                breakage.break_instance(model, one.name, one.detail)
            except breakage.NotApplicableError:
                return


def _pair(model: world.World, known: Any) -> None:
    if known is not None and not model.database.down:
        population.pair(model, known, owner_jid="5511@s.whatsapp.net")


def is_deed(one: Operation) -> bool:
    """Whether it is none of the operator's calls."""
    return one.what in _DEEDS
