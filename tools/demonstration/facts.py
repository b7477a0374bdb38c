"""What must be seen for an act to have happened.

A scene is what can be seen at one moment: the resources as the API server has them, and what the operator called on the
Evolution API and wrote to its audit trail since the act began. A fact is a sentence about a scene, and whether it is
true. Nothing here believes what the operator says of its own success: `Ready` is checked beside the server's journal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of an act. `ids` are the instances' ids on the server when the act began."""

    instances: Mapping[str, Json]
    servers: Mapping[str, Json]
    calls: Sequence[Json]
    audit: Sequence[Json]
    seconds: float
    ids: Mapping[str, str]

    @property
    def changing_calls(self) -> Sequence[Json]:
        """The calls that could have changed something on the server."""
        return [call for call in self.calls if call["mutating"]]

    def changed(self, name: str) -> Sequence[str]:
        """The routes of the changing calls to one instance."""
        return [call["route"] for call in self.changing_calls if call["instance"] == name]


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence, and whether it is true of a scene."""

    sentence: str
    holds: Callable[[Scene], bool]


def instance_id(resource: Json) -> str:
    """The instance's id on the server: another id is another instance."""
    return str(resource.get("status", {}).get("instanceID", ""))


def shows_a_code(name: str) -> Fact:
    """A QR code can be scanned."""
    return Fact(f"{name}: a QR code waits to be scanned", lambda scene: _waits_for_scan(scene, name))


def is_ready(name: str) -> Fact:
    """Ready=True, and no QR code is left lying about."""

    def holds(scene: Scene) -> bool:
        return _condition(scene.instances, name, "Ready") == "True" and "pairing" not in _status(scene.instances, name)

    return Fact(f"{name}: Ready=True", holds)


def is_unknown(name: str) -> Fact:
    """Nothing is claimed about an instance that cannot be seen."""
    return Fact(f"{name}: Ready=Unknown", lambda scene: _condition(scene.instances, name, "Ready") == "Unknown")


def server_is(name: str, *, ready: bool) -> Fact:
    """The EvolutionServer's own condition."""
    wanted = str(ready)
    return Fact(f"server {name}: Ready={wanted}", lambda scene: _condition(scene.servers, name, "Ready") == wanted)


def was_mended(name: str, *, step: str, because: str) -> Fact:
    """The audit trail has the step, for this reason and no other step, and a later observation proved it."""

    def holds(scene: Scene) -> bool:
        records = [one for one in scene.audit if one["name"] == name]
        taken = [(one["step"], one["reason"]) for one in records if one["phase"] == "intent"]
        proved = [one["step"] for one in records if one.get("result") == "Succeeded"]
        return set(taken) == {(step, because)} and step in proved

    return Fact(f"{name}: {step} because of {because}, and it helped", holds)


def was_called_for(name: str, *routes: str) -> Fact:
    """The server's journal has exactly these changing calls, repetitions aside, in this order."""
    return Fact(
        f"{name}: the server was called for {', '.join(routes)}, for nothing else",
        lambda scene: tuple(dict.fromkeys(scene.changed(name))) == routes,
    )


def was_called_for_beside_its_code(name: str, *routes: str) -> Fact:
    """As above, for an instance that waits for a scan: its QR code is had by `connect`, before and afterwards."""
    return Fact(
        f"{name}: the server was called for {', '.join(routes)}, beside the QR code",
        lambda scene: tuple(dict.fromkeys(route for route in scene.changed(name) if route != "connect")) == routes,
    )


def is_another_incarnation(name: str) -> Fact:
    """The instance on the server is not the one that the act began with."""

    def holds(scene: Scene) -> bool:
        now = instance_id(scene.instances.get(name, {}))
        return bool(now) and now != scene.ids.get(name)

    return Fact(f"{name}: a new instance on the server", holds)


def is_left_alone(name: str) -> Fact:
    """No call that could change this instance."""
    return Fact(f"{name}: not one call to change it", lambda scene: not scene.changed(name))


def nothing_is_touched(*, seconds: float) -> Fact:
    """No call that could change an instance, for so long, and no step that a server out of reach never got to see."""

    def holds(scene: Scene) -> bool:
        meant = [record for record in scene.audit if record["phase"] == "intent"]
        return scene.seconds >= seconds and not scene.changing_calls and not meant

    return Fact(f"{seconds:.0f} s without one step, and without one call to change anything", holds)


def _status(resources: Mapping[str, Json], name: str) -> Json:
    found: Json = resources.get(name, {}).get("status", {})
    return found


def _condition(resources: Mapping[str, Json], name: str, kind: str) -> str | None:
    conditions = _status(resources, name).get("conditions", ())
    return next((str(one["status"]) for one in conditions if one["type"] == kind), None)


def _waits_for_scan(scene: Scene, name: str) -> bool:
    status = _status(scene.instances, name)
    return status.get("reason") == "AwaitingScan" and "pairing" in status
