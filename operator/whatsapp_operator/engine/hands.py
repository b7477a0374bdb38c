"""What leadership asks of the engine, and tells it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from whatsapp_operator.engine import ports


class Hands(Protocol):
    """What the engine does when servers come and go."""

    def ready(self) -> bool:
        """Whether the stores are filled; before that nothing can be worked on."""

    def servers(self) -> Collection[ports.Key]:
        """The servers that exist."""

    async def refresh(self) -> None:
        """Read what the holder before has written. Raises a `KubernetesError`."""

    def gained(self, server: ports.Key, /) -> None:
        """The server is ours: begin."""

    def lost(self, server: ports.Key, /) -> None:
        """The server is not ours any more: stop soon. What would change something is held back already."""

    async def leave(self, server: ports.Key, /) -> None:
        """Stop what is still done for a server that nobody works on."""
