"""The pause of everything is what a ConfigMap says, and in doubt what it said last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from support import simulated, surroundings
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.pausing import Pausing
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.resources.pause import Pause, PauseOfEverything

KEY = ports.Key("shop", "main")


class Config:
    """A ConfigMap, or what comes instead of it."""

    def __init__(self) -> None:
        self.answer: Mapping[str, str] | ports.KubernetesError = ports.NotFound()
        self.asked: list[ports.Key] = []

    async def read_config(self, key: ports.Key) -> Mapping[str, str]:
        self.asked.append(key)
        if isinstance(self.answer, ports.KubernetesError):
            raise self.answer
        return self.answer


class Told:
    def __init__(self) -> None:
        self.problems: list[str] = []

    def problem(self, message: str, /, **_: object) -> None:
        self.problems.append(message)


class House:
    """Pausing, with one server and one instance."""

    def __init__(self) -> None:
        self.config, self.told = Config(), Told()
        self.context = surroundings.context(simulated.Time(), kubernetes=self.config, telemetry=self.told)
        self.context.servers[KEY] = Server(key=KEY, body={})
        self.context.subjects[KEY] = Subject(key=KEY, body={})
        self.known = 0
        self.pausing = Pausing(self.context, namespace="operators", known=self._known)

    def _known(self) -> None:
        self.known += 1

    async def read(self, answer: Mapping[str, str] | ports.KubernetesError) -> Pause | None:
        self.config.answer = answer
        await self.pausing.read()
        return self.context.pause

    async def queued(self) -> set[contexts.Item]:
        found = set()
        while self.context.queue.depth:
            item = await self.context.queue.get()
            assert item is not None
            self.context.queue.done(item)
            found.add(item)
        return found


@pytest.fixture
def house() -> House:
    return House()


async def test_without_a_config_map_there_is_no_pause_and_that_is_known(house: House) -> None:
    assert await house.read(ports.NotFound()) is None
    assert house.known == 1
    assert house.config.asked == [ports.Key("operators", "whatsapp-operator-pause")]
    assert await house.queued() == set()


async def test_empty_config_map_pauses_without_end(house: House) -> None:
    assert await house.read({}) == PauseOfEverything()


async def test_reason_and_end_are_taken(house: House) -> None:
    pause = await house.read({"reason": "moving", "until": "2027-01-31T18:00:00Z"})
    assert pause == PauseOfEverything(reason="moving", until=datetime(2027, 1, 31, 18, tzinfo=UTC))


@pytest.mark.parametrize("until", ["soon", "2027-01-31", "2027-01-31T18:00:00"])
async def test_end_that_cannot_be_read_is_none_and_is_told_once(house: House, until: str) -> None:
    for _ in range(2):
        assert await house.read({"until": until}) == PauseOfEverything(end_unread=True)
    assert len(house.told.problems) == 1


@pytest.mark.parametrize("error", [ports.Unavailable(), ports.Forbidden(), ports.Rejected()])
async def test_error_keeps_the_last_answer_and_is_told_once(house: House, error: ports.KubernetesError) -> None:
    before = await house.read({"reason": "moving"})
    for _ in range(2):
        assert await house.read(error) == before
    assert len(house.told.problems) == 1


async def test_error_at_the_first_reading_leaves_it_unknown(house: House) -> None:
    await house.read(ports.Unavailable())
    assert house.known == 0


async def test_change_has_everything_looked_at_and_no_change_nothing(house: House) -> None:
    everything = {contexts.Item("EvolutionServer", KEY), contexts.Item("WhatsAppInstance", KEY)}
    await house.read({"reason": "moving"})
    assert await house.queued() == everything
    await house.read({"reason": "moving"})
    assert await house.queued() == set()
    assert await house.read(ports.NotFound()) is None
    assert await house.queued() == everything
