"""A broken instance, or a broken server, is no burden: what does not help is asked ever more rarely, or not at all."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine, Mapping
from typing import Any, cast

import pytest

from support import simulated, surroundings
from support.world import a_row
from whatsapp_operator.engine import configuration, observer, sampling
from whatsapp_operator.engine.context import Context, Item
from whatsapp_operator.engine.draft import Draft, begin
from whatsapp_operator.engine.ports import Key
from whatsapp_operator.engine.reconciler import Reconciler
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState, Ignorance
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.resources import instance
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

PERIOD = 10.0
HOUR = 3600.0


class Deaf:
    """Telemetry that nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Tasks:
    """Tasks that run when they are awaited."""

    def __init__(self) -> None:
        self.spawned: list[Coroutine[object, object, None]] = []

    def spawn(self, _name: str, work: Coroutine[object, object, None], /) -> None:
        self.spawned.append(work)

    async def run(self) -> None:
        while self.spawned:
            await self.spawned.pop()


class Api:
    """A server that has what a test gives it, and counts what it is asked of single instances."""

    def __init__(self) -> None:
        self.circuit = evidence.Circuit()
        self.states: dict[str, ConnectionState] = {}
        self.rows: dict[str, evidence.Row] = {}
        self.asked = 0
        self.bulk = 0

    async def list_memory(self) -> evidence.MemoryList | evidence.Unknown:
        self.bulk += 1
        return evidence.MemoryList(states=dict(self.states), version="2.3.7", client_name="evolution")

    async def list_database(self) -> evidence.DatabaseList | evidence.Unknown:
        self.bulk += 1
        return evidence.DatabaseList(rows=dict(self.rows))

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        self.asked += 1
        state = self.states.get(name)
        return evidence.InMemory(state) if state is not None else evidence.Absent()

    async def set_settings(self, _name: str, _settings: Mapping[str, object]) -> evidence.Outcome:
        self.asked += 1
        return evidence.Accepted()


class House:
    """A server with instances, and the time that passes there."""

    def __init__(self, *names: str, **spec: Any) -> None:
        self.time, self.api, self.tasks = simulated.Time(), Api(), Tasks()
        self.context: Context = surroundings.context(self.time, telemetry=Deaf(), tasks=self.tasks)
        self.server = a_server(self.api)
        for name in names:
            self.api.states[name], self.api.rows[name] = ConnectionState.OPEN, a_row()
            subject = a_subject(name, spec)
            self.server.subjects[name] = self.context.subjects[subject.key] = subject
        self.observer = observer.Observer(self.context, self.server)

    async def observed(self, seconds: float) -> None:
        """Look once per period for a while."""
        until = self.time.seconds + seconds
        while self.time.seconds < until:
            self.time.advance(PERIOD)
            await self.observer.tick()

    async def due(self) -> list[Item]:
        """The keys that wait now, taken out of the queue."""
        taken = []
        while self.context.queue.depth:
            item = await self.context.queue.get()
            assert item is not None
            self.context.queue.done(item)
            taken.append(item)
        return taken


def a_server(api: Api) -> Server:
    body = {
        "metadata": {"name": "main", "namespace": "messaging", "uid": "u-1"},
        "spec": {"url": "http://evolution-api:8080", "apiKeySecretRef": {"name": "evolution-api"}},
        "status": {"clientName": "evolution"},
    }
    one = Server(key=Key("messaging", "main"), body=body, client=cast("Any", api))
    one.update(body)
    return one


def a_subject(name: str, spec: Mapping[str, Any]) -> Subject:
    metadata = {"name": name, "namespace": "messaging", "uid": name, "generation": 1}
    body = {"metadata": metadata, "spec": {"serverRef": {"name": "main"}, **spec}, "status": {"instanceID": "id-1"}}
    one = Subject(key=Key("messaging", name), body=body)
    one.stored(body)
    return one


def draft_of(house: House, name: str, verdict: Verdict) -> Draft:
    one = house.server.subjects[name]
    assert one.instance is not None
    draft = begin(one, one.instance, house.server, pause=None, now=house.time.now())
    draft.verdict = verdict
    return draft


class SameAgain(Api):
    """One whose answers are the same objects, as those of the client are where a server says the same again."""

    async def list_memory(self) -> evidence.MemoryList | evidence.Unknown:
        return evidence.MemoryList(states=self.states, version="2.3.7", client_name="evolution")

    async def list_database(self) -> evidence.DatabaseList | evidence.Unknown:
        return evidence.DatabaseList(rows=self.rows)


async def at_rest(house: House) -> None:
    """Everything has been looked at, and is steady."""
    house.api.__class__ = SameAgain
    house.context.servers[house.server.key] = house.server
    await house.observed(60)
    await house.due()
    for one in house.server.subjects.values():
        one.steady = True
    await house.observed(60)


async def looked_at(house: House, name: str) -> None:
    """A look that fails, which may have learned something, too."""
    with pytest.raises(AssertionError, match="write_status"):
        await Reconciler(house.context, StatusWriter(house.context)).look(house.server.subjects[name])


async def test_instance_is_not_compared_again_with_the_same_answer_until_it_is_looked_at() -> None:
    house = House("shop", "bank")
    await at_rest(house)
    one = house.server.subjects["shop"]
    known = one.record = records.saw_memory(one.record, evidence.InMemory(ConnectionState.CLOSE), at=house.time.now())

    await house.observed(60)
    await looked_at(house, "bank")
    await house.observed(60)
    assert one.record is known, "thousands are gone through for nothing"
    assert Item(instance.KIND, one.key) not in house.context.queue

    await looked_at(house, "shop")
    await house.observed(PERIOD)

    assert one.record.memory is not None
    assert one.record.memory.state is ConnectionState.OPEN
    assert Item(instance.KIND, one.key) in house.context.queue


async def test_gap_in_which_nothing_was_read_ends_the_calm() -> None:
    house = House("shop", "bank")
    await at_rest(house)
    house.server.observed.unknown = Ignorance.TIMEOUT

    await house.observed(PERIOD)

    assert not any(one.steady for one in house.server.subjects.values())
    await house.observed(60)
    assert house.server.subjects["shop"].record.memory is not None


async def test_instance_that_is_proved_absent_is_not_asked_for_again() -> None:
    house = House("shop", "bank", "post")
    await house.observed(60)
    del house.api.states["shop"], house.api.rows["shop"]

    await house.observed(300)
    proofs = house.api.asked
    await house.observed(HOUR)

    assert proofs >= 3
    assert house.api.asked == proofs


async def test_instance_that_comes_back_and_goes_again_is_proved_absent_anew() -> None:
    house = House("shop", "bank", "post")
    del house.api.states["shop"], house.api.rows["shop"]
    await house.observed(300)
    before = house.api.asked
    house.api.states["shop"], house.api.rows["shop"] = ConnectionState.OPEN, a_row()
    await house.observed(60)
    del house.api.states["shop"], house.api.rows["shop"]

    await house.observed(300)

    assert house.api.asked >= before + 3


async def samples_taken(house: House, *, seconds: float, every: float) -> int:
    """Let an instance turn between close and connecting, and count the samples that are begun."""
    sampler, one = sampling.Sampler(house.context), house.server.subjects["shop"]
    house.server.warm_up = type(house.server.warm_up)(done=True)
    house.server.observed.ever_read = True
    verdict = Verdict(HealthState.DEGRADED, Reason.SETTLING)
    turns, begun = (ConnectionState.CLOSE, ConnectionState.CONNECTING), 0
    until = house.time.seconds + seconds
    while house.time.seconds < until:
        house.time.advance(PERIOD)
        state = turns[int(house.time.seconds // every) % 2]
        house.api.states["shop"] = state
        one.record = records.saw_memory(one.record, evidence.InMemory(state), at=house.time.now())
        sampler.consider(house.server, draft_of(house, "shop", verdict))
        begun += len(house.tasks.spawned)
        await house.tasks.run()
    return begun


async def test_first_sample_is_taken_at_once_and_one_is_enough() -> None:
    house = House("shop")

    assert await samples_taken(house, seconds=HOUR, every=2 * HOUR) == 1


async def test_instance_whose_state_goes_on_to_change_is_sampled_ever_more_rarely() -> None:
    house = House("shop")

    assert await samples_taken(house, seconds=HOUR, every=60) <= 3 + HOUR / house.context.spans.flapping


@pytest.mark.parametrize(("minutes", "sampled"), [(0, False), (9, False), (11, True), (19, True)])
async def test_replacement_that_a_sample_told_is_sampled_again_before_it_is_forgotten(
    minutes: float, sampled: bool
) -> None:
    house = House("shop")
    sampler, one = sampling.Sampler(house.context), house.server.subjects["shop"]
    house.server.warm_up = type(house.server.warm_up)(done=True)
    house.server.observed.ever_read = True
    states = frozenset({ConnectionState.OPEN, ConnectionState.CLOSE})
    taken = witnesses.Sample(taken_at=house.time.now(), states=states, openings=3)
    one.record = records.saw_sample(one.record, taken)
    house.time.advance(minutes * 60)
    one.record = records.saw_memory(one.record, evidence.InMemory(ConnectionState.CLOSE), at=house.time.now())

    sampler.consider(house.server, draft_of(house, "shop", Verdict(HealthState.DEGRADED, Reason.REPLACED)))

    assert bool(house.tasks.spawned) is sampled
    await house.tasks.run()


async def test_step_begins_the_pace_of_samples_anew() -> None:
    house = House("shop")
    await samples_taken(house, seconds=HOUR, every=60)
    one = house.server.subjects["shop"]

    one.record, one.stepped_at = records.after_step(one.record), house.time.monotonic()

    assert await samples_taken(house, seconds=4 * PERIOD, every=2 * HOUR) == 1


async def test_settings_that_are_not_kept_are_set_ever_more_rarely() -> None:
    house = House("shop", settings={"rejectCall": True})
    await house.observed(60)
    house.server.warm_up = type(house.server.warm_up)(done=True)
    house.context.observers[house.server.key] = house.observer
    outcomes = set()
    for _ in range(int(HOUR / PERIOD)):
        house.time.advance(PERIOD)
        draft = draft_of(house, "shop", Verdict(HealthState.HEALTHY, Reason.HEALTHY))
        outcomes.add(await configuration.synchronise(house.context, house.server, draft))

    assert outcomes == {Reason.CONFIGURATION_PENDING}
    assert 3 <= house.api.asked <= 20


async def test_settings_that_are_kept_are_synced_at_the_next_look() -> None:
    house = House("shop", settings={"rejectCall": True})
    await house.observed(60)
    house.server.warm_up = type(house.server.warm_up)(done=True)
    house.context.observers[house.server.key] = house.observer
    draft = draft_of(house, "shop", Verdict(HealthState.HEALTHY, Reason.HEALTHY))
    assert await configuration.synchronise(house.context, house.server, draft) is Reason.CONFIGURATION_PENDING
    kept = await configuration.wanted_settings(house.context, draft)
    house.api.rows["shop"] = dataclasses.replace(a_row(), settings=kept)

    house.time.advance(1)
    await house.observer.tick()

    assert await configuration.synchronise(house.context, house.server, draft) is Reason.SYNCED


async def test_instances_of_a_server_that_is_back_are_looked_at_within_seconds_each_at_its_own_moment() -> None:
    names = [f"shop-{number}" for number in range(40)]
    house = House(*names)
    chances = iter(number / 40 for number in range(400))
    cast("Any", house.context).random.random = lambda: next(chances) % 1
    await house.observed(60)
    house.server.observed.unknown = Ignorance.TIMEOUT
    await house.due()

    await house.observer.tick()

    at_once = [item for item in await house.due() if item.kind == instance.KIND]
    assert len(at_once) <= 1
    looked_at, moments = set(at_once), 0
    for _ in range(10):
        house.time.advance(0.5)
        found = {item for item in await house.due() if item.kind == instance.KIND}
        moments += bool(found)
        looked_at |= found
    assert len(looked_at) == len(names)
    assert moments > 1


async def test_open_circuit_makes_a_server_unknown_although_its_last_read_was_answered() -> None:
    house = House("shop")
    await house.observed(60)
    assert house.server.warm

    house.api.circuit = evidence.Circuit(why=Ignorance.TIMEOUT, trial_in=20)
    house.api.list_database = house.api.list_memory = not_sent  # type: ignore[method-assign] # as the client answers
    await house.observer.tick()

    assert house.server.observed.unknown is Ignorance.TIMEOUT
    assert not house.server.warm


async def not_sent() -> evidence.Unknown:
    return evidence.Unknown(Ignorance.BREAKER_OPEN)


async def test_nobody_waits_for_the_list_of_a_server_that_is_left_alone() -> None:
    house = House("shop")
    house.api.circuit = evidence.Circuit(why=Ignorance.TIMEOUT, trial_in=20)

    answer = await asyncio.wait_for(house.observer.list_rows(), timeout=1)

    assert answer == evidence.Unknown(Ignorance.BREAKER_OPEN)
    assert house.api.bulk == 0


@pytest.mark.parametrize("opened", [True, False])
async def test_server_that_is_left_alone_is_read_when_its_trial_is_due_and_not_before(opened: bool) -> None:
    house = House("shop")
    house.api.circuit = evidence.Circuit(why=Ignorance.TIMEOUT, trial_in=25) if opened else evidence.Circuit()
    running = asyncio.create_task(house.observer.run())
    await settle()
    begun = house.api.bulk

    house.observer.hurry()
    house.time.advance(20)
    await settle()
    early = house.api.bulk
    house.time.advance(10)
    await settle()
    running.cancel()

    assert (early == begun) is opened
    assert house.api.bulk > early


@pytest.mark.parametrize("queued", [True, False])
async def test_instance_that_waits_to_be_created_costs_no_observation_while_it_is_queued(queued: bool) -> None:
    house = House("shop", "new")
    del house.api.states["new"], house.api.rows["new"]
    one = house.server.subjects["new"]
    one.stored({**one.body, "spec": {"serverRef": {"name": "main"}}, "status": {}})
    await house.observed(60)
    await house.due()
    if queued:
        house.context.look_at(one)
    reads = one.record.reads

    await house.observed(60)

    assert (one.record.reads == reads) is queued
    assert Item(instance.KIND, one.key) in house.context.queue


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)
