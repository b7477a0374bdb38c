"""What can become of one call: the alphabet of the search."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from simulation.kubernetes import kinds
from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import leadership, ports
from whatsapp_operator.evolution import routes


class Fate(enum.Enum):
    """What becomes of a call, and of the process that makes it."""

    WELL = "is answered"
    LOST = "is lost before it has an effect"
    UNANSWERED = "has its effect, and is not answered"
    CONFLICT = "is answered 409 without an effect"
    REFUSED = "is refused without an effect"
    EMPTY = "is answered with an empty list"
    DIES_BEFORE = "is not made: its process dies"
    DIES_AFTER = "has its effect, and its process dies"
    STANDS_STILL = "has its effect, and its process stands still"
    """For longer than its Lease lasts."""


CRASHES = frozenset({Fate.DIES_BEFORE, Fate.DIES_AFTER})

_READ = (Fate.WELL, Fate.LOST, Fate.DIES_BEFORE)
_LIST = (Fate.WELL, Fate.LOST, Fate.EMPTY, Fate.DIES_BEFORE)
_PROCESS = (Fate.DIES_BEFORE, Fate.DIES_AFTER, Fate.STANDS_STILL)
_WRITE = (Fate.WELL, Fate.LOST, Fate.UNANSWERED, Fate.CONFLICT, *_PROCESS)
_ACT = (Fate.WELL, Fate.LOST, Fate.UNANSWERED, Fate.REFUSED, *_PROCESS)

_MEMBER = "-member-"
_REST = leadership.claim_name(ports.REST, scope="")
_SHOWN = frozenset({"blockedBy", "planned", "healthySince"})
_LATCHED = frozenset(
    {"instanceID", "adopted", "paired", "pairingWindowOpenedAt", "keepsake", "keepsakeDigest", "deletionAskedAt"}
)
"""What is known from status alone after a restart of the operator."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call that is about to leave its process."""

    text: str
    fates: tuple[Fate, ...]
    to_kubernetes: bool
    quiet: bool = False
    """It is served at once, and nothing happens to it."""
    bulk: bool = False
    """It reads all instances."""
    shares: bool = False
    """It is made by who takes a claim, and tells nothing that the write of the claim does not; or the claim is on what
    has no server."""


def outgoing(call: object) -> Outgoing:
    """What can become of a call that a wire is about to make.

    Raises:
        TypeError: it is none of the two APIs'.
    """
    match call:
        case transport.Call():
            return _to_kubernetes(call)
        case (routes.Route() as route, str(path)):
            return _to_evolution(route, path)
        case _:
            raise TypeError(f"no call: {call!r}")


def _to_kubernetes(call: transport.Call) -> Outgoing:
    text = f"{call.verb} {call.path.partition(f'/{call.resource}')[2].strip('/') or call.resource}"
    if call.resource not in text:
        text = f"{call.verb} {call.resource}/{text.partition(' ')[2]}"
    if call.resource == kinds.EVENTS.plural or _is_a_sign_of_life(call) or _tells_people(call):
        return Outgoing(text, (Fate.WELL,), to_kubernetes=True, quiet=True)
    fates = _READ if call.verb in ("get", "list") else _WRITE
    return Outgoing(text, fates, to_kubernetes=True, shares=_lists_resources(call) or _name_of(call) == _REST)


def _is_a_sign_of_life(call: transport.Call) -> bool:
    """Renewals and looks at Leases: what their absence does is the fate of standing still, or of dying."""
    if call.resource != "leases":
        return False
    return call.verb == "list" or _MEMBER in _name_of(call)


def _name_of(call: transport.Call) -> str:
    if call.verb == "create":
        return str(call.body["metadata"]["name"]) if isinstance(call.body, Mapping) else ""
    return call.path.rpartition("/")[2]


def _lists_resources(call: transport.Call) -> bool:
    """It comes after a claim was taken, and where it fails that was for nothing: as where the claim is written and not
    answered, or its process dies right after it."""
    return call.verb == "list" and call.resource in (kinds.SERVERS.plural, kinds.INSTANCES.plural)


def _tells_people(call: transport.Call) -> bool:
    """A write of status on which nothing rests but what is shown: that a step is planned, or what is against it."""
    if call.resource != f"{kinds.INSTANCES.plural}/status" or not isinstance(call.body, Mapping):
        return False
    status = call.body.get("status") or {}
    rests_on_it = set(status.get("recovery") or {}) - _SHOWN
    return not rests_on_it and _LATCHED.isdisjoint(status)


def _to_evolution(route: routes.Route, path: str) -> Outgoing:
    text = f"{route.method} {path}"
    if route.bulk:
        return Outgoing(text, _LIST, to_kubernetes=False, bulk=True)
    return Outgoing(text, _ACT if route.acts else _READ, to_kubernetes=False)
