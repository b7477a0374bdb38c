"""The observer of one server: few bulk reads, and only differences are worth a look.

Per check period it reads memory once, per database period the database once (that read counts whole message tables on
the server, so it takes at most a tenth of the time). The cost is that of the server, not of its instances: one that is
steady is compared only where its answers are others than before.

Where a conclusion rests on both witnesses, the list is read first and memory right after it: read the other way round,
an instance that was just created would look like a ghost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta

from whatsapp_operator.engine import alarm, ports, rounds, vouching, warmup
from whatsapp_operator.engine.context import Context, Item
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.rules import ABSENT_TIMES
from whatsapp_operator.resources import instance

_HURRY_SECONDS = 1.0
_DATABASE_SHARE = 10
_IDENTIFY_SECONDS = 60.0
_PROOFS_AT_ONCE = 16
_LOOKS_AFTER_NEWS = 2
"""The first look at the server finds its instances as they were before they were looked at."""

States = Mapping[str, ConnectionState]
Listing = evidence.DatabaseList | evidence.Unknown


class Observer:
    """Reads one server for as long as it runs."""

    def __init__(self, context: Context, server: Server) -> None:
        self._context, self._server = context, server
        self._alarm = alarm.Alarm(clock=context.clock, timers=context.timers)
        self._rows_due = 0.0
        self._rows_not_before = 0.0
        self._identify_due = 0.0
        self._last_tick = float("-inf")
        self._told: tuple[object, ...] = ()
        self._looks_due = 0
        self._wanted_rows: list[asyncio.Future[Listing]] = []
        self._is_over = False

    async def run(self) -> None:
        """Observe until cancelled."""
        try:
            while True:
                if self._server.client is not None:
                    await self._tick_safely()
                self._alarm.ring_in(max(self._until_due(), self._trial_in()))
                await self._alarm.wait()
                await self._keep_distance()
        finally:
            self.end()

    def end(self) -> None:
        """Nothing is read any more; whoever waits for a list is told so, also where `run` had no turn yet."""
        self._is_over = True
        self._answer(self._wanted_rows, evidence.Unknown(evidence.Ignorance.BROKEN))

    async def _tick_safely(self) -> None:
        try:
            await self.tick()
        except Exception as error:  # noqa: BLE001 - an observer that dies leaves a server without care
            self._context.telemetry.crashed("Observing a server failed", error, server=self._server.key.name)

    async def _keep_distance(self) -> None:
        since = self._context.clock.monotonic() - self._last_tick
        if since < _HURRY_SECONDS:
            await self._context.sleep(_HURRY_SECONDS - since)

    def hurry(self) -> None:
        """Read both witnesses soon: something is about to be seen there."""
        self._rows_due = 0.0
        self._alarm.ring_in(max(_HURRY_SECONDS, self._trial_in()))

    def _until_due(self) -> float:
        """Seconds to the next look; a list that is called for, and may not be read yet, is read when it may."""
        now, period = self._context.clock.monotonic(), float(self._server.health.check_period_seconds)
        is_held_back = self._rows_due <= now < self._rows_not_before
        return min(self._rows_not_before - now, period) if is_held_back else period

    def _trial_in(self) -> float:
        """Seconds for which a server that does not answer is left alone."""
        return self._server.client.circuit.trial_in if self._server.client is not None else 0.0

    async def list_rows(self) -> Listing:
        """A list of the database begun after this call; calls at about the same time share one."""
        if self._is_over:
            return evidence.Unknown(evidence.Ignorance.BROKEN)
        if self._trial_in() > 0:
            return evidence.Unknown(evidence.Ignorance.BREAKER_OPEN)
        wanted: asyncio.Future[Listing] = asyncio.get_running_loop().create_future()
        self._wanted_rows.append(wanted)
        self.hurry()
        return await wanted

    async def tick(self) -> None:
        """One look: memory always, the database when it is due or memory lost something."""
        now = self._context.clock.monotonic()
        self._last_tick = now
        self._note_circuit()
        self._server.observed.began_at = self._server.observed.began_at or self._context.clock.now()
        seen, client = self._server.observed, self._server.client
        both = now >= max(self._rows_due, self._rows_not_before) or not self._server.warm or bool(self._wanted_rows)
        rows_read = await self._read_rows() if both and now >= self._rows_not_before else None
        states = await self._read_memory()
        if states is not None and rows_read is None and self._tells_news(states):
            if self._context.clock.monotonic() >= self._rows_not_before:
                rows_read = await self._read_rows()
                states = await self._read_memory()
            else:
                self._rows_due = 0.0
                self._alarm.ring_in(self._rows_not_before - now)
        if self._server.observed is not seen or self._server.client is not client:
            # The resource names another server since, or another way to it: what was read, or cut off, is none of its.
            return
        if states is not None:
            seen.memory_spacing = self._context.clock.monotonic() - now
        await self._fold(states, rows_read)
        self._note_circuit()

    def _note_circuit(self) -> None:
        """An open circuit is a failed read, also where calls for single instances opened it."""
        client = self._server.client
        if client is None:
            return
        why = client.circuit.why
        self._context.telemetry.circuit(self._server.key, is_open=why is not None)
        if why is not None and self._server.observed.unknown is None:
            self._failed(evidence.Unknown(why), over=client)

    async def _read_rows(self) -> Listing:
        client = self._server.client
        assert client is not None  # noqa: S101 - `run` reads only with a client
        waiting, self._wanted_rows = self._wanted_rows, []
        began = self._context.clock.monotonic()
        self._rows_due = began + self._server.health.database_period_seconds
        try:
            answer = await client.list_database()
        except BaseException:
            self._answer(waiting, evidence.Unknown(evidence.Ignorance.BROKEN))
            raise
        took = self._context.clock.monotonic() - began
        self._rows_not_before = began + took + took * _DATABASE_SHARE
        if isinstance(answer, evidence.DatabaseList):
            self._server.observed.rows_spacing = took + took * _DATABASE_SHARE
        self._context.telemetry.check_took("database", took)
        self._answer(waiting, answer)
        return answer

    @staticmethod
    def _answer(waiting: list[asyncio.Future[Listing]], answer: Listing) -> None:
        for future in waiting:
            if not future.done():
                future.set_result(answer)

    async def _read_memory(self) -> States | None:
        """The memory states by name, complete where the server has `/metrics`; None when nothing was proved."""
        client, seen = self._server.client, self._server.observed
        assert client is not None  # noqa: S101 - `run` reads only with a client
        began = self._context.clock.monotonic()
        answer = await client.list_memory() if seen.has_metrics is not False else None
        if isinstance(answer, evidence.MemoryList):
            seen.has_metrics, seen.version, seen.client_name = True, answer.version, answer.client_name
            seen.unread, seen.asked = {}, None
            self._context.telemetry.check_took("memory", self._context.clock.monotonic() - began)
            return answer.states
        if isinstance(answer, evidence.Unknown) and answer.why is not evidence.Ignorance.NO_SUCH_ROUTE:
            self._failed(answer, over=client)
            return None
        seen.has_metrics = False
        return await self._read_one_by_one()

    async def _read_one_by_one(self) -> States | None:
        await self._identify()
        client = self._server.client
        assert client is not None  # noqa: S101 - `run` reads only with a client
        names = tuple(self._server.subjects)  # more may come while these are asked for
        answer = await rounds.read(client, names)
        if isinstance(answer, evidence.Unknown):
            self._failed(answer, over=client)
            return None
        self._server.observed.asked = frozenset(names)
        self._note_unread(answer)
        return answer.states

    def _note_unread(self, answer: rounds.Round) -> None:
        """What is known of one that does not answer is as old as the last round in which it did."""
        seen, at = self._server.observed, self._context.clock.now()
        before, since = seen.unread, seen.memory_at or at
        if answer.may_have_met_a_restart(before):
            self._server.warm_up = warmup.begin(self._server.warm_up)
        seen.unread = {name: before.get(name, since) for name in answer.unread}
        returned = before.keys() - answer.unread.keys()
        self._forget_before_gap(one for name, one in self._server.subjects.items() if name in returned)

    async def _identify(self) -> None:
        """Without `/metrics`: version and client name by `GET /`, rarely, and its failure proves nothing."""
        client, seen, now = self._server.client, self._server.observed, self._context.clock.monotonic()
        if client is None or now < self._identify_due:
            return
        self._identify_due = now + _IDENTIFY_SECONDS
        identity = await client.identify()
        if isinstance(identity, evidence.ServerIdentity):
            # Up to 2.3.2 the name is missing where the variable is not set; the rows tell it then.
            seen.version, seen.client_name = identity.version, identity.client_name or seen.client_name

    def _failed(self, answer: evidence.Unknown, *, over: ports.Evolution | None) -> None:
        if over is not self._server.client:  # an edit exchanged it, and closing it cut the read off
            return
        seen = self._server.observed
        seen.unknown = self._why_nothing_was_sent() if answer.why is evidence.Ignorance.BREAKER_OPEN else answer.why
        # A server that comes back may have `/metrics` now.
        seen.has_metrics = seen.has_metrics or None
        seen.key_accepted = False if answer.why.is_refusal else seen.key_accepted
        self._server.warm_up = warmup.begin(self._server.warm_up)

    def _why_nothing_was_sent(self) -> evidence.Ignorance:
        """What opened the circuit: that is what a person can act on."""
        client, known = self._server.client, self._server.observed.unknown
        opened_by = client.circuit.why if client is not None else None
        return known or opened_by or evidence.Ignorance.BROKEN

    def _tells_news(self, states: States) -> bool:
        """Whether something opened, closed or went, which only means something beside what the database says."""
        server, subjects = self._server, self._server.subjects
        left = server.calm.left(server.observed, states, None, subjects)
        news = (name for name in left if records.is_news(subjects[name].record.memory, states.get(name)))
        return any(name not in server.observed.unread for name in news)

    async def _fold(self, states: States | None, rows: Listing | None) -> None:
        server, at = self._server, self._context.clock.now()
        gap = server.observed.is_cut_off(at)
        if isinstance(rows, evidence.Unknown):
            self._failed(rows, over=server.client)
        if states is not None and isinstance(rows, evidence.DatabaseList):
            server.observed.vanished = server.vanished(rows.rows)
            self._latch_identity(rows)
        if states is not None and not isinstance(rows, evidence.Unknown):
            server.observed.was_read(at)
            if gap:
                self._forget_before_gap(server.subjects.values())
        if server.identity_confirmed and states is not None:
            if isinstance(rows, evidence.DatabaseList):
                server.observed.listed(rows.rows, states, begun=self._last_tick, at=at)
                self._warm_up(states, rows)
            if await self._fold_subjects(states, rows, returning=gap):
                self._looks_due = _LOOKS_AFTER_NEWS
        self._look_at_server()

    def _look_at_server(self) -> None:
        """When there is news of it; at rest its looks themselves say when the next one is due, which is rarely."""
        server, seen = self._server, self._server.observed
        read = (seen.unknown, seen.version, seen.client_name, seen.vanished, id(seen.rows), len(server.subjects))
        told = (*read, server.warm, server.fresh(self._context.clock.now()), server.identity_confirmed)
        if told != self._told:
            self._told, self._looks_due = told, _LOOKS_AFTER_NEWS
        storm = server.ledger is not None and server.ledger.storm is not None
        if self._looks_due or seen.unknown is not None or server.flying is not None or server.wishes or storm:
            self._looks_due = max(self._looks_due - 1, 0)
            self._context.look_at_server(server)

    def _forget_before_gap(self, subjects: Iterable[Subject]) -> None:
        self._server.calm.end()
        for one in subjects:
            one.record = records.after_gap(one.record)
            one.steady = False

    def _latch_identity(self, rows: evidence.DatabaseList) -> None:
        seen = self._server.observed
        if seen.client_name is None and rows.rows:
            seen.client_name = next(iter(rows.rows.values())).client_name

    def _warm_up(self, states: States, rows: evidence.DatabaseList) -> None:
        server = self._server
        asked = server.observed.asked
        listed = rows.rows.keys() & asked if asked is not None else rows.rows.keys()
        server.warm_up = warmup.observed(
            server.warm_up,
            listed=listed - server.observed.unread.keys(),
            held=states.keys(),
            at=self._context.clock.now(),
            growth=timedelta(seconds=self._context.spans.warm_up_growth),
        )

    async def _fold_subjects(self, states: States, rows: Listing | None, *, returning: bool) -> bool:
        """Fold what was read into the instances that it may be news for; whether there are any."""
        server, folded = self._server, False
        both = rows.rows if isinstance(rows, evidence.DatabaseList) else None
        begun, unread, asked = self._last_tick, server.observed.unread, server.observed.asked
        left, calm = server.calm.left(server.observed, states, both, server.subjects), list[str]()
        absent: list[tuple[str, Subject]] = []
        for name in server.subjects if unread else left:
            one = server.subjects[name]
            if one.stepped_at >= begun or (asked is not None and name not in asked):
                # Read before the step, or during it, which tells nothing of what it did; or not asked for at all.
                continue
            if name in unread:
                # That what is known of it has become too old, no read will tell.
                self._context.look_at(one)
                continue
            state, row = states.get(name), both.get(name) if both is not None else None
            if one.steady and records.is_as_before(one.record, state=state, row=row, listed=both is not None):
                calm.append(name)
                continue
            if self._waits_to_be_created(name, one, states, both):
                continue
            self._fold_one(name, one, states, both)
            folded = True
            if both is not None and name not in states and name not in both and self._needs_proof(one):
                absent.append((name, one))
            if returning:
                self._context.look_at_spread(one, among=len(server.subjects))
            else:
                self._context.look_at(one)
        server.calm.note(server.observed, states, both, compared=left, calm=calm)
        await asyncio.gather(*(self._prove_absence(name, one) for name, one in _proved_longest_ago(absent)))
        return folded

    def _needs_proof(self, one: Subject) -> bool:
        """One that its next look creates is proved absent there, right before; one that is proved stays it."""
        if one.instance is None or self._is_proved_absent(one):
            return False
        is_new = one.instance.status.instance_id is None and one.create_asked_at is None
        paused = (self._context.pause, self._server.paused, one.instance.spec.pause) != (None, None, None)
        is_wanted = not paused and one.instance.metadata.deletion_timestamp is None
        return not (is_new and is_wanted and self._server.warm and self._server.acted_on)

    def _waits_to_be_created(
        self, name: str, one: Subject, states: States, rows: Mapping[str, evidence.Row] | None
    ) -> bool:
        """One of thousands that are new and in the queue: that it is still nowhere is no news, time and again."""
        if name in states or (rows is not None and name in rows) or one.record.database is None:
            return False
        is_new = one.create_asked_at is None and one.status.instance_id is None
        return (
            is_new
            and one.record.memory is None
            and one.record.row is None
            and Item(instance.KIND, one.key) in self._context.queue
        )

    def _is_proved_absent(self, one: Subject) -> bool:
        """By its own 404s; from now on, that neither list has it is enough, and each step asks once more."""
        absence = one.record.absence
        if absence is None or absence.times < ABSENT_TIMES:
            return False
        return absence.seen_at - absence.since >= timedelta(seconds=self._context.spans.absence)

    def _fold_one(self, name: str, one: Subject, states: States, rows: Mapping[str, evidence.Row] | None) -> None:
        at, state, before = self._context.clock.now(), states.get(name), one.record.memory
        row = rows.get(name) if rows is not None else None
        one.record = records.saw_both(one.record, state=state, row=row, listed=rows is not None, at=at)
        if state is not None:
            self._note_opening(name, one, before)

    def _note_opening(self, name: str, one: Subject, before: witnesses.Memory | None) -> None:
        memory, row = one.record.memory, one.record.row
        if row is None or row.integration != records.BAILEYS:
            return  # a channel of another kind is open from its construction on, whatever can be reached
        turned = before is not None and before.state is not ConnectionState.OPEN
        if turned and memory is not None and memory.state is ConnectionState.OPEN:
            vouching.prove(self._context, self._server, name, row.proxy, at=self._context.clock.now())

    async def _prove_absence(self, name: str, one: Subject) -> None:
        """Neither list has it; only 404 that names the instance makes that a proof."""
        client = self._server.client
        if client is None:
            return
        reading = await client.read_memory(name)
        at = self._context.clock.now()
        if isinstance(reading, evidence.Absent):
            one.record = records.saw_absence(one.record, at=at)
        else:
            one.record = records.saw_memory(one.record, reading, at=at)
        unproved = one.record.absence is not None and one.record.absence.times < ABSENT_TIMES
        if unproved and one.status.instance_id is not None:
            self.hurry()


def _proved_longest_ago(absent: list[tuple[str, Subject]]) -> list[tuple[str, Subject]]:
    """As many as leave room for other calls: where a whole fleet is missing, each gets its turn."""

    def proved_at(missing: tuple[str, Subject]) -> float:
        absence = missing[1].record.absence
        return absence.seen_at.timestamp() if absence is not None else 0.0

    return sorted(absent, key=proved_at)[:_PROOFS_AT_ONCE]
