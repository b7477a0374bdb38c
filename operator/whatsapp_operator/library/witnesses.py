"""Both witnesses of one server, read for all calls that are under way on it.

The list of the database costs the server whole table scans, so calls at about the same time share one, and lists take
a tenth of the time at most. It is read first and memory right after it: read the other way round, an instance that was
just created would look like a ghost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from whatsapp_operator.engine import ports, warmup
from whatsapp_operator.evolution import evidence, versions
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.library.settings import Settings, Surroundings

_DATABASE_SHARE = 10
_IDENTIFY_SECONDS = 60.0

States = Mapping[str, ConnectionState]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one instance."""

    at: datetime
    state: ConnectionState | None
    """What memory shows; None where it lacks the instance."""
    row: evidence.Row | None
    listed: bool
    """The database was read."""
    reading: evidence.MemoryReading | None = None
    """What the server answered when asked for it by name; asked only where neither list has it."""


class Witnesses:
    """Reads one server."""

    def __init__(
        self, client: ports.Evolution, *, settings: Settings, around: Surroundings, client_name: str | None
    ) -> None:
        self.client, self._settings, self._around = client, settings, around
        self.client_name = client_name
        """The one that the server is held to: given, or the first that was seen."""
        self.version: str | None = None
        self._told_name: str | None = None
        """What the server last called itself: a list without rows tells nothing of whose it is."""
        self._has_metrics: bool | None = None
        self._warm_ups: dict[str | None, warmup.WarmUp] = {}
        self._reading = asyncio.Lock()
        self._begun = 0
        self._rows: evidence.DatabaseList | evidence.Unknown = evidence.Unknown(evidence.Ignorance.BROKEN)
        self._listed: frozenset[str] = frozenset()
        """What the last list had that was of the server that is meant."""
        self._rows_not_before = self._identify_due = float("-inf")

    @property
    def acted_on(self) -> bool:
        """Whether the behaviour of the server's version is known, so that steps may be taken."""
        known = versions.support(self.version) if self.version is not None else None
        return known in (versions.Support.TESTED, versions.Support.ACTED_ON)

    @property
    def lists_are_cheap(self) -> bool:
        """Whether a list may be read now without taking more than its share of the server's time."""
        return self._around.monotonic() >= self._rows_not_before

    def is_warm(self, name: str) -> bool:
        """Whether what the server does not hold of its listed instances is missing, and not just loading."""
        return self._warm_up(name).is_missing(name)

    def _warm_up(self, name: str) -> warmup.WarmUp:
        return self._warm_ups.get(self._scope(name), warmup.WarmUp())

    def _scope(self, name: str) -> str | None:
        """With `/metrics` all instances are known at each look; without, each is looked at by itself."""
        return None if self._has_metrics else name

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        """A list of the database that was begun after this call."""
        begun_before = self._begun
        async with self._reading:
            if self._begun == begun_before:
                await self._read_rows()
            return self._rows

    async def list_for_a_step(self) -> evidence.DatabaseList | evidence.Unknown:
        """As `list_rows`, if it is of the database that was looked at before.

        One that was exchanged a moment ago has none of its instances: to a DELETE it looks like success.
        """
        rows = await self.list_rows()
        if isinstance(rows, evidence.Unknown):
            return rows
        is_it = await self._is_identified(rows) and not witnesses.vanish_at_once(self._listed, rows.rows)
        if not is_it:
            return evidence.Unknown(evidence.Ignorance.OTHER_IDENTITY)
        self._listed = frozenset(rows.rows)
        return rows

    async def _read_rows(self) -> None:
        wait = self._rows_not_before - self._around.monotonic()
        if wait > 0:
            await self._around.sleep(wait)
        self._begun += 1
        self._rows, began = evidence.Unknown(evidence.Ignorance.BROKEN), self._around.monotonic()
        self._rows = await self.client.list_database()
        took = self._around.monotonic() - began
        self._rows_not_before = began + took + took * _DATABASE_SHARE

    async def look(self, name: str, before: records.Record, *, listed: bool) -> Look | evidence.Unknown:
        """One look at an instance. Without `listed` the database is read only where memory tells news."""
        rows = await self.list_rows() if listed else None
        if isinstance(rows, evidence.Unknown):
            return self._failed(rows)
        states = await self._read_states(name)
        if isinstance(states, evidence.Unknown):
            return self._failed(states)
        if rows is None and (name not in states or records.is_news(before.memory, states.get(name))):
            return await self.look(name, before, listed=True)
        if rows is not None:
            if not await self._is_identified(rows):
                return self._failed(evidence.Unknown(evidence.Ignorance.OTHER_IDENTITY))
            self._listed = frozenset(rows.rows)
            self._fold_warm_up(name, states, rows)
        return await self._concluded(name, states, rows)

    async def _concluded(
        self, name: str, states: States, rows: evidence.DatabaseList | None
    ) -> Look | evidence.Unknown:
        row = rows.rows.get(name) if rows is not None else None
        found = Look(at=self._around.now(), state=states.get(name), row=row, listed=rows is not None)
        if found.state is not None or row is not None:
            return found
        # Neither list has it; only a 404 that names the instance makes that a proof.
        reading = await self.client.read_memory(name)
        if isinstance(reading, evidence.Unknown):
            return self._failed(reading)
        return Look(at=found.at, state=None, row=None, listed=found.listed, reading=reading)

    async def _read_states(self, name: str) -> States | evidence.Unknown:
        answer = await self.client.list_memory() if self._has_metrics is not False else None
        if isinstance(answer, evidence.MemoryList):
            self._has_metrics, self.version, self._told_name = True, answer.version, answer.client_name
            if self.client_name not in (None, answer.client_name):
                return evidence.Unknown(evidence.Ignorance.OTHER_IDENTITY)
            return answer.states
        if isinstance(answer, evidence.Unknown) and answer.why is not evidence.Ignorance.NO_SUCH_ROUTE:
            return answer
        self._has_metrics = False
        return await self._read_one(name)

    async def _read_one(self, name: str) -> States | evidence.Unknown:
        await self._identify()
        reading = await self.client.read_memory(name)
        if isinstance(reading, evidence.Unknown):
            return reading
        return {name: reading.state} if isinstance(reading, evidence.InMemory) else {}

    async def _identify(self) -> None:
        """Without `/metrics` the version comes from `GET /`, rarely: the server asks the internet before it answers."""
        if self._around.monotonic() < self._identify_due:
            return
        self._identify_due = self._around.monotonic() + _IDENTIFY_SECONDS
        identity = await self.client.identify()
        if isinstance(identity, evidence.ServerIdentity):
            self.version, self._told_name = identity.version, identity.client_name or self._told_name

    async def _is_identified(self, rows: evidence.DatabaseList) -> bool:
        """A list without rows tells nothing of whose it is: the server is asked."""
        if not rows.rows and not self._has_metrics:
            self._identify_due = float("-inf")
            await self._identify()
        return self._is_the_server(rows)

    def _is_the_server(self, rows: evidence.DatabaseList) -> bool:
        found = {row.client_name for row in rows.rows.values()}
        if self._told_name is not None:
            found.add(self._told_name)
        self.client_name = self.client_name or self._told_name or next(iter(found), None)
        return found <= {self.client_name}

    def _fold_warm_up(self, name: str, states: States, rows: evidence.DatabaseList) -> None:
        listed = rows.rows.keys() if self._has_metrics else rows.rows.keys() & {name}
        self._warm_ups[self._scope(name)] = warmup.observed(
            self._warm_up(name),
            listed=listed,
            held=states.keys(),
            at=self._around.now(),
            growth=timedelta(seconds=self._settings.spans.warm_up_growth),
        )

    def _failed(self, answer: evidence.Unknown) -> evidence.Unknown:
        """What was missing may be loading after this; a server that comes back may have `/metrics` now."""
        self._has_metrics = self._has_metrics or None
        self._warm_ups = {scope: warmup.begin(known) for scope, known in self._warm_ups.items()}
        opened_by = self.client.circuit.why
        is_open = answer.why is evidence.Ignorance.BREAKER_OPEN and opened_by is not None
        return evidence.Unknown(opened_by) if is_open and opened_by is not None else answer
