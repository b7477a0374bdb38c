"""How the instances of a server stand, counted as they are looked at: it tells a storm from a broken instance."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from whatsapp_operator.evolution.evidence import ConnectionState, Row
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery import incident
from whatsapp_operator.resources.reasons import Reason

_WAITS_FOR_A_HUMAN = frozenset({Reason.RESTRICTED, Reason.LOGGED_OUT, Reason.CREDENTIALS_LOST, Reason.CHANNEL_CLOSED})


class Standing(enum.Enum):
    """What an instance counts as."""

    APART = "Apart"
    """Not paired: no storm takes anything from it."""
    WELL = "Well"
    BAD = "Bad"
    WITHOUT_SESSION = "WithoutSession"
    """S19: paired, and at the next restart of anything no longer."""


@dataclass(slots=True)
class Standings:
    """How many stand how."""

    _counts: Counter[Standing] = field(default_factory=Counter)

    def move(self, before: Standing | None, after: Standing | None) -> None:
        """An instance stands otherwise now; None for one that is not counted."""
        if before is not None:
            self._counts[before] -= 1
        if after is not None:
            self._counts[after] += 1

    @property
    def bad(self) -> int:
        """Paired instances that are bad, and wait for no human."""
        return self._counts[Standing.BAD]

    @property
    def paired(self) -> int:
        """Paired instances."""
        return sum(self._counts[one] for one in (Standing.WELL, Standing.BAD, Standing.WITHOUT_SESSION))

    @property
    def without_session(self) -> int:
        """Paired instances that a restart of anything would cost their pairing."""
        return self._counts[Standing.WITHOUT_SESSION]

    @property
    def total(self) -> int:
        """Instances that were looked at."""
        return self._counts.total()


@dataclass(frozen=True, slots=True)
class Sessionless:
    """All instances of a server that look like S19 in the bulk reads, whether or not a resource stands for them.

    Without `/metrics` only those with a resource are read, so only they can be spared.
    """

    names: frozenset[str] = frozenset()
    """By the last list."""
    lasting: frozenset[str] = frozenset()
    """By the last two: one alone may have been read in the middle of a login."""

    def after(self, rows: Mapping[str, Row], states: Mapping[str, ConnectionState]) -> Sessionless:
        """With one more list, and the memory that was read after it."""
        names = frozenset(name for name, row in rows.items() if records.lacks_its_session(states.get(name), row))
        return Sessionless(names, names & self.names)


def of(record: records.Record, verdict: Verdict) -> Standing:
    """How an instance stands by what was concluded of it; one that waits for a human is not bad."""
    if record.paired is False:
        return Standing.APART
    if verdict.reason is Reason.SESSION_MISSING or records.may_lack_its_session(record):
        return Standing.WITHOUT_SESSION
    return Standing.BAD if incident.is_bad(verdict) and verdict.reason not in _WAITS_FOR_A_HUMAN else Standing.WELL
