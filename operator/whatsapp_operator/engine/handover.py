"""What the engine does when a server becomes this replica's, or is it no longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.servers import Servers
from whatsapp_operator.engine.subject import begin_anew


class Handover:
    """Begins and ends the work on servers."""

    def __init__(self, context: Context, servers: Servers, *, list_anew: Callable[[], Awaitable[bool]]) -> None:
        self._context, self._servers, self._list_anew = context, servers, list_anew

    def ready(self) -> bool:
        """Whether a LIST has filled the stores."""
        return self._context.may_step

    def servers(self) -> Collection[ports.Key]:
        """The servers that exist."""
        return self._context.servers.keys()

    async def refresh(self) -> None:
        """List all resources: the holder before may have written what the watch has not told yet.

        Raises:
            ports.Unavailable: it was not listed.
        """
        if not await self._list_anew():
            raise ports.Unavailable("the resources could not be listed")

    def gained(self, server: ports.Key, /) -> None:
        """All begins as after a start of the operator: with what is in status, and no evidence."""
        one = self._context.servers.get(server)
        if one is not None:
            self._servers.begin_anew(one)
        for subject in self._context.subjects_of(server):
            begin_anew(subject)
            self._context.look_at(subject)
        if one is not None:
            self._context.look_at_server(one)

    def lost(self, server: ports.Key, /) -> None:
        """Stop observing at once; looks that are under way meet the fence."""
        one = self._context.servers.get(server)
        if one is not None:
            self._servers.drop(one)

    async def leave(self, server: ports.Key, /) -> None:
        """Stop observing."""
        one = self._context.servers.get(server)
        if one is not None:
            await self._servers.forget(one)
