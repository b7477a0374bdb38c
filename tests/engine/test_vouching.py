"""Who vouches for whom, and how rarely somebody is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import simulated, surroundings
from support.simulated import START
from support.world import a_row, state
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import ports, vouching
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Deletion, Subject
from whatsapp_operator.engine.vouchers import Vouchers
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY, Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight

ALIVE, DEAD = evidence.ProbeResult.ALIVE, evidence.ProbeResult.DEAD
SILENCE = evidence.Unknown(evidence.Ignorance.TIMEOUT)
ANOTHER_PASSWORD = {"password": "another"}
UNBROKEN = timedelta(seconds=90)
PROXY = evidence.Proxy(host="proxy.example.com", port="3128", protocol="http", username="one")
OTHER_WAY = replace(PROXY, username="two")
Answer = evidence.ProbeResult | evidence.Unknown


@dataclass
class Whatsapp:
    """Answers probes, by instance; who is not named is alive."""

    answers: Mapping[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)

    async def probe(self, name: str, *, number: str) -> Answer:
        self.asked.append(name)
        self.numbers.append(number)
        await asyncio.sleep(0)
        return self.answers.get(name, ALIVE)


@dataclass
class Scene:
    """A warm server: `ill` asks, the others are well."""

    server: Server
    context: Context
    time: simulated.Time
    whatsapp: Whatsapp

    async def ask(self, name: str = "ill") -> bool:
        one = self.server.subjects[name]
        assert one.instance is not None
        draft = drafts.begin(one, one.instance, self.server, pause=self.context.pause, now=self.time.now())
        return await vouching.ask(self.context, self.server, draft)

    def vouched(self, name: str = "ill", proxy: evidence.Proxy | None = None) -> bool:
        return vouching.vouched(self.server, name=name, proxy=proxy, now=self.time.now())


def scene(*others: str, answers: Mapping[str, Answer] | None = None, proxy: evidence.Proxy | None = None) -> Scene:
    time, whatsapp = simulated.Time(), Whatsapp(answers or {})
    one = Server(key=ports.Key("messaging", "main"), body={}, client=cast("Any", whatsapp))
    one.update(
        {
            "metadata": {"name": "main", "namespace": "messaging", "uid": "u-1"},
            "spec": {"url": "http://evolution-api:8080", "apiKeySecretRef": {"name": "evolution-api"}},
        }
    )
    one.observed.ever_read, one.observed.version = True, "2.3.7"
    one.warm_up = replace(one.warm_up, done=True)
    for name in ("ill", *others):
        one.subjects[name] = a_subject(name, proxy=proxy)
    ill = one.subjects["ill"]
    ill.opinion = Opinion(Verdict(HealthState.DEGRADED, Reason.FLAPPING), since=START, observations=2)
    return Scene(one, surroundings.context(time), time, whatsapp)


def a_subject(name: str, *, proxy: evidence.Proxy | None = None) -> Subject:
    metadata = {"name": name, "namespace": "messaging", "uid": name}
    one = Subject(key=ports.Key("messaging", name), body={})
    one.update({"metadata": metadata, "spec": {"serverRef": {"name": "main"}}, "status": {"instanceID": name}})
    one.opinion = Opinion(HEALTHY, since=START, observations=2)
    row = replace(a_row(), owner_jid="5511999990001:7@s.whatsapp.net", proxy=proxy)
    one.record = records.saw_database(records.Record(paired=True), row, at=START)
    one.record = records.saw_memory(one.record, evidence.InMemory(state("open")), at=START)
    return one


async def test_neighbour_that_answers_vouches_for_a_minute() -> None:
    play = scene("well")

    assert not play.vouched()
    assert await play.ask()

    assert play.whatsapp.asked == ["well"]
    assert play.vouched()
    play.time.advance(60)
    assert play.vouched()
    play.time.advance(1)
    assert not play.vouched()


async def test_whatsapp_is_reachable_since_the_first_of_the_answers_that_follow_each_other() -> None:
    play = scene("well")
    await play.ask()

    for _ in range(3):
        play.time.advance(90)
        assert await play.ask()

    assert play.server.observed.vouchers.reachable_since(None) == START


@pytest.mark.parametrize(("gap", "unbroken"), [(90, True), (91, False)])
def test_whatsapp_is_reachable_anew_after_a_gap_in_which_nobody_proved_it(gap: int, *, unbroken: bool) -> None:
    vouchers, later = Vouchers(), START + timedelta(seconds=gap)
    vouchers.note("a", PROXY, at=START, unbroken=UNBROKEN)
    vouchers.note("b", PROXY, at=later, unbroken=UNBROKEN)

    assert vouchers.reachable_since(PROXY) == (START if unbroken else later)
    assert vouchers.reachable_since(replace(PROXY, **ANOTHER_PASSWORD)) == vouchers.reachable_since(PROXY)
    assert vouchers.reachable_since(OTHER_WAY) is None
    assert vouchers.reachable_since(None) is None


@pytest.mark.parametrize(("gap", "unbroken"), [(150, True), (151, False)])
async def test_answer_that_comes_later_than_the_end_of_the_wait_counts_anew(gap: int, *, unbroken: bool) -> None:
    play = scene("well")
    await play.ask()
    play.time.advance(gap)
    await play.ask()

    assert play.context.spans.reachable == 120
    assert play.server.observed.vouchers.reachable_since(None) == (START if unbroken else play.time.now())


def test_gap_is_counted_from_the_latest_proof_of_several() -> None:
    vouchers = Vouchers()
    for name, second in (("a", 0), ("b", 80), ("c", 110)):
        vouchers.note(name, None, at=START + timedelta(seconds=second), unbroken=UNBROKEN)

    assert vouchers.reachable_since(None) == START


@pytest.mark.parametrize("answer", [DEAD, SILENCE])
async def test_whatsapp_is_reachable_anew_after_somebody_was_asked_in_vain(answer: Answer) -> None:
    play = scene("well", answers={"well": answer})
    vouchers = play.server.observed.vouchers
    vouchers.note("opened", None, at=START, unbroken=UNBROKEN)

    await play.ask()
    assert vouchers.reachable_since(None) is None

    vouchers.note("opened", None, at=START + timedelta(seconds=10), unbroken=UNBROKEN)
    assert vouchers.reachable_since(None) == START + timedelta(seconds=10)


async def test_neighbour_is_asked_with_its_own_number() -> None:
    play = scene("well")

    await play.ask()

    assert play.whatsapp.numbers == ["5511999990001"]


@pytest.mark.parametrize("answer", [DEAD, SILENCE, evidence.Unknown(evidence.Ignorance.SERVER_ERROR)])
async def test_what_is_no_answer_vouches_for_nobody(answer: Answer) -> None:
    play = scene("well", answers={"well": answer})

    assert not await play.ask()
    assert not play.vouched()


async def test_however_many_ask_one_call_is_made_in_a_minute() -> None:
    play = scene("well", "worse", "worst")
    for name in ("worse", "worst"):
        play.server.subjects[name].opinion = play.server.subjects["ill"].opinion

    answers = await asyncio.gather(*(play.ask(name) for name in ("ill", "worse", "worst", "ill")))

    assert answers == [True, False, False, False]
    assert len(play.whatsapp.asked) == 1
    play.time.advance(59)
    assert not await play.ask()
    play.time.advance(1)
    assert await play.ask()
    assert len(play.whatsapp.asked) == 2


async def test_each_way_to_whatsapp_is_asked_for_by_itself() -> None:
    play = scene("well", proxy=PROXY)
    play.server.subjects["direct"] = a_subject("direct")
    play.server.subjects["ill-too"] = a_subject("ill-too", proxy=OTHER_WAY)

    assert not await play.ask("ill-too")
    assert play.whatsapp.asked == []
    assert await play.ask()
    assert play.whatsapp.asked == ["well"]
    assert play.vouched(proxy=PROXY)
    assert play.vouched(proxy=replace(PROXY, **ANOTHER_PASSWORD))
    assert not play.vouched(proxy=OTHER_WAY)
    assert not play.vouched(proxy=None)


async def test_one_that_did_not_answer_is_passed_over_for_ten_minutes() -> None:
    play = scene("mute", "well", answers={"mute": SILENCE})

    for _ in range(10):
        await play.ask()
        play.time.advance(61)
    assert play.whatsapp.asked == ["mute", *["well"] * 9]

    await play.ask()
    assert play.whatsapp.asked[-1] == "mute"


@pytest.mark.parametrize(("seconds", "times"), [(599, 1), (600, 2)])
async def test_one_that_did_not_answer_is_asked_again_after_ten_minutes(seconds: int, times: int) -> None:
    play = scene("mute", answers={"mute": SILENCE})

    await play.ask()
    play.time.advance(seconds)
    await play.ask()

    assert play.whatsapp.asked == ["mute"] * times


async def test_the_one_that_was_asked_longest_ago_is_asked() -> None:
    play = scene("one", "two", "three")

    for _ in range(6):
        await play.ask()
        play.time.advance(61)

    assert play.whatsapp.asked == ["one", "two", "three"] * 2


async def test_instance_that_is_gone_is_not_remembered_as_asked() -> None:
    play = scene("one", "two")
    await play.ask()
    del play.server.subjects["one"]
    play.time.advance(60)

    await play.ask()

    assert play.server.observed.vouchers.asked.keys() == {"two"}


def not_assessed(one: Subject) -> None:
    one.opinion = None


def unwell(one: Subject) -> None:
    one.opinion = Opinion(Verdict(HealthState.DEGRADED, Reason.FLAPPING), since=START, observations=2)


def seen_once(one: Subject) -> None:
    one.opinion = Opinion(HEALTHY, since=START, observations=1)


def unpaired(one: Subject) -> None:
    one.record = replace(one.record, paired=False)


def closed(one: Subject) -> None:
    one.record = records.saw_memory(one.record, evidence.InMemory(state("close")), at=START)


def just_stepped(one: Subject) -> None:
    one.record = records.after_step(one.record)


def without_row(one: Subject) -> None:
    one.record = records.saw_memory(records.Record(paired=True), evidence.InMemory(state("open")), at=START)


def without_number(one: Subject) -> None:
    one.record = records.saw_database(one.record, replace(a_row(), owner_jid="7@lid"), at=START)


def other_channel(one: Subject) -> None:
    row = replace(a_row(integration="EVOLUTION"), owner_jid="7@s.whatsapp.net")
    one.record = records.saw_database(one.record, row, at=START)


def being_deleted(one: Subject) -> None:
    one.deletion = Deletion(since=START)


def whose_resource_goes(one: Subject) -> None:
    assert one.instance is not None
    one.instance = one.instance.replace(metadata=one.instance.metadata.replace(deletion_timestamp=START))


def not_understood(one: Subject) -> None:
    one.instance = None


def paused(one: Subject, until: datetime | None = None) -> None:
    assert one.instance is not None
    pause = Pause(reason="a migration", until=until)
    one.instance = one.instance.replace(spec=one.instance.spec.replace(pause=pause))


@pytest.mark.parametrize(
    "spoil",
    [
        not_assessed,
        unwell,
        seen_once,
        unpaired,
        closed,
        just_stepped,
        without_row,
        without_number,
        other_channel,
        being_deleted,
        whose_resource_goes,
        not_understood,
        paused,
    ],
)
async def test_who_is_not_open_well_and_left_in_peace_is_passed_over(spoil: Any) -> None:
    play = scene("other", "well")
    spoil(play.server.subjects["other"])

    assert await play.ask()
    assert play.whatsapp.asked == ["well"]


async def test_instance_whose_pause_is_over_is_asked() -> None:
    play = scene("well")
    paused(play.server.subjects["well"], until=START)

    assert await play.ask()


def in_flight(play: Scene) -> None:
    play.server.in_flight.add(play.server.subjects["well"].key)


def restarting(play: Scene) -> None:
    play.server.flying = StepInFlight(step=Step.RESTART_SERVER, step_class=StepClass.SERVER_RESTART, since=START)


def paused_itself(play: Scene) -> None:
    paused(play.server.subjects["ill"])


def paused_everywhere(play: Scene) -> None:
    play.context.pause = Pause(reason="a migration")


def cold(play: Scene) -> None:
    play.server.warm_up = replace(play.server.warm_up, done=False)


def of_unknown_version(play: Scene) -> None:
    play.server.observed.version = "2.4.0"


@pytest.mark.parametrize("disturb", [in_flight, restarting, paused_itself, paused_everywhere, cold, of_unknown_version])
async def test_nobody_is_asked_while_something_goes_on(disturb: Any) -> None:
    play = scene("well")
    disturb(play)

    assert not await play.ask()
    assert play.whatsapp.asked == []


async def test_server_that_could_not_be_called_is_asked_as_soon_as_it_can() -> None:
    play = scene("well")
    play.server.client, client = None, play.server.client
    assert not await play.ask()

    play.server.client = client
    assert await play.ask()


async def test_where_nobody_can_be_asked_nobody_is_looked_for_again_within_a_second() -> None:
    play = scene("shop")
    known, play.server.subjects["shop"].opinion = play.server.subjects["shop"].opinion, None
    assert not await play.ask()
    play.server.subjects["shop"].opinion = known

    play.time.advance(0.9)
    assert not await play.ask()
    play.time.advance(0.1)
    assert await play.ask()


async def test_who_is_well_since_somebody_was_looked_for_in_vain_is_asked_at_once() -> None:
    play = scene("shop")
    shop = play.server.subjects["shop"]
    known, shop.opinion = shop.opinion, None
    assert not await play.ask()
    vouching.may_answer(play.server, shop)
    shop.opinion = known
    assert not await play.ask()

    vouching.may_answer(play.server, shop)
    assert await play.ask()


async def test_who_is_well_on_one_way_is_asked_by_nobody_on_another() -> None:
    play = scene("shop")
    play.server.subjects["far"] = a_subject("far", proxy=PROXY)
    known, play.server.subjects["shop"].opinion = play.server.subjects["shop"].opinion, None
    assert not await play.ask()
    play.server.subjects["shop"].opinion = known

    vouching.may_answer(play.server, play.server.subjects["far"])
    assert not await play.ask()


async def test_clock_that_goes_back_keeps_nobody_from_being_looked_for() -> None:
    play = scene("shop")
    known, play.server.subjects["shop"].opinion = play.server.subjects["shop"].opinion, None
    assert not await play.ask()
    play.server.subjects["shop"].opinion = known

    play.time.seconds -= 60
    assert await play.ask()


async def test_instance_alone_asks_nobody() -> None:
    play = scene()

    assert not await play.ask()
    assert play.whatsapp.asked == []


MOMENTS = st.integers(0, 300).map(lambda seconds: START + timedelta(seconds=seconds))
NAMES = st.sampled_from(["a", "b", "c"])
PROXIES = st.sampled_from([None, PROXY, OTHER_WAY])
NOTES = st.lists(st.tuples(MOMENTS, NAMES, PROXIES)).map(lambda notes: sorted(notes, key=lambda note: note[0]))


@given(NOTES, NAMES, PROXIES)
def test_latest_voucher_is_the_latest_of_another_on_the_same_way(
    notes: list[tuple[datetime, str, evidence.Proxy | None]], name: str, proxy: evidence.Proxy | None
) -> None:
    vouchers = Vouchers()
    for at, who, way in notes:
        vouchers.note(who, way, at=at, unbroken=UNBROKEN)

    others = [at for at, who, way in notes if who != name and way == proxy]
    assert vouchers.latest(proxy, but=name) == max(others, default=None)


def test_vouchers_show_nothing_of_a_proxy() -> None:
    vouchers = Vouchers()
    vouchers.note("a", PROXY, at=START, unbroken=UNBROKEN)
    vouchers.asked_at[PROXY.way] = START

    assert PROXY.host not in repr(vouchers)
    assert PROXY.username not in repr(vouchers)
