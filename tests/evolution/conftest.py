"""A running server, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from evolution import servers
from whatsapp_operator.evolution import client


@pytest.fixture
async def server() -> AsyncIterator[servers.Server]:
    """A server that answers what the test tells it to."""
    async with servers.running() as running:
        yield running


@pytest.fixture
async def api(server: servers.Server) -> AsyncIterator[client.Client]:
    """A client of that server."""
    async with servers.calling(server.url) as calling:
        yield calling
