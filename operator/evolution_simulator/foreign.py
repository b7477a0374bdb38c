"""Another server that holds a session of this one: a rolling update, a copied database, a forgotten test system.

WhatsApp lets the device be online once, so the two throw each other out with code 440 for ever. The other one is out of
reach: it has a network of its own, and nothing that happens to this server or its database touches it.
"""

import random
from typing import TYPE_CHECKING

from evolution_simulator import clock, connection, database, reasons

if TYPE_CHECKING:
    from evolution_simulator import whatsapp

LOGIN_AGAIN_SECONDS = (0.2, 0.35)
"""Two real servers replaced each other 26 times in 10 s."""


class ForeignHolder:
    """The other server's connection, as its own owner."""

    def __init__(
        self,
        *,
        name: str,
        credentials: database.Credentials,
        far_side: "whatsapp.WhatsApp",
        scheduler: clock.Scheduler,
        rng: random.Random,
    ) -> None:
        self.name = name
        self.credentials = credentials
        self.ended = False
        self._far_side = far_side
        self._scheduler = scheduler
        self._rng = rng
        self._client: connection.Connection | None = None

    def log_in(self) -> None:
        """Take the device, whoever has it."""
        if self.ended:
            return
        self._client = connection.Connection(
            owner=self,
            far_side=self._far_side,
            scheduler=self._scheduler,
            credentials=self.credentials,
            number=None,
            proxy="",
        )
        self._far_side.log_in(self._client)

    def end(self) -> None:
        """The other server is gone."""
        self.ended = True
        if self._client is not None and not self._client.ended:
            self._client.abandon()

    def on_open(self, source: connection.Connection) -> None:
        """Nothing to note: nobody looks at that server."""

    def on_code(self, source: connection.Connection) -> None:
        """It is paired and shows none."""

    def on_paired(self, source: connection.Connection) -> None:
        """It is paired already."""

    def on_close(self, reason: reasons.Reason) -> None:
        """Log in again, unless the device is linked no longer."""
        if reason.final:
            self.end()
        else:
            self._scheduler.call_later(self._rng.uniform(*LOGIN_AGAIN_SECONDS), self.log_in)
