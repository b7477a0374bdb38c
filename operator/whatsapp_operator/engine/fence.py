"""The fence: a call that changes something on a server is sent only while the server is this replica's.

A strategy makes several calls. When the claim is lost between two of them, the next one must not be sent, whatever the
strategy meant to do; so the check is made here, right before each call, and not where steps begin. Likewise, where the
resource of a single instance is deleted between two of them, and the instance is to stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from whatsapp_operator.engine import ports
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import strategies

_NOT_HELD = evidence.Unknown(evidence.Ignorance.NOT_HELD)


class _Guarded:
    """What a step may do to an instance that is there, each answered `Unknown` without being sent unless it `holds`."""

    def __init__(self, server: strategies.Server, *, holds: Callable[[], bool]) -> None:
        self._server, self._holds = server, holds

    async def connect(
        self, name: str
    ) -> evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused | evidence.Unknown:
        """As the server's, while it holds."""
        return await self._server.connect(name) if self._holds() else _NOT_HELD

    async def restart(self, name: str) -> evidence.Outcome:
        """As the server's, while it holds."""
        return await self._server.restart(name) if self._holds() else _NOT_HELD

    async def logout(self, name: str) -> evidence.Outcome:
        """As the server's, while it holds."""
        return await self._server.logout(name) if self._holds() else _NOT_HELD

    async def delete(self, name: str) -> evidence.Outcome:
        """As the server's, while it holds."""
        return await self._server.delete(name) if self._holds() else _NOT_HELD

    async def set_settings(self, name: str, settings: Mapping[str, object]) -> evidence.Outcome:
        """As the server's, while it holds."""
        return await self._server.set_settings(name, settings) if self._holds() else _NOT_HELD

    async def set_webhook(self, name: str, webhook: evidence.Webhook) -> evidence.Outcome:
        """As the server's, while it holds."""
        return await self._server.set_webhook(name, webhook) if self._holds() else _NOT_HELD


class Fenced(_Guarded):
    """A server's client whose mutating calls answer `Unknown` without being sent while `holds` is false."""

    def __init__(self, client: ports.Evolution, *, holds: Callable[[], bool]) -> None:
        super().__init__(client, holds=holds)
        self._client = client
        self.list_memory, self.list_database = client.list_memory, client.list_database
        self.read_memory, self.identify, self.verify_key = client.read_memory, client.identify, client.verify_key
        self.find_settings, self.find_webhook = client.find_settings, client.find_webhook
        self.probe, self.close = client.probe, client.close

    @property
    def circuit(self) -> evidence.Circuit:
        """The client's."""
        return self._client.circuit

    async def create(self, wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        """As the client's, while held."""
        return await self._client.create(wanted) if self._holds() else _NOT_HELD


class Spared(_Guarded):
    """A server as a step has it: nothing more is done to its instance once that is to stay as it is.

    What a step has deleted, it creates all the same: that is to stay, and with it goes what is in no spec. But what is
    to go is not created again.
    """

    def __init__(self, server: strategies.Server, *, holds: Callable[[], bool], creates: Callable[[], bool]) -> None:
        super().__init__(server, holds=holds)
        self._creates = creates

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        """The server's."""
        return await self._server.read_memory(name)

    async def find_webhook(self, name: str) -> evidence.Webhook | evidence.Unknown | None:
        """The server's."""
        return await self._server.find_webhook(name)

    async def find_settings(self, name: str) -> Mapping[str, object] | evidence.Unknown | None:
        """The server's."""
        return await self._server.find_settings(name)

    async def create(self, wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        """As the server's, unless its instance is to go."""
        return await self._server.create(wanted) if self._creates() else _NOT_HELD
