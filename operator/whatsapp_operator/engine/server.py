"""A server as the engine holds it: its resource, its client, and what the last reads of it proved."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from whatsapp_operator.engine import ports, vouchers, warmup
from whatsapp_operator.engine.calm import Calm
from whatsapp_operator.engine.kept import Kept
from whatsapp_operator.engine.loaded import Loaded
from whatsapp_operator.engine.standing import Sessionless, Standing, Standings
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence, versions
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Neighbours
from whatsapp_operator.health.rules import Symptom
from whatsapp_operator.recovery.ledger import Ledger
from whatsapp_operator.resources import parsing, policy
from whatsapp_operator.resources.errors import InvalidResource
from whatsapp_operator.resources.metadata import ObjectMeta
from whatsapp_operator.resources.pause import Pause, PauseInForce
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.references import WorkloadReference
from whatsapp_operator.resources.server import EvolutionServer, EvolutionServerStatus
from whatsapp_operator.resources.steps import StepInFlight, StepRecord, StepResult

_STALE_PERIODS = 3
_LIMITS_KEPT = 256
"""Every look asks for one, several times."""


@dataclass(slots=True)
class Observed:
    """What the last reads of the server proved. Times are wall times."""

    has_metrics: bool | None = None
    memory_at: datetime | None = None
    rows: Mapping[str, evidence.Row] | None = None
    rows_at: datetime | None = None
    rows_begun: float = float("-inf")
    """Monotonic seconds before which what `rows` tell was not asked for."""
    version: str | None = None
    client_name: str | None = None
    memory_spacing: float = 0.0
    rows_spacing: float = 0.0
    """Seconds that the last answered reads took, with the pause that must follow; an outage stretches nothing."""
    unknown: evidence.Ignorance | None = None
    """Why the last read proved nothing; None when it did."""
    unread: Mapping[str, datetime] = field(default_factory=dict)
    """Instances for which alone the server does not answer, and when it last did."""
    asked: frozenset[str] | None = None
    """For which alone memory was last read; None where `/metrics` has told of all of them."""
    ever_read: bool = False
    began_at: datetime | None = None
    """When this process first tried to read the server."""
    key_accepted: bool | None = None
    vanished: bool = False
    sessionless: Sessionless = field(default_factory=Sessionless)
    loaded: Loaded = field(default_factory=Loaded)
    vouchers: vouchers.Vouchers = field(default_factory=vouchers.Vouchers)

    def listed(
        self,
        rows: Mapping[str, evidence.Row],
        states: Mapping[str, evidence.ConnectionState],
        *,
        begun: float,
        at: datetime,
    ) -> None:
        """Take a list, and the memory that was read after it."""
        self.rows, self.rows_at, self.rows_begun = rows, at, begun
        self.sessionless = self.sessionless.after(rows, states)
        not_asked = rows.keys() - self.asked if self.asked is not None else frozenset()
        self.loaded = self.loaded.after(rows, states, unread=self.unread.keys() | not_asked, at=at)

    def was_read(self, at: datetime) -> None:
        """Take note of a read that proved something."""
        if self.memory_at is not None and at < self.memory_at:
            # The wall clock has gone back: a voucher from what is the future now would vouch up to then.
            self.vouchers = vouchers.Vouchers()
        self.unknown, self.ever_read, self.key_accepted, self.memory_at = None, True, True, at

    def is_cut_off(self, at: datetime) -> bool:
        """Whether nothing that was read before lasts until now: a read has failed, or the wall clock has gone back."""
        return self.unknown is not None or (self.memory_at is not None and at < self.memory_at)


@functools.lru_cache(maxsize=_LIMITS_KEPT)
def _limit(period: float, spacing: float) -> timedelta:
    """How old a read may be: three periods, or two reads of a server that needs longer for each. In seconds."""
    return timedelta(seconds=max(period * _STALE_PERIODS, 2 * spacing))


@dataclass(frozen=True, slots=True)
class Wish:
    """An instance waits for a restart of the server."""

    since: datetime
    reason: Reason


@dataclass(slots=True)
class Server:
    """One EvolutionServer."""

    key: ports.Key
    body: Mapping[str, Any]
    resource: EvolutionServer | None = None
    problem: str | None = None
    endpoint: ports.Endpoint | None = None
    client: ports.Evolution | None = None
    secret_problem: tuple[Reason, str] | None = None
    observed: Observed = field(default_factory=Observed)
    warm_up: warmup.WarmUp = field(default_factory=warmup.WarmUp)
    subjects: dict[str, Subject] = field(default_factory=dict)
    """The instances that live here, by their name on the server: the one resource that acts for each name."""
    calm: Calm = field(default_factory=Calm)
    symptoms: Counter[Symptom | None] = field(default_factory=Counter)
    standings: Standings = field(default_factory=Standings)
    ledger: Ledger | None = None
    """What was spent of the budget; None until it was read from beside the claim."""
    ledger_saved: str | None = None
    ledger_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    in_flight: set[ports.Key] = field(default_factory=set)
    """Instances on which a step is under way."""
    wishes: dict[ports.Key, Wish] = field(default_factory=dict)
    """Instances that wait for a restart of the server."""
    flying: StepInFlight | None = None
    """The restart of the server that is under way."""
    rolled_out: bool = False
    """Its workload has been replaced; what is left is that the server can be read."""
    history: tuple[StepRecord, ...] = ()
    """The latest restarts of the server, the oldest first."""
    restored: bool = False
    workload: ports.Workload | None = None
    workload_problem: Reason | None = None
    inspected: tuple[WorkloadReference, datetime] | None = None
    """Which workload was last read, and when."""
    replaced_since: datetime | None = None
    """When the workload was last read before somebody, or we, told it to replace its pods."""
    has_twin: bool = False
    """Another EvolutionServer has the same URL."""
    was_fresh: bool | None = None
    """None also while reading has only just begun."""
    was_unknown: Reason | None = None
    """Why nothing was known of the instances when they were last looked at for that."""
    was_warm: bool = False
    known_since: float = 0.0
    """Monotonic seconds at which this process first heard of it."""
    status_written_at: float | None = None
    announced_down: bool = False
    kept_storm: bool = False
    """A storm is on by what is kept beside the claim: a process may have been left one that ends before it is told."""
    told_storm: bool = False
    told_pause: PauseInForce | None = None
    """The pause under which the instances were last looked at."""
    _health: tuple[EvolutionServer, policy.HealthPolicy] | None = field(default=None, repr=False)
    """What follows from a resource for `health`, and from which."""

    def update(self, body: Mapping[str, Any]) -> None:
        """Take a newer version of the resource."""
        self.body = Kept(body)
        try:
            self.resource, self.problem = parsing.parse_server(body), None
        except InvalidResource as error:
            self.problem = str(error)

    def stored(self, body: Mapping[str, Any]) -> None:
        """Take what the store itself answered to a write, unless a watch has told it before.

        Raises:
            Conflict: it was written, and the resource has changed since.
        """
        if not ports.is_told(body, self.body):
            self.update(body)

    @property
    def _understood(self) -> EvolutionServer | None:
        """The present body as a model; `resource` stays the last one that was understood."""
        return self.resource if self.problem is None else None

    @property
    def metadata(self) -> ObjectMeta:
        """The resource's metadata."""
        return self._understood.metadata if self._understood is not None else parsing.parse_metadata(self.body)

    @property
    def resource_version(self) -> str:
        """The version of the resource as it was last seen or written."""
        return str(self.body.get("metadata", {}).get("resourceVersion", ""))

    @property
    def status(self) -> EvolutionServerStatus:
        """What was last written."""
        return self._understood.status if self._understood is not None else parsing.parse_server_status(self.body)

    @property
    def health(self) -> policy.HealthPolicy:
        """The policy of reads that serve all instances; every look at an instance asks for it several times."""
        if self.resource is None:
            return policy.HealthPolicy()
        if self._health is None or self._health[0] is not self.resource:
            self._health = self.resource, policy.server_health(self.resource.spec)
        return self._health[1]

    @property
    def pinned_client_name(self) -> str | None:
        """The client name that the server is held to, once one is known."""
        given = self.resource.spec.client_name if self.resource else None
        return given or self.status.client_name

    @property
    def support(self) -> versions.Support | None:
        """What may be done to a server of this version; None while it is unknown."""
        return versions.support(self.observed.version) if self.observed.version else None

    @property
    def acted_on(self) -> bool:
        """Whether steps may be taken at all."""
        return self.problem is None and self.support in (versions.Support.TESTED, versions.Support.ACTED_ON)

    @property
    def identity_confirmed(self) -> bool:
        """Whether it is the server, with the database, that is meant."""
        seen = self.observed
        return seen.client_name is not None and seen.client_name == self.pinned_client_name and not seen.vanished

    def owns(self, rows: Mapping[str, evidence.Row]) -> bool:
        """Whether a list is of the server and the database that are meant; what it lacks is lacking only then."""
        pinned, told = self.pinned_client_name, {row.client_name for row in rows.values() if row.client_name}
        is_it = pinned is not None and self.observed.client_name == pinned and told <= {pinned}
        return is_it and not self.vanished(rows)

    def stands_for(self, name: str, instance_id: str | None) -> bool:
        """Whether a name may still be this incarnation's: somebody else may have created another one since.

        By the last list, which costs no call; only what loses a session asks for one of its own.
        """
        row = self.observed.rows.get(name) if self.observed.rows is not None else None
        return row is None or instance_id is None or row.id == instance_id

    def admits(self, namespace: str) -> bool:
        """Whether instances of a namespace may live here."""
        allowed = self.resource.spec.allowed_namespaces if self.resource else ()
        return namespace == self.key.namespace or namespace in allowed or "*" in allowed

    def fresh(self, now: datetime) -> bool:
        """Whether both witnesses were read lately enough to speak of now."""
        seen, health = self.observed, self.health
        if seen.memory_at is None or seen.rows_at is None or not self.identity_confirmed:
            return False
        rows_limit = _limit(max(health.database_period_seconds, health.check_period_seconds), seen.rows_spacing)
        # What is of the future is as old as it may be: the wall clock has gone back since, nobody knows by how much.
        return abs(now - seen.memory_at) <= self.memory_limit and abs(now - seen.rows_at) <= rows_limit

    def fresh_for(self, name: str, now: datetime) -> bool:
        """As `fresh`, of one instance; a server without `/metrics` may answer for the others, and not for this one."""
        since = self.observed.unread.get(name)
        return self.fresh(now) and (since is None or abs(now - since) <= self.memory_limit)

    @property
    def memory_limit(self) -> timedelta:
        """How old a read of memory may be: three periods, or two reads of a server that needs longer for each."""
        return _limit(self.health.check_period_seconds, self.observed.memory_spacing)

    def just_begun(self, now: datetime) -> bool:
        """Whether this process has looked for so short a time that not having read yet says nothing."""
        seen = self.observed
        if seen.unknown is None and self.pinned_client_name is None and self.problem is None:
            return True
        # The first reads only latch the client name; they are believed, and kept, from the next ones on.
        believed = seen.rows_at is not None or (seen.ever_read and not self.identity_confirmed)
        if believed or self.problem is not None or self.secret_problem is not None:
            return False
        if seen.unknown is not None and seen.unknown.is_refusal:
            return False
        return seen.began_at is None or now - seen.began_at <= self.memory_limit

    @property
    def warm(self) -> bool:
        """Whether what is missing on the server is missing."""
        return self.warm_up.done and self.observed.ever_read and self.observed.unknown is None

    def warm_for(self, name: str) -> bool:
        """Whether, if memory lacks this instance, it is missing."""
        return self.warm and self.warm_up.is_missing(name)

    def neighbours(self, subject: Subject, *, name: str, now: datetime) -> Neighbours:
        """What the other instances tell about one."""
        row, fresh_for = subject.record.row, self.fresh_for(name, now)
        proxy = row.proxy if row is not None else None
        return Neighbours(
            fresh=fresh_for,
            warm=self.warm_for(name),
            why_unknown=Reason.NOT_ANSWERED if fresh_for or self.fresh(now) else self.why_unknown(),
            mostly_flapping=self.symptoms[Symptom.FLAPPING] * 2 > len(self.subjects) > 1,
            vouched_at=self.observed.vouchers.latest(proxy, but=name),
        )

    def mostly_without_code(self, subject: Subject) -> bool:
        """Whether most of the other instances that want a QR code get none."""
        without = self.symptoms[Symptom.WITHOUT_CODE] - (subject.symptom is Symptom.WITHOUT_CODE)
        showing = self.symptoms[Symptom.SHOWS_CODE] - (subject.symptom is Symptom.SHOWS_CODE)
        return without > showing and without + showing > 1

    def note_symptom(self, subject: Subject, symptom: Symptom | None) -> None:
        """Keep count of what the instances show."""
        self.symptoms[subject.symptom] -= 1
        self.symptoms[symptom] += 1
        subject.symptom = symptom

    def note_standing(self, subject: Subject, standing: Standing | None) -> None:
        """Keep count of how the instances stand."""
        self.standings.move(subject.standing, standing)
        subject.standing = standing

    def leave(self, subject: Subject) -> None:
        """An instance is no longer counted, or waited for, here."""
        self.note_symptom(subject, None)
        self.note_standing(subject, None)
        self.in_flight.discard(subject.key)
        self.wishes.pop(subject.key, None)

    @property
    def surveyed(self) -> bool:
        """Whether every instance was looked at, so that it is known how many are bad."""
        return self.standings.total >= len(self.subjects)

    @property
    def without_session(self) -> int:
        """Instances that a restart of the server would cost their pairing, those without a resource among them."""
        return max(self.standings.without_session, len(self.observed.sessionless.names))

    @property
    def restarted_at(self) -> datetime | None:
        """When the last restart of the server began that was carried out."""
        done = [one for one in self.history if one.result is not StepResult.INTERRUPTED]
        return done[-1].start_time if done else None

    def has_restarted_since(self, moment: datetime) -> bool:
        """Whether it is proved that another process serves than did then; an outage proves nothing of the kind."""
        rolled_out = self.workload is not None and self.workload.rolled_out
        signs = (self.restarted_at, self.observed.loaded.since, self.replaced_since if rolled_out else None)
        return any(sign is not None and sign >= moment for sign in signs)

    @property
    def paused(self) -> Pause | None:
        """The pause of the whole server, if its spec has one."""
        return self.resource.spec.pause if self.resource else None

    def begin_anew(self) -> None:
        """Nothing is known of how the instances stand, of what is under way, or of what was spent."""
        self.symptoms.clear()
        self.standings = Standings()
        self.in_flight.clear()
        self.wishes.clear()
        self.ledger = self.ledger_saved = None
        self.flying, self.rolled_out, self.history, self.restored = None, False, (), False
        self.was_fresh, self.was_unknown, self.was_warm, self.announced_down = None, None, False, False
        self.kept_storm, self.told_storm, self.told_pause = False, False, None

    def restore(self) -> None:
        """Take up where the status left off."""
        recovery = self.status.recovery
        self.restored = True
        if recovery is not None:
            self.flying, self.history = recovery.in_flight, recovery.history

    def why_unknown(self) -> Reason:
        """The reason that stands for everything that is not known about the instances."""
        seen = self.observed
        if self.problem is not None:
            return Reason.SERVER_INVALID
        if self.secret_problem is not None:
            return self.secret_problem[0]
        if seen.unknown is not None and seen.unknown.is_refusal:
            return Reason(seen.unknown.value)
        if seen.ever_read and seen.unknown is None and not self.identity_confirmed:
            if self.pinned_client_name is None:
                return Reason.NOT_OBSERVED
            return Reason.INSTANCES_VANISHED if seen.vanished else Reason.OTHER_IDENTITY
        return Reason.SERVER_UNREACHABLE if seen.ever_read or seen.unknown else Reason.NOT_OBSERVED

    def vanished(self, rows: Mapping[str, evidence.Row]) -> bool:
        """Whether so many known instances are gone at once that it is the database that changed, not they.

        Those that are to go count as well until a DELETE was sent, and after that while they are there.
        """
        if self.subjects.keys() <= rows.keys():
            return False
        managed = {name: one for name, one in self.subjects.items() if one.status.instance_id}
        known = {name: one for name, one in managed.items() if name in rows or not one.may_be_gone}
        staying = [name for name, one in known.items() if name in rows or not one.may_be_recreated]
        return witnesses.vanish_at_once(staying, rows, besides=len(known) - len(staying))
