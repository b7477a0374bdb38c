"""The way of one operator process to the API server, on which calls take time, get lost, and come back late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import NoReturn

import pydantic_core

from simulation.kubernetes import answers, faults, server
from simulation.life import Life
from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports

TIMEOUT_SECONDS = 30.0
"""As in the operator's own transport."""
_WAY = (0.001, 0.01)

Hit = Callable[[str, transport.Call, faults.Fault], None]


class Wire:
    """Makes calls as `cluster.transport.Transport` does."""

    def __init__(
        self,
        api: server.ApiServer,
        *,
        loop: asyncio.AbstractEventLoop,
        life: Life,
        chance: random.Random,
        spoilt: faults.Faults,
        writer: str,
        on_hit: Hit,
    ) -> None:
        self._api, self._loop, self._life, self._chance = api, loop, life, chance
        self._faults, self._writer, self._on_hit = spoilt, writer, on_hit
        self.cut = False
        """A partition: nothing arrives, and nothing says so."""

    async def call(self, call: transport.Call) -> Mapping[str, object]:
        """The answer's JSON object. Raises a `KubernetesError`."""
        await self._life.leave(call)
        rule = self._faults.take(call, self._writer, now=self._loop.time())
        if rule is not None:
            self._on_hit(self._writer, call, rule.fault)
        try:
            answer = await self._exchange(call, rule)
        finally:
            await self._life.point()
        return transport.judged(call, answer.status, answer.body)

    async def text(self, call: transport.Call) -> str:
        """The answer unparsed. Raises a `KubernetesError`."""
        # Lists of thousands are most of it, and are made several times as fast as by `json`.
        return pydantic_core.to_json(await self.call(call)).decode()

    async def _exchange(self, call: transport.Call, rule: faults.Rule | None) -> answers.Answer:
        fault = rule.fault if rule is not None else None
        if fault is faults.Fault.REFUSED:
            await asyncio.sleep(self._way())
            _fail(call)
        if fault in faults.STATUS:
            await asyncio.sleep(2 * self._way())
            return answers.Refused(*faults.STATUS[fault]).answer
        answer: asyncio.Future[answers.Answer | None] = self._loop.create_future()
        if not self.cut and fault not in faults.NO_EFFECT:
            late = rule.seconds if rule is not None and fault is faults.Fault.SLOW else 0.0
            self._loop.call_later(self._way(), self._arrive, call, answer, fault, late)
        limit = self._loop.call_later(TIMEOUT_SECONDS, _settle, answer, None)
        try:
            found = await answer
        finally:
            limit.cancel()
        return found if found is not None else _fail(call)

    def _arrive(
        self,
        call: transport.Call,
        answer: asyncio.Future[answers.Answer | None],
        fault: faults.Fault | None,
        late: float,
    ) -> None:
        found = self._api.handle(call, writer=self._writer)
        if fault in faults.NO_ANSWER or self.cut:
            return
        said = None if fault is faults.Fault.RESET_AFTER else found
        self._loop.call_later(self._way() + late, _settle, answer, said)

    def _way(self) -> float:
        return self._chance.uniform(*_WAY)


def _settle(answer: asyncio.Future[answers.Answer | None], what: answers.Answer | None) -> None:
    """What comes first counts: an answer, or the end of the time for it."""
    if not answer.done():
        answer.set_result(what)


def _fail(call: transport.Call) -> NoReturn:
    raise ports.Unavailable(f"{call.verb} {call.resource}: no answer")
