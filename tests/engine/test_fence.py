"""What is not held is not changed: not by the next call of a strategy, nor by a call that has waited."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from support import simulated, surroundings
from whatsapp_operator.engine import finalizers, ports
from whatsapp_operator.engine.fence import Fenced, Spared
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Subject, begin_anew
from whatsapp_operator.evolution import client, evidence, urls
from whatsapp_operator.health import record as records
from whatsapp_operator.resources.status import WhatsAppInstanceStatus

NOT_HELD = evidence.Unknown(evidence.Ignorance.NOT_HELD)
NEW = evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token="t")  # noqa: S106 - no secret
HOOK = evidence.Webhook(url="http://shop")
CHANGES: list[Callable[[ports.Evolution], Awaitable[Any]]] = [
    lambda api: api.create(NEW),
    lambda api: api.connect("shop"),
    lambda api: api.restart("shop"),
    lambda api: api.logout("shop"),
    lambda api: api.delete("shop"),
    lambda api: api.set_settings("shop", {}),
    lambda api: api.set_webhook("shop", HOOK),
]


class Server:
    """A server that counts what arrives, and can keep its answers back."""

    def __init__(self) -> None:
        self.arrived = 0
        self.came = asyncio.Event()
        self.answers = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.arrived += 1
        self.came.set()
        await self.answers.wait()
        writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield found
    found.answers.set()
    listening.close()


class Claim:
    """A claim that can be lost."""

    held = True

    def __call__(self) -> bool:
        return self.held


def connect(server: Server, claim: Claim, *, at_once: int = 8) -> client.Client:
    time = simulated.Time()
    return client.Client(
        url=server.url,
        api_key="key",
        max_in_flight=at_once,
        rules=urls.Rules(allowed=(ipaddress.ip_network("127.0.0.0/8"),)),
        monotonic=time.monotonic,
        sleep=time.sleep,
        random=lambda: 0.0,
        observe=lambda _: None,
        may_change=claim,
    )


@pytest.mark.parametrize("change", CHANGES)
async def test_change_is_sent_while_held_and_not_after(
    server: Server, change: Callable[[ports.Evolution], Awaitable[Any]]
) -> None:
    server.answers.set()
    claim = Claim()
    opened = connect(server, claim)
    fenced = Fenced(opened, holds=claim)
    assert await change(fenced) != NOT_HELD
    assert server.arrived == 1
    claim.held = False
    assert await change(fenced) == NOT_HELD
    assert await change(opened) == NOT_HELD
    assert server.arrived == 1
    await fenced.close()


async def test_reading_needs_no_claim(server: Server) -> None:
    server.answers.set()
    claim = Claim()
    claim.held = False
    fenced = Fenced(connect(server, claim), holds=claim)
    assert await fenced.read_memory("shop") == evidence.Unknown(evidence.Ignorance.SERVER_ERROR)
    assert server.arrived == 1
    await fenced.close()


@pytest.mark.parametrize("change", CHANGES[1:])
async def test_step_changes_nothing_more_once_its_instance_is_to_stay_as_it_is(
    server: Server, change: Callable[[Any], Awaitable[Any]]
) -> None:
    server.answers.set()
    stays = Claim()
    opened = connect(server, Claim())
    spared = Spared(opened, holds=stays, creates=Claim())
    assert await change(spared) != NOT_HELD
    stays.held = False
    assert await change(spared) == NOT_HELD
    assert server.arrived == 1
    await opened.close()


async def test_step_reads_and_creates_what_it_has_deleted_also_where_its_instance_is_to_stay(server: Server) -> None:
    server.answers.set()
    stays = Claim()
    stays.held = False
    opened = connect(server, Claim())
    spared = Spared(opened, holds=stays, creates=Claim())
    failed = evidence.Unknown(evidence.Ignorance.SERVER_ERROR)
    assert await spared.create(NEW) == failed
    assert [await spared.read_memory("shop"), await spared.find_webhook("shop")] == [failed, failed]
    assert await spared.find_settings("shop") == failed
    assert server.arrived == 4
    await opened.close()


async def test_step_does_not_create_what_it_has_deleted_where_that_is_to_go(server: Server) -> None:
    goes = Claim()
    goes.held = False
    opened = connect(server, Claim())
    assert await Spared(opened, holds=Claim(), creates=goes).create(NEW) == NOT_HELD
    assert server.arrived == 0
    await opened.close()


async def test_change_that_waited_for_its_turn_is_not_sent_once_the_claim_is_lost(server: Server) -> None:
    claim = Claim()
    fenced = Fenced(connect(server, claim, at_once=1), holds=claim)
    first = asyncio.create_task(fenced.restart("one"))
    await server.came.wait()
    second = asyncio.create_task(fenced.delete("two"))
    await asyncio.sleep(0)
    claim.held = False
    server.answers.set()
    await first
    assert await second == NOT_HELD
    assert server.arrived == 1
    await fenced.close()


class NotOurs(surroundings.AllHeld):
    """Claims of a replica that stands by."""

    def holds(self, _: ports.Key, /) -> bool:
        return False


def a_subject() -> Subject:
    one = Subject(key=ports.Key("messaging", "shop"), body={})
    one.update({"metadata": {"name": "shop", "namespace": "messaging", "uid": "u", "resourceVersion": "1"}})
    return one


async def test_neither_status_nor_finalizer_is_written_without_the_claim() -> None:
    context = surroundings.context(simulated.Time(), claims=NotOurs())
    one = a_subject()
    with pytest.raises(ports.Conflict):
        await StatusWriter(context).write_instance(one, WhatsAppInstanceStatus(paired=True), at_once=True)
    with pytest.raises(ports.Conflict):
        await finalizers.add(context, "WhatsAppInstance", one, "whatsapp-operator.dev/instance")


def test_what_begins_anew_keeps_the_resource_and_nothing_that_was_seen() -> None:
    one = a_subject()
    one.record, one.restored, one.steady = records.Record(paired=True), True, True
    before = one.body
    begin_anew(one)
    assert one.body is before
    assert (one.record, one.restored, one.steady, one.opinion) == (records.Record(), False, False, None)


async def test_circuit_of_a_server_that_is_not_held_is_told_as_well(server: Server) -> None:
    opened = connect(server, Claim())

    assert Fenced(opened, holds=lambda: False).circuit == opened.circuit
