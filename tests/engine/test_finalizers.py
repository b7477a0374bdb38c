"""What a resource is held by after its finalizers were written, whatever a watch has told meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from support import simulated, surroundings
from whatsapp_operator.engine import finalizers, ports
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.resources import instance
from whatsapp_operator.resources.names import FINALIZER

OTHER = "example.com/other"


def body(version: str, *held_by: str) -> dict[str, Any]:
    metadata = {"name": "shop", "namespace": "messaging", "uid": "u", "resourceVersion": version}
    return {"metadata": metadata | {"finalizers": list(held_by)}, "spec": {"serverRef": {"name": "main"}}}


@dataclass
class Store:
    """A Kubernetes API; a watch tells what it is to tell before it answers."""

    one: Subject
    answers: str
    told: Sequence[Mapping[str, Any]] = ()
    written: list[Sequence[str]] = field(default_factory=list)

    async def write_finalizers(self, _kind: str, _key: ports.Key, wanted: Sequence[str], **_: object) -> ports.Body:
        self.written.append(wanted)
        for each in self.told:
            self.one.update(each)
        return body(self.answers, *wanted)


def held_by(*names: str) -> Subject:
    one = Subject(key=ports.Key("messaging", "shop"), body={})
    one.update(body("7", *names))
    return one


async def remove(store: Store) -> None:
    context = surroundings.context(simulated.Time(), kubernetes=store)
    await finalizers.remove(context, instance.KIND, store.one, FINALIZER)


async def add(store: Store) -> None:
    context = surroundings.context(simulated.Time(), kubernetes=store)
    await finalizers.add(context, instance.KIND, store.one, FINALIZER)


async def test_resource_that_goes_with_its_last_finalizer_is_held_no_more_under_the_version_that_it_had() -> None:
    one = held_by(FINALIZER)

    await remove(Store(one, answers="7"))

    assert one.metadata.finalizers == ()


async def test_resource_that_others_hold_goes_on_without_ours() -> None:
    one = held_by(FINALIZER, OTHER)

    await remove(Store(one, answers="8"))

    assert one.metadata.finalizers == (OTHER,)


async def test_removal_does_not_hide_what_was_changed_after_it() -> None:
    one = held_by(FINALIZER, OTHER)

    await remove(Store(one, answers="8", told=[body("8", OTHER), body("9")]))

    assert one.metadata.finalizers == ()


async def test_resource_is_held() -> None:
    one = held_by(OTHER)

    await add(Store(one, answers="8", told=[body("8", OTHER, FINALIZER)]))

    assert one.metadata.finalizers == (OTHER, FINALIZER)


async def test_resource_that_was_changed_while_it_came_to_be_held_is_looked_at_anew() -> None:
    one = held_by()

    with pytest.raises(ports.Conflict):
        await add(Store(one, answers="8", told=[body("9", FINALIZER)]))

    assert one.resource_version == "9"


class Lost(surroundings.AllHeld):
    """The claim is another's by now."""

    def holds(self, _: ports.Key, /) -> bool:
        return False


@pytest.mark.parametrize(("held", "write"), [((FINALIZER,), finalizers.remove), ((), finalizers.add)])
async def test_resource_that_another_replica_looks_after_is_neither_held_nor_let_go(
    held: tuple[str, ...], write: Callable[..., Awaitable[None]]
) -> None:
    one = held_by(*held)
    store = Store(one, answers="8")
    context = surroundings.context(simulated.Time(), kubernetes=store, claims=Lost())

    with pytest.raises(ports.Conflict):
        await write(context, instance.KIND, one, FINALIZER)

    assert (one.metadata.finalizers, store.written) == (held, [])
