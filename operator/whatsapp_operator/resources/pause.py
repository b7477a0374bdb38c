"""A pause: nothing is changed on a server, for one instance, for all of a server, or for everything."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from whatsapp_operator.resources.model import Model, Timestamp


class Pause(Model):
    """Keeps the operator from changing anything on the server; it goes on observing."""

    reason: str = Field(default="", max_length=1024, description="Why, for those who find it paused.")
    until: Timestamp | None = Field(
        default=None, description="When the pause ends by itself; when left out it lasts until it is removed."
    )

    def holds(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.until is None or self.until > now
