"""What every part of the engine shares: the ports, the spans, the queue, and what is desired and observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from whatsapp_operator.engine import claims, ports
from whatsapp_operator.engine import queue as queues
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.resources import instance, server
from whatsapp_operator.resources.pause import Pause


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
    telemetry: ports.Telemetry
    spans: Spans
    limits: Limits
    queue: queues.WorkQueue[Item]
    subjects: dict[ports.Key, Subject] = field(default_factory=dict)
    servers: dict[ports.Key, Server] = field(default_factory=dict)
    gone: dict[ports.Key, Server] = field(default_factory=dict)
    """Servers whose resource is gone, until they are let go."""
    observers: dict[ports.Key, Watching] = field(default_factory=dict)
    claims: ports.Claims = field(default_factory=claims.Alone)
    """Which servers this process may act on."""
    pause: Pause | None = None
    """The pause of everything, while there is one."""
    may_step: bool = False
    """The store is synced; until then nothing is created, healed or deleted."""

    def look_at(self, one: Subject, *, urgency: queues.Urgency = queues.Urgency.CHANGE) -> None:
        """Queue an instance."""
        one.steady = False
        self.queue.add(Item(instance.KIND, one.key), urgency)

    def look_at_server(self, one: Server, *, urgency: queues.Urgency = queues.Urgency.CHANGE) -> None:
        """Queue a server."""
        self.queue.add(Item(server.KIND, one.key), urgency)

    def look_at_all(self, one: Server) -> None:
        """Queue every instance of a server."""
        for subject in self.subjects.values():
            if subject.instance is not None and ports.Key(*subject.instance.server_key) == one.key:
                self.look_at(subject)

    def hurry(self, one: Server) -> None:
        """Read a server soon: something is about to be seen there."""
        watching = self.observers.get(one.key)
        if watching is not None:
            watching.hurry()

    async def list_rows(self, one: Server) -> evidence.DatabaseList | evidence.Unknown:
        """A list of a server's database begun after this call."""
        watching = self.observers.get(one.key)
        if watching is None:
            return evidence.Unknown(evidence.Ignorance.REFUSED)
        return await watching.list_rows()

    def server_of(self, one: Subject) -> Server | None:
        """The server that an instance refers to."""
        return self.servers.get(ports.Key(*one.instance.server_key)) if one.instance else None
