"""What has been observed of one instance, folded read by read.

A record is a value: each read gives the next one. It remembers since when each witness says what it says, and the few
facts that must be latched because the server forgets or never clears them: whether the instance is *paired*, and which
`disconnectionAt` was already there when it was last seen open (the server keeps the old one for ever, so only a
different one ends a pairing).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health.witnesses import PROBES, Absence, Agreement, Database, Memory, Probe, Sample, Turning

BAILEYS = "WHATSAPP-BAILEYS"

REPLACED_OPENINGS = 3
"""So often it opens within a short time only where something closes it each time."""
_REMEMBERED_CHANGES = 32
_UNPROBED = Probe()
_LOGIN_IS_WRITTEN_WITHIN = timedelta(seconds=5)
_TURNS_WITHIN = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Record:
    """Everything known of one instance. `paired` is None until something was proved either way."""

    memory: Memory | None = None
    database: Database | None = None
    absence: Absence | None = None
    sample: Sample | None = None
    paired: bool | None = None
    opened_at: datetime | None = None
    baseline: datetime | None = None
    """The `disconnectionAt` that was there when the instance was last seen open."""
    ended_at: datetime | None = None
    """When the last pairing was seen to have ended."""
    changes: tuple[tuple[datetime, ConnectionState], ...] = ()
    """The latest changes of the memory state, oldest first."""
    turning_since: datetime | None = None
    """Since when close and connecting take turns, open never between them, no two turns far apart."""
    turned: Turning | None = None
    agreement: Agreement | None = None
    """The samples since the last step that all showed such turns."""
    reopened_at: datetime | None = None
    """When a sample last saw it open again and again: single reads mostly miss it."""
    probe: Probe = _UNPROBED
    known_data: int = 0
    remembered: tuple[ConnectionState, datetime] | None = None
    """The state and its beginning as an earlier process of the operator wrote them down."""
    reads: int = field(default=0, compare=False)
    """Observations of any kind, which tell one read from the next."""
    observed_at: datetime | None = field(default=None, compare=False)
    observations: int = field(default=0, compare=False)
    """Moments at which something was observed since the last step; what is read at once counts once."""

    @property
    def row(self) -> evidence.Row | None:
        """The row, if the database has one."""
        return self.database.row if self.database else None

    @property
    def turns_since(self) -> datetime | None:
        """As `turning_since`, or from before this process or a gap, where the row proves that no login came between."""
        turned = self.turned_still
        if self.turning_since is None or turned is None:
            return self.turning_since
        return min(self.turning_since, turned.since)

    @property
    def turning(self) -> Turning | None:
        """What is to be remembered of the turns; what was remembered before, until something speaks against it."""
        updated_at = self.row.updated_at if self.row is not None else None
        if self.turns_since is not None and updated_at is not None:
            return Turning(self.turns_since, updated_at)
        return self.turned_still

    @property
    def turned_still(self) -> Turning | None:
        """What was remembered of turns, unless the row was written since."""
        return self.turned if self.turned is not None and self._is_unwritten_since(self.turned) else None

    def _is_unwritten_since(self, turned: Turning) -> bool:
        return self.row is not None and self.row.updated_at == turned.row_updated_at

    @property
    def protected(self) -> bool:
        """Whether a step could lose a pairing or data. In doubt, it could."""
        return self.paired is not False or self.known_data > 0

    @property
    def broken(self) -> bool:
        """Whether one witness has it and the other does not: a ghost, or an instance without a row."""
        held_nowhere = self.memory is not None and self.memory.state is None
        return held_nowhere or (self.database is not None and self.database.row is None)

    @property
    def new_code(self) -> int | None:
        """The code with which the last pairing ended, if one ended and none has begun since."""
        row = self.row
        if row is None or row.code not in evidence.ENDED_CODES or row.disconnection_at is None:
            return None
        is_new = self.baseline is None or row.disconnection_at > self.baseline
        return row.code if is_new else None


def saw_both(
    record: Record, *, state: ConnectionState | None, row: evidence.Row | None, listed: bool, at: datetime
) -> Record:
    """Fold one look at the whole server: `state` None where memory lacks it, `listed` where the database was read."""
    if listed:
        record = saw_database(record, row, at=at)
    if state is not None:
        return saw_memory(record, evidence.InMemory(state), at=at)
    if not listed:
        # It is loading, a ghost, or gone, as the next list tells; a state that memory showed before is no longer so.
        is_held = record.memory is not None and record.memory.state is not None
        return lost_from_memory(record) if is_held else record
    return saw_memory(record, evidence.NotInMemory(), at=at) if row is not None else lost_from_memory(record)


def is_news(before: Memory | None, state: ConnectionState | None) -> bool:
    """Whether it opened, closed or went, which only means something beside what the database says."""
    if before is None or before.state is state:
        return False
    return state is None or ConnectionState.OPEN in (before.state, state)


def is_as_before(record: Record, *, state: ConnectionState | None, row: evidence.Row | None, listed: bool) -> bool:
    """Whether the memory state, and the row where the database was listed, are as they were last seen."""
    memory = record.memory
    if memory is None or memory.state is not state:
        return False
    return not listed or same_facts(record.row, row)


def agrees(record: Record, reading: evidence.MemoryReading) -> bool:
    """Whether an instance is still as it was assessed, by a reading taken right before a step."""
    match reading:
        case evidence.InMemory(state=state):
            return record.memory is not None and record.memory.state is state
        case evidence.NotInMemory():
            return record.memory is not None and record.memory.state is None
        case evidence.Absent():
            return record.absence is not None
        case _:
            return False


def may_lack_its_session(record: Record) -> bool:
    """S19 takes two lists to be concluded; what a restart would cost is spared from the first one on."""
    memory, row = record.memory, record.row
    return memory is not None and row is not None and lacks_its_session(memory.state, row)


def lacks_its_session(memory: ConnectionState | None, row: evidence.Row) -> bool:
    """Whether it works in memory while the database holds no session that a restart could take up."""
    closed = row.state is ConnectionState.CLOSE and row.has_owner
    return closed and memory is ConnectionState.OPEN and row.integration == BAILEYS


def saw_memory(record: Record, reading: evidence.MemoryReading, *, at: datetime) -> Record:
    """Fold one read of memory. `Unknown` and `Absent` leave the last value standing; see `saw_absence`."""
    match reading:
        case evidence.InMemory(state=state):
            return _in_memory(record, state, at=at)
        case evidence.NotInMemory():
            memory = _next_memory(record, None, at=at)
            return _counted(record, at=at, memory=memory, absence=None, sample=None, agreement=None, probe=Probe())
        case _:
            return record


def _in_memory(record: Record, state: ConnectionState, *, at: datetime) -> Record:
    seen = _counted(record, at=at, memory=_next_memory(record, state, at=at), absence=None)
    if record.memory is None or record.memory.state is not state:
        seen = _changed(seen, state, at=at)
    return _opened(seen, at=at) if state is ConnectionState.OPEN else _closed(replace(seen, probe=Probe()), at=at)


def _changed(record: Record, state: ConnectionState, *, at: datetime) -> Record:
    """A new state: what a sample proved of another one no longer holds."""
    sample = record.sample
    if sample is not None and sample.constant not in (None, state):
        sample = None
    changes = (*record.changes, (at, state))[-_REMEMBERED_CHANGES:]
    seen = _turned(record, sample, at=at)
    return replace(seen, changes=changes, sample=sample)


def _turned(record: Record, sample: Sample | None, *, at: datetime) -> Record:
    """A state that had lasted was none of the turns, unless a sample saw the turns that single reads miss."""
    turns_on = sample is not None or (bool(record.changes) and at - record.changes[-1][0] <= _TURNS_WITHIN)
    if turns_on and record.turning_since is not None:
        return record
    return replace(record, turning_since=at, turned=None if record.changes else record.turned, agreement=None)


def _counted(record: Record, *, at: datetime, **seen: Any) -> Record:
    """One read more, which has shown what is `seen`."""
    observations = record.observations + (record.observed_at != at)
    return replace(record, reads=record.reads + 1, observed_at=at, observations=observations, **seen)


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
    return replace(
        record,
        paired=True,
        opened_at=at,
        baseline=baseline,
        ended_at=None,
        sample=None,
        turning_since=None,
        turned=None,
        agreement=None,
    )


def _closed(record: Record, *, at: datetime) -> Record:
    """Not open any more: the last list may have told already that WhatsApp ended the pairing."""
    row = record.row
    ended = record.paired and row is not None and row.state is ConnectionState.CLOSE and record.new_code is not None
    return replace(record, paired=False, ended_at=at) if ended else record


def saw_database(record: Record, row: evidence.Row | None, *, at: datetime) -> Record:
    """Fold one read of the whole list: the instance's row, or None when the list lacks it."""
    before = record.database
    database = _next_database(before, row, at=at)
    seen = _counted(record, at=at, database=database)
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
    if one is other:
        return True
    if _facts(one) != _facts(other):
        return False
    return one is None or other is None or (one.settings == other.settings and one.proxy == other.proxy)


def _facts(row: evidence.Row | None) -> tuple[object, ...]:
    return (row.id, row.state, row.disconnection_at, row.has_owner) if row else ()


def _pairing(record: Record, row: evidence.Row, *, at: datetime) -> Record:
    if record.memory is not None and record.memory.state is ConnectionState.OPEN:
        # Memory was read before this list: what the list tells may be the end of what memory showed.
        return record
    if record.paired is None:
        return _first_sight(record, row)
    if record.paired and _has_ended(record, row, at=at):
        return replace(record, paired=False, ended_at=at)
    if not record.paired and row.state is ConnectionState.OPEN:
        # Only a login writes it, and nobody looked at memory meanwhile; a code that is there is of the pairing before.
        return replace(record, paired=True, baseline=row.disconnection_at, ended_at=None)
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
            paired = row.has_owner and record.new_code is None
    return replace(record, paired=paired)


def _has_ended(record: Record, row: evidence.Row, *, at: datetime) -> bool:
    match row.state:
        case ConnectionState.OPEN:
            return False
        case ConnectionState.CLOSE:
            return record.new_code is not None
        case ConnectionState.CONNECTING:
            # Only a QR code being issued writes `connecting`. What was written before a login just seen tells nothing.
            moved_at = record.database.moved_at if record.database else at
            return record.opened_at is None or moved_at - record.opened_at > _LOGIN_IS_WRITTEN_WITHIN


def saw_absence(record: Record, *, at: datetime) -> Record:
    """Fold one proof of absence: 404 that names the instance, and no row in the unfiltered list."""
    before = record.absence
    absence = Absence(since=at, seen_at=at) if before is None else replace(before, seen_at=at, times=before.times + 1)
    return _counted(record, at=at, absence=absence, memory=None, remembered=None)


def lost_from_memory(record: Record) -> Record:
    """A complete read of memory lacks it, and so does the list: what memory showed before no longer holds."""
    return replace(record, memory=None, sample=None, agreement=None)


def saw_sample(record: Record, sample: Sample) -> Record:
    """Fold a sample of stability."""
    before = record.sample
    if before is not None and before.turns and not before.contradicted and sample.constant is ConnectionState.CLOSE:
        # It may have missed all turns: were it believed, a connect would start a second socket.
        return _counted(record, at=sample.taken_at, sample=replace(before, contradicted=True), agreement=None)
    reopened_at = sample.taken_at if sample.openings >= REPLACED_OPENINGS else None
    seen = replace(record, sample=sample, reopened_at=reopened_at, agreement=_agreed(record, sample))
    if sample.constant is not None or ConnectionState.OPEN in sample.states:
        seen = replace(seen, turning_since=None, turned=None)
    else:
        seen = replace(seen, turning_since=record.turning_since or sample.taken_at)
    return _counted(seen, at=sample.taken_at)


def _agreed(record: Record, sample: Sample) -> Agreement | None:
    if not sample.turns:
        return None
    before = record.agreement
    return Agreement(first=before.first if before is not None else sample.taken_at, last=sample.taken_at)


def saw_probe(record: Record, result: evidence.ProbeResult | evidence.Unknown, *, at: datetime) -> Record:
    """Fold one probe of an instance that memory called open before it and after it."""
    before = record.probe
    match result:
        case evidence.ProbeResult.ALIVE:
            return _counted(record, at=at, probe=Probe(alive_at=at, taken=True))
        case evidence.ProbeResult.DEAD:
            since = before.dead_since or at
            dead = replace(before, dead=before.dead + 1, dead_since=since, dead_at=at, alive_at=None, taken=True)
            return _counted(record, at=at, probe=dead)
        case _:
            return replace(record, probe=replace(before, taken=True))


def without_probes(record: Record) -> Record:
    """Nobody probes any more, so that nothing would ever take back what was found."""
    return replace(record, probe=Probe())


def _suspected(record: Record) -> Probe:
    """What is left of the probes when something may have changed since."""
    return Probe(dead_before=record.probe.dead_before or record.probe.dead >= PROBES)


def after_step(record: Record) -> Record:
    """Forget what was seen before a step, so that the next one rests on newer evidence; latches stay."""
    seen = replace(record, memory=None, absence=None, sample=None, changes=(), remembered=None)
    seen = replace(seen, turning_since=None, turned=None, agreement=None, reopened_at=None)
    return replace(seen, observed_at=None, observations=0, probe=_suspected(record))


def after_gap(record: Record) -> Record:
    """Nothing was read for a while: what lasts is timed anew, but for an open connection, which is as it was.

    Turns go on from before where the row tells that no login came between.
    """
    if record.memory is not None and record.memory.state is ConnectionState.OPEN:
        probe = record.probe if record.probe.alive_at is not None else _suspected(record)
        return replace(record, sample=None, changes=(), turning_since=None, reopened_at=None, probe=probe)
    return replace(after_step(record), turned=record.turning)


def created() -> Record:
    """The record of an instance that this operator has just created: nothing is paired, nothing can be lost."""
    return Record(paired=False)
