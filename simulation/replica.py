"""One operator process: the real engine on simulated ports, assembled as `cli.assembly` does it."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable
from dataclasses import dataclass

from simulation.evolution import host
from simulation.evolution import wire as evolution_wire
from simulation.kubernetes import faults, server, watch
from simulation.kubernetes import wire as kubernetes_wire
from simulation.life import Life
from simulation.system import Clock, System
from simulation.telemetry import Told
from whatsapp_operator.cli import assembly
from whatsapp_operator.cli import options as cli_options
from whatsapp_operator.cluster import api, events, leases
from whatsapp_operator.engine import context, controller, leadership, ports
from whatsapp_operator.engine import queue as queues
from whatsapp_operator.evolution import client, urls

NAMESPACE = "operators"
"""Where the Leases and the pause of everything are."""

Live = Callable[..., Life]
"""Begins the life of a process; called as `Life` is."""

_ALLOWED = (ipaddress.ip_network("0.0.0.0/0"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all processes share."""

    loop: asyncio.AbstractEventLoop
    api: server.ApiServer
    spoilt: faults.Faults
    find: Callable[[str], host.Host | None]
    options: cli_options.Options
    on_hit: kubernetes_wire.Hit
    on_trouble: Callable[[str, str, str], None]
    on_failure: Callable[[str, str, BaseException], None]
    live: Live
    stream: Callable[..., random.Random]


class Replica:
    """A process that has been started."""

    def __init__(
        self,
        around: Surroundings,
        *,
        slot: int,
        number: int,
        seed: object,
        clock: Clock,
        told: Callable[[str], Told],
        on_death: Callable[[Replica], None],
    ) -> None:
        self.slot, self.clock = slot, clock
        stream = around.stream
        self.chance = stream(seed, "process", number)
        self.identity = leases.new_identity(f"operator-{slot}", bits=self.chance.getrandbits(32))
        self.life = around.live(around.loop, on_death=lambda: on_death(self))
        self.told = told(self.identity)
        self._around = around
        self._system = System(around.loop, self.life, self.chance, self._failed)
        self.wire = self._kubernetes_wire(around, stream(seed, "way", number))
        self._evolution_chance = stream(seed, "evolution way", number)
        self.claims = self._leadership()
        self.context = self._context()
        self.controller = controller.Controller(self.context, self.claims, namespace=NAMESPACE)
        self.watch = watch.Watch(
            around.api,
            self.controller,
            loop=around.loop,
            life=self.life,
            chance=stream(seed, "watch", number),
            on_trouble=lambda what, name: around.on_trouble(self.identity, what, name),
        )
        self.stopping = False

    def _failed(self, task: str, error: BaseException) -> None:
        self._around.on_failure(self.identity, task, error)

    def _kubernetes_wire(self, around: Surroundings, chance: random.Random) -> kubernetes_wire.Wire:
        return kubernetes_wire.Wire(
            around.api,
            loop=around.loop,
            life=self.life,
            chance=chance,
            spoilt=around.spoilt,
            writer=self.identity,
            on_hit=around.on_hit,
        )

    def _leadership(self) -> leadership.Leadership:
        terms = self._around.options.terms
        return leadership.Leadership(
            identity=self.identity,
            scope="",
            terms=terms,
            clock=self.clock,
            sleep=self._system.sleep,
            leases=leases.LeaseApi(
                self.wire,
                namespace=NAMESPACE,
                clock=self.clock,
                duration_seconds=terms.lease_duration,
                timeout_seconds=(terms.renew_deadline - terms.renew_period) / 2,
            ),
            telemetry=self.told,
        )

    def _context(self) -> context.Context:
        system, options = self._system, self._around.options
        recorder = events.Recorder(self.wire, clock=self.clock, random=system, instance=self.identity)
        queue: queues.WorkQueue[context.Item] = queues.WorkQueue(clock=self.clock, timers=system, random=system)
        return context.Context(
            clock=self.clock,
            sleep=system.sleep,
            timers=system,
            random=system,
            tasks=system,
            kubernetes=api.KubernetesApi(self.wire, recorder=recorder),
            make_client=self._make_client,
            claims=self.claims,
            telemetry=self.told,
            spans=options.spans,
            limits=assembly.limits(options),
            queue=queue,
        )

    def _make_client(self, endpoint: ports.Endpoint, /, *, may_change: Callable[[], bool]) -> client.Client:
        wire = evolution_wire.Wire(
            self._around.find,
            url=endpoint.url,
            api_key=endpoint.api_key,
            timeout_seconds=endpoint.timeout_seconds,
            caller=self.identity,
            loop=self._around.loop,
            life=self.life,
            chance=self._evolution_chance,
        )
        return client.Client(
            url=endpoint.url,
            api_key=endpoint.api_key,
            per_second=endpoint.per_second,
            max_in_flight=endpoint.max_in_flight,
            timeout_seconds=endpoint.timeout_seconds,
            check_period_seconds=endpoint.check_period_seconds,
            rules=urls.Rules(allowed=_ALLOWED),
            monotonic=self.clock.monotonic,
            sleep=self._system.sleep,
            random=self._system.random,
            observe=lambda _: None,
            may_change=may_change,
            wire=wire,
        )

    def start(self) -> None:
        """Begin to work."""
        self.controller.start()
        self.watch.start()

    async def stop(self) -> None:
        """End as after a SIGTERM."""
        self.stopping = True
        self.watch.stop()
        await self.controller.stop()
        self.life.die()

    def cut(self, *, off: bool) -> None:
        """Begin or end a partition from the API server."""
        self.wire.cut = self.watch.cut = off
        if off:
            self.watch.shut(0.0)
