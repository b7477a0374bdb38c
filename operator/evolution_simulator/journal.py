"""Every request that reached the server, in order. Tests assert here what was really called; keys are never kept."""

from collections import deque
from dataclasses import dataclass
from typing import Any

REMEMBERED = 200_000


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. `status` is None while it is unanswered, and stays so where no answer was ever given."""

    time: float
    method: str
    path: str
    query: dict[str, str]
    route: str | None
    instance: str | None
    mutating: bool
    status: int | None = None
    number: int = 0

    def body(self) -> dict[str, Any]:
        """The entry as the control API tells it."""
        return {
            "number": self.number,
            "time": self.time,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "route": self.route,
            "instance": self.instance,
            "mutating": self.mutating,
            "status": self.status,
        }


class Journal:
    """The requests since the last reset."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=REMEMBERED)
        self.received = 0
        self.counts: dict[str, int] = {}

    def add(self, entry: Entry) -> Entry:
        """Note a request as it arrives."""
        self.received += 1
        entry.number = self.received
        self.entries.append(entry)
        name = entry.route or "unknown"
        self.counts[name] = self.counts.get(name, 0) + 1
        return entry

    def reset(self) -> None:
        """Forget all; numbers go on."""
        self.entries.clear()
        self.counts.clear()

    def select(
        self, *, instance: str | None = None, route: str | None = None, mutating: bool | None = None, since: int = 0
    ) -> list[Entry]:
        """The requests that fit all filters given; `since` is the number of the last one already known."""
        return [
            entry
            for entry in self.entries
            if entry.number > since
            and instance in (None, entry.instance)
            and route in (None, entry.route)
            and mutating in (None, entry.mutating)
        ]
