"""A creation takes few calls, holds no worker, and is not taken for somebody else's instance."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from engine.test_burden import House, a_subject, settle
from support import surroundings
from support.world import a_row
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import existence, ports, tokens
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.resources.reasons import Reason

ID = "id-1"
GENERATED = ports.SecretData(values={"token": b"generated"}, resource_version="1", managed=True)
GIVEN = ports.SecretData(values={"token": b"given"}, resource_version="1")


class Secrets:
    """A Kubernetes API with at most one Secret, that notes what was asked of it."""

    def __init__(self, found: ports.SecretData | None = None) -> None:
        self.found, self.asked = found, list[str]()

    async def read_secret(self, _key: ports.Key) -> ports.SecretData:
        self.asked.append("read")
        if self.found is None:
            raise ports.NotFound
        return self.found

    async def create_secret(self, _key: ports.Key, values: Mapping[str, bytes], **_: object) -> None:
        self.asked.append("create")
        if self.found is not None:
            raise ports.Conflict
        self.found = ports.SecretData(values=values, resource_version="1", managed=True)

    async def disown_secret(self, _key: ports.Key, *, resource_version: str) -> None:
        assert self.found is not None
        assert resource_version == self.found.resource_version
        self.asked.append("disown")

    async def emit(self, _event: ports.Event) -> None:
        """Nobody reads it."""


def begun(secrets: Secrets, **spec: Any) -> tuple[House, drafts.Draft]:
    house = House()
    house.context.kubernetes = cast("Any", secrets)
    house.server.warm_up = type(house.server.warm_up)(done=True)
    house.server.observed.ever_read, house.server.observed.version = True, "2.3.7"
    one = a_subject("shop", spec)
    one.stored({**one.body, "spec": {"serverRef": {"name": "main"}, **spec}, "status": {}})
    house.server.subjects["shop"] = house.context.subjects[one.key] = one
    assert one.instance is not None
    return house, drafts.begin(one, one.instance, house.server, pause=None, now=house.time.now())


async def test_new_token_takes_one_call() -> None:
    house, draft = begun(secrets := Secrets())

    token = await tokens.ensure(house.context, draft)

    assert token.generated
    assert secrets.asked == ["create"]


@pytest.mark.parametrize(("found", "generated"), [(GENERATED, True), (GIVEN, False)])
async def test_token_that_is_there_is_taken_and_not_overwritten(found: ports.SecretData, generated: bool) -> None:
    house, draft = begun(secrets := Secrets(found))

    token = await tokens.ensure(house.context, draft)

    assert token.value == found.values["token"].decode()
    assert token.generated is generated
    assert secrets.found is found


async def test_token_of_a_resource_that_is_gone_is_not_taken_since_its_secret_goes_with_it() -> None:
    leaving = ports.SecretData(
        values={"token": b"old"},
        resource_version="1",
        managed=True,
        owner_uids=frozenset({"of the one before"}),
        owner_names=frozenset({"shop"}),
    )
    house, draft = begun(secrets := Secrets(leaving))

    with pytest.raises(ports.Unavailable):
        await tokens.ensure(house.context, draft)
    secrets.found = None
    token = await tokens.ensure(house.context, draft)

    assert token.generated
    assert token.value != "old"


async def test_token_that_was_made_for_another_resource_is_not_shared_since_its_secret_goes_with_that_one() -> None:
    theirs = replace(GENERATED, owner_uids=frozenset({"theirs"}), owner_names=frozenset({"another"}))
    house, draft = begun(secrets := Secrets(theirs))

    with pytest.raises(tokens.TokenMissing):
        await tokens.ensure(house.context, draft)

    assert draft.subject.token is None
    assert secrets.found is theirs


async def test_token_that_outlived_its_resource_is_taken() -> None:
    house, draft = begun(Secrets(GENERATED))

    assert (await tokens.ensure(house.context, draft)).value == "generated"


async def test_secret_that_the_spec_names_is_read_first() -> None:
    house, draft = begun(secrets := Secrets(GIVEN), tokenSecretRef={"name": "mine"})

    await tokens.ensure(house.context, draft)

    assert secrets.asked == ["read"]


class Creating:
    """A server whose answer to `connect` a test holds back, and which counts what acts."""

    def __init__(self) -> None:
        self.circuit = evidence.Circuit()
        self.acts: list[str] = []
        self.answer = asyncio.Event()

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        return evidence.InMemory(ConnectionState.CLOSE) if self.acts else evidence.Absent()

    async def create(self, _wanted: evidence.NewInstance) -> evidence.Created:
        self.acts.append("create")
        return evidence.Created(id=ID)

    async def connect(self, _name: str) -> evidence.NoCode:
        self.acts.append("connect")
        await self.answer.wait()
        return evidence.NoCode()


class Loop:
    """Tasks of the running loop."""

    def spawn(self, name: str, work: Any, /) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)


async def created(house: House, draft: drafts.Draft) -> tuple[Creating, existence.Existence, Reason]:
    api = Creating()
    house.server.client, house.context.tasks = cast("Any", api), Loop()
    house.server.observed.rows, house.server.observed.rows_at = {}, house.time.now()
    found = existence.Existence(house.context, StatusWriter(house.context), Announcer(house.context))
    house.time.advance(1)
    return api, found, await found.establish(house.server, draft)


async def test_no_worker_waits_for_the_first_connect_and_nothing_else_is_done_meanwhile() -> None:
    house, draft = begun(Secrets())

    api, _, reason = await created(house, draft)
    await settle()

    assert reason is Reason.CONFIGURATION_PENDING
    assert api.acts == ["create", "connect"]
    assert draft.subject.connecting
    api.answer.set()
    await settle()
    assert not draft.subject.connecting
    assert draft.subject.key in [item.key for item in await house.due()]


class Claims(surroundings.AllHeld):
    """The claim of a replica that may have to hand it over, and cannot while work is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.yielding, self.at_work = False, list[ports.Key]()

    @contextlib.contextmanager
    def work(self, server: ports.Key, /) -> Iterator[bool]:
        if self.yielding:
            yield False
            return
        self.at_work.append(server)
        yield True
        self.at_work.remove(server)


async def test_server_is_not_handed_over_while_the_first_connect_is_under_way() -> None:
    house, draft = begun(Secrets())
    house.context.claims = claims = Claims()

    api, _, _ = await created(house, draft)
    await settle()

    assert claims.at_work == [house.server.key]
    api.answer.set()
    await settle()
    assert claims.at_work == []


async def test_server_that_is_handed_over_gets_no_first_connect_from_the_replica_before() -> None:
    house, draft = begun(Secrets())
    house.context.claims = claims = Claims()

    api, _, _ = await created(house, draft)
    claims.yielding = True
    await settle()

    assert api.acts == ["create"]
    assert not draft.subject.connecting


async def test_instance_of_a_channel_is_not_connected() -> None:
    house, draft = begun(Secrets(), integration="EVOLUTION")

    api, _, _ = await created(house, draft)
    await settle()

    assert api.acts == ["create"]
    assert not draft.subject.connecting


async def test_list_from_before_a_create_does_not_make_the_instance_somebody_elses() -> None:
    house, draft = begun(Secrets(), integration="EVOLUTION")
    api, found, _ = await created(house, draft)
    one = draft.subject
    assert one.instance is not None

    # The list that was under way during the create is folded now: it is younger than the call, and lacks the instance.
    house.time.advance(1)
    house.server.observed.rows_at = house.time.now()
    again = drafts.begin(one, one.instance, house.server, pause=None, now=house.time.now())

    assert await found.establish(house.server, again) is Reason.CONFIGURATION_PENDING
    assert api.acts == ["create"]


async def test_list_from_after_a_create_makes_the_instance_known() -> None:
    house, draft = begun(Secrets(), integration="EVOLUTION")
    _, found, _ = await created(house, draft)
    one = draft.subject
    assert one.instance is not None
    assert one.token is not None

    house.time.advance(1)
    house.server.observed.rows = {"shop": evidence_row(one.token.value)}
    house.server.observed.rows_at, house.server.observed.rows_begun = house.time.now(), house.time.monotonic()
    again = drafts.begin(one, one.instance, house.server, pause=None, now=house.time.now())

    assert await found.establish(house.server, again) is Reason.SYNCED
    assert again.instance_id == ID
    assert again.window_opened_at == draft.window_opened_at


def evidence_row(token: str) -> evidence.Row:
    return replace(a_row(integration="EVOLUTION", identity=ID), token=token)


async def test_list_that_is_held_back_is_read_as_soon_as_it_may_be() -> None:
    house = House("shop")
    await house.observed(60)
    read: list[float] = []
    answer = house.api.list_database

    async def slowly() -> evidence.DatabaseList | evidence.Unknown:
        read.append(house.time.monotonic())
        house.time.advance(0.3)
        return await answer()

    house.api.list_database = slowly  # type: ignore[method-assign] # a slow one
    running = asyncio.create_task(house.observer.run())
    house.observer.hurry()
    for _ in range(90):
        await settle()
        house.observer.hurry()
        house.time.advance(0.1)
    running.cancel()

    # Not more than a tenth of the time, and yet not once a check period only.
    gaps = [later - earlier for earlier, later in itertools.pairwise(read)]
    assert len(gaps) >= 2
    assert all(3.3 <= gap < 5 for gap in gaps)
