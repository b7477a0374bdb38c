"""One instance during one call: what is seen of it, what was done about it, and what would be done next.

What would be done is `recovery.planner`'s to say, and whether a step did what it was for `recovery.verification`'s.
"""

from __future__ import annotations

from datetime import datetime

from whatsapp_operator.engine import ports
from whatsapp_operator.evolution import evidence, versions
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules
from whatsapp_operator.health.assessment import seconds
from whatsapp_operator.library import advice
from whatsapp_operator.library.observation import SETTLING_POLLS, Known, Means, Observation
from whatsapp_operator.library.results import HealthCheck, State, word
from whatsapp_operator.library.store import InstanceRecord
from whatsapp_operator.recovery import gates, guard, incident, ladder, planner, strategies, verification
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepInFlight, StepResult

_CONFIRMING_POLLS = 3
"""Readings after the stuck timeout that confirm what was then seen for long enough."""
_LOSING = frozenset({Step.RELOGIN, Step.RECREATE})
_INCIDENT_BITS = 16


class Case:
    """One instance during one call."""

    def __init__(self, name: str, means: Means, *, kept: InstanceRecord | None, known: Known | None) -> None:
        self.name, self._means = name, means
        self._kept = kept or InstanceRecord(name=name)
        self.sight = Observation(name, means, kept=self._kept, known=known)
        # A step that an earlier process left in flight was counted when it was announced; what comes next rests on
        # what is seen from now on.
        kept_recovery = incident.without_future(self._kept.recovery, now=self._now())
        self.recovery = _interrupted(kept_recovery, now=self._now())
        self._was_looked_at = False
        self._stepped_at = self._now()
        self.deletion_since = self._kept.deletion_since
        self.webhook_events = self._kept.webhook_events
        """Of the webhook that a cleanup has switched off."""

    def _now(self) -> datetime:
        return self._means.around.now()

    # What is seen.

    async def observe(self, *, span: float | None = None) -> None:
        """Look until what is seen means something, and for `span` seconds at most, the stuck timeout if None."""
        settings, around = self._means.settings, self._means.around
        polls = (SETTLING_POLLS + _CONFIRMING_POLLS) * settings.poll_seconds
        until = around.monotonic() + (span or settings.stuck_timeout_seconds) + polls
        await self.look()
        while not self.sight.is_conclusive and around.monotonic() < until:
            await self._learn_more(until=until)
            await self.look()

    async def _learn_more(self, *, until: float) -> None:
        """A probe or a sample where only one of them can tell more, else a pause; `until` in monotonic seconds."""
        if self.sight.is_probe_due:
            await self.sight.probe()
        elif not self.sight.is_settling or not await self.sight.sample_if_called_for(until=until):
            await self._means.around.sleep(self._means.settings.poll_seconds)

    async def look(self) -> None:
        """Read the witnesses once, judge, and note what that says of the incident."""
        before = self.sight.instance_id
        await self.sight.look()
        if before not in (None, self.sight.instance_id):
            self._kept, self.recovery = InstanceRecord(name=self.name), RecoveryStatus()
            self.deletion_since = self.webhook_events = None
        if not self._was_looked_at and self.sight.unknown is None:
            self._was_looked_at = True
            self._note_what_ended_unseen()
        self._note_incident()

    def _note_what_ended_unseen(self) -> None:
        """Nobody looks between two calls: what was well for long enough meanwhile begins another incident."""
        since = self.recovery.healthy_since or self._logged_in_at
        if since is not None and self._now() - since >= seconds(self._means.settings.min_healthy_seconds):
            self.recovery = incident.reset(self.recovery)

    @property
    def _logged_in_at(self) -> datetime | None:
        """When it last turned open, if that was since the last call: only a login writes it."""
        row, known = self.sight.record.row, self._kept.row_updated_at
        if row is None or row.updated_at is None or known is None or row.state is not ConnectionState.OPEN:
            return None
        return row.updated_at if row.updated_at > known else None

    def _note_incident(self) -> None:
        if self.is_well:
            min_healthy = seconds(self._means.settings.min_healthy_seconds)
            self.recovery = incident.rested(self.recovery, now=self._now(), min_healthy=min_healthy)
            # It outlived its DELETE, or was never sent one.
            self.deletion_since = None
            return
        self.recovery = incident.worsened(self.recovery)
        if self.sight.believed.confirmed and incident.is_bad(self.sight.verdict):
            self._open_incident()

    def _open_incident(self) -> None:
        bits = int(self._means.around.random() * 2**_INCIDENT_BITS)
        new = incident.new_id(now=self._now(), bits=bits)
        self.recovery = incident.opened(self.recovery, incident=new, now=self._now())

    @property
    def is_well(self) -> bool:
        """Whether it works, or waits for nothing but a scan.

        In an incident a QR code has to be seen to come: what a step left may be the dead one of before.
        """
        if self.sight.verdict.reason is Reason.AWAITING_SCAN:
            return self.recovery.incident is None or self.sight.a_code_was_issued
        return incident.is_well(self.sight.verdict)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing could be read of it."""
        return self.sight.verdict.state is HealthState.UNKNOWN

    async def is_still_so(self) -> bool:
        """Between the assessment and now it may have healed, or gone."""
        return records.agrees(self.sight.record, await self.client.read_memory(self.name))

    async def has_the_same_row(self) -> bool:
        """The list that the assessment rests on may be a minute old, and memory does not tell whose name it is."""
        listed = await self._means.witnesses.list_for_a_step()
        if not isinstance(listed, evidence.DatabaseList):
            return False
        return records.same_facts(self.sight.record.row, listed.rows.get(self.name))

    @property
    def client(self) -> ports.Evolution:
        """The calls to its server."""
        return self._means.witnesses.client

    # What follows.

    def situation(self, *, approved: bool = False) -> gates.Situation:
        """What the planner and its gates look at; `approved` where the call allows to lose a pairing or data."""
        traits = self._traits
        return gates.Situation(
            now=self._now(),
            opinion=self.sight.believed,
            record=self.sight.record,
            history=self.recovery,
            policy=self._means.settings.policy,
            spans=self._means.settings.spans,
            warm=self.sight.is_warm,
            acted_on=self._means.witnesses.acted_on,
            paused=False,
            pairing_wanted=self._means.settings.pairing_wanted,
            guard=guard.Guard(relogin_deafens=traits.relogin_deafens, refuses_zombies=traits.refuses_zombies),
            approved=approved,
        )

    @property
    def _traits(self) -> versions.Traits:
        return versions.traits(self._means.witnesses.version)

    @property
    def should_cleanup(self) -> bool:
        """Whether no gentler step is left than one that begins anew."""
        settled = self.sight.believed.confirmed and self.sight.unknown is None
        return settled and (self.is_being_deleted or planner.next_step(self.situation()) in _LOSING)

    @property
    def is_being_deleted(self) -> bool:
        """Whether a cleanup has sent DELETE, and did not see its end: whatever else is done would undo half of it."""
        return self.deletion_since is not None and not self.sight.is_absent and not self.is_unknown

    @property
    def against_cleanup(self) -> Reason | None:
        """Why to begin anew is no cure for what it has; None where it is, whether or not gentler steps were tried."""
        terrain = ladder.Terrain(
            protected=self.sight.record.protected,
            restartable=False,
            relogin_deafens=self._traits.relogin_deafens,
            refuses_zombies=self._traits.refuses_zombies,
        )
        steps = {rung.step for rung in ladder.rungs(self.sight.verdict.reason, terrain)}
        if steps & _LOSING:
            return None
        return Reason.NEEDS_SERVER_RESTART if Step.RESTART_SERVER in steps else self.sight.reason

    @property
    def work(self) -> strategies.Work:
        """What a strategy works on, and with."""
        around, memory = self._means.around, self.sight.record.memory
        return strategies.Work(
            server=self.client,
            name=self.name,
            list_rows=self._means.witnesses.list_for_a_step,
            sleep=around.sleep,
            monotonic=around.monotonic,
            timeout=self._means.settings.step_timeout_seconds,
            flapping=rules.symptom(self.sight.seen) is rules.Symptom.FLAPPING,
            spare_open=memory is None or memory.state is not ConnectionState.OPEN,
            broken_record=self.sight.record.broken,
        )

    def announce(self, step: Step) -> None:
        """Count a step and put it in flight; to be kept before it is taken."""
        self._open_incident()
        step_class, reason = self.situation().class_of(step), self.sight.verdict.reason
        self.recovery = incident.announced(self.recovery, step, step_class=step_class, reason=reason, now=self._now())

    def silences(self, webhook: evidence.Webhook | evidence.Unknown | None) -> None:
        """The webhook is about to be switched off; to be kept before it is."""
        if isinstance(webhook, evidence.Webhook) and webhook.enabled:
            self.webhook_events = tuple(sorted(webhook.events))

    def deletes(self) -> None:
        """DELETE is about to be sent; to be kept before it is."""
        self.deletion_since = self.deletion_since or self._now()

    def stepped(self) -> None:
        """The step was carried out, or ended in an error."""
        self.sight.begin_anew()
        self._stepped_at = self._now()

    def verdict_on(self, flying: StepInFlight) -> StepResult | None:
        """Whether the step did what it was for; None while it is too early to say."""
        timeout = seconds(self._means.settings.step_timeout_seconds)
        seen = verification.Aftermath(
            now=self._now(),
            carried_out_at=self._stepped_at,
            verdict=self.sight.verdict,
            record=self.sight.record,
            observable=self.sight.unknown is None,
            announced_at=flying.since,
        )
        too_long = self._now() - self._stepped_at >= 2 * timeout
        return verification.judge(flying, seen, timeout=timeout) or (StepResult.UNVERIFIED if too_long else None)

    def conclude(self, flying: StepInFlight, result: StepResult) -> None:
        """Move the step in flight into the history."""
        self.recovery = incident.concluded(self.recovery, flying, result, now=self._now())

    # What is told and kept.

    def check(self) -> HealthCheck:
        """What is to be told of it now."""
        sight, state = self.sight, word(self.sight.verdict.state)
        lasted = max((self._now() - sight.lasts_since()).total_seconds(), 0.0)
        return HealthCheck(
            name=self.name,
            healthy=self.is_well,
            state=state,
            reason=sight.reason,
            seconds=lasted,
            detail=self._detail(state, lasted=lasted),
            should_cleanup=self.should_cleanup,
            protected=sight.record.protected and not sight.is_absent,
        )

    def _detail(self, state: State, *, lasted: float) -> str:
        memory, why = self.sight.record.memory, advice.WHY_UNKNOWN.get(self.sight.reason)
        if self.is_unknown:
            return f"unknown: {why}" if why is not None else "unknown"
        where = f" in {memory.state.value}" if memory is not None and memory.state is not None else ""
        return f"{state.replace('_', ' ')}{where} for {lasted:.0f} s"

    def as_record(self) -> InstanceRecord:
        """What is known, to be kept for the next call."""
        sight, state = self.sight, word(self.sight.verdict.state)
        memory, row = sight.record.memory, sight.record.row
        same = (self._kept.state, self._kept.reason) == (state, sight.reason)
        return InstanceRecord(
            name=self.name,
            instance_id=sight.instance_id,
            state=state,
            reason=sight.reason,
            since=(self._kept.since if same else None) or sight.believed.since,
            checked_at=self._now(),
            last_healthy_at=self._now() if state == "healthy" else self._kept.last_healthy_at,
            connection=memory.state if memory is not None else None,
            connection_since=memory.since if memory is not None else None,
            paired=sight.record.paired,
            baseline=sight.record.baseline,
            row_updated_at=row.updated_at if row is not None else None,
            client_name=self._means.witnesses.client_name,
            recovery=self.recovery,
            deletion_since=self.deletion_since,
            webhook_events=self.webhook_events,
        )


def _interrupted(recovery: RecoveryStatus, *, now: datetime) -> RecoveryStatus:
    flying = recovery.in_flight
    return recovery if flying is None else incident.concluded(recovery, flying, StepResult.INTERRUPTED, now=now)
