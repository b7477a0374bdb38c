"""A server without `/metrics` that does not answer for one of its instances: nothing is known of that one only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster, Told
from support.world import a_row
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import observer, rounds, seeing
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState, Ignorance
from whatsapp_operator.health import rules
from whatsapp_operator.resources import instance
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

OPEN = evidence.InMemory(ConnectionState.OPEN)
NAMES = ("i0", "i1", "i2")
PERIOD = 10.0


def unknown(why: Ignorance = Ignorance.SERVER_ERROR) -> evidence.Unknown:
    return evidence.Unknown(why)


@pytest.mark.parametrize(
    ("readings", "why"),
    [
        ([OPEN, OPEN, unknown()], None),
        ([OPEN, unknown()], None),
        ([OPEN, evidence.NotInMemory(), evidence.Absent(), unknown(Ignorance.TIMEOUT)], None),
        ([unknown()], Ignorance.SERVER_ERROR),
        ([OPEN, unknown(), unknown()], Ignorance.SERVER_ERROR),
        ([unknown(Ignorance.TIMEOUT)] * 3, Ignorance.TIMEOUT),
        ([OPEN, OPEN, unknown(Ignorance.KEY_REJECTED)], Ignorance.KEY_REJECTED),
        ([OPEN, OPEN, unknown(Ignorance.REFUSED)], Ignorance.REFUSED),
        ([OPEN, OPEN, unknown(Ignorance.BREAKER_OPEN)], Ignorance.BREAKER_OPEN),
        ([OPEN, OPEN, unknown(Ignorance.NOT_HELD)], Ignorance.NOT_HELD),
    ],
)
def test_server_is_away_when_it_answers_for_none_or_few_or_says_what_concerns_all(
    readings: list[evidence.MemoryReading], why: Ignorance | None
) -> None:
    found = rounds.of({f"i{number}": reading for number, reading in enumerate(readings)})

    assert (found.why if isinstance(found, evidence.Unknown) else None) is why


def test_round_of_no_instances_is_answered() -> None:
    assert rounds.of({}) == rounds.Round(states={}, unread={})


@dataclass
class Evolution:
    """A server without `/metrics` that answers for each instance as it is told to."""

    readings: dict[str, evidence.MemoryReading] = field(default_factory=lambda: dict.fromkeys(NAMES, OPEN))
    lists: int = 0
    integration: str = "WHATSAPP-BAILEYS"
    client_name: str = "evolution"
    circuit: evidence.Circuit = field(default_factory=evidence.Circuit)

    async def list_memory(self) -> evidence.Unknown:
        return unknown(Ignorance.NO_SUCH_ROUTE)

    async def identify(self) -> evidence.ServerIdentity:
        return evidence.ServerIdentity(version="2.3.7", client_name=self.client_name)

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        return self.readings[name]

    async def list_database(self) -> evidence.DatabaseList:
        self.lists += 1
        rows = (a_row("open", owner=True, identity=f"id-of-{name}", integration=self.integration) for name in NAMES)
        return evidence.DatabaseList(dict(zip(NAMES, rows, strict=True)))


class Telling(Told):
    """Telemetry whose gauges nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class House:
    """A server that was observed once, and whose instances were all open."""

    def __init__(self) -> None:
        self.time, self.api, self.one = simulated.Time(), Evolution(), servers.a_server()
        client: Any = self.api
        self.one.client = client
        self.context = servers.a_context(self.time, self.one, Cluster(), telemetry=Telling())
        self.observer = observer.Observer(self.context, self.one)

    async def observed(self, *, periods: int = 1) -> None:
        for _ in range(periods):
            self.time.advance(PERIOD)
            await self.observer.tick()

    def verdict(self, name: str) -> tuple[HealthState, Reason]:
        subject = self.one.subjects[name]
        assert subject.instance is not None
        draft = drafts.begin(subject, subject.instance, self.one, pause=None, now=self.time.now())
        found = rules.assess(seeing.seen(self.context, self.one, draft))
        return found.state, found.reason

    async def is_looked_at(self, name: str) -> bool:
        wanted, found = contexts.Item(instance.KIND, self.one.subjects[name].key), False
        while self.context.queue.depth:
            item = await self.context.queue.get()
            assert item is not None
            self.context.queue.done(item)
            found = found or item == wanted
        return found


WELL = (HealthState.HEALTHY, Reason.HEALTHY)


@pytest.fixture
async def house() -> House:
    found = House()
    await found.observed()
    assert {found.verdict(name) for name in NAMES} == {WELL}
    return found


@pytest.mark.parametrize("known", [None, "evolution"])
async def test_server_that_tells_no_client_name_is_held_to_that_of_its_rows(known: str | None) -> None:
    house = House()
    house.api.client_name, house.one.observed.client_name = "", known

    await house.observed(periods=2)

    assert house.one.observed.client_name == "evolution"


@pytest.mark.parametrize(("integration", "vouches"), [("WHATSAPP-BAILEYS", True), ("EVOLUTION", False)])
async def test_instance_that_opens_vouches_for_whatsapp_unless_it_is_open_without_it(
    integration: str, vouches: bool
) -> None:
    house = House()
    house.api.integration = integration
    house.api.readings = dict.fromkeys(NAMES, evidence.InMemory(ConnectionState.CONNECTING))
    await house.observed(periods=2)
    assert house.one.observed.vouchers.latest(None, but="") is None

    house.api.readings = dict.fromkeys(NAMES, OPEN)
    await house.observed()

    assert (house.one.observed.vouchers.latest(None, but="") is not None) is vouches


@pytest.mark.parametrize("why", [Ignorance.SERVER_ERROR, Ignorance.UNEXPECTED_SHAPE, Ignorance.REFUSED_BY_POLICY])
async def test_only_the_instance_that_is_not_answered_for_becomes_unknown_and_not_before_its_time(
    house: House, why: Ignorance
) -> None:
    house.api.readings["i0"] = unknown(why)

    await house.observed(periods=3)
    assert [house.verdict(name) for name in NAMES] == [WELL] * 3
    assert house.one.warm

    await house.observed()
    assert [house.verdict(name) for name in NAMES] == [(HealthState.UNKNOWN, Reason.NOT_ANSWERED), WELL, WELL]
    assert await house.is_looked_at("i0")
    assert house.one.observed.unknown is None


async def test_instance_that_is_not_answered_for_is_neither_a_ghost_nor_news(house: House) -> None:
    house.api.readings["i0"], before = unknown(), house.one.subjects["i0"].record
    lists = house.api.lists

    await house.observed(periods=2)

    assert house.one.subjects["i0"].record == before
    assert house.api.lists == lists
    assert house.one.warm


async def test_instance_that_is_answered_for_again_is_judged_by_what_is_seen_from_then_on(house: House) -> None:
    house.api.readings["i0"] = unknown()
    await house.observed(periods=30)

    house.api.readings["i0"] = evidence.InMemory(ConnectionState.CONNECTING)
    await house.observed()

    memory = house.one.subjects["i0"].record.memory
    assert memory is not None
    assert (memory.state, memory.since) == (ConnectionState.CONNECTING, house.time.now())
    assert house.verdict("i0") == (HealthState.DEGRADED, Reason.SETTLING)
    assert house.one.observed.unread == {}


async def test_server_that_answers_for_none_is_away_and_says_so_of_all(house: House) -> None:
    house.api.readings = dict.fromkeys(NAMES, unknown(Ignorance.TIMEOUT))

    await house.observed(periods=4)

    assert {house.verdict(name) for name in NAMES} == {(HealthState.UNKNOWN, Reason.SERVER_UNREACHABLE)}
    assert not house.one.warm


@pytest.mark.parametrize(("why", "is_cold"), [(Ignorance.TIMEOUT, True), (Ignorance.SERVER_ERROR, False)])
async def test_call_that_breaks_off_may_have_met_a_restart_of_the_server_once(
    house: House, why: Ignorance, is_cold: bool
) -> None:
    house.api.readings["i0"] = unknown(why)

    await house.observed()
    assert house.one.warm is not is_cold

    await house.observed(periods=2)
    assert house.one.warm


async def test_age_of_what_is_known_counts_from_the_last_round_that_was_answered(house: House) -> None:
    at = house.time.now()
    house.api.readings["i0"] = unknown()

    await house.observed(periods=2)

    assert house.one.observed.unread == {"i0": at}
    assert house.one.fresh_for("i0", at + timedelta(seconds=30))
    assert not house.one.fresh_for("i0", at + timedelta(seconds=31))
