"""The operator's event loop connects as every other does, and asks nobody for what it knows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import NoReturn

import pytest

from whatsapp_operator.cli import loop


class WithoutLookups(loop.Loop):
    """One that must not look up an address."""

    async def getaddrinfo(self, *_: object, **__: object) -> NoReturn:
        """Fail."""
        pytest.fail("an address was looked up")


def run(work: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=WithoutLookups) as runner:
        runner.run(work)


def a_socket() -> socket.socket:
    one = socket.socket()
    one.setblocking(False)
    return one


def test_socket_is_connected_without_a_lookup() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, a_socket() as ours:
            await asyncio.get_running_loop().sock_connect(ours, server.getsockname())
            assert ours.getpeername() == server.getsockname()

    run(work())


def test_refused_connection_is_an_error() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            place = server.getsockname()
        with a_socket() as ours, pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(ours, place)

    run(work())


def test_address_that_the_system_does_not_take_is_an_error() -> None:
    async def work() -> None:
        with a_socket() as ours, pytest.raises(OSError, match=r"invalid|unreachable|refused|permitted"):
            await asyncio.get_running_loop().sock_connect(ours, ("255.255.255.255", 1))

    run(work())


def test_connect_that_is_given_up_lets_go_of_its_socket() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, a_socket() as first, a_socket() as ours:
            running = asyncio.get_running_loop()
            await running.sock_connect(first, full.getsockname())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await running.sock_connect(ours, full.getsockname())
            assert not running.remove_writer(ours)

    run(work())
