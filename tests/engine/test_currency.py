"""What was seen in a list may be of the past: it is read again before it is acted on without a write ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from engine.test_burden import House, a_subject
from engine.test_creation import Secrets, begun, created
from support.world import a_row
from whatsapp_operator.engine import currency, deletion, existence, ports
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence


class Store:
    """The store itself, with one resource at a version, or none; it notes how often it was read."""

    def __init__(self, version: str | None) -> None:
        self.version, self.reads = version, 0

    async def read(self, _kind: str, _key: ports.Key) -> Mapping[str, Any]:
        self.reads += 1
        if self.version is None:
            raise ports.NotFound
        return {"metadata": {"resourceVersion": self.version}}


def at(one: Subject, version: str, *, status: object = None) -> Mapping[str, Any]:
    metadata = {**one.body["metadata"], "resourceVersion": version}
    return {"metadata": metadata, "spec": {"serverRef": {"name": "main"}}, "status": status or {}}


def listed(one: Subject, *, version: str = "7", status: object = None) -> Subject:
    one.update(at(one, version, status=status))
    return one


def seen_at(version: str) -> Subject:
    return listed(a_subject("shop", {}), version=version)


def house_of(store: Store) -> House:
    house = House("shop")
    house.context.kubernetes = cast("Any", store)
    return house


async def test_resource_that_was_listed_is_read_once() -> None:
    house, one = house_of(store := Store("7")), seen_at("7")

    await currency.require(house.context, one)
    await currency.require(house.context, one)

    assert store.reads == 1


async def test_resource_that_was_just_written_is_not_read() -> None:
    house, one = house_of(store := Store("8")), seen_at("7")
    one.stored(at(one, "8"))

    await currency.require(house.context, one)

    assert store.reads == 0


async def test_answer_to_a_write_neither_hides_what_came_after_it_nor_vouches_for_it() -> None:
    house, one = house_of(store := Store("9")), seen_at("7")
    newer = listed(one, version="9").instance
    with pytest.raises(ports.Conflict):
        one.stored(at(one, "8"))

    assert one.instance is newer
    assert one.resource_version == "9"
    await currency.require(house.context, one)
    assert store.reads == 1, "only what the store itself answered last is known to be the present"


async def test_what_the_watch_has_told_before_the_answer_is_not_parsed_again() -> None:
    house, one = house_of(store := Store("8")), seen_at("7")
    told = listed(one, version="8").instance
    one.stored(at(one, "8"))

    assert one.instance is told
    await currency.require(house.context, one)
    assert store.reads == 0


@pytest.mark.parametrize(
    ("now", "error"), [("9", ports.Conflict), (None, ports.NotFound)], ids=["changed since", "gone since"]
)
async def test_resource_of_the_past_is_not_acted_on(now: str | None, error: type[ports.KubernetesError]) -> None:
    house, one = house_of(Store(now)), seen_at("7")

    with pytest.raises(error):
        await currency.require(house.context, one)


async def test_what_was_written_is_read_again_once_a_watch_tells_of_another_version() -> None:
    house, one = house_of(store := Store("9")), seen_at("7")
    one.stored(at(one, "7"))
    listed(one, version="9")

    await currency.require(house.context, one)

    assert store.reads == 1


class Gone(Secrets):
    """A Kubernetes API in which the resource is gone."""

    async def read(self, _kind: str, _key: ports.Key) -> Mapping[str, Any]:
        raise ports.NotFound


async def test_resource_that_is_gone_by_now_is_neither_given_a_token_nor_created_on_the_server() -> None:
    house, draft = begun(secrets := Gone())
    listed(draft.subject)

    with pytest.raises(ports.NotFound):
        await created(house, draft)

    assert secrets.asked == []


class Listing:
    """An observer that always lists one instance."""

    async def list_rows(self) -> evidence.DatabaseList:
        row = a_row("open", owner=True, identity="id-1")
        return evidence.DatabaseList(rows={"shop": row})


async def test_deletion_of_the_past_is_not_begun() -> None:
    house, draft = begun(Gone())
    listed(draft.subject, status={"instanceID": "id-1", "adopted": False})
    assert draft.subject.instance is not None
    draft = drafts.begin(draft.subject, draft.subject.instance, house.server, pause=None, now=house.time.now())
    house.server.observed.client_name = "evolution"
    house.context.observers[house.server.key] = cast("Any", Listing())
    announcer = Announcer(house.context)
    writer = StatusWriter(house.context)
    found = existence.Existence(house.context, writer, announcer)

    with pytest.raises(ports.NotFound):
        await deletion.Deletions(house.context, writer, found, announcer)._delete_if_ours(house.server, draft)  # noqa: SLF001 - all else is e2e

    assert draft.subject.deletion is None
