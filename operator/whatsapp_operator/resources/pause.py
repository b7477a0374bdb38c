"""A pause: nothing is changed on a server, for one instance, for all of a server, or for everything."""

from __future__ import annotations

import enum
from dataclasses import dataclass
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


class PauseOfEverything(Pause):
    """The pause of everything, as its ConfigMap has it, which nothing checks when it is written."""

    end_unread: bool = False
    """It has an end that cannot be read, and so it has none."""


class PausedBy(enum.Enum):
    """Whose pause it is."""

    EVERYTHING = "Everything"
    SERVER = "Server"
    INSTANCE = "Instance"


@dataclass(frozen=True, slots=True)
class PauseInForce:
    """The pause that holds now; of several the widest."""

    by: PausedBy
    pause: Pause

    @property
    def until(self) -> datetime | None:
        """When it ends by itself."""
        return self.pause.until

    @property
    def end_unread(self) -> bool:
        """Whether it was meant to end by itself, and nobody can tell when."""
        return isinstance(self.pause, PauseOfEverything) and self.pause.end_unread


def in_force(
    *, everything: Pause | None, server: Pause | None, instance: Pause | None = None, now: datetime
) -> PauseInForce | None:
    """The pause that holds now, if one does."""
    pauses = ((PausedBy.EVERYTHING, everything), (PausedBy.SERVER, server), (PausedBy.INSTANCE, instance))
    return next((PauseInForce(by, pause) for by, pause in pauses if pause is not None and pause.holds(now)), None)
