"""A sample of stability proves a state only by all of its reads, and is taken rarely, of few at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from engine.test_burden import House, draft_of
from support import simulated, surroundings
from support.world import START, state
from whatsapp_operator.engine import ports, sampling
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight

CLOSE, CONNECTING = evidence.InMemory(state("close")), evidence.InMemory(state("connecting"))
OPEN = evidence.InMemory(state("open"))
UNKNOWN = evidence.Unknown(evidence.Ignorance.TIMEOUT)


@dataclass
class SlowServer:
    """Each read takes some seconds; the last answer is given again and again."""

    time: simulated.Time
    answers: Sequence[evidence.MemoryReading]
    seconds: float = 0.0
    reads: list[str] = field(default_factory=list)

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        self.reads.append(name)
        self.time.advance(self.seconds)
        return self.answers[min(len(self.reads), len(self.answers)) - 1]


async def taken(server: SlowServer) -> witnesses.Sample | None:
    context = surroundings.context(server.time)
    one = Server(key=ports.Key("messaging", "main"), body={}, client=cast("Any", server))
    return await sampling.sample(context, one, name="shop")


async def test_sample_of_a_slow_server_has_all_its_reads() -> None:
    server = SlowServer(time=simulated.Time(), answers=[CLOSE], seconds=35)

    sample = await taken(server)

    assert len(server.reads) == Spans().stable_samples
    assert sample is not None
    assert sample.constant is state("close")


async def test_sample_lasts_its_span_where_reads_are_quick() -> None:
    server = SlowServer(time=simulated.Time(), answers=[CLOSE])

    await taken(server)

    assert server.time.seconds >= Spans().stable


async def test_sample_goes_on_for_a_third_of_its_span_after_the_first_other_state() -> None:
    server = SlowServer(time=simulated.Time(), answers=[CLOSE, CLOSE, CONNECTING])

    sample = await taken(server)

    assert Spans().stable / 3 <= server.time.seconds < Spans().stable / 2
    assert sample is not None
    assert (sample.constant, sample.openings) == (None, 0)


async def test_sample_ends_when_it_has_opened_again_and_again() -> None:
    server = SlowServer(time=simulated.Time(), answers=[CONNECTING, OPEN, CLOSE, OPEN, CONNECTING, OPEN, CLOSE])

    sample = await taken(server)

    assert len(server.reads) == 6
    assert sample is not None
    assert sample.openings == 3


async def test_sample_with_a_read_that_proved_nothing_proves_nothing() -> None:
    assert await taken(SlowServer(time=simulated.Time(), answers=[CLOSE, UNKNOWN])) is None


class Warm(House):
    """Closed instances on a warm server, whose samples begin when they are run."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names or ("shop",))
        self.sampler = sampling.Sampler(self.context)
        self.server.warm_up = type(self.server.warm_up)(done=True)
        self.server.observed.ever_read = True
        self.api.states = dict.fromkeys(self.api.states, state("close"))
        self.one = next(iter(self.server.subjects.values()))

    def considers(
        self, name: str = "shop", *, shows: str = "close", reason: Reason = Reason.SETTLING, **recovery: Any
    ) -> bool:
        """Whether a sample is begun of an instance of which nothing but this state is known."""
        one, before = self.server.subjects[name], len(self.tasks.spawned)
        one.record = records.saw_memory(records.Record(paired=True), evidence.InMemory(state(shows)), at=START)
        draft = draft_of(self, name, Verdict(HealthState.DEGRADED, reason))
        draft.recovery = RecoveryStatus(**recovery)
        self.sampler.consider(self.server, draft)
        return len(self.tasks.spawned) > before

    async def samples(self) -> None:
        assert self.considers()
        await self.tasks.run()


async def test_samples_are_taken_ever_more_rarely_down_to_the_time_of_flapping() -> None:
    house = Warm()
    await house.samples()

    for pause in (120, 480, 600, 600):
        began = house.one.sampled_at
        house.time.seconds = began + pause - 1
        assert not house.considers()
        house.time.seconds = began + pause
        await house.samples()


@pytest.mark.parametrize(("seconds", "is_due"), [(0, False), (1, True)])
async def test_step_after_the_last_sample_begins_the_pace_anew(seconds: int, is_due: bool) -> None:
    house = Warm()
    await house.samples()

    house.one.stepped_at = house.one.sampled_at + seconds

    assert house.considers() is is_due
    await house.tasks.run()


@pytest.mark.parametrize(
    ("reason", "incident", "is_due"),
    [(Reason.HEALTHY, None, True), (Reason.HEALTHY, "1", False), (Reason.AWAITING_SCAN, None, False)],
)
async def test_health_begins_the_pace_anew_once_the_incident_is_over(
    reason: Reason, incident: str | None, is_due: bool
) -> None:
    house = Warm()
    await house.samples()

    assert not house.considers(shows="open", reason=reason, incident=incident)

    assert house.considers() is is_due
    await house.tasks.run()


async def test_one_sample_at_a_time_is_taken_of_an_instance() -> None:
    house = Warm()
    assert house.considers()
    house.time.advance(700)

    assert not house.considers()
    await house.tasks.run()
    house.time.advance(700)
    await house.samples()


async def test_few_samples_at_a_time_are_taken_on_a_server() -> None:
    house = Warm(*"abcdefg")

    assert [house.considers(name) for name in "abc"] == [True, True, False]
    await house.tasks.run()
    assert [house.considers(name) for name in "cde"] == [True, True, False]
    await house.tasks.run()


def test_nothing_is_sampled_on_a_server_that_still_loads() -> None:
    house = Warm()
    house.server.warm_up = type(house.server.warm_up)()

    assert not house.considers()


def test_nothing_is_sampled_that_needs_no_sample_or_while_a_step_is_in_flight() -> None:
    house = Warm()
    flying = StepInFlight(step=Step.RESTART, step_class=StepClass.SOFT, since=START)

    assert not house.considers(shows="open")
    assert not house.considers(in_flight=flying)


@pytest.mark.parametrize(("reads", "is_kept"), [(True, True), (False, False)], ids=["all read", "one proves nothing"])
async def test_sample_that_is_over_is_kept_if_it_proves_something_and_looked_at(reads: bool, is_kept: bool) -> None:
    house = Warm()
    if not reads:
        house.api.states.clear()

    await house.samples()

    assert (house.one.record.sample is not None) is is_kept
    assert [item.key for item in await house.due()] == [house.one.key]
    assert not house.one.sampling


@pytest.mark.parametrize(("seconds", "is_kept"), [(-1, True), (0, False), (1, False)])
async def test_sample_during_which_a_step_ended_is_not_kept(seconds: int, is_kept: bool) -> None:
    house = Warm()
    assert house.considers()
    house.one.stepped_at = house.time.monotonic() + seconds

    await house.tasks.run()

    assert (house.one.record.sample is not None) is is_kept


async def test_server_that_cannot_be_called_is_not_sampled() -> None:
    house = Warm()
    house.server.client = None

    assert await sampling.sample(house.context, house.server, name="shop") is None
