"""What has been observed of one instance, folded read by read.

A record is a value: each read gives the next one. It remembers since when each witness says what it says, and the few
facts that must be latched because the server forgets or never clears them: whether the instance is *paired*, and which
`disconnectionAt` was already there when it was last seen open (the server keeps the old one for ever, so only a
different one ends a pairing).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState

BAILEYS = "WHATSAPP-BAILEYS"

_REMEMBERED_CHANGES = 32
_LOGIN_IS_WRITTEN_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the running server last said of the instance. `state` is None when it does not hold it."""

    state: ConnectionState | None
    since: datetime
    seen_at: datetime
    reads: int = 1


@dataclass(frozen=True, slots=True)
class Database:
    """What the database last said. `row` is None when the list lacks it."""

    row: evidence.Row | None
    since: datetime
    seen_at: datetime
    moved_at: datetime
    """When `updatedAt` was last seen to move."""
    reads: int = 1


@dataclass(frozen=True, slots=True)
class Absence:
    """How often, and for how long, both witnesses did not have the instance."""

    since: datetime
    seen_at: datetime
    times: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """Many reads of memory in a short time: a flapping instance shows `close` in 56 of 57."""

    taken_at: datetime
    states: frozenset[ConnectionState | None]

    @property
    def constant(self) -> ConnectionState | None:
        """The one state that all reads showed."""
        return next(iter(self.states)) if len(self.states) == 1 else None


@dataclass(frozen=True, slots=True)
class Code:
    """What `connect` last said of the QR code while the instance was connecting."""

    fresh: bool
    """It is not the code of an earlier session, which the server goes on returning."""
    since: datetime
    """When this code, or this lack of one, was first seen."""
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """Everything known of one instance. `paired` is None until something was proved either way."""

    memory: Memory | None = None
    database: Database | None = None
    absence: Absence | None = None
    sample: Sample | None = None
    code: Code | None = None
    paired: bool | None = None
    opened_at: datetime | None = None
    baseline: datetime | None = None
    """The `disconnectionAt` that was there when the instance was last seen open."""
    ended_at: datetime | None = None
    """When the last pairing was seen to have ended."""
    changes: tuple[tuple[datetime, ConnectionState], ...] = ()
    """The latest changes of the memory state, oldest first."""
    known_data: int = 0
    remembered: tuple[ConnectionState, datetime] | None = None
    """The state and its beginning as an earlier process of the operator wrote them down."""
    reads: int = field(default=0, compare=False)
    """Observations of any kind, which tell one read from the next."""

    @property
    def row(self) -> evidence.Row | None:
        """The row, if the database has one."""
        return self.database.row if self.database else None

    @property
    def protected(self) -> bool:
        """Whether a step could lose a pairing or data. In doubt, it could."""
        return self.paired is not False or self.known_data > 0

    @property
    def new_code(self) -> int | None:
        """The code with which the last pairing ended, if one ended and none has begun since."""
        row = self.row
        if row is None or row.code not in evidence.ENDED_CODES or row.disconnection_at == self.baseline:
            return None
        return row.code


def saw_memory(record: Record, reading: evidence.MemoryReading, *, at: datetime) -> Record:
    """Fold one read of memory. `Unknown` and `Absent` leave the last value standing; see `saw_absence`."""
    match reading:
        case evidence.InMemory(state=state):
            return _in_memory(record, state, at=at)
        case evidence.NotInMemory():
            memory = _next_memory(record, None, at=at)
            return replace(record, memory=memory, absence=None, reads=record.reads + 1)
        case _:
            return record


def _in_memory(record: Record, state: ConnectionState, *, at: datetime) -> Record:
    memory = _next_memory(record, state, at=at)
    changes = record.changes
    if record.memory is None or record.memory.state is not state:
        changes = (*changes, (at, state))[-_REMEMBERED_CHANGES:]
    code = record.code if state is ConnectionState.CONNECTING else None
    seen = replace(record, memory=memory, changes=changes, absence=None, code=code, reads=record.reads + 1)
    return _opened(seen, at=at) if state is ConnectionState.OPEN else seen


def _next_memory(record: Record, state: ConnectionState | None, *, at: datetime) -> Memory:
    before = record.memory
    if before is None and record.remembered is not None and record.remembered[0] is state:
        return Memory(state=state, since=min(record.remembered[1], at), seen_at=at)
    if before is None or before.state is not state:
        return Memory(state=state, since=at, seen_at=at)
    return replace(before, seen_at=at, reads=before.reads + 1)


def _opened(record: Record, *, at: datetime) -> Record:
    row = record.row
    baseline = row.disconnection_at if row else record.baseline
    return replace(record, paired=True, opened_at=at, baseline=baseline, ended_at=None, sample=None)


def saw_database(record: Record, row: evidence.Row | None, *, at: datetime) -> Record:
    """Fold one read of the whole list: the instance's row, or None when the list lacks it."""
    before = record.database
    database = _next_database(before, row, at=at)
    seen = replace(record, database=database, reads=record.reads + 1)
    if row is None:
        return seen
    seen = replace(seen, known_data=row.data_count, absence=None)
    return _pairing(seen, row, at=at)


def _next_database(before: Database | None, row: evidence.Row | None, *, at: datetime) -> Database:
    if before is None or _facts(before.row) != _facts(row):
        return Database(row=row, since=at, seen_at=at, moved_at=at)
    moved = before.row is not None and row is not None and before.row.updated_at != row.updated_at
    moved_at = at if moved else before.moved_at
    return replace(before, row=row, seen_at=at, moved_at=moved_at, reads=before.reads + 1)


def same_facts(one: evidence.Row | None, other: evidence.Row | None) -> bool:
    """Whether two reads of a row say the same of everything that a conclusion could rest on, but for `updatedAt`."""
    return _facts(one) == _facts(other) and (one is None or other is None or one.settings == other.settings)


def _facts(row: evidence.Row | None) -> tuple[object, ...]:
    return (row.id, row.state, row.disconnection_at, row.has_owner) if row else ()


def _pairing(record: Record, row: evidence.Row, *, at: datetime) -> Record:
    if record.memory is not None and record.memory.state is ConnectionState.OPEN:
        return replace(record, baseline=row.disconnection_at)
    if record.paired is None:
        return _first_sight(record, row)
    if record.paired and _has_ended(record, row, at=at):
        return replace(record, paired=False, ended_at=at)
    return record


def _first_sight(record: Record, row: evidence.Row) -> Record:
    """Nothing is known but the row: what it leaves in doubt counts as paired."""
    if row.integration != BAILEYS:
        return replace(record, paired=True)
    match row.state:
        case ConnectionState.OPEN:
            paired = True
        case ConnectionState.CONNECTING:
            paired = False
        case ConnectionState.CLOSE:
            paired = row.has_owner and row.code not in evidence.ENDED_CODES
    return replace(record, paired=paired)


def _has_ended(record: Record, row: evidence.Row, *, at: datetime) -> bool:
    match row.state:
        case ConnectionState.OPEN:
            return False
        case ConnectionState.CLOSE:
            return record.new_code is not None
        case ConnectionState.CONNECTING:
            # Only a QR code being issued writes `connecting`. The list may still be from before a login just seen.
            return record.opened_at is None or at - record.opened_at > _LOGIN_IS_WRITTEN_WITHIN


def saw_absence(record: Record, *, at: datetime) -> Record:
    """Fold one proof of absence: 404 that names the instance, and no row in the unfiltered list."""
    before = record.absence
    absence = Absence(since=at, seen_at=at) if before is None else replace(before, seen_at=at, times=before.times + 1)
    return replace(record, absence=absence, memory=None, reads=record.reads + 1)


def saw_sample(record: Record, sample: Sample) -> Record:
    """Fold a sample of stability."""
    return replace(record, sample=sample, reads=record.reads + 1)


def saw_code(record: Record, *, fresh: bool, changed: bool, at: datetime) -> Record:
    """Fold what `connect` said of the QR code. `changed`: the code differs from the one seen before."""
    before = record.code
    since = at if before is None or changed or before.fresh is not fresh else before.since
    return replace(record, code=Code(fresh=fresh, since=since, seen_at=at), reads=record.reads + 1)


def after_step(record: Record) -> Record:
    """Forget what was seen before a step, so that the next one rests on newer evidence; latches stay."""
    return replace(record, memory=None, absence=None, sample=None, code=None, changes=(), remembered=None)


def after_gap(record: Record) -> Record:
    """Nothing was read for a while: what lasts is timed anew, but for an open connection, which is as it was."""
    if record.memory is not None and record.memory.state is ConnectionState.OPEN:
        return replace(record, sample=None, changes=())
    return after_step(record)


def created() -> Record:
    """The record of an instance that this operator has just created: nothing is paired, nothing can be lost."""
    return Record(paired=False)
