"""The calm of a server: which of its instances are steady, and were found as they were by the answers before.

Of those the same answers can tell nothing new. A server may have thousands, whose answers come every few seconds: only
what differs from the answers before is compared, and whom something has happened to since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution.evidence import ConnectionState, Row


@dataclass(slots=True)
class Calm:
    """Who was found as it was, by which answers; whoever looks at an instance forgets that of it."""

    _observed: object = None
    _states: Mapping[str, ConnectionState] = field(default_factory=dict, repr=False)
    _rows: Mapping[str, Row] = field(default_factory=dict, repr=False)
    _in_memory: set[str] = field(default_factory=set, repr=False)
    """Who is steady, and what `_states` says of it is what was last seen."""
    _listed: set[str] = field(default_factory=set, repr=False)
    """Of these, who is listed in `_rows` as it was last seen."""

    def end(self) -> None:
        """Forget it of all."""
        self._in_memory.clear()
        self._listed.clear()

    def forget(self, name: str) -> None:
        """Something may be known of an instance that the last answers do not say, or be forgotten that they do."""
        self._in_memory.discard(name)
        self._listed.discard(name)

    def left(
        self,
        observed: object,
        states: Mapping[str, ConnectionState],
        rows: Mapping[str, Row] | None,
        subjects: Mapping[str, Subject],
    ) -> Collection[str]:
        """Of whom these answers may tell something; `rows` is None where only memory was read."""
        if self._observed is not observed:
            return subjects.keys()
        for name in _differ(self._states, states) | (_differ(self._rows, rows) if rows is not None else set()):
            self.forget(name)
        calm = self._in_memory if rows is None else self._listed
        return [name for name, one in subjects.items() if name not in calm or not one.steady]

    def note(
        self,
        observed: object,
        states: Mapping[str, ConnectionState],
        rows: Mapping[str, Row] | None,
        *,
        compared: Iterable[str],
        calm: Iterable[str],
    ) -> None:
        """After all that was `left` was compared: of those, who was found steady and as it was."""
        if self._observed is not observed:
            self.end()
        for name in compared:
            self.forget(name)
        self._in_memory.update(calm)
        if rows is not None:
            self._listed.update(calm)
            self._rows = rows
        self._observed, self._states = observed, states


def _differ(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """Who is another object; what is the same again mostly is the same object (`evolution.replies.Unchanged`)."""
    if before is after:
        return set()
    others = {name for name, one in after.items() if before.get(name) is not one}
    return others | (before.keys() - after.keys())
