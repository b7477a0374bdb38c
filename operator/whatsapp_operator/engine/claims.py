"""Which servers this process may act on. Here for a process that is alone; see `leadership` for several."""

from __future__ import annotations

from whatsapp_operator.engine import ports


class Alone:
    """Holds every server, and keeps the ledgers as long as it lives."""

    def __init__(self) -> None:
        self._ledgers: dict[ports.Key, str] = {}

    def holds(self, _server: ports.Key, /) -> bool:
        """Always."""
        return True

    def ledger(self, server: ports.Key, /) -> str | None:
        """What was saved last."""
        return self._ledgers.get(server)

    async def save_ledger(self, server: ports.Key, text: str, /) -> None:
        """Keep it."""
        self._ledgers[server] = text
