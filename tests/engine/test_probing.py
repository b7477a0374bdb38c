"""When an instance is probed, and how rarely."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from support import simulated, surroundings
from support.simulated import START
from support.world import a_row, state
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.probing import Prober
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Deletion, Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight

ALIVE, DEAD = evidence.ProbeResult.ALIVE, evidence.ProbeResult.DEAD
SILENCE = evidence.Unknown(evidence.Ignorance.TIMEOUT)
PERIOD = 300
Answer = evidence.ProbeResult | evidence.Unknown


@dataclass
class Tasks:
    """Tasks that run when the test says so."""

    spawned: list[Coroutine[Any, Any, None]] = field(default_factory=list)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        assert name == "probe"
        self.spawned.append(work)


@dataclass
class Fleet:
    """Open instances of one server, on simulated time."""

    time: simulated.Time
    tasks: Tasks
    server: Server
    prober: Prober
    answer: Answer = ALIVE
    asked: list[tuple[str, float]] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    flying: StepInFlight | None = None
    pause: Pause | None = None
    stale: bool = False

    async def probe(self, name: str, *, number: str) -> Answer:
        self.asked.append((name, self.time.seconds))
        self.numbers.add(number)
        return self.answer

    def consider(self, name: str) -> float | None:
        """One look at an instance, as the reconciler takes it."""
        one = self.server.subjects[name]
        assert one.instance is not None
        self.server.observed.memory_at = self.server.observed.rows_at = None if self.stale else self.time.now()
        draft = drafts.begin(one, one.instance, self.server, pause=self.pause, now=self.time.now())
        draft.recovery = RecoveryStatus(in_flight=self.flying)
        return self.prober.consider(self.server, draft)

    async def answered(self) -> None:
        """Every probe under way is answered."""
        spawned, self.tasks.spawned = self.tasks.spawned, []
        await asyncio.gather(*spawned)

    async def watch(self, seconds: int, *, every: int = 1) -> None:
        """Look at all of them again and again."""
        for _ in range(0, seconds, every):
            self.time.advance(every)
            for name in self.server.subjects:
                self.consider(name)
            await self.answered()

    def record(self, name: str = "i0") -> records.Record:
        return self.server.subjects[name].record


def fleet(count: int = 1, *, mode: str = "Enabled", answer: Answer = ALIVE) -> Fleet:
    time, tasks = simulated.Time(), Tasks()
    context = surroundings.context(time, tasks=tasks)
    server = Server(key=ports.Key("messaging", "main"), body={})
    server.update(
        {
            "metadata": {"name": "main", "namespace": "messaging", "uid": "u-1"},
            "spec": {
                "url": "http://evolution-api:8080",
                "apiKeySecretRef": {"name": "evolution-api"},
                "health": {"probe": {"mode": mode, "periodSeconds": PERIOD}},
            },
            "status": {"clientName": "evolution"},
        }
    )
    server.observed.client_name, server.observed.version, server.observed.ever_read = "evolution", "2.3.7", True
    server.warm_up = replace(server.warm_up, done=True)
    for number in range(count):
        server.subjects[f"i{number}"] = a_subject(f"i{number}")
    one = Fleet(time, tasks, server, Prober(context), answer=answer)
    server.client = cast("Any", one)
    return one


def a_subject(name: str) -> Subject:
    one = Subject(key=ports.Key("messaging", name), body={})
    metadata = {"name": name, "namespace": "messaging", "uid": f"uid-of-{name}"}
    one.update({"metadata": metadata, "spec": {"serverRef": {"name": "main"}}, "status": {"instanceID": name}})
    row = replace(a_row(), owner_jid="5511999990001@s.whatsapp.net")
    one.record = records.saw_database(records.Record(paired=True), row, at=START)
    one.record = records.saw_memory(one.record, evidence.InMemory(state("open")), at=START)
    return one


async def test_each_instance_is_probed_once_in_a_period_and_not_at_the_start() -> None:
    play = fleet(20)

    await play.watch(4 * PERIOD)

    for name in play.server.subjects:
        moments = [at for who, at in play.asked if who == name]
        assert len(moments) == 4
        assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {PERIOD}


async def test_fleet_is_spread_over_the_period() -> None:
    play = fleet(100)

    await play.watch(PERIOD)

    assert len(play.asked) == 100
    tenths = [sum(start <= at - 1 < start + PERIOD / 10 for _, at in play.asked) for start in range(0, PERIOD, 30)]
    assert max(tenths) <= 25


async def test_next_look_is_asked_for_at_the_next_probe() -> None:
    play = fleet()

    wait = play.consider("i0")

    assert wait is not None
    play.time.advance(wait - 0.5)
    play.consider("i0")
    assert play.tasks.spawned == []
    play.time.advance(0.6)
    assert play.consider("i0") == pytest.approx(PERIOD - 0.1)
    await play.answered()
    assert [name for name, _ in play.asked] == ["i0"]
    assert play.numbers == {"5511999990001"}


async def test_look_that_comes_when_it_was_asked_for_finds_the_probe_due() -> None:
    play = fleet(50)

    for name in play.server.subjects:
        wait = play.consider(name)
        assert wait is not None
        play.time.advance(wait)
        play.consider(name)
        await play.answered()

    assert [name for name, _ in play.asked] == list(play.server.subjects)


async def test_couple_of_probes_are_under_way_at_once_at_most() -> None:
    play = fleet(10)
    for name in play.server.subjects:
        play.consider(name)
    play.time.advance(PERIOD)

    waits = [play.consider(name) for name in play.server.subjects]

    assert len(play.tasks.spawned) == 2
    assert sum(wait == 2.0 for wait in waits) == 8
    await play.answered()


async def test_what_is_switched_off_is_never_probed() -> None:
    play = fleet(mode="Disabled")

    await play.watch(3 * PERIOD)

    assert play.asked == []
    assert play.consider("i0") is None


async def test_dead_answer_is_looked_at_once_more_and_that_is_the_only_extra_call() -> None:
    play = fleet(answer=DEAD)

    await play.watch(3 * PERIOD)

    moments = [at for _, at in play.asked]
    assert [later - earlier for earlier, later in itertools.pairwise(moments)] == [5, PERIOD - 5, PERIOD]
    assert play.record().probe.dead == 4


async def test_silence_is_asked_no_more_often_than_an_answer() -> None:
    play = fleet(answer=SILENCE)

    await play.watch(3 * PERIOD)

    assert len(play.asked) == 3
    assert play.record().probe == witnesses.Probe(taken=True)


async def test_answer_vouches_for_the_neighbours() -> None:
    play = fleet()

    await play.watch(PERIOD)

    vouchers = play.server.observed.vouchers
    assert vouchers.latest(None, but="another") == START + timedelta(seconds=play.asked[0][1])
    assert vouchers.latest(None, but="i0") is None


def suspected(play: Fleet) -> None:
    """It was dead, a restart was tried, and both witnesses say open again."""
    one = play.server.subjects["i0"]
    for _ in range(2):
        one.record = records.saw_probe(one.record, DEAD, at=play.time.now())
    one.record = records.saw_memory(records.after_step(one.record), evidence.InMemory(state("open")), at=START)


def flight(step: Step, reason: Reason) -> StepInFlight:
    return StepInFlight(step=step, step_class=StepClass.SOFT, reason=reason, since=START)


@pytest.mark.parametrize("answer", [ALIVE, SILENCE])
async def test_restart_of_a_dead_socket_is_judged_by_one_probe_at_once(answer: Answer) -> None:
    play = fleet(answer=answer)
    suspected(play)
    play.flying = flight(Step.RESTART, Reason.DEAD_SOCKET)

    for _ in range(5):
        play.consider("i0")
        await play.answered()

    assert len(play.asked) == 1
    assert (play.record().probe.alive_at is not None) is (answer is ALIVE)


async def test_no_probe_while_memory_is_not_open_again() -> None:
    play = fleet()
    play.flying = flight(Step.RESTART, Reason.DEAD_SOCKET)
    one = play.server.subjects["i0"]
    one.record = records.after_step(one.record)
    play.consider("i0")
    one.record = records.saw_memory(one.record, evidence.InMemory(state("connecting")), at=START)
    play.consider("i0")

    assert play.tasks.spawned == []


async def test_answer_to_a_probe_from_before_a_close_counts_for_nothing() -> None:
    play = fleet(answer=DEAD)
    play.consider("i0")
    play.time.advance(PERIOD)
    play.consider("i0")
    one = play.server.subjects["i0"]
    for word in ("close", "open"):
        play.time.advance(1)
        one.record = records.saw_memory(one.record, evidence.InMemory(state(word)), at=play.time.now())

    await play.answered()

    assert play.asked
    assert play.record().probe == witnesses.Probe()


async def test_what_was_found_is_forgotten_when_probes_are_switched_off() -> None:
    play = fleet(mode="Disabled")
    suspected(play)

    play.consider("i0")

    assert play.record().probe == witnesses.Probe()


def stale(play: Fleet) -> None:
    play.stale = True


def cold(play: Fleet) -> None:
    play.server.warm_up = replace(play.server.warm_up, done=False)


def unsupported(play: Fleet) -> None:
    play.server.observed.version = "2.4.0"


def paused(play: Fleet) -> None:
    play.pause = Pause(reason="a migration")


def stepping(play: Fleet) -> None:
    play.flying = flight(Step.RESTART, Reason.REQUESTED)


def recreating(play: Fleet) -> None:
    play.flying = flight(Step.RECREATE, Reason.DEAD_SOCKET)


def restarting(play: Fleet) -> None:
    play.server.flying = flight(Step.RESTART_SERVER, Reason.DEAD_SOCKET)


def deleting(play: Fleet) -> None:
    play.server.subjects["i0"].deletion = Deletion(since=START)


def closed_in_the_database(play: Fleet) -> None:
    one = play.server.subjects["i0"]
    assert one.record.row is not None
    one.record = records.saw_database(one.record, replace(one.record.row, state=state("close")), at=START)


def without_number(play: Fleet) -> None:
    one = play.server.subjects["i0"]
    assert one.record.row is not None
    one.record = records.saw_database(one.record, replace(one.record.row, owner_jid=None), at=START)


@pytest.mark.parametrize(
    "disturb",
    [
        stale,
        cold,
        unsupported,
        paused,
        stepping,
        recreating,
        restarting,
        deleting,
        closed_in_the_database,
        without_number,
    ],
)
async def test_nothing_is_probed_while_something_goes_on_or_nothing_can_be_told(disturb: Any) -> None:
    play = fleet()
    disturb(play)

    await play.watch(2 * PERIOD, every=10)

    assert play.asked == []
