"""Servers on real sockets that answer what a test tells them to, and clients to call them with."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from whatsapp_operator.evolution import client, urls

KEY = "the-global-key"
LOOPBACK_ALLOWED = urls.Rules(allowed=(ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128")))

T = TypeVar("T")
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived; `target` is the undecoded path and query, header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: object


@dataclass(slots=True)
class Server:
    """A running server: where it is, what it answers, what it was asked."""

    url: str = ""
    status: int = 200
    content: bytes = b"{}"
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def answers(self, status: int, body: object) -> None:
        """Answer this JSON from now on."""
        self.status, self.content = status, json.dumps(body).encode()

    def complains(self, status: int, *texts: str) -> None:
        """Answer an error in the server's own form."""
        self.answers(status, {"status": status, "error": "Some Error", "response": {"message": list(texts)}})

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Note the request and answer it."""
        body = await request.read()
        self.seen.append(
            Seen(
                method=request.method,
                target=request.raw_path,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=json.loads(body) if body else None,
            )
        )
        headers = {**self.headers, "content-type": self.content_type}
        return web.Response(status=self.status, body=self.content, headers=headers)


@contextlib.asynccontextmanager
async def running(*, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """A server of HTTP, or HTTPS, that answers what it is told to."""
    server = Server()
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    server.url = f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def conversing(conversation: Conversation) -> AsyncIterator[str]:
    """A server of bare bytes; yields its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await conversation(reader, writer)
        writer.close()

    listener = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def calling(
    url: str,
    *,
    api_key: str = KEY,
    ca_bundle: str | None = None,
    metrics_auth: tuple[str, str] | None = None,
    timeout_seconds: float = 5,
    max_in_flight: int = 8,
    rules: urls.Rules = LOOPBACK_ALLOWED,
    monotonic: Callable[[], float] = time.monotonic,
    observe: Callable[[client.Call], None] = lambda _call: None,
) -> AsyncIterator[client.Client]:
    """A client without any wait of its own."""
    made = client.Client(
        url=url,
        api_key=api_key,
        ca_bundle=ca_bundle,
        metrics_auth=metrics_auth,
        per_second=1_000_000,
        max_in_flight=max_in_flight,
        timeout_seconds=timeout_seconds,
        rules=rules,
        monotonic=monotonic,
        sleep=asyncio.sleep,
        random=lambda: 0.0,
        observe=observe,
    )
    try:
        yield made
    finally:
        await made.close()


async def at_once(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The answers to calls that are all made before any is answered."""
    return list(await asyncio.gather(*calls))
