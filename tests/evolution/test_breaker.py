"""A server that does not answer is asked rarely, by one read; an instance's own failures shut off no other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

import pytest

from evolution import servers
from whatsapp_operator.evolution import breaker, client, errors, evidence, routes
from whatsapp_operator.evolution.evidence import Ignorance

PERIOD: Final = 10.0
NOT_SENT: Final = evidence.Unknown(Ignorance.BREAKER_OPEN)
BULK, SINGLE = routes.METRICS, routes.CONNECTION_STATE

SPEAK_OF_THE_SERVER: Final[tuple[errors.EvolutionError, ...]] = (
    errors.TimedOut(SINGLE.request),
    errors.ConnectionRefused(SINGLE.request),
    errors.Broken(SINGLE.request),
    errors.NotResolved(SINGLE.request),
    errors.TLSFailed(SINGLE.request),
    errors.RateLimited(SINGLE.request),
    *(errors.ServerFailed(SINGLE.request, status=status) for status in (502, 503, 504)),
)
SAY_NOTHING_OF_IT: Final[tuple[errors.EvolutionError, ...]] = (
    errors.ServerFailed(SINGLE.request, status=500),
    errors.KeyRejected(SINGLE.request),
    errors.NoSuchRoute(SINGLE.request),
    errors.LicenseRequired(SINGLE.request),
    errors.UnexpectedShape(SINGLE.request),
)


class Given:
    """A breaker on time that a test moves."""

    def __init__(self, *, random: float = 0.0) -> None:
        self.now = 100.0
        self.breaker = breaker.Breaker(period=PERIOD, monotonic=lambda: self.now, random=lambda: random)

    def fails(self, error: errors.EvolutionError, *, times: int = 5) -> None:
        """So many instances' calls fail, one after the other."""
        for number in range(times):
            self.breaker.failed(SINGLE, error, instance=f"i{number}")

    def trial_fails(self) -> float:
        """The next trial, when it may be sent, fails; returns the seconds that it had to wait."""
        wait = self.breaker.circuit.trial_in
        self.now += wait
        assert self.breaker.admits(BULK)
        self.breaker.failed(BULK, errors.TimedOut(BULK.request), instance=None)
        return wait


@pytest.mark.parametrize("error", SPEAK_OF_THE_SERVER, ids=repr)
def test_opens_after_failures_in_a_row_that_speak_of_the_server(error: errors.EvolutionError) -> None:
    given = Given()

    given.fails(error, times=4)
    assert given.breaker.admits(SINGLE)

    given.breaker.failed(SINGLE, error, instance="another")
    assert not given.breaker.admits(SINGLE)
    assert given.breaker.circuit.why is error.why


@pytest.mark.parametrize("error", SAY_NOTHING_OF_IT, ids=repr)
def test_stays_closed_when_the_failures_can_be_the_instances_own(error: errors.EvolutionError) -> None:
    given = Given()

    given.fails(error, times=50)

    assert given.breaker.admits(SINGLE)


def test_one_instance_whose_calls_hang_shuts_off_no_other() -> None:
    given = Given()

    for _ in range(50):
        given.breaker.failed(SINGLE, errors.TimedOut(SINGLE.request), instance="hangs")

    assert given.breaker.admits(SINGLE)


def test_answer_between_failures_begins_the_row_anew() -> None:
    given = Given()
    for _ in range(3):
        given.fails(errors.TimedOut(SINGLE.request), times=4)
        given.breaker.answered(SINGLE)

    assert given.breaker.admits(SINGLE)


def test_any_server_error_to_a_bulk_read_speaks_of_the_server() -> None:
    given = Given()

    for _ in range(5):
        given.breaker.failed(BULK, errors.ServerFailed(BULK.request, status=500), instance=None)

    assert given.breaker.circuit.is_open


def test_failure_of_the_route_that_asks_the_internet_says_nothing() -> None:
    given = Given()

    for _ in range(50):
        given.breaker.failed(routes.IDENTIFY, errors.TimedOut(routes.IDENTIFY.request), instance=None)

    assert not given.breaker.circuit.is_open


def test_while_it_is_open_only_bulk_reads_are_sent_and_only_when_they_are_due() -> None:
    given = Given()
    given.fails(errors.ConnectionRefused(SINGLE.request))

    assert not given.breaker.admits(BULK)
    assert given.breaker.circuit.trial_in == PERIOD

    given.now += PERIOD
    assert given.breaker.admits(BULK)
    assert not given.breaker.admits(SINGLE)


def test_trials_come_ever_more_rarely_and_never_stop() -> None:
    given = Given()
    given.fails(errors.ConnectionRefused(SINGLE.request))

    assert [given.trial_fails() for _ in range(5)] == [10, 20, 30, 30, 30]


def test_trials_of_many_servers_do_not_come_at_the_same_moment() -> None:
    waits = []
    for random in (0.0, 0.5, 0.99):
        given = Given(random=random)
        given.fails(errors.ConnectionRefused(SINGLE.request))
        waits.append(given.trial_fails())

    assert all(PERIOD <= wait <= 1.25 * PERIOD for wait in waits)
    assert all(later - earlier > 0.1 * PERIOD for earlier, later in itertools.pairwise(waits))


def test_outage_of_an_hour_costs_a_trial_each_half_minute() -> None:
    given = Given()
    given.fails(errors.ConnectionRefused(SINGLE.request))
    began, trials = given.now, 0

    while given.now - began < 3600:
        given.trial_fails()
        trials += 1

    assert trials <= 3600 / 30 + 2


def test_one_answered_bulk_read_closes_it_and_the_pauses_begin_anew() -> None:
    given = Given()
    given.fails(errors.ConnectionRefused(SINGLE.request))
    for _ in range(4):
        given.trial_fails()

    given.breaker.answered(BULK)

    assert given.breaker.admits(SINGLE)
    given.fails(errors.ConnectionRefused(SINGLE.request))
    assert given.trial_fails() == PERIOD


def test_answer_to_a_call_sent_before_it_opened_does_not_close_it() -> None:
    given = Given()
    given.fails(errors.TimedOut(SINGLE.request))

    given.breaker.answered(SINGLE)

    assert given.breaker.circuit.is_open


CALLS: dict[str, Callable[[client.Client], object]] = {
    "read": lambda api: api.read_memory("shop"),
    "create": lambda api: api.create(evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token="t")),  # noqa: S106
    "delete": lambda api: api.delete("shop"),
    "verify": lambda api: api.verify_key(),
}


async def opened(api: client.Client) -> None:
    for number in range(5):
        await api.read_memory(f"i{number}")
    assert api.circuit.is_open


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_calls_for_single_instances_are_not_sent_while_it_is_open(
    server: servers.Server, api: client.Client, call: Callable[[client.Client], object]
) -> None:
    server.complains(503, "no server is available")
    await opened(api)
    server.seen.clear()

    assert await call(api) == NOT_SENT  # type: ignore[misc] # every call is a coroutine

    assert server.seen == []


async def test_call_that_waited_for_its_turn_is_not_sent_once_it_has_opened(server: servers.Server) -> None:
    server.complains(503, "no server is available")
    async with servers.calling(server.url, max_in_flight=1) as api:
        answers = await servers.at_once(api.read_memory(f"i{number}") for number in range(30))

    assert len(server.seen) == 5
    assert answers.count(NOT_SENT) == 25


async def test_server_that_answers_its_trial_is_called_again(server: servers.Server) -> None:
    clock = [0.0]
    server.complains(502, "bad gateway")
    async with servers.calling(server.url, monotonic=lambda: clock[0]) as api:
        await opened(api)
        assert await api.list_database() == NOT_SENT
        server.answers(200, [])
        clock[0] += PERIOD

        assert await api.list_database() == evidence.DatabaseList(rows={})

        server.answers(200, {"instance": {"instanceName": "shop", "state": "open"}})
        assert isinstance(await api.read_memory("shop"), evidence.InMemory)
    assert not api.circuit.is_open
