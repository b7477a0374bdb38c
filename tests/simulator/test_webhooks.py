"""Webhooks really arrive, on loopback only."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from evolution_simulator import listener
from simulator.conftest import Bench


class Receiver:
    """A receiver of webhooks that answers with a status."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str | None, dict[str, Any]]] = []
        self.status = 200
        self.url = ""
        self._came = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        """Keep what came."""
        async with self._came:
            self.received.append((request.path, request.headers.get("x-key"), await request.json()))
            self._came.notify_all()
        return web.Response(status=self.status)

    async def wait_for(self, count: int) -> None:
        """Wait until that many have come."""
        async with asyncio.timeout(5), self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    taker = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", taker.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taker.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield taker
    await runner.cleanup()


async def test_subscribed_events_arrive_with_headers_and_envelope(bench: Bench, receiver: Receiver) -> None:
    webhook = {"url": receiver.url, "events": ["QRCODE_UPDATED"], "headers": {"x-key": "v"}, "byEvents": True}
    await bench.create("one", webhook=webhook)
    await bench.request("GET", "/instance/connect/one")
    await receiver.wait_for(1)

    path, key, body = receiver.received[0]

    assert (path, key) == ("/hook/qrcode-updated", "v")
    assert (body["event"], body["instance"]) == ("qrcode.updated", "one")
    assert body["data"]["qrcode"]["base64"].startswith("data:image/png;base64,")


async def test_receiver_that_fails_is_tried_again_later(bench: Bench, receiver: Receiver) -> None:
    receiver.status = 500
    await bench.create("one", webhook={"url": receiver.url, "events": ["REMOVE_INSTANCE"]})
    await bench.request("DELETE", "/instance/delete/one")
    await receiver.wait_for(1)
    assert await bench.state() == "close"

    receiver.status = 200
    async with asyncio.timeout(5):
        while await bench.state() != "absent":
            bench.pass_time(1)

    assert [body["event"] for _, _, body in receiver.received] == ["remove.instance"] * 2


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://127.0.0.1:1/x", True),
        ("http://[::1]/x", True),
        ("http://localhost/x", True),
        ("http://192.0.2.1/x", False),
        ("http://example.com/x", False),
        ("not a url", False),
    ],
)
def test_only_loopback_addresses_are_called(url: str, sent: bool) -> None:
    assert listener.is_loopback(url) is sent
