"""The catalogue: what is taken from watches and lists, and which of several resources acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from support import simulated, surroundings
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.catalogue import Catalogue
from whatsapp_operator.engine.context import Context, Item
from whatsapp_operator.engine.ports import REST, Key
from whatsapp_operator.engine.subject import begin_anew
from whatsapp_operator.health import record as records
from whatsapp_operator.health.rules import Symptom
from whatsapp_operator.resources import instance, server

WAI, EVS = instance.KIND, server.KIND
SHOP = Key("messaging", "shop")
MAIN = Key("messaging", "main")

Body = dict[str, Any]


def wai(name: str = "shop", *, version: int = 1, uid: str = "", age: int = 0, generation: int = 1, **spec: Any) -> Body:
    """A WhatsAppInstance; the higher the age, the older."""
    metadata = {
        "name": name,
        "namespace": "messaging",
        "uid": uid or f"uid-of-{name}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": f"2026-11-23T10:{59 - age:02}:00Z",
    }
    return {"metadata": metadata, "spec": {"serverRef": {"name": "main"}} | spec}


def evs(*, version: int = 1, uid: str = "uid-of-main", **spec: Any) -> Body:
    metadata = {"name": "main", "namespace": "messaging", "uid": uid, "resourceVersion": str(version)}
    least = {"url": "http://evolution-api:8080", "apiKeySecretRef": {"name": "evolution-api"}}
    return {"metadata": metadata | {"generation": version}, "spec": least | spec}


def stranger(name: str = "theirs", **facts: Any) -> Body:
    """A WhatsAppInstance of another namespace, which refers to the same server."""
    one = wai(name, serverRef={"name": "main", "namespace": "messaging"}, **facts)
    one["metadata"]["namespace"] = "elsewhere"
    return one


def _listed(body: Body) -> ports.Listed:
    return ports.Listed(ports.key_of(body), ports.version_of(body), lambda: body)


@dataclass
class House:
    """A catalogue and what it fills."""

    time: simulated.Time = field(default_factory=simulated.Time)
    context: Context = field(init=False)
    catalogue: Catalogue = field(init=False)

    def __post_init__(self) -> None:
        self.context = surroundings.context(self.time)
        self.catalogue = Catalogue(self.context)

    def saw(self, body: Body, event: str | None = "ADDED") -> bool:
        kind = EVS if "url" in body["spec"] else WAI
        return self.catalogue.saw(kind, event, body)

    def sweep(self, *bodies: Body, kind: str = WAI) -> int:
        """A LIST that was asked for now and answered a second later."""
        began = self.time.monotonic()
        self.time.advance(1)
        return self.compare(*bodies, kind=kind, began=began)

    def compare(self, *bodies: Body, began: float, kind: str = WAI) -> int:
        listed: set[Key] = set()
        drift = sum(self.catalogue.take(kind, [_listed(body)], listed) for body in bodies)
        return drift + self.catalogue.lose_all_but(listed, kind, began=began)

    def acting(self, name: str) -> str | None:
        found = self.context.servers[MAIN].subjects.get(name)
        return found.key.name if found else None

    async def queued(self) -> list[Item]:
        """What is to be looked at, as it comes; the queue is empty after."""
        items = []
        while self.context.queue.depth:
            item = await self.context.queue.get()
            assert item is not None
            self.context.queue.done(item)
            items.append(item)
        return items


@pytest.fixture
def house() -> House:
    return House()


async def test_new_resource_is_known_and_looked_at(house: House) -> None:
    assert house.saw(wai())

    assert SHOP in house.context.subjects
    assert await house.queued() == [Item(WAI, SHOP)]


@pytest.mark.parametrize("version", [5, 4, 1])
async def test_repeated_and_reordered_events_are_no_news(house: House, version: int) -> None:
    house.saw(wai(version=5))
    await house.queued()

    assert not house.saw(wai(version=version, generation=9), "MODIFIED")
    assert await house.queued() == []


def test_versions_are_ordered_as_numbers(house: House) -> None:
    house.saw(wai(version=9))

    assert house.saw(wai(version=10), "MODIFIED")


async def test_own_status_write_is_taken_without_another_look(house: House) -> None:
    house.saw(wai(version=1))
    await house.queued()
    house.context.subjects[SHOP].steady = True

    assert house.saw(wai(version=2) | {"status": {"observedGeneration": 1}}, "MODIFIED")

    assert await house.queued() == []
    assert house.context.subjects[SHOP].steady


@pytest.mark.parametrize(
    "edited",
    [
        wai(version=2, generation=2),
        {**wai(version=2), "metadata": wai(version=2)["metadata"] | {"annotations": {"a": "b"}}},
        {**wai(version=2), "metadata": wai(version=2)["metadata"] | {"deletionTimestamp": "2026-11-23T10:00:00Z"}},
    ],
    ids=["spec", "annotation", "deletion"],
)
async def test_edit_by_a_user_is_looked_at(house: House, edited: Body) -> None:
    house.saw(wai(version=1))
    await house.queued()
    house.context.subjects[SHOP].steady = True

    house.saw(edited, "MODIFIED")

    assert await house.queued() == [Item(WAI, SHOP)]
    assert not house.context.subjects[SHOP].steady


async def test_deleted_resource_is_forgotten_and_looked_at_a_last_time(house: House) -> None:
    house.saw(wai())
    await house.queued()

    assert house.saw(wai(version=2), "DELETED")

    assert SHOP not in house.context.subjects
    assert await house.queued() == [Item(WAI, SHOP)]


def test_event_that_comes_late_does_not_bring_a_deleted_resource_back(house: House) -> None:
    house.saw(wai())
    house.saw(wai(version=2), "DELETED")

    assert not house.saw(wai(version=1), "MODIFIED")
    assert SHOP not in house.context.subjects


def test_deletion_of_the_one_before_does_not_touch_the_one_created_since(house: House) -> None:
    house.saw(wai(version=7, uid="second"))

    assert not house.saw(wai(version=3, uid="first"), "DELETED")
    assert SHOP in house.context.subjects


def test_resource_created_again_is_another_one_although_its_deletion_was_missed(house: House) -> None:
    house.saw(wai(version=1, uid="first"))
    before = house.context.subjects[SHOP]

    assert house.saw(wai(version=8, uid="second"))

    assert house.context.subjects[SHOP] is not before
    assert not house.saw(wai(version=9, uid="first"), "MODIFIED")


def test_resource_created_again_with_a_higher_version_is_taken_after_its_deletion(house: House) -> None:
    house.saw(wai(version=1, uid="first"))
    house.saw(wai(version=2, uid="first"), "DELETED")

    assert house.saw(wai(version=3, uid="second"))
    assert SHOP in house.context.subjects


async def test_invalid_spec_is_known_and_looked_at(house: House) -> None:
    house.saw(wai(instanceName="no spaces please"))

    assert house.context.subjects[SHOP].instance is None
    assert await house.queued() == [Item(WAI, SHOP)]


def test_what_was_seen_on_a_server_does_not_count_on_the_next_one_of_its_name(house: House) -> None:
    house.saw(evs())
    house.saw(wai())
    one = house.context.subjects[SHOP]
    one.record, one.restored = records.Record(paired=True, observations=7), True

    house.saw(evs(version=2, uid="another"))

    assert house.acting("shop") == "shop"
    assert (one.record, one.restored) == (records.Record(), False)


async def test_instance_whose_spec_is_understood_no_longer_stays_with_whoever_has_its_server(house: House) -> None:
    """Two replicas: the one that has the rest must not be the only one to count it, which nobody else would see."""
    house.saw(evs())
    house.saw(wai())
    one = house.context.subjects[SHOP]

    house.saw(wai(version=2, generation=2, instanceName="no spaces please"))

    assert one.instance is None
    assert house.context.claim_of(one) == MAIN
    assert house.context.subjects_of(MAIN) == [one]
    begin_anew(one)
    assert house.context.claim_of(one) == MAIN


def test_instance_whose_spec_was_never_understood_is_with_whoever_has_the_server_that_it_names(house: House) -> None:
    """A replica that was there while it was understood has it there: both would write to it."""
    house.saw(evs())
    house.saw(wai(instanceName="no spaces please"))
    one = house.context.subjects[SHOP]

    assert house.context.claim_of(one) == MAIN
    begin_anew(one)
    assert house.context.claim_of(one) == MAIN


@pytest.mark.parametrize("reference", [{"name": "nowhere"}, {"name": "No Name"}, {}, "main", None])
def test_instance_of_which_not_even_the_server_is_understood_or_there_is_with_whoever_has_the_rest(
    house: House, reference: object
) -> None:
    house.saw(evs())
    house.saw(wai(instanceName="no spaces please", serverRef=reference))

    assert house.context.claim_of(house.context.subjects[SHOP]) == REST


async def test_instance_whose_spec_was_never_understood_is_looked_at_when_its_server_comes(house: House) -> None:
    house.saw(wai(instanceName="no spaces please"))
    await house.queued()

    house.saw(evs())

    assert Item(WAI, SHOP) in await house.queued()


def test_sweep_of_what_is_known_finds_no_drift(house: House) -> None:
    house.saw(wai(version=3))
    house.time.advance(1)

    assert house.sweep(wai(version=3)) == 0


def test_sweep_finds_what_the_watch_missed(house: House) -> None:
    house.saw(wai("lost"))
    house.saw(wai("stale", version=2))
    house.time.advance(1)

    assert house.sweep(wai("stale", version=4), wai("new")) == 3
    assert sorted(key.name for key in house.context.subjects) == ["new", "stale"]


def test_empty_list_empties_the_store(house: House) -> None:
    house.saw(wai())
    house.time.advance(1)

    assert house.sweep() == 1
    assert not house.context.subjects


def test_resource_that_appeared_while_the_list_was_made_stays(house: House) -> None:
    began = house.time.monotonic()
    house.time.advance(1)
    house.saw(wai())

    assert house.compare(began=began) == 0
    assert SHOP in house.context.subjects


def test_list_made_before_a_deletion_does_not_bring_the_resource_back(house: House) -> None:
    house.saw(wai())
    house.saw(wai(version=2), "DELETED")

    assert house.sweep(wai(version=1)) == 0
    assert SHOP not in house.context.subjects


def test_sweep_of_one_kind_leaves_the_other_alone(house: House) -> None:
    house.saw(wai())
    house.saw(evs())
    house.time.advance(1)

    house.sweep(evs(), kind=EVS)

    assert SHOP in house.context.subjects


async def test_instance_is_seated_at_its_server_in_whatever_order_they_come(house: House) -> None:
    house.saw(wai())
    house.saw(evs())

    assert house.acting("shop") == "shop"


@pytest.mark.parametrize("order", [("old", "young"), ("young", "old")])
def test_oldest_of_two_resources_for_one_instance_acts(house: House, order: tuple[str, str]) -> None:
    house.saw(evs())
    ages = {"old": 9, "young": 1}
    for name in order:
        house.saw(wai(name, age=ages[name], instanceName="same"))

    assert house.acting("same") == "old"


def test_equally_old_resources_are_told_apart_by_name(house: House) -> None:
    house.saw(evs())
    for name in ("b", "a", "c"):
        house.saw(wai(name, instanceName="same"))

    assert house.acting("same") == "a"


def test_resource_of_a_namespace_that_is_not_admitted_keeps_its_name_from_nobody(house: House) -> None:
    house.saw(evs())
    house.saw(stranger(age=9, instanceName="same"))
    assert house.acting("same") is None

    house.saw(wai("ours", age=1, instanceName="same"))

    assert house.acting("same") == "ours"


def test_who_acts_follows_from_whom_the_server_admits_now(house: House) -> None:
    house.saw(evs(allowedNamespaces=["elsewhere"]))
    house.saw(stranger(age=9, instanceName="same"))
    house.saw(wai("ours", age=1, instanceName="same"))
    assert house.acting("same") == "theirs"

    house.saw(evs(version=2))
    assert house.acting("same") == "ours"

    house.saw(evs(version=3, allowedNamespaces=["*"]))
    assert house.acting("same") == "theirs"


@pytest.mark.parametrize("order", [("theirs", "ours"), ("ours", "theirs")])
def test_older_one_that_is_admitted_later_acts_as_it_would_after_a_restart(
    house: House, order: tuple[str, str]
) -> None:
    bodies = {
        "theirs": stranger(age=9, instanceName="same"),
        "ours": {**wai("ours", age=1, instanceName="same"), "status": {"instanceID": "id-1"}},
    }
    house.saw(evs())
    for name in order:
        house.saw(bodies[name])
    assert house.acting("same") == "ours"

    house.saw(evs(version=2, allowedNamespaces=["elsewhere"]))

    restarted = House()
    for body in (*(bodies[name] for name in order), evs(version=2, allowedNamespaces=["elsewhere"])):
        restarted.saw(body)
    assert house.acting("same") == restarted.acting("same") == "theirs"


async def test_resource_that_is_displaced_by_an_older_one_is_looked_at(house: House) -> None:
    """Its status still says what it said while it acted."""
    house.saw(evs())
    house.saw(wai("young", age=1, instanceName="same"))
    await house.queued()

    house.saw(wai("old", age=9, instanceName="same"))

    assert {item.key.name for item in await house.queued()} == {"old", "young"}


@pytest.mark.parametrize("how", ["watch", "sweep"])
async def test_next_oldest_follows_when_the_acting_one_goes(house: House, how: str) -> None:
    house.saw(evs())
    bodies = {name: wai(name, age=age, instanceName="same") for name, age in (("a", 9), ("b", 5), ("c", 1))}
    for body in bodies.values():
        house.saw(body)
    await house.queued()
    house.time.advance(1)

    if how == "watch":
        house.saw(wai("a", version=2), "DELETED")
    else:
        house.sweep(bodies["b"], bodies["c"])

    assert house.acting("same") == "b"
    assert Item(WAI, Key("messaging", "b")) in await house.queued()


def test_seat_is_empty_when_the_last_one_goes(house: House) -> None:
    house.saw(evs())
    house.saw(wai())

    house.saw(wai(version=2), "DELETED")

    assert house.acting("shop") is None


def test_server_that_comes_again_finds_its_instances(house: House) -> None:
    house.saw(evs())
    house.saw(wai())
    house.saw(evs(version=2), "DELETED")
    assert MAIN in house.context.gone

    house.saw(evs(version=3, uid="again"))

    assert house.acting("shop") == "shop"


@pytest.mark.parametrize("how", ["its server came again", "it was displaced"])
def test_symptoms_are_counted_once_whatever_server_counted_them_before(house: House, how: str) -> None:
    house.saw(evs())
    house.saw(wai(age=1, instanceName="same"))
    one = house.context.subjects[SHOP]
    house.context.servers[MAIN].note_symptom(one, Symptom.FLAPPING)

    if how == "it was displaced":
        house.saw(wai("old", age=9, instanceName="same"))
        assert house.context.servers[MAIN].symptoms[Symptom.FLAPPING] == 0
        house.saw(wai("old", age=9, version=2), "DELETED")
    else:
        house.saw(evs(version=2), "DELETED")
        house.saw(evs(version=3, uid="again"))
    house.context.servers[MAIN].note_symptom(one, Symptom.FLAPPING)

    assert house.context.servers[MAIN].symptoms[Symptom.FLAPPING] == 1
