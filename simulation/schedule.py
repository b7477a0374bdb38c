"""What happens in a run, and when: drawn from the seed, deed by deed, so that any of them can be left out."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from evolution_simulator import breakage, faults
from simulation import setup as setups
from simulation.kubernetes import faults as kubernetes_faults
from simulation.pace import USUAL, Pace
from simulation.system import stream

BEGIN_SECONDS = 80.0
"""By then instances are usually created and paired."""
_FOLLOWING = 0.4
_FORGOTTEN = 0.5
"""Of all broken streams, those that cannot go on where they were."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed and its time, in seconds from the beginning; `number` is its place in the whole schedule."""

    number: int
    at: float
    what: str
    args: Mapping[str, Any]

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.args.items())
        return f"[{self.number}] {self.at:8.3f} s  {self.what} {told}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The deeds in order, and when all faults stop."""

    entries: tuple[Entry, ...]
    ends_at: float
    branches_at: float = 0.0
    """Until then everything happens as on the trunk, if it is a branch."""

    def only(self, kept: Collection[int]) -> Schedule:
        """The same with nothing but these deeds."""
        return replace(self, entries=tuple(one for one in self.entries if one.number in kept))

    def until(self, moment: float) -> Schedule:
        """What happens before a moment."""
        return replace(self, entries=tuple(one for one in self.entries if one.at < moment))

    def since(self, moment: float) -> Schedule:
        """What happens from a moment on."""
        return replace(self, entries=tuple(one for one in self.entries if one.at >= moment))

    def beside(self, entries: Iterable[Entry]) -> Schedule:
        """This, and more deeds among those that there are."""
        both = sorted((*self.entries, *entries), key=lambda one: one.at)
        return replace(self, entries=tuple(replace(one, number=number) for number, one in enumerate(both)))

    def then(self, other: Schedule) -> Schedule:
        """This, and after it another one."""
        first = len(self.entries)
        return replace(
            other, entries=(*self.entries, *(replace(one, number=first + one.number) for one in other.entries))
        )


@dataclass(frozen=True, slots=True)
class Ailment:
    """A broken state that one kind of step heals, and how long after its begin that is usually taken, in seconds."""

    state: str
    healed_after: tuple[float, float]


AILMENTS = (
    Ailment("S7", (60.0, 95.0)),  # a Relogin
    Ailment("S7", (60.0, 95.0)),
    Ailment("S2", (60.0, 95.0)),  # a Recreate
    Ailment("S5", (5.0, 25.0)),  # a Reconnect
)
_FIRST_AILMENT_SECONDS = 35.0
_AILMENTS_APART = (15.0, 40.0)


def ailments(seed: object, setup: setups.Setup, *, until: float) -> list[tuple[Entry, Ailment]]:
    """Instances break again and again, as only some step heals; by a chance of its own."""
    chance = stream(seed, "ailments")
    found: list[tuple[Entry, Ailment]] = []
    at = _FIRST_AILMENT_SECONDS
    while (at := at + chance.uniform(*_AILMENTS_APART)) < until:
        one = chance.choice(AILMENTS)
        args = _remote(chance, setup) | {"state": one.state}
        found.append((Entry(len(found), round(at, 3), "break_instance", args), one))
    return found


Draw = Callable[[random.Random, setups.Setup], tuple[str, dict[str, Any]]]


def draw(seed: object, setup: setups.Setup, pace: Pace = USUAL, *, begin: float = BEGIN_SECONDS) -> Schedule:
    """What happens by the chance of a seed from a moment on."""
    # What was not drawn from the beginning has a chance of its own: so what was is still drawn as it was.
    chance, besides = stream(seed, "schedule"), stream(seed, "schedule, besides")
    length = chance.choice(pace.lengths)
    draws, weights = zip(*_WEIGHTS.items(), strict=True)
    entries = []
    for number, at in enumerate(_times(chance, length, pace, begin=begin)):
        what, args = chance.choices(draws, weights)[0](chance, setup)
        if what == "watch_break":
            args["forgets"] = besides.random() < _FORGOTTEN
        entries.append(Entry(number, at, what, args))
    return Schedule(tuple(entries), begin + length + pace.lingers, branches_at=begin)


def _times(chance: random.Random, length: float, pace: Pace, *, begin: float) -> list[float]:
    """When deeds happen: some soon after another one, while that is still felt."""
    times: list[float] = []
    for _ in range(chance.randint(*pace.number)):
        follows = bool(times) and chance.random() < _FOLLOWING
        after = chance.choice(times) + chance.uniform(*pace.felt) if follows else length
        times.append(after if after < length else chance.uniform(0, length))
    return sorted(round(begin + at, 3) for at in times)


def _place(chance: random.Random, setup: setups.Setup) -> dict[str, Any]:
    one = chance.choice(setup.instances)
    return {"namespace": one.namespace, "name": one.name}


def _remote(chance: random.Random, setup: setups.Setup) -> dict[str, Any]:
    one = chance.choice(setup.instances)
    return {"server": one.server, "name": one.name}


def _server(chance: random.Random, setup: setups.Setup) -> dict[str, Any]:
    return {"server": chance.choice(setup.servers).name}


def _slot(chance: random.Random, setup: setups.Setup) -> dict[str, Any]:
    return {"slot": chance.randrange(setup.replicas)}


def _span(chance: random.Random, *spans: float) -> float:
    return round(chance.choice(spans) * chance.uniform(0.5, 1.5), 3)


def _breakage(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    return "break_instance", _remote(chance, setup) | {"state": chance.choice(tuple(breakage.BREAKAGES))}


OF_ALL = ("S1", "S3", "S5", "S17", "S13")
OF_ONE_GIVEN_UP = ("S3", "S4", "S10", "S11", "S17")


def _breakages(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    return "break_all", _server(chance, setup) | {"state": chance.choice(OF_ALL)}


def _given_up(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    one = chance.choice(setup.instances)
    place = {"server": one.server, "namespace": one.namespace, "name": one.name}
    state = chance.choice(OF_ONE_GIVEN_UP)
    return "break_and_delete", place | {"state": state, "seconds": _span(chance, 5, 40)}


_CODES = (401, 402, 403, 406, 408, 411, 428, 440, 500, 503, 515)


def _disconnect(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    return "disconnect", _remote(chance, setup) | {"code": chance.choice(_CODES)}


def _phone(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    return chance.choice(("scan", "scan", "messages", "hand_webhook")), _remote(chance, setup)


def _server_trouble(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    args = _server(chance, setup) | {"seconds": _span(chance, 3, 30, 120)}
    what = chance.choice(("server_down", "database_down", "other_identity", "rotate_key"))
    if what == "server_down":
        args["listener_only"] = chance.random() < 0.3
    if what == "database_down":
        args["drops"] = chance.random() < 0.6
    return what, args


def _rollout(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    if chance.random() < 0.2:
        return "stall_in_restart", _remote(chance, setup) | {"seconds": _span(chance, 25, 90)}
    if chance.random() < 0.5:
        return "roll_out_in_restart", _remote(chance, setup) | {"seconds": _span(chance, 0.01, 1, 10)}
    return "slow_rollout", _remote(chance, setup) | {"seconds": _span(chance, 60, 900)}


def _version(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    return "change_version", _server(chance, setup) | {"number": chance.choice(("2.3.6", "2.3.7"))}


def _reach(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    how = chance.choice(("refused", "silent", "stalled", "blackholed"))
    args = _remote(chance, setup) if chance.random() < 0.5 else _server(chance, setup)
    if "name" not in args and chance.random() < 0.2:
        args["proxy"] = setups.PROXY
    return "reach", args | {"how": how, "seconds": _span(chance, 30, 200, 900)}


_GIVEN = "given"
"""A Secret with the token of an instance, for whoever adopts it."""


def _outsider(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    if chance.random() < 0.3:
        one = chance.choice(setup.instances)
        return "hand_secret", {"namespace": one.namespace, "name": _GIVEN, "server": one.server, "of": one.name}
    return chance.choice(("outsider_row", "outsider_instance", "hand_proxy")), _remote(chance, setup)


_SPECS: tuple[Mapping[str, Any], ...] = (
    {"settings": {"rejectCall": True}},
    {"settings": {"groupsIgnore": True}},
    {"webhook": {"url": "http://127.0.0.1:9/other", "events": ["MESSAGES_UPSERT"]}},
    {"pairing": {"mode": "Always"}},
    {"deletionPolicy": "Retain"},
    {"deletionPolicy": "Delete"},
    {"recovery": {"sessionLoss": "Never"}},
    {"recovery": {"sessionLoss": "Automatic"}},
    {"recovery": {"mode": "DryRun"}},
    {"recovery": {"mode": "Disabled"}},
    {"recovery": {"mode": "Enabled"}},
)


def _edit(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    return "edit", _place(chance, setup) | {"spec": chance.choice(_SPECS)}


def _request(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    if chance.random() < 0.3:
        return "approve", _place(chance, setup)
    what = chance.choice(("reconcile", "restart", "pairing", "reset"))
    return "request", _place(chance, setup) | {"what": what, "value": f"v{chance.randrange(10**6)}"}


def _deletion(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    one = chance.choice(setup.instances)
    place = {"namespace": one.namespace, "name": one.name}
    if chance.random() < 0.5:
        return "delete", place
    return "recreate", place | {"spec": one.spec}


def _creation(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    """A new one; or one more for an instance that has a resource already."""
    one = chance.choice(setup.instances)
    spec = {name: value for name, value in one.spec.items() if name != "integration"}
    if chance.random() < 0.4:
        spec |= {"instanceName": one.name}
    if chance.random() < 0.3:
        spec |= {"tokenSecretRef": {"name": _GIVEN}}
    return "create", {"namespace": one.namespace, "name": f"n{chance.randrange(1000)}", "spec": spec}


def _pause(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    seconds = {"seconds": _span(chance, 30, 120, 400)}
    what = chance.choice(("pause", "pause_server", "pause_everything"))
    where = {"pause": _place, "pause_server": _server}.get(what)
    return what, (where(chance, setup) if where else {}) | seconds


def _server_resource(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    if chance.random() < 0.3:
        return "end_namespace", {}
    return "recreate_server", _server(chance, setup) | {"seconds": _span(chance, 2, 60)}


_LATE_SECONDS = (0.5, 3.0, 20.0, 50.0)
"""The last ones are longer than the operator waits."""
_ROUTES = (None, None, "create", "connect", "restart", "logout", "delete", "metrics", "fetchInstances")
_MORE_ROUTES = ("connectionState", "webhookFind", "webhookSet", "settingsSet", "fetchBusinessProfile")


def _evolution_fault(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    return "evolution_fault", _server(chance, setup) | {
        "fault": str(chance.choice(tuple(faults.Kind))),
        "route": chance.choice(_ROUTES + _MORE_ROUTES),
        "count": chance.choice((1, 1, 3, 10)),
        "status": chance.choice((500, 502, 429, 404)),
        "seconds": chance.choice(_LATE_SECONDS),
    }


_VERBS = (None, "list", "get", "create", "patch", "delete")
_RESOURCES = (
    None,
    "whatsappinstances/status",
    "whatsappinstances",
    "evolutionservers/status",
    "secrets",
    "leases",
    "deployments",
)


def _kubernetes_fault(chance: random.Random, _: setups.Setup) -> tuple[str, dict[str, Any]]:
    return "kubernetes_fault", {
        "fault": str(chance.choice(tuple(kubernetes_faults.Fault))),
        "verb": chance.choice(_VERBS),
        "resource": chance.choice(_RESOURCES),
        "count": chance.choice((1, 2, 5)),
    }


def _watch(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    if chance.random() < 0.3:
        return "watch_break", _slot(chance, setup) | {"seconds": _span(chance, 2, 30)}
    what = chance.choice(("lost", "repeated", "late"))
    return "watch_trouble", _slot(chance, setup) | {"what": what, "count": chance.choice((1, 3))}


def _crash(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    if chance.random() < 0.5:
        return "crash_in_step", {"points": chance.randint(1, 60)}
    return "crash", _slot(chance, setup) | {"points": chance.randint(1, 40)}


def _process(chance: random.Random, setup: setups.Setup) -> tuple[str, dict[str, Any]]:
    slot = _slot(chance, setup)
    what = chance.choice(("end_process", "freeze", "partition", "clock_jump", "lose_lease"))
    if what == "lose_lease":
        return what, {"number": chance.randrange(100)}
    if what in ("freeze", "partition"):
        slot["seconds"] = _span(chance, 3, 25, 90)
    if what == "clock_jump":
        slot["seconds"] = chance.choice((-3600.0, -30.0, 30.0, 300.0, 7200.0))
    return what, slot


_WEIGHTS: Mapping[Draw, float] = {
    _breakage: 6,
    _breakages: 1,
    _given_up: 0.5,
    _rollout: 0.4,
    _disconnect: 1.5,
    _phone: 1.5,
    _server_trouble: 2,
    _version: 0.3,
    _reach: 1.5,
    _outsider: 0.7,
    _edit: 1.5,
    _request: 1,
    _deletion: 1.5,
    _creation: 0.8,
    _pause: 0.8,
    _server_resource: 0.4,
    _evolution_fault: 3,
    _kubernetes_fault: 2.5,
    _watch: 1.5,
    _crash: 2.5,
    _process: 1.5,
}
