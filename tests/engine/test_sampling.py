"""A sample of stability proves a state only by all of its reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from support import simulated, surroundings
from support.world import state
from whatsapp_operator.engine import ports, sampling
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.spans import Spans

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
