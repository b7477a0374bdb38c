"""One instance, looked at again and again during one call, and what is concluded from it.

The rules are the operator's: readings are folded by `health.record`, judged by `health.rules`, and believed by
`health.opinion`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules, stability
from whatsapp_operator.health.assessment import Neighbours, Seen, Verdict, seconds
from whatsapp_operator.library.settings import Settings, Surroundings
from whatsapp_operator.library.store import InstanceRecord
from whatsapp_operator.library.witnesses import Look, Witnesses
from whatsapp_operator.recovery import sampling
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

SETTLING_POLLS = 2
"""Readings for which a state is left to settle before a sample is taken of it."""
_CHANGES_OF_A_RECONNECT = 2


@dataclass(frozen=True, slots=True)
class Known:
    """What the process remembers of an instance between two calls, beside the record in the store."""

    record: records.Record
    watched_since: datetime | None
    """When the database was first read, or the last step was over: what moved since then was seen to move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What all calls on one server work with."""

    witnesses: Witnesses
    settings: Settings
    around: Surroundings


class Observation:
    """What is seen of one instance during one call."""

    def __init__(self, name: str, means: Means, *, kept: InstanceRecord, known: Known | None) -> None:
        self._name, self._means, self._kept = name, means, kept
        self.record = _restored(kept, known)
        self.watched_since = known.watched_since if known is not None and kept.checked_at is not None else None
        self.instance_id = kept.instance_id
        self.unknown: evidence.Ignorance | None = None
        """Why the last look proved nothing; None when it did."""
        self.opinion: opinions.Opinion | None = None
        self._rows_due = float("-inf")

    @property
    def proved_something(self) -> bool:
        """Whether the last look proved something."""
        return self.opinion is not None and self.unknown is None

    # What is seen.

    async def look(self) -> None:
        """Read the witnesses once, and judge what is known by then."""
        found = await self._means.witnesses.look(self._name, self.record, listed=self._is_list_due())
        if isinstance(found, Look) and self._is_another_server():
            found = evidence.Unknown(evidence.Ignorance.OTHER_IDENTITY)
        if isinstance(found, evidence.Unknown):
            self.unknown = found.why
        else:
            self._fold(found)
        verdict = rules.assess(self.seen)
        now = self._means.around.now()
        self.opinion = opinions.consider(self.opinion, verdict, reads=self.record.reads, at=now)

    def _is_list_due(self) -> bool:
        """At first, once in a while, and as long as it is needed to prove that the instance is nowhere."""
        if self.record.absence is not None or self._rows_due == float("-inf"):
            return True
        witnesses, now = self._means.witnesses, self._means.around.monotonic()
        return now >= self._rows_due and witnesses.lists_are_cheap

    def _is_another_server(self) -> bool:
        named, meant = self._means.witnesses.client_name, self._kept.client_name
        return None not in (named, meant) and named != meant

    def _fold(self, found: Look) -> None:
        if self.unknown is not None:
            self.unknown, self.record = None, records.after_gap(self.record)
        if found.row is not None:
            self._note_incarnation(found.row.id)
        if found.listed:
            self._check_what_is_remembered(found.row)
            self._rows_due = self._means.around.monotonic() + self._means.settings.database_poll_seconds
            self.watched_since = self.watched_since or found.at
        self.record = records.saw_both(self.record, state=found.state, row=found.row, listed=found.listed, at=found.at)
        if isinstance(found.reading, evidence.Absent):
            self.record = records.saw_absence(self.record, at=found.at)
        elif found.reading is not None:
            self.record = records.saw_memory(self.record, found.reading, at=found.at)

    def _note_incarnation(self, instance_id: str) -> None:
        """Created anew by somebody: what was known is of another instance."""
        if self.instance_id not in (None, instance_id):
            self.record, self.watched_since, self.opinion = records.Record(), None, None
        self.instance_id = instance_id

    def _check_what_is_remembered(self, row: evidence.Row | None) -> None:
        """Nobody watched between two calls: the connection has lasted only where nothing was written meanwhile."""
        if row is None or row.updated_at is None or row.updated_at != self._kept.row_updated_at:
            self.record = replace(self.record, remembered=None)

    async def sample_if_called_for(self, *, until: float | None = None) -> bool:
        """Take a sample of stability where only one can tell; whether it proved something.

        One that a slow server would stretch far beyond `until`, in monotonic seconds, proves nothing.
        """
        if not self._may_be_sampled or not stability.is_called_for(self.seen, self.verdict):
            return False
        around, spans = self._means.around, self._means.settings.spans
        limit = max(until or 0.0, around.monotonic() + spans.stable) + spans.stable

        async def read() -> evidence.MemoryReading:
            if around.monotonic() > limit:
                return evidence.Unknown(evidence.Ignorance.TIMEOUT)
            return await self._means.witnesses.client.read_memory(self._name)

        taken = await sampling.sample(
            read, spans=spans, now=around.now, monotonic=around.monotonic, sleep=around.sleep, random=around.random
        )
        if taken is not None:
            self.record = records.saw_sample(self.record, taken)
        return taken is not None

    @property
    def _may_be_sampled(self) -> bool:
        """A sample that begins in the gap of a reconnect would show two states of an instance that has but one."""
        settled = seconds(SETTLING_POLLS * self._means.settings.poll_seconds)
        return self.seen.lasted(settled) or len(self.record.changes) > _CHANGES_OF_A_RECONNECT

    @property
    def is_probe_due(self) -> bool:
        """Whether an open connection has to be tried, for the first time in this call, or once more after a failure."""
        memory, row, probe = self.record.memory, self.record.row, self.record.probe
        if not self._means.settings.probe or memory is None or row is None or self.unknown is not None:
            return False
        if memory.state is not ConnectionState.OPEN or row.state is not ConnectionState.OPEN or row.own_number is None:
            return False
        again = seconds(self._means.settings.spans.probe_again)
        if probe.dead_at is None or probe.lasted(again):
            return not probe.taken
        return self._means.around.now() >= probe.dead_at + again

    async def probe(self) -> None:
        """One round trip to WhatsApp, and a look: it only tells something where memory said open all the time."""
        row, before = self.record.row, self.record.memory
        number = row.own_number if row is not None else None
        if number is None or before is None:
            return
        result = await self._means.witnesses.client.probe(self._name, number=number)
        await self.look()
        after = self.record.memory
        if after is not None and (after.state, after.since) == (before.state, before.since):
            self.record = records.saw_probe(self.record, result, at=self._means.around.now())

    def begin_anew(self) -> None:
        """A step was carried out, or ended in an error: what was seen before it counts for nothing."""
        self.record, self._rows_due = records.after_step(self.record), float("-inf")
        self.watched_since = self._means.around.now()

    # What is concluded.

    @property
    def seen(self) -> Seen:
        """All that a rule may look at."""
        settings, row = self._means.settings, self.record.row
        return Seen(
            now=self._means.around.now(),
            record=self.record,
            spans=settings.spans,
            neighbours=Neighbours(fresh=self.unknown is None, warm=self.is_warm, why_unknown=_reason_of(self.unknown)),
            integration=row.integration if row is not None else records.BAILEYS,
            stuck_timeout=timedelta(seconds=settings.stuck_timeout_seconds),
            pairing_wanted=settings.pairing_wanted,
        )

    @property
    def is_warm(self) -> bool:
        """Whether the server has loaded what it will load."""
        return self._means.witnesses.is_warm(self._name)

    @property
    def believed(self) -> opinions.Opinion:
        """What is believed after the looks so far; there is at least one before anything is concluded."""
        if self.opinion is None:
            raise RuntimeError("an instance is judged when it was looked at")
        return self.opinion

    @property
    def verdict(self) -> Verdict:
        """State and reason that are believed."""
        return self.believed.verdict

    @property
    def reason(self) -> Reason:
        """The reason; where things are unclear because the server may still be loading, that is the better one."""
        loading = self.unknown is None and not self.is_warm
        return Reason.WARMING_UP if loading and self.verdict.reason is Reason.SETTLING else self.verdict.reason

    @property
    def is_absent(self) -> bool:
        """Whether it is proved that there is no such instance."""
        return self.verdict.state is HealthState.NOT_FOUND and self.believed.confirmed

    @property
    def is_settling(self) -> bool:
        """Whether the latest readings do not add up yet: a sample then tells more than another reading."""
        return (self.believed.pending or self.verdict).reason is Reason.SETTLING

    @property
    def is_conclusive(self) -> bool:
        """Whether more looks would tell nothing that matters now."""
        if self.verdict.state is HealthState.UNKNOWN:
            return True
        if self.verdict.reason is Reason.HEALTHY:
            return self.believed.pending is None and not self.is_probe_due and self.record.probe.dead == 0
        if self.verdict.reason is Reason.AWAITING_SCAN:
            return self.believed.pending is None and self.a_code_was_issued
        return self.believed.confirmed and self.verdict.reason is not Reason.SETTLING

    @property
    def a_code_was_issued(self) -> bool:
        """Whether a new QR code was seen to come, by `updatedAt` moving; a dead socket goes on showing its last one."""
        database, first = self.record.database, self.watched_since
        return database is not None and first is not None and database.moved_at > first

    def lasts_since(self) -> datetime:
        """Since when it is as it is, as far as that was watched."""
        record = self.record
        if self.unknown is not None or record.memory is None:
            return self.believed.since
        flaps = self.verdict.reason in (Reason.FLAPPING, Reason.CREDENTIALS)
        return record.turning_since if flaps and record.turning_since is not None else record.memory.since

    @property
    def known(self) -> Known:
        """What the process remembers until the next call."""
        return Known(record=self.record, watched_since=self.watched_since)


def _restored(kept: InstanceRecord, known: Known | None) -> records.Record:
    """Take up where the last call left off; a store that has forgotten the instance is believed."""
    if kept.checked_at is None:
        return records.Record()
    fresh = records.Record(paired=kept.paired, baseline=kept.baseline)
    record = records.after_gap(known.record) if known is not None else fresh
    if record.probe.alive_at is not None:
        # It answered in an earlier call; each asks for itself.
        record = records.without_probes(record)
    if kept.connection is None or kept.connection_since is None:
        return record
    return replace(record, remembered=(kept.connection, kept.connection_since))


def _reason_of(why: evidence.Ignorance | None) -> Reason:
    """The reason for what is not known: all but what concerns calls, and not the server, have one of the same name."""
    nameless = (evidence.Ignorance.BREAKER_OPEN, evidence.Ignorance.NOT_HELD)
    return Reason.SERVER_UNREACHABLE if why is None or why in nameless else Reason(why.value)
