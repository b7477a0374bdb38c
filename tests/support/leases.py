"""An API server for Leases, and replicas that share servers over it, on simulated time.

The server keeps what the real one keeps of Leases: a version per write, and the preconditions that go with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from support import simulated
from whatsapp_operator.engine import leadership, ports


@dataclass
class LeaseServer:
    """The Leases that there are."""

    stored: dict[str, ports.Lease] = field(default_factory=dict)
    writes: int = 0

    def write(self, lease: ports.Lease, *, renewed: str) -> ports.Lease:
        self.writes += 1
        self.stored[lease.name] = replace(lease, resource_version=str(self.writes), renewed=renewed)
        return self.stored[lease.name]

    def claim(self, server: ports.Key) -> ports.Lease:
        """The claim of a server."""
        return self.stored[leadership.claim_name(server, scope="")]

    def holder(self, server: ports.Key) -> str | None:
        """Who has a server."""
        return self.claim(server).holder


@dataclass
class Connection:
    """One replica's way to the server, which can be cut; its wall clock may be wrong by `skew` seconds."""

    server: LeaseServer
    time: simulated.Time
    skew: float = 0.0
    cut: bool = False
    swallows_answers: bool = False
    """Writes have their effect, and no answer comes back."""
    verbs: list[str] = field(default_factory=list)
    during: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What happens once, while a call is under way."""

    async def list(self) -> Sequence[ports.Lease]:
        self._arrive("list")
        return list(self.server.stored.values())

    async def create(self, lease: ports.Lease, /) -> ports.Lease:
        self._arrive("create")
        if lease.name in self.server.stored:
            raise ports.Conflict
        return self._answer(self.server.write(lease, renewed=self._now()))

    async def update(self, lease: ports.Lease, /) -> ports.Lease:
        self._arrive("update")
        self._check(lease)
        before = self.server.stored[lease.name]
        ledger = before.ledger if lease.ledger is None else lease.ledger
        return self._answer(self.server.write(replace(lease, ledger=ledger), renewed=self._now()))

    async def delete(self, lease: ports.Lease, /) -> None:
        self._arrive("delete")
        self._check(lease)
        del self.server.stored[lease.name]

    def _arrive(self, verb: str) -> None:
        if self.cut:
            raise ports.Unavailable
        self.verbs.append(verb)
        self.during.pop(verb, lambda: None)()

    def _check(self, lease: ports.Lease) -> None:
        if lease.name not in self.server.stored:
            raise ports.NotFound
        if lease.resource_version not in ("", self.server.stored[lease.name].resource_version):
            raise ports.Conflict

    def _answer(self, lease: ports.Lease) -> ports.Lease:
        if self.swallows_answers:
            raise ports.Unavailable
        return lease

    def _now(self) -> str:
        return str(self.time.now().timestamp() + self.skew)


@dataclass
class Told:
    """Telemetry that remembers."""

    held: int = 0
    live: bool = False
    lost: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def claims(self, held: int, /, *, live: bool) -> None:
        self.held, self.live = held, live

    def claim_lost(self, why: str, /) -> None:
        self.lost.append(why)

    def problem(self, message: str, /, **_: str | float) -> None:
        self.problems.append(message)


@dataclass
class Replica:
    """One replica: its leadership, and what its engine was told."""

    name: str
    connection: Any
    leads: leadership.Leadership
    told: Told
    known: set[ports.Key]
    happened: list[tuple[str, ports.Key]] = field(default_factory=list)
    listings: int = 0
    listing_fails: bool = False
    is_ready: bool = True
    meanwhile: Callable[[], None] | None = None
    """What happens while it reads what the holder before has written."""

    def ready(self) -> bool:
        return self.is_ready

    def servers(self) -> Collection[ports.Key]:
        return self.known

    async def refresh(self) -> None:
        self.listings += 1
        if self.meanwhile is not None:
            self.meanwhile()
        if self.listing_fails:
            raise ports.Unavailable

    def gained(self, server: ports.Key, /) -> None:
        self.happened.append(("gained", server))

    def lost(self, server: ports.Key, /) -> None:
        self.happened.append(("lost", server))

    async def leave(self, server: ports.Key, /) -> None:
        self.happened.append(("left", server))

    @property
    def held(self) -> set[ports.Key]:
        """The servers that it holds now."""
        return {server for server in self.known if self.leads.holds(server)}


def replica(
    name: str,
    time: simulated.Time,
    server: LeaseServer,
    servers: Collection[ports.Key],
    *,
    skew: float = 0.0,
    scope: str = "",
    terms: leadership.Terms | None = None,
    sleep: ports.Sleep | None = None,
) -> Replica:
    """A replica that has not begun."""
    connection, told = Connection(server, time, skew=skew), Told()
    leads = leadership.Leadership(
        identity=name,
        scope=scope,
        terms=terms or leadership.Terms(),
        clock=time,
        sleep=sleep or time.sleep,
        leases=connection,
        telemetry=told,  # type: ignore[arg-type] # the part of the port that leadership uses
    )
    return Replica(name, connection, leads, told, set(servers))
