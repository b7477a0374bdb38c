"""Small things that the engine's guards rest on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support import simulated, surroundings
from support.world import START, a_row, state
from whatsapp_operator.engine import ports, warmup
from whatsapp_operator.engine.fence import Fenced
from whatsapp_operator.engine.pausing import Pausing
from whatsapp_operator.engine.standing import Sessionless
from whatsapp_operator.engine.vouchers import Vouchers
from whatsapp_operator.engine.warmup import WarmUp
from whatsapp_operator.evolution import evidence
from whatsapp_operator.resources.pause import PauseOfEverything

OPEN = state("open")


class Client:
    """A client whose circuit is open; its other calls are not of interest."""

    circuit = evidence.Circuit(why=evidence.Ignorance.TIMEOUT, trial_in=5.0)

    def __getattr__(self, _: str) -> None:
        return None


def test_fence_shows_the_circuit_of_the_client_behind_it() -> None:
    client: Any = Client()

    assert Fenced(client, holds=lambda: False).circuit is Client.circuit


def test_server_that_lacks_more_than_before_is_not_warm_however_long_ago_it_was_looked_at() -> None:
    """It has restarted: what it had not grown by before is no sign that it has loaded all."""
    warm = WarmUp(done=True, held=6, grown_at=START)

    after = warmup.observed(
        warm,
        listed=set("abcdef"),
        held=set("abc"),
        at=START + timedelta(hours=1),
        growth=timedelta(minutes=5),
    )

    assert after == WarmUp(done=False, held=3, grown_at=START + timedelta(hours=1))


def test_instance_that_vouches_again_has_not_been_asked_in_vain() -> None:
    vouchers = Vouchers(in_vain={"shop": START, "other": START})

    vouchers.note("shop", None, at=START, unbroken=timedelta())

    assert vouchers.in_vain == {"other": START}


def test_session_is_missing_for_lasting_only_where_two_lists_say_so() -> None:
    rows = {"shop": a_row("close", owner=True)}

    once = Sessionless(names=frozenset({"other"})).after(rows, {"shop": OPEN})
    assert once.names == {"shop"}
    assert once.lasting == frozenset()
    assert once.after(rows, {"shop": OPEN}).lasting == {"shop"}


class Config:
    """A ConfigMap that holds this, or cannot be read."""

    def __init__(self) -> None:
        self.answer: dict[str, str] | ports.KubernetesError = {}
        self.reads = 0

    async def read_config(self, _: ports.Key) -> dict[str, str]:
        self.reads += 1
        if isinstance(self.answer, ports.KubernetesError):
            raise self.answer
        return self.answer


class Told:
    def __init__(self) -> None:
        self.problems: list[str] = []

    def problem(self, message: str, /, **_: object) -> None:
        self.problems.append(message)


class Enough(Exception):  # noqa: N818 - ends what has no end
    """It was read often enough."""


def pausing(config: Config, told: Told, **more: Any) -> Pausing:
    context = surroundings.context(simulated.Time(), kubernetes=config, telemetry=told)
    for name, port in more.items():
        setattr(context, name, port)
    return Pausing(context, namespace="operators", known=lambda: None)


async def test_pause_is_read_again_and_again_at_its_period() -> None:
    config, pauses = Config(), list[float]()

    async def sleep(seconds: float, /) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise Enough

    with pytest.raises(Enough):
        await pausing(config, Told(), sleep=sleep).run()

    assert config.reads == 3
    assert pauses == [pauses[0]] * 3
    assert pauses[0] > 0


async def test_what_failed_and_then_worked_is_told_when_it_fails_again() -> None:
    config, told = Config(), Told()
    one = pausing(config, told)

    answers: list[dict[str, str] | ports.KubernetesError] = [ports.Unavailable(), {}, ports.Unavailable()]
    for answer in answers:
        config.answer = answer
        await one.read()

    assert len(told.problems) == 2


async def test_end_that_could_be_read_meanwhile_is_told_when_it_cannot_be_again() -> None:
    config, told = Config(), Told()
    one = pausing(config, told)

    for until in ("soon", "2027-01-31T18:00:00Z", "soon"):
        config.answer = {"until": until}
        await one.read()

    assert len(told.problems) == 2


async def test_reason_of_a_pause_is_shown_up_to_a_length() -> None:
    config = Config()
    config.answer = {"reason": "x" * 2000}
    one = pausing(config, Told())

    await one.read()

    assert one._context.pause == PauseOfEverything(reason="x" * 1024)  # noqa: SLF001 - where it puts it
