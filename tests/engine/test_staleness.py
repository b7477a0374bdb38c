"""How old what was read of a server may be before nothing is known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from support import servers, simulated, surroundings
from support.simulated import START
from whatsapp_operator.engine import observer, ports
from whatsapp_operator.engine.server import Observed, Server
from whatsapp_operator.evolution import evidence


class Telemetry:
    """Nobody listens."""

    def check_took(self, witness: str, seconds: float, /) -> None:
        """Nothing."""

    def circuit(self, server: ports.Key, /, *, is_open: bool | None) -> None:
        """Nothing."""


class Slow:
    """A server whose every read takes some seconds, and is answered or not."""

    def __init__(self, time: simulated.Time, *, seconds: float, answers: bool) -> None:
        self._time, self._seconds, self._answers = time, seconds, answers
        self.circuit = evidence.Circuit()

    async def list_memory(self) -> evidence.MemoryList | evidence.Unknown:
        self._time.advance(self._seconds)
        answered = evidence.MemoryList(states={}, version="2.3.7", client_name="evolution")
        return answered if self._answers else evidence.Unknown(evidence.Ignorance.TIMEOUT)

    async def list_database(self) -> evidence.DatabaseList | evidence.Unknown:
        self._time.advance(self._seconds)
        answered = evidence.DatabaseList(rows={})
        return answered if self._answers else evidence.Unknown(evidence.Ignorance.TIMEOUT)


async def looked_at(*, seconds: float, answers: bool) -> Server:
    time = simulated.Time()
    client = cast("Any", Slow(time, seconds=seconds, answers=answers))
    server = Server(key=ports.Key("messaging", "main"), body={}, client=client)
    await observer.Observer(surroundings.context(time, telemetry=Telemetry()), server).tick()
    return server


async def test_reads_that_time_out_let_nothing_be_believed_for_longer() -> None:
    server = await looked_at(seconds=100, answers=False)

    assert server.memory_limit.total_seconds() == 3 * server.health.check_period_seconds


async def test_server_that_answers_slowly_is_not_unknown_between_its_answers() -> None:
    server = await looked_at(seconds=20, answers=True)

    assert server.memory_limit.total_seconds() >= 2 * 40


class Exchanged(Slow):
    """A client in whose place another came while it read: that closed it, so that its reads are cut off."""

    def __init__(self, time: simulated.Time, server: Server) -> None:
        super().__init__(time, seconds=0.0, answers=False)
        self._server = server

    async def list_memory(self) -> evidence.MemoryList | evidence.Unknown:
        self._server.client = cast("Any", Slow(self._time, seconds=0.0, answers=True))
        return evidence.Unknown(evidence.Ignorance.BROKEN)

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        answer = await self.list_memory()
        assert isinstance(answer, evidence.Unknown)
        return answer

    async def identify(self) -> evidence.Unknown:
        return evidence.Unknown(evidence.Ignorance.TIMEOUT)


@pytest.mark.parametrize("has_metrics", [True, False])
async def test_read_that_was_cut_off_by_an_edit_of_the_server_is_no_outage(has_metrics: bool) -> None:
    time, server = simulated.Time(), servers.a_server()
    server.observed.has_metrics = has_metrics
    server.client = cast("Any", Exchanged(time, server))

    await observer.Observer(surroundings.context(time, telemetry=Telemetry()), server).tick()

    assert server.warm
    assert server.observed.unknown is None


@pytest.mark.parametrize(("back", "fresh"), [(0, True), (10, True), (31, False), (3600, False)])
def test_what_was_read_before_the_wall_clock_went_back_is_not_believed_for_so_much_longer(
    back: float, fresh: bool
) -> None:
    one = servers.a_server()

    assert one.fresh(START - timedelta(seconds=back)) is fresh


@pytest.mark.parametrize(("later", "cut_off"), [(0, False), (10, False), (-0.1, True), (-3600, True)])
def test_what_lasts_is_timed_anew_once_the_wall_clock_has_gone_back(later: float, cut_off: bool) -> None:
    seen = Observed(memory_at=START)

    assert seen.is_cut_off(START + timedelta(seconds=later)) is cut_off


def test_what_lasts_is_timed_anew_after_a_read_that_failed() -> None:
    assert Observed(unknown=evidence.Ignorance.TIMEOUT).is_cut_off(START)
    assert not Observed().is_cut_off(START)
