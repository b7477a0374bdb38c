"""The simulated server on a socket.

A closed listener refuses connections, as a stopped server does, and those that were open are gone. Faults are carried
out here: the model behind never knows of them, which is what makes "the effect happened, the answer was lost" possible.
"""

import asyncio
import contextlib
import ipaddress
import urllib.parse
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from evolution_simulator import faults, journal, webhooks, world
from evolution_simulator.api import message, router

WEBHOOK_TIMEOUT_SECONDS = 30.0
HTML_PAGE = "<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>"
T = TypeVar("T")


class LoopbackSender:
    """Posts webhooks to loopback addresses; elsewhere they count as arrived, so that nothing leaves this machine."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, delivery: webhooks.Delivery, answered: webhooks.Answered) -> None:
        """Post a delivery once."""
        if not is_loopback(delivery.url):
            answered(200)
            return
        task = asyncio.get_running_loop().create_task(self._post(delivery, answered), name="webhook")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _post(self, delivery: webhooks.Delivery, answered: webhooks.Answered) -> None:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=WEBHOOK_TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        status: int | None = None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(delivery.url, json=delivery.body, headers=delivery.headers) as response:
                status = response.status
        answered(status)


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Listener:
    """The Evolution API's port."""

    def __init__(self, *, server: world.World, host: str, port: int) -> None:
        self._world = server
        self._api = router.Api(server)
        self._host = host
        self.port = port
        self._runner: web.ServerRunner | None = None
        self._process = server.process
        self._switch = asyncio.Lock()
        self._switching: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[Any]] = set()
        self._released = asyncio.Event()
        self.waiting = 0
        """Requests that only the passing of the model's time will answer."""
        self.journal = journal.Journal()
        self.faults = faults.Faults()
        server.on_listening = self._follow

    async def open(self) -> None:
        """Listen; a port of 0 becomes the one that was chosen."""
        await self._align()

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self._world.listening = False
        await self._align()

    async def settled(self) -> None:
        """Wait until the socket is as the model says."""
        await self._align()

    def release(self) -> None:
        """Let go of all requests that are held."""
        self._released.set()
        self._released = asyncio.Event()

    def _follow(self) -> None:
        self._switching = asyncio.get_running_loop().create_task(self._align(), name="listener")

    async def _align(self) -> None:
        async with self._switch:
            current = self._world.listening and self._process == self._world.process
            if self._runner is not None and not current:
                await self._hang_up(self._runner)
            if self._runner is None and self._world.listening:
                await self._listen()

    async def _hang_up(self, runner: web.ServerRunner) -> None:
        """Close the port and cut what is under way, as when a process dies."""
        self._runner = None
        for task in list(self._serving):
            task.cancel()
        await runner.cleanup()

    async def _listen(self) -> None:
        # To aiohttp a timeout of 0 means to wait for ever.
        runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self._runner, self._process = runner, self._world.process

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a handler runs in a task of aiohttp's")
        self._serving.add(task)
        try:
            return await self._respond(incoming)
        finally:
            self._serving.discard(task)

    async def _respond(self, incoming: web.BaseRequest) -> web.StreamResponse:
        request = await read(incoming)
        found = router.match(request)
        entry = self.journal.add(self._entry(request, found))
        fault = self.faults.take(method=request.method, path=request.path, route=entry.route, instance=entry.instance)
        if fault is None:
            answer = await self._reply(request)
        else:
            answer = await self._spoil(fault, request, incoming)
        entry.status = answer.status or None
        return web.Response(
            status=answer.status, body=answer.body.encode(), headers={"Content-Type": answer.content_type}
        )

    def _entry(self, request: message.Request, found: router.Match) -> journal.Entry:
        return journal.Entry(
            time=self._world.scheduler.now(),
            method=request.method,
            path=request.path,
            query={key: value for key, value in request.query.items() if key != "apikey"},
            route=found.route.name if found.route else None,
            instance=router.subject(request, found),
            mutating=found.route is not None and found.route.mutating,
        )

    async def _reply(self, request: message.Request) -> message.Reply:
        answer: asyncio.Future[message.Reply] = asyncio.get_running_loop().create_future()

        def respond(reply: message.Reply) -> None:
            if not answer.done():
                answer.set_result(reply)

        self._api.handle(request, respond)
        return answer.result() if answer.done() else await self._waiting_for(answer)

    async def _spoil(self, fault: faults.Fault, request: message.Request, incoming: web.BaseRequest) -> message.Reply:
        if fault.kind in INSTEAD_OF_EFFECT:
            return INSTEAD_OF_EFFECT[fault.kind](fault)
        if fault.kind is faults.Kind.LATENCY:
            await self._wait(fault.seconds)
        if fault.kind in (faults.Kind.HOLD_BEFORE, faults.Kind.HALF_OPEN):
            await self._released.wait()
        if fault.kind in (faults.Kind.REFUSED, faults.Kind.HALF_OPEN):
            return cut(incoming)
        answer = await self._reply(request)
        if fault.kind is faults.Kind.HOLD_AFTER:
            await self._released.wait()
        if fault.kind is faults.Kind.RESET:
            return cut(incoming)
        return halved(answer) if fault.kind is faults.Kind.TRUNCATED else answer

    async def _wait(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._world.scheduler.call_later(seconds, lambda: None if over.done() else over.set_result(None))
        await self._waiting_for(over)

    async def _waiting_for(self, future: asyncio.Future[T]) -> T:
        self.waiting += 1
        try:
            return await future
        finally:
            self.waiting -= 1


async def read(incoming: web.BaseRequest) -> message.Request:
    """A request off the socket."""
    return message.Request(
        method=incoming.method,
        path=incoming.rel_url.raw_path,
        query=dict(incoming.query),
        raw_query=incoming.rel_url.raw_query_string,
        key=incoming.headers.get("apikey"),
        basic=incoming.headers.get("authorization"),
        body=await incoming.read() if incoming.can_read_body else b"",
    )


def cut(incoming: web.BaseRequest) -> message.Reply:
    """Reset the connection; what is returned reaches nobody."""
    if incoming.transport is not None:
        incoming.transport.abort()
    return message.Reply(status=0, body="")


def halved(whole: message.Reply) -> message.Reply:
    """An answer of which the second half was lost, though HTTP calls it complete."""
    half = whole.body[: max(len(whole.body) // 2, 1)]
    return message.Reply(status=whole.status, body=half, content_type=whole.content_type)


def failure(fault: faults.Fault) -> message.Reply:
    """An error that something in between made up."""
    body = {"status": fault.status, "error": "Fault", "response": {"message": ["Fault"]}}
    return message.reply(fault.status, body)


def page(fault: faults.Fault) -> message.Reply:
    """An error page of a proxy."""
    return message.Reply(status=fault.status, body=HTML_PAGE.format(status=fault.status), content_type="text/html")


INSTEAD_OF_EFFECT = {faults.Kind.STATUS: failure, faults.Kind.HTML: page}
