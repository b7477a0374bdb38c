"""Leadership: which servers are this replica's, and since when no longer.

Each replica keeps a *member* Lease alive, by one write every few seconds, however many servers there are. Each server
has a *claim* Lease that names the member which works on it. A claim is worth something while its holder lives:

- I live while my last successful renewal *began* less than the renew deadline ago, by my monotonic clock.
- Another lives until nothing new was seen in its member Lease for the lease's duration, by my monotonic clock.

The deadline is shorter than the duration, so I stop before anybody may take over. A claim is taken by a write under
the precondition of its resource version, and only when it is free, given up, or its holder is dead. Whoever lapsed has
lost all claims, and takes them again in the same way before it does anything.

All members conclude the same assignment from what they see. Where they see different things for a moment, the claims
decide; a member gives up what is not its own any more once no work on it is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from whatsapp_operator.engine import assignment, ports, reporting
from whatsapp_operator.engine.hands import Hands
from whatsapp_operator.engine.members import Members

_AT_ONCE = 100
"""Claims that are taken, or given up, between two looks at all Leases."""
_RETRIES = 4
"""A renewal that failed is tried again after the period's fourth part."""
_DEAD_KEPT = 4
"""Lease durations after which the member Lease of a dead replica is removed."""
_CLAIM_KEPT = 3600.0
"""Seconds for which the claim of a server outlives its resource: one that is created again finds its ledger."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The spans of the Leases, in seconds; `renew_period` < `renew_deadline` < `lease_duration`."""

    lease_duration: float = 15
    renew_deadline: float = 10
    renew_period: float = 4


@dataclass(slots=True)
class _Claim:
    lease: ports.Lease
    yielding: bool = False
    """Another member is to have it, as soon as no work is under way."""
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    def adopt(self, lease: ports.Lease) -> None:
        """Take what was written, unless something newer is known."""
        if _version(lease) > _version(self.lease):
            self.lease = lease


class Leadership:
    """The claims of this replica. `renew` and `share` run side by side, so that slow work on claims costs no life."""

    def __init__(
        self,
        *,
        identity: str,
        scope: str,
        terms: Terms,
        clock: ports.Clock,
        sleep: ports.Sleep,
        leases: ports.Leases,
        telemetry: reporting.Telemetry,
    ) -> None:
        self._identity, self._scope, self._terms = identity, scope, terms
        self._clock, self._sleep, self._leases, self._telemetry = clock, sleep, leases, telemetry
        self._members = Members(lease_duration=terms.lease_duration)
        self._held: dict[ports.Key, _Claim] = {}
        self._busy: Counter[ports.Key] = Counter()
        self._ledgers: dict[ports.Key, str] = {}
        self._renewed_at: float | None = None
        self._lapses = 0
        self._joined = self._leaving = False
        self._missing_since: dict[str, float] = {}
        self._hands: Hands | None = None
        self._troubled = False

    # What the engine asks.

    def holds(self, server: ports.Key, /) -> bool:
        """Whether the server is this replica's at this very moment."""
        self._notice_a_lapse()
        return server in self._held

    @contextlib.contextmanager
    def work(self, server: ports.Key, /) -> Iterator[bool]:
        """Whether work on the server may begin; while it lasts, the server is not handed over."""
        if not self.holds(server) or self._held[server].yielding:
            yield False
            return
        self._busy[server] += 1
        try:
            yield True
        finally:
            self._busy[server] -= 1

    def ledger(self, server: ports.Key, /) -> str | None:
        """The server's ledger as of when the claim was taken, or the last save."""
        claim = self._held.get(server)
        return claim.lease.ledger if claim is not None else None

    async def save_ledger(self, server: ports.Key, text: str, /) -> None:
        """Replace the server's ledger. One write at a time: each names the version that the one before has made.

        Raises:
            ports.Conflict: the claim is another's, and was dropped.
            ports.KubernetesError: it is not known whether it was saved.
        """
        claim = self._held.get(server)
        if claim is None:
            raise ports.Conflict("the server is another replica's")
        async with claim.saving:
            if not self.holds(server) or self._held[server] is not claim:
                raise ports.Conflict("the server is another replica's")
            try:
                claim.adopt(await self._leases.update(replace(claim.lease, ledger=text)))
            except (ports.Conflict, ports.NotFound) as error:
                self._lose(server, why="Taken")
                raise ports.Conflict("the server's claim changed") from error

    @property
    def live(self) -> bool:
        """Whether the member Lease was renewed in time."""
        began = self._renewed_at
        return began is not None and self._clock.monotonic() - began < self._terms.renew_deadline

    def _notice_a_lapse(self) -> None:
        """Whoever lapsed stays so until it has taken its claims again, also when renewals succeed meanwhile."""
        if self._renewed_at is None or self.live:
            return
        self._renewed_at = None
        self._lapses += 1
        for server in list(self._held):
            self._lose(server, why="Lapsed")
        self._tell()

    def _lose(self, server: ports.Key, *, why: str) -> None:
        claim = self._held.pop(server, None)
        if claim is None:
            return
        self._remember(server, claim)
        self._telemetry.claim_lost(why)
        self._tell()
        if self._hands is not None:
            self._hands.lost(server)

    def _remember(self, server: ports.Key, claim: _Claim) -> None:
        """A claim that somebody deletes is created again with its ledger."""
        if claim.lease.ledger is not None:
            self._ledgers[server] = claim.lease.ledger

    def _tell(self) -> None:
        self._telemetry.claims(len(self._held.keys() - {ports.REST}), live=self.live)

    # Being alive.

    async def run_renewals(self, hands: Hands) -> None:
        """Keep the member Lease alive, without end. It begins once there is something that could be worked on."""
        period = self._terms.renew_period
        while True:
            self._joined = self._joined or hands.ready()
            renewed = self._joined and await self.renew()
            await self._sleep(period if renewed else min(period / _RETRIES, 1.0))

    async def renew(self) -> bool:
        """One renewal; whether it succeeded."""
        self._notice_a_lapse()
        began = self._clock.monotonic()
        try:
            await self._write_member()
        except ports.KubernetesError as error:
            self._note_trouble(error)
            self._notice_a_lapse()
            return False
        # The answer may come so late that the one before has lapsed: what was held then is lost.
        self._notice_a_lapse()
        self._renewed_at, self._troubled = began, False
        self._tell()
        return True

    async def _write_member(self) -> None:
        holder = None if self._leaving else self._identity
        member = ports.Lease(self._identity, ports.LeaseRole.MEMBER, self._scope, holder=holder)
        try:
            await self._leases.update(member)
        except ports.NotFound:
            await self._leases.create(member)

    def _note_trouble(self, error: ports.KubernetesError) -> None:
        if not self._troubled:
            self._troubled = True
            self._telemetry.problem("Renewing or sharing the Leases failed", error=type(error).__name__)

    # Sharing the servers.

    async def run_sharing(self, hands: Hands) -> None:
        """Take what is this replica's, and give up what is not, without end."""
        while True:
            await self.share(hands)
            await self._sleep(self._terms.renew_period / 2)

    async def share(self, hands: Hands) -> None:
        """One look at all Leases, and what follows from it."""
        self._hands = hands
        self._notice_a_lapse()
        try:
            leases = await self._leases.list()
            claims = self._observe(leases)
            if self.live and hands.ready():
                await self._follow(hands, self._desired(hands, leases), claims)
                await self._tidy(hands, leases)
        except ports.KubernetesError as error:
            self._note_trouble(error)

    def _observe(self, leases: Sequence[ports.Lease]) -> Mapping[str, ports.Lease]:
        members = {one.name: one for one in leases if one.role is ports.LeaseRole.MEMBER}
        claims = {one.name: one for one in leases if one.role is ports.LeaseRole.CLAIM}
        holders = {one.holder for one in claims.values() if one.holder is not None}
        self._members.observe(members, holders, now=self._clock.monotonic())
        for server, claim in list(self._held.items()):
            self._compare(server, claim, claims.get(claim.lease.name))
        return claims

    def _compare(self, server: ports.Key, claim: _Claim, listed: ports.Lease | None) -> None:
        """Whether what is held is still written down. A ledger may have been saved since the list was asked for."""
        if listed is None:
            self._lose(server, why="Vanished")
        elif listed.holder == self._identity:
            claim.adopt(listed)
        elif _version(listed) > _version(claim.lease):
            self._lose(server, why="Taken")

    def _desired(self, hands: Hands, leases: Sequence[ports.Lease]) -> AbstractSet[ports.Key]:
        """The servers that are to be this replica's."""
        members = {one.name for one in leases if self._takes_part(one)}
        members = members | {self._identity} if not self._leaving else members - {self._identity}
        assigned = assignment.assign(hands.servers(), members)
        mine = {server for server, member in assigned.items() if member == self._identity}
        return mine | ({ports.REST} if assignment.preferred(ports.REST, members) == self._identity else set())

    def _takes_part(self, lease: ports.Lease) -> bool:
        """Alive, not leaving, and working on the same namespaces."""
        if lease.role is not ports.LeaseRole.MEMBER or lease.holder is None or lease.subject != self._scope:
            return False
        return not self._members.dead(lease.name, now=self._clock.monotonic())

    async def _follow(self, hands: Hands, mine: AbstractSet[ports.Key], claims: Mapping[str, ports.Lease]) -> None:
        for server, claim in list(self._held.items()):
            claim.yielding = claim.yielding or server not in mine
        yielding = [server for server, claim in self._held.items() if claim.yielding]
        for server in [one for one in yielding if not self._busy[one]][:_AT_ONCE]:
            await self._give_up(hands, server)
        await self._disclaim(mine, claims)
        # In an order that does not depend on how this process hashes, so that a run on simulated time can be repeated.
        await self._take(hands, sorted(mine - self._held.keys())[:_AT_ONCE], claims)

    async def _give_up(self, hands: Hands, server: ports.Key) -> None:
        """Hand a server over: nothing is done for it any more, and then everybody may know."""
        claim = self._held.pop(server)
        self._remember(server, claim)
        self._tell()
        await hands.leave(server)
        with contextlib.suppress(ports.Conflict, ports.NotFound):
            await self._leases.update(replace(claim.lease, holder=None))

    async def _disclaim(self, mine: AbstractSet[ports.Key], claims: Mapping[str, ports.Lease]) -> None:
        """What names this replica since before a lapse, and is to be another's now."""
        wanted = {self._claim_name(server) for server in {*mine, *self._held}}
        busy = {self._claim_name(server) for server, works in self._busy.items() if works}
        for name, lease in claims.items():
            if lease.holder == self._identity and name not in wanted | busy:
                with contextlib.suppress(ports.Conflict, ports.NotFound):
                    await self._leases.update(replace(lease, holder=None))

    async def _take(self, hands: Hands, servers: Sequence[ports.Key], claims: Mapping[str, ports.Lease]) -> None:
        lapses = self._lapses
        taken = [(server, lease) for server in servers if (lease := await self._take_one(server, claims)) is not None]
        if not taken:
            return
        # Another replica may have written since this one's watch told it anything.
        await hands.refresh()
        self._notice_a_lapse()
        if self._lapses != lapses or not self.live:
            return
        for server, lease in taken:
            self._held[server] = _Claim(lease)
            hands.gained(server)
        self._tell()

    async def _take_one(self, server: ports.Key, claims: Mapping[str, ports.Lease]) -> ports.Lease | None:
        """Take a claim by a write that only one can win; None when it is not to be had."""
        if self._busy[server] or not self.live:
            # Work from before a lapse must end first: it would go on under the new claim, on evidence of the old one.
            return None
        lease = claims.get(self._claim_name(server))
        try:
            if lease is None:
                return await self._leases.create(self._new_claim(server))
            if self._is_free(lease):
                return await self._leases.update(replace(lease, holder=self._identity))
        except (ports.Conflict, ports.NotFound):
            pass
        return None

    def _is_free(self, lease: ports.Lease) -> bool:
        holder = lease.holder
        return holder in (None, self._identity) or self._members.dead(holder, now=self._clock.monotonic())

    def _new_claim(self, server: ports.Key) -> ports.Lease:
        return ports.Lease(
            name=self._claim_name(server),
            role=ports.LeaseRole.CLAIM,
            subject=f"{server.namespace}/{server.name}" if server != ports.REST else "",
            holder=self._identity,
            ledger=self._ledgers.get(server),
        )

    def _claim_name(self, server: ports.Key) -> str:
        return claim_name(server, scope=self._scope)

    async def _tidy(self, hands: Hands, leases: Sequence[ports.Lease]) -> None:
        """Remove what dead replicas and deleted servers have left; one replica does so for all."""
        if ports.REST not in self._held:
            return
        now = self._clock.monotonic()
        for lease in leases:
            is_member = lease.role is ports.LeaseRole.MEMBER
            if self._is_left_over(lease, now) if is_member else self._is_forgotten(hands, lease, now):
                self._missing_since.pop(lease.name, None)
                with contextlib.suppress(ports.Conflict, ports.NotFound):
                    await self._leases.delete(lease)

    def _is_left_over(self, lease: ports.Lease, now: float) -> bool:
        silent = self._members.silent_for(lease.name, now=now)
        return lease.name != self._identity and silent >= self._terms.lease_duration * _DEAD_KEPT

    def _is_forgotten(self, hands: Hands, lease: ports.Lease, now: float) -> bool:
        server = ports.Key(*lease.subject.partition("/")[::2])
        if server == ports.REST or server in hands.servers() or not self._watches(server.namespace):
            self._missing_since.pop(lease.name, None)
            return False
        since = self._missing_since.setdefault(lease.name, now)
        return now - since >= _CLAIM_KEPT and self._is_free(lease)

    def _watches(self, namespace: str) -> bool:
        return not self._scope or namespace in self._scope.split(",")

    # Leaving.

    async def withdraw(self) -> None:
        """Tell the others that this replica is leaving: they prepare for its servers, and it keeps them until then."""
        self._leaving = True
        if self._renewed_at is not None:
            await self.renew()

    async def leave(self, hands: Hands) -> None:
        """Give up all that no work is under way for, and be no member any more. Never raises for the API's sake.

        What is still worked on is not given up: the others wait until this replica was silent for long enough.
        """
        idle = [server for server in self._held if not self._busy[server]]
        try:
            await asyncio.gather(*(self._give_up(hands, server) for server in idle))
            if not self._held and self._renewed_at is not None:
                await self._leases.delete(ports.Lease(self._identity, ports.LeaseRole.MEMBER, self._scope))
        except ports.KubernetesError as error:
            self._note_trouble(error)


def claim_name(server: ports.Key, *, scope: str) -> str:
    """The name of a server's claim: one for all replicas that might work on it, whatever namespaces each watches."""
    subject = f"rest of {scope}" if server == ports.REST else f"{server.namespace}/{server.name}"
    return f"whatsapp-operator-claim-{hashlib.sha256(subject.encode()).hexdigest()[:24]}"


def _version(lease: ports.Lease) -> int:
    """Resource versions of one object are ordered numbers (KEP-5504, Kubernetes 1.35; in etcd they always were)."""
    return int(lease.resource_version) if lease.resource_version.isdigit() else 0
