"""A language for scenarios: what the server shows, looked at over injected time, and what is concluded and done.

    world = given().memory("close").database("open").paired()
    world.watch(minutes=2)
    assert world.shown == (HealthState.DEGRADED, Reason.CLOSED_SOCKET)

A world is the decision half of the engine without its I/O: it folds reads, assesses, keeps the incident, plans and
takes steps in the engine's order, on a clock that only `watch` moves. What a step does is said by `heals`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState, Row
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules, witnesses
from whatsapp_operator.health.assessment import Neighbours, Seen
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import gates, incident, planner, verification
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery.ledger import Storm
from whatsapp_operator.resources import parsing
from whatsapp_operator.resources.overrides import RecoveryMode, SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus, WhatsAppInstanceStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepResult

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PERIOD = 10.0
QR_SECONDS = 45
STUCK = timedelta(seconds=30)
MIN_HEALTHY = timedelta(seconds=600)
EARLIER = START - timedelta(days=30)


def state(word: str) -> ConnectionState:
    """The state by its name on the server."""
    return ConnectionState(word)


def a_row(
    word: str = "open",
    *,
    owner: bool = False,
    code: int | None = None,
    ended: datetime | None = None,
    updated: datetime | None = None,
    data: int = 0,
    integration: str = records.BAILEYS,
    identity: str = "id-1",
) -> Row:
    """A row of the database."""
    return Row(
        id=identity,
        name="shop",
        state=state(word),
        integration=integration,
        client_name="evolution",
        owner_jid="owner" if owner else None,
        code=code,
        disconnection_at=ended,
        updated_at=updated,
        data_count=data,
    )


@dataclass
class World:
    """One instance on one server, and all that the operator knows of it."""

    now: datetime = START
    record: records.Record = field(default_factory=lambda: records.Record(paired=False))
    opinion: opinions.Opinion | None = None
    recovery: RecoveryStatus = field(default_factory=RecoveryStatus)
    policy: RecoveryPolicy = field(default_factory=RecoveryPolicy)
    spans: Spans = field(default_factory=Spans)
    neighbours: Neighbours = field(default_factory=lambda: Neighbours(fresh=True, warm=True))
    integration: str = records.BAILEYS
    pairing_wanted: bool = True
    paused: bool = False
    acted_on: bool = True
    deleting: bool = False
    restart_requested: bool = False
    guard: guards.Guard = field(default_factory=guards.Guard)
    vouched: bool = False
    reachable_since: datetime = EARLIER
    approved: bool = False
    exists: bool = True
    states: Sequence[ConnectionState | None] = (ConnectionState.CLOSE,)
    row: Row | None = None
    rotating: bool = False
    taken: list[tuple[Step, datetime]] = field(default_factory=list)
    rested_on: list[int] = field(default_factory=list)
    """How many observations since the step before each step rested on."""
    verdicts: list[tuple[HealthState, Reason]] = field(default_factory=list)
    _effects: dict[Step, Callable[[World], object]] = field(default_factory=dict)
    _looks: int = 0
    _sampled_from: datetime | None = None

    # What is given.

    def memory(self, *words: str | None) -> Self:
        """What memory shows; several words take turns, read by read; None is a ghost."""
        self.states = tuple(state(word) if word else None for word in words)
        self._sampled_from = None
        return self

    def database(self, word: str | None, *, code: int | None = None, ended: datetime | None = None) -> Self:
        """What the database shows; None is a missing row."""
        if word is None:
            self.row = None
            return self
        before = self.row or a_row(integration=self.integration)
        self.row = replace(before, state=state(word), code=code or before.code)
        self.row = replace(self.row, disconnection_at=ended or before.disconnection_at)
        return self

    def with_owner(self) -> Self:
        """A phone was linked at some time."""
        self.row = replace(self.row or a_row(), owner_jid="owner")
        return self

    def with_data(self, count: int = 1) -> Self:
        """Messages, contacts or chats are kept."""
        self.row = replace(self.row or a_row(), data_count=count)
        return self

    def paired(self) -> Self:
        """It was seen open before, with the row that it has."""
        baseline = self.row.disconnection_at if self.row else None
        self.record = replace(self.record, paired=True, baseline=baseline)
        return self.with_owner()

    def unpaired(self) -> Self:
        """Nothing was ever linked."""
        self.record = replace(self.record, paired=False)
        return self

    def issuing_codes(self) -> Self:
        """A new QR code each 45 s moves `updatedAt`."""
        self.rotating = True
        return self

    def gone(self) -> Self:
        """Neither witness has it: 404 that names it, and no row."""
        self.exists = False
        return self

    def other_integration(self, name: str = "EVOLUTION") -> Self:
        """Not a phone's session."""
        self.integration = name
        self.row = replace(self.row or a_row(), integration=name)
        return self

    def neighbour(self, **facts: object) -> Self:
        """What the other instances tell."""
        self.neighbours = replace(self.neighbours, **facts)  # type: ignore[arg-type] # the fields' names are the words
        return self

    def heals(self, step: Step, effect: Callable[[World], object]) -> Self:
        """What a step does to the server; steps that are not named do nothing."""
        self._effects[step] = effect
        return self

    def guarded(self, **facts: object) -> Self:
        """What the server as a whole says."""
        self.guard = replace(self.guard, **facts)  # type: ignore[arg-type] # the fields' names are the words
        return self

    def losing(self, session_loss: SessionLoss) -> Self:
        """What may be done to a pairing or data."""
        self.policy = replace(self.policy, session_loss=session_loss)
        return self

    def stormy(self) -> Self:
        """So many others are bad that the cause is not theirs."""
        return self.guarded(ledger=replace(self.guard.ledger, storm=Storm(since=self.now)))

    def calm_again(self) -> Self:
        """The storm is over."""
        return self.guarded(ledger=replace(self.guard.ledger, storm=None, storm_ended_at=self.now))

    # What happens.

    def watch(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, every: float = PERIOD) -> Self:
        """Look again and again for a while, and take each step that is due."""
        until = self.now + timedelta(seconds=seconds, minutes=minutes, hours=hours)
        while self.now < until:
            self.now += timedelta(seconds=every)
            self.look()
        return self

    def look(self) -> Self:
        """One look, as the engine does it: fold, assess, judge, note, plan, and take."""
        if self.neighbours.fresh:
            self.read()
        self.assess()
        self._judge()
        self._note()
        if self.plan.cornered:
            self.recovery = incident.cornered(self.recovery, now=self.now)
        if self.plan.due(self.now) and self.recovery.in_flight is None:
            self._take(self.plan)
        return self

    def read(self) -> Self:
        """Fold one read of both witnesses, the list first."""
        self._looks += 1
        if not self.exists:
            self.record = records.saw_database(self.record, None, at=self.now)
            self.record = records.saw_absence(self.record, at=self.now)
            return self
        self.record = records.saw_database(self.record, self._row_now(), at=self.now)
        return self.read_memory()

    def read_memory(self) -> Self:
        """Fold one read of memory alone."""
        shown = self.states[self._looks % len(self.states)]
        reading = evidence.InMemory(shown) if shown is not None else evidence.NotInMemory()
        self.record = records.saw_memory(self.record, reading, at=self.now)
        self._sample(shown)
        return self

    def _row_now(self) -> Row | None:
        if self.row is None or not self.rotating:
            return self.row
        issued = int((self.now - START).total_seconds()) // QR_SECONDS * QR_SECONDS
        return replace(self.row, updated_at=START + timedelta(seconds=issued))

    def _sample(self, shown: ConnectionState | None) -> None:
        """As the engine does: half a minute of reads where there is no sample, or it is contradicted, or old."""
        if shown in (None, ConnectionState.OPEN) or self._is_sampled(shown):
            self._sampled_from = None
            return
        self._sampled_from = self._sampled_from or self.now
        if self.now - self._sampled_from >= timedelta(seconds=self.spans.stable):
            taken = witnesses.Sample(taken_at=self.now, states=frozenset(self.states))
            self.record, self._sampled_from = records.saw_sample(self.record, taken), None

    def _is_sampled(self, shown: ConnectionState | None) -> bool:
        sample = self.record.sample
        if sample is None or sample.constant is not None:
            return sample is not None and sample.constant is shown
        return self.now - sample.taken_at <= timedelta(seconds=self.spans.flapping)

    def assess(self) -> Self:
        """Assess what is known now."""
        verdict = rules.assess(self.seen)
        self.opinion = opinions.consider(self.opinion, verdict, reads=self.record.reads, at=self.now)
        self.verdicts.append((verdict.state, verdict.reason))
        return self

    def _judge(self) -> None:
        flying = self.recovery.in_flight
        if flying is None:
            return
        seen = verification.Aftermath(
            now=self.now,
            carried_out_at=flying.since,
            verdict=self.believed.verdict,
            record=self.record,
            observable=self.neighbours.fresh,
        )
        result = verification.judge(flying, seen, timeout=timedelta(seconds=self.policy.step_timeout_seconds))
        if result is not None:
            self.recovery = incident.concluded(self.recovery, flying, result, now=self.now)

    def _note(self) -> None:
        if not self.believed.confirmed:
            return
        if incident.is_well(self.believed.verdict):
            self.recovery = incident.rested(self.recovery, now=self.now, min_healthy=MIN_HEALTHY)
        elif incident.is_bad(self.believed.verdict):
            self.recovery = incident.opened(self.recovery, incident="20261123-7f3a", now=self.now)

    def _take(self, planned: planner.Plan) -> None:
        assert planned.step is not None
        self.taken.append((planned.step, self.now))
        self.rested_on.append(self.record.observations)
        reason = self.believed.verdict.reason
        opened = incident.opened(self.recovery, incident="20261123-7f3a", now=self.now)
        cost = planned.step_class or StepClass.SOFT
        self.recovery = incident.announced(opened, planned.step, step_class=cost, reason=reason, now=self.now)
        self.recovery = stored(self.recovery)
        self.record = records.after_step(self.record)
        if planned.step is Step.RESTART_SERVER:
            self._server_restarts()
        if planned.step in self._effects:
            self._effects[planned.step](self)
        self._sampled_from = None

    def _server_restarts(self) -> None:
        """The engine carries it out for all that wait: it is no step in flight of the instance."""
        self.recovery = self.recovery.replace(in_flight=None)
        self.guard = replace(self.guard, restarted_at=self.now)

    # What follows.

    @property
    def seen(self) -> Seen:
        """All that a rule may look at."""
        return Seen(
            now=self.now,
            record=self.record,
            spans=self.spans,
            neighbours=self.neighbours,
            integration=self.integration,
            stuck_timeout=STUCK,
            pairing_wanted=self.pairing_wanted,
            deleting=self.deleting,
        )

    @property
    def believed(self) -> opinions.Opinion:
        """The opinion, once there is one."""
        assert self.opinion is not None
        return self.opinion

    @property
    def shown(self) -> tuple[HealthState, Reason]:
        """State and reason as they are shown."""
        return self.believed.verdict.state, self.believed.verdict.reason

    @property
    def situation(self) -> gates.Situation:
        """What the plan is made from."""
        return gates.Situation(
            now=self.now,
            opinion=self.believed,
            record=self.record,
            history=self.recovery,
            policy=self.policy,
            spans=self.spans,
            warm=self.neighbours.warm,
            acted_on=self.acted_on,
            paused=self.paused,
            pairing_wanted=self.pairing_wanted,
            restart_requested=self.restart_requested,
            guard=self.guard,
            vouched=self.vouched,
            reachable_since=self.reachable_since if self.vouched else None,
            approved=self.approved,
        )

    @property
    def plan(self) -> planner.Plan:
        """The plan as it is now."""
        return planner.plan(self.situation)

    @property
    def steps(self) -> list[Step]:
        """The steps taken, in order."""
        return [step for step, _ in self.taken]

    @property
    def times(self) -> list[tuple[Step, float]]:
        """The steps taken, with the minutes from the beginning."""
        return [(step, round((at - START).total_seconds() / 60, 1)) for step, at in self.taken]

    @property
    def pauses(self) -> list[float]:
        """Seconds between the steps taken."""
        moments = [at for _, at in self.taken]
        return [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(moments)]


def given() -> World:
    """A world in which a warm, fresh server holds one closed, never paired instance."""
    return World(row=a_row("close"))


def stored(recovery: RecoveryStatus) -> RecoveryStatus:
    """The incident as another process of the operator reads it back."""
    body = parsing.to_status_body(WhatsAppInstanceStatus(recovery=recovery))
    return parsing.parse_instance_status({"status": body}).recovery or RecoveryStatus()


def concluded(recovery: RecoveryStatus, result: StepResult, *, now: datetime) -> RecoveryStatus:
    """What is kept after the verdict on the step in flight, of which there is one."""
    assert recovery.in_flight is not None
    return incident.concluded(recovery, recovery.in_flight, result, now=now)


def dry_run() -> RecoveryPolicy:
    """Steps are planned and shown, none is taken."""
    return RecoveryPolicy(mode=RecoveryMode.DRY_RUN)


def disabled() -> RecoveryPolicy:
    """Nothing is healed."""
    return RecoveryPolicy(mode=RecoveryMode.DISABLED)


def remembering(record: records.Record, word: str, since: datetime) -> records.Record:
    """As if an earlier process of the operator had written down since when it is in this state."""
    return replace(record, remembered=(state(word), since))
