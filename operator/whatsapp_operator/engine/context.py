"""What every part of the engine shares: the ports, the spans, the queue, and what is desired and observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from whatsapp_operator.engine import ports, reporting
from whatsapp_operator.engine import queue as queues
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.plugins.plugged import NOTHING, Plugged
from whatsapp_operator.resources import instance, server
from whatsapp_operator.resources.pause import Pause

_SPREAD_PER_SECOND = 50
_SPREAD_SECONDS = 5.0


class Item(NamedTuple):
    """A resource in the work queue."""

    kind: str
    key: ports.Key


class Watching(Protocol):
    """The observer of a server, as the rest of the engine asks things of it."""

    def hurry(self) -> None:
        """Read both witnesses soon."""

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        """A list of the database begun after this call."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How the engine paces itself; in seconds unless said otherwise."""

    status_period: float = 30
    """A status is written at most once in this time, unless Ready or the step changes."""
    key_refresh: float = 60
    sweep_period: float = 300
    workers: int = 16
    """Resources looked at at once."""
    samples_per_server: int = 2
    """Samples of stability taken at once on one server."""
    probes_per_server: int = 2
    """Probes under way at once on one server."""
    shutdown: float = 20
    pause_period: float = 5
    """Between readings of the pause of everything."""
    approval: float = 3600
    """How long an approval holds."""
    server_restart: float = 600
    """A restart of a server has failed when it cannot be read again after this long."""


@dataclass(slots=True)
class Context:
    """The engine's surroundings and its stores."""

    clock: ports.Clock
    sleep: ports.Sleep
    timers: ports.Timers
    random: ports.Random
    tasks: ports.Tasks
    kubernetes: ports.Kubernetes
    make_client: ports.EvolutionFactory
    claims: ports.Claims
    telemetry: reporting.Telemetry
    spans: Spans
    limits: Limits
    queue: queues.WorkQueue[Item]
    subjects: dict[ports.Key, Subject] = field(default_factory=dict)
    servers: dict[ports.Key, Server] = field(default_factory=dict)
    gone: dict[ports.Key, Server] = field(default_factory=dict)
    """Servers whose resource is gone, until they are let go."""
    observers: dict[ports.Key, Watching] = field(default_factory=dict)
    pause: Pause | None = None
    """The pause of everything, while there is one."""
    plugged: Plugged = NOTHING
    """What the installed plugins add."""
    may_step: bool = False
    """The store is synced; until then nothing is created, healed or deleted."""

    def look_at(self, one: Subject, *, urgency: queues.Urgency = queues.Urgency.CHANGE) -> None:
        """Queue an instance."""
        one.steady = False
        self.queue.add(Item(instance.KIND, one.key), urgency)

    def look_at_server(self, one: Server, *, urgency: queues.Urgency = queues.Urgency.CHANGE) -> None:
        """Queue a server."""
        self.queue.add(Item(server.KIND, one.key), urgency)

    def look_at_spread(self, one: Subject, *, among: int) -> None:
        """Queue one of so many instances that are due at once, each at its own moment of the next seconds."""
        one.steady = False
        within = min(among / _SPREAD_PER_SECOND, _SPREAD_SECONDS)
        self.queue.add_after(Item(instance.KIND, one.key), within * self.random.random())

    def look_at_all(self, one: Server, *, spread: bool = False) -> None:
        """Queue every instance of a server; `spread`: so that their calls do not come as one burst."""
        for subject in self.subjects.values():
            if subject.server_key != one.key:
                continue
            if spread:
                self.look_at_spread(subject, among=len(one.subjects))
            else:
                self.look_at(subject)

    def hurry(self, one: Server) -> None:
        """Read a server soon: something is about to be seen there."""
        watching = self.observers.get(one.key)
        if watching is not None:
            watching.hurry()

    async def list_rows(self, one: Server) -> evidence.DatabaseList | evidence.Unknown:
        """A list of a server's database begun after this call, if it is of the database that is meant.

        One that was exchanged a moment ago has none of its instances: to a DELETE it looks like success.
        """
        watching = self.observers.get(one.key)
        if watching is None:
            return evidence.Unknown(evidence.Ignorance.REFUSED)
        listed = await watching.list_rows()
        if isinstance(listed, evidence.DatabaseList) and not one.owns(listed.rows):
            return evidence.Unknown(evidence.Ignorance.OTHER_IDENTITY)
        return listed

    def subjects_of(self, server: ports.Key) -> list[Subject]:
        """The instances that are looked at under a claim: those of a server, or all that have none."""
        return [one for one in self.subjects.values() if self.claim_of(one) == server]

    def claim_of(self, one: Subject | Server) -> ports.Key:
        """The claim under which a resource is looked at.

        One whose spec is no longer understood stays with its server: only who has that can count it there. And where a
        process has never understood it, it goes by the server that is named, or two would write to it.
        """
        found = one if isinstance(one, Server) else self.server_of(one) or self.seat_of(one) or self._named_by(one)
        return found.key if found is not None else ports.REST

    def require_claim(self, one: Subject | Server) -> None:
        """Right before a resource is written.

        Raises:
            ports.Conflict: it is another replica's by now.
        """
        if not self.claims.holds(self.claim_of(one)):
            raise ports.Conflict("another replica may be working on it")

    def seat_of(self, one: Subject) -> Server | None:
        """The server among whose instances it is counted, also where its spec is no longer understood."""
        if one.seat is None:
            return None
        server = self.servers.get(one.seat[0])
        return server if server is not None and server.subjects.get(one.seat[1]) is one else None

    def _named_by(self, one: Subject) -> Server | None:
        named = one.server_key
        return self.servers.get(named) if named is not None else None

    def server_of(self, one: Subject) -> Server | None:
        """The server that an instance refers to."""
        return self.servers.get(ports.Key(*one.instance.server_key)) if one.instance else None
