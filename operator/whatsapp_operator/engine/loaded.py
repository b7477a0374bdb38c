"""Which instances a server has loaded anew: seen from outside, the one proof that it has restarted.

Only a server that starts loads what its database has. So an instance that memory held, then lacked though the list had
it, and holds again under the same id was loaded by another process. That a server did not answer for a while, or that
all its connections ended at once, proves nothing: an outage does the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from whatsapp_operator.evolution.evidence import ConnectionState, Row


@dataclass(frozen=True, slots=True)
class Lost:
    """An instance that memory lacks, and the list has."""

    id: str
    held_at: datetime
    """When memory was last seen to hold it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the looks at both witnesses tell of it; each gives the next value."""

    since: datetime | None = None
    """After this moment the server has restarted, as far as that was seen."""
    _lost: Mapping[str, Lost] = field(default_factory=dict)
    _rows: Mapping[str, Row] = field(default_factory=dict, repr=False)
    _states: Mapping[str, ConnectionState] = field(default_factory=dict, repr=False)
    _at: datetime | None = None

    def after(
        self,
        rows: Mapping[str, Row],
        states: Mapping[str, ConnectionState],
        *,
        unread: AbstractSet[str],
        at: datetime,
    ) -> Loaded:
        """With one more list, and the memory that was read after it; of what is `unread` nothing is known.

        So it is of what was not asked for, as where a server without `/metrics` has instances that have no resource.
        """
        known = {name: one for name, one in self._lost.items() if name in rows and rows[name].id == one.id}
        back = [one.held_at for name, one in known.items() if name in states]
        lost = {name: one for name, one in known.items() if name not in states} | self._newly_lost(rows, states, unread)
        since = max((*back, *filter(None, (self.since,))), default=None)
        return Loaded(since=since, _lost=lost, _rows=rows, _states=states, _at=at)

    def _newly_lost(
        self, rows: Mapping[str, Row], states: Mapping[str, ConnectionState], unread: AbstractSet[str]
    ) -> dict[str, Lost]:
        if self._at is None:
            return {}
        missing = (name for name in rows.keys() - states.keys() - unread if name in self._states and name in self._rows)
        return {name: Lost(rows[name].id, self._at) for name in missing if self._rows[name].id == rows[name].id}
