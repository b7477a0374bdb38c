"""One look at a server: what it begins with, and what holds it up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from engine.test_treasury import Claims
from support import servers, simulated
from support.servers import Cluster, Told
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import ports, server_restart, treasury
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.servers import Servers
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import ledger as ledgers
from whatsapp_operator.resources.reasons import Reason

SECRET = ports.Key("messaging", "evolution-api")


class Telling(Told):
    """Telemetry whose gauges nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Client:
    """A client that is made, and never asked."""

    circuit = evidence.Circuit()

    def __getattr__(self, name: str) -> str:
        return name

    async def close(self) -> None:
        """Nothing is open."""


class House:
    """A server whose Secret can be read, or not."""

    def __init__(self) -> None:
        self.time, self.cluster, self.one = simulated.Time(), Cluster(), servers.a_server()
        self.cluster.secrets[SECRET] = ports.SecretData(values={"apikey": b"canary-4711"}, resource_version="1")
        make: Any = lambda *_, **__: Client()  # noqa: E731 - a port with one call
        self.context: contexts.Context = servers.a_context(
            self.time, self.one, self.cluster, telemetry=Telling(), make_client=make
        )
        self.servers = Servers(self.context, StatusWriter(self.context))

    async def look(self, *, after: float = 0.0) -> float | None:
        self.time.advance(after)
        return await self.servers.look(self.one)


@pytest.fixture
def house() -> House:
    found = House()
    given = found.cluster.resource
    given["metadata"]["finalizers"] = ["whatsapp-operator.dev/server"]
    found.one.update({**found.one.body, **given})
    return found


async def test_server_whose_secret_could_not_be_read_when_it_was_taken_over_is_observed_seconds_later(
    house: House,
) -> None:
    house.cluster.fails["read secret"] = ports.Unavailable()
    with pytest.raises(ports.Unavailable):
        await house.look()
    assert house.one.client is None
    del house.cluster.fails["read secret"]

    await house.look(after=3)

    assert house.one.client is not None
    assert house.one.key in house.context.observers


async def test_key_that_is_no_text_is_named(house: House) -> None:
    house.cluster.secrets[SECRET] = ports.SecretData(values={"apikey": "key".encode("utf-16")}, resource_version="1")

    await house.look()

    assert house.one.secret_problem is not None
    reason, text = house.one.secret_problem
    assert reason is Reason.SECRET_KEY_MISSING
    assert "spec.apiKeySecretRef" in text
    assert "not text in UTF-8" in text


@pytest.mark.parametrize(
    ("url", "is_twin"), [("http://Evolution-API:8080/", True), ("http://evolution-api:8081", False), (4711, False)]
)
async def test_second_server_of_the_same_url_is_warned_of(house: House, url: object, is_twin: bool) -> None:
    metadata = {**house.one.body["metadata"], "name": "other", "uid": "u-2"}
    body = {"metadata": metadata, "spec": {"url": url, "apiKeySecretRef": {"name": "evolution-api"}}}
    other = Server(key=ports.Key("messaging", "other"), body=body)
    other.update(body)
    house.context.servers[other.key] = other

    await house.look()

    told = [warning["reason"] for warning in house.cluster.statuses[-1].get("warnings", ())]
    assert told == (["SameURL"] if is_twin else [])


async def test_server_that_is_observed_reads_its_secret_again_in_a_minute_also_after_a_failure(house: House) -> None:
    await house.look()
    house.cluster.fails["read secret"] = ports.Unavailable()
    with pytest.raises(ports.Unavailable):
        await house.look(after=61)
    house.cluster.calls.clear()

    await house.look(after=3)

    assert "read secret" not in house.cluster.calls


class Late:
    """Tasks whose first turn never comes."""

    def spawn(self, _name: str, work: Coroutine[object, object, None], /) -> asyncio.Task[None]:
        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                work.close()

        return asyncio.get_running_loop().create_task(wait())


async def test_who_waits_for_a_list_is_told_when_the_observer_is_ended_before_its_first_turn(house: House) -> None:
    house.context.tasks = Late()
    await house.look()
    watching = house.context.observers[house.one.key]
    waiting = asyncio.create_task(house.context.list_rows(house.one))
    await asyncio.sleep(0)

    await house.servers.forget(house.one)

    nothing = evidence.Unknown(evidence.Ignorance.BROKEN)
    assert await asyncio.wait_for(waiting, timeout=1) == nothing
    assert await asyncio.wait_for(watching.list_rows(), timeout=1) == nothing


@pytest.mark.parametrize(("understood", "seated"), [(True, True), (False, True), (False, False)])
async def test_server_stays_while_an_instance_may_have_to_be_deleted_with_its_key(
    house: House, understood: bool, seated: bool
) -> None:
    one = house.one.subjects["i0"]
    house.context.subjects[one.key] = one
    one.seat = (house.one.key, "i0") if seated else None
    metadata = {**one.body["metadata"], "finalizers": ["whatsapp-operator.dev/instance"]}
    spec = {"serverRef": {"name": "main"}} | ({} if understood else {"instanceName": "no spaces please"})
    one.update({**one.body, "metadata": metadata, "spec": spec})
    assert (one.instance is not None) is understood

    assert not await house.servers._may_go(house.one)  # noqa: SLF001 - a look would go on to much else
    one.update({**one.body, "metadata": {**metadata, "finalizers": []}, "spec": spec})
    assert await house.servers._may_go(house.one)  # noqa: SLF001 - as above


async def test_server_goes_while_an_instance_is_held_that_it_does_not_admit(house: House) -> None:
    one = house.one.subjects["i0"]
    house.context.subjects[one.key] = one
    one.update({**one.body, "metadata": {**one.body["metadata"], "finalizers": ["whatsapp-operator.dev/instance"]}})
    assert one.is_held
    assert one.seat is None

    assert await house.servers._may_go(house.one)  # noqa: SLF001 - a look would go on to much else


async def test_server_stays_while_our_finalizer_is_just_being_added_to_an_instance(house: House) -> None:
    """The write may have arrived, and its answer be on its way, when the resource of the server goes."""
    one = house.one.subjects["i0"]
    house.context.subjects[one.key] = one
    one.seat = (house.one.key, "i0")
    assert await house.servers._may_go(house.one)  # noqa: SLF001 - a look would go on to much else

    one.hold_asked = True

    assert not await house.servers._may_go(house.one)  # noqa: SLF001 - as above
    gone = {**one.body["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    one.update({**one.body, "metadata": gone})
    assert await house.servers._may_go(house.one)  # noqa: SLF001 - as above


async def test_instances_are_looked_at_once_more_when_a_restarted_server_cannot_be_read_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their look right after the restart says nothing, since reading has only just begun: `Ready` would stay True."""
    looks: list[object] = []
    monkeypatch.setattr(contexts.Context, "look_at_all", lambda *_, **__: looks.append(None))
    await house.look()
    server_restart.forget(house.one)
    house.one.observed.began_at = house.time.now()
    await house.look(after=1)
    looks.clear()

    seen = []
    for after in (10, 30, 30):
        await house.look(after=after)
        seen.append(len(looks))

    assert seen == [0, 1, 1]


async def test_storm_that_ends_before_the_process_that_was_left_it_has_told_of_it_is_kept_and_told_as_over(
    house: House,
) -> None:
    claims = house.context.claims = Claims(ledgers.dumps(ledgers.Ledger(storm=ledgers.Storm(since=simulated.START))))
    assert treasury.ledger_of(house.context, house.one, now=house.time.now()).storm is not None
    house.one.ledger = ledgers.Ledger(storm_ended_at=house.time.now())

    await house.look()

    assert ledgers.loads(str(claims.kept)) == house.one.ledger
    assert house.cluster.events == [Reason.STORM_OVER]
