"""A request on its way to its handler: with the instance it is about, after all checks."""

import functools
from dataclasses import dataclass
from typing import Any

from evolution_simulator import database, instance, world
from evolution_simulator.api import message, validation


@dataclass(frozen=True)
class Call:
    """What a handler is given."""

    server: world.World
    request: message.Request
    name: str = ""
    """The instance, in which `?instanceName=` overrides the path (Evolution API #2435)."""

    @functools.cached_property
    def values(self) -> dict[str, Any]:
        """The JSON body. Raises `ApiError`."""
        return validation.parse(self.request.body)

    @property
    def instance(self) -> instance.Instance | None:
        """The instance in memory."""
        return self.server.memory.get(self.name)

    @property
    def row(self) -> database.Row | None:
        """The instance in the database. Raises `DatabaseDownError`."""
        return self.server.database.find(self.name)

    @property
    def has_global_key(self) -> bool:
        """Whether the request carries the server's key."""
        return self.request.key == self.server.settings.api_key
