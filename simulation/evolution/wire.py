"""The way of one operator process to an Evolution API server: what `evolution.transport` is where there is a network.

A request that was sent arrives, also when its sender has given up or died meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping

from evolution_simulator.api import message
from simulation.evolution import host
from simulation.life import Life
from whatsapp_operator.evolution import errors, routes, transport

_WAY = (0.001, 0.008)

Find = Callable[[str], "host.Host | None"]


class Wire:
    """Sends the requests of one client."""

    def __init__(
        self,
        find: Find,
        *,
        url: str,
        api_key: str,
        timeout_seconds: float,
        caller: str,
        loop: asyncio.AbstractEventLoop,
        life: Life,
        chance: random.Random,
    ) -> None:
        self._find, self._url, self._api_key, self._timeout = find, url, api_key, timeout_seconds
        self._caller, self._loop, self._life, self._chance = caller, loop, life, chance
        self._closed = False

    async def send(
        self, route: routes.Route, *, path: str, body: Mapping[str, object] | None = None
    ) -> transport.Reply:
        """Send one request and read the whole reply; raise `errors.Unreachable`."""
        if self._closed:
            raise errors.Broken(route.request)
        await self._life.leave((route, path))
        try:
            reply = await self._exchange(route, path, body)
        finally:
            await self._life.point()
        return transport.Reply(route.request, reply.status, reply.body.encode())

    async def close(self) -> None:
        """A call after this ends in `errors.Broken`."""
        self._closed = True

    async def _exchange(self, route: routes.Route, path: str, body: Mapping[str, object] | None) -> message.Reply:
        there = self._find(self._url)
        if there is None:
            raise errors.NotResolved(route.request)
        answer: asyncio.Future[message.Reply | host.Lost] = self._loop.create_future()
        key = self._api_key if route.credential is routes.Credential.KEY else None
        content = json.dumps(body).encode() if body is not None else b""
        request = message.Request(method=route.method, path=path, key=key, body=content)
        self._loop.call_later(self._way(), self._arrive, there, request, answer, self._loop.time())
        limit = self._loop.call_later(self._timeout, _settle, answer, errors.TimedOut)
        try:
            found = await answer
        finally:
            limit.cancel()
        if isinstance(found, type):
            raise found(route.request)
        return found

    def _arrive(
        self,
        there: host.Host,
        request: message.Request,
        answer: asyncio.Future[message.Reply | host.Lost],
        sent_at: float,
    ) -> None:
        def answered(what: message.Reply | host.Lost) -> None:
            self._loop.call_later(self._way(), _settle, answer, what)

        there.arrive(request, caller=self._caller, sent_at=sent_at, answered=answered)

    def _way(self) -> float:
        return self._chance.uniform(*_WAY)


def _settle(answer: asyncio.Future[message.Reply | host.Lost], what: message.Reply | host.Lost) -> None:
    """What comes first counts: an answer, or the end of the time for it."""
    if not answer.done():
        answer.set_result(what)
