"""One operator process that works in rounds: the real parts of the engine, without queue, watch delays and timers.

In each round a process renews its sign of life, looks at the Leases, and, where the server is its own, reads both
witnesses and looks at every instance, side by side as the controller's workers do. What failed is looked at again in
the next round. So a fault leaves no trace but what the operator remembers of it, and the states that differ in nothing
meet again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from simulation.replica import Replica
from whatsapp_operator.engine import ports, reconciler, server_restart, status, treasury
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.fence import Fenced
from whatsapp_operator.engine.observer import Observer
from whatsapp_operator.engine.server import Observed, Server
from whatsapp_operator.engine.subject import Subject, begin_anew
from whatsapp_operator.engine.warmup import WarmUp
from whatsapp_operator.evolution import evidence
from whatsapp_operator.resources import instance
from whatsapp_operator.resources import server as servers

PERIOD_SECONDS = 10.0


class _Reading:
    """Lists when it is asked to: nothing else is read meanwhile."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def hurry(self) -> None:
        """The next round comes soon enough."""

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        """A list of the database begun after this call."""
        if self._server.client is None:
            return evidence.Unknown(evidence.Ignorance.BROKEN)
        return await self._server.client.list_database()

    def end(self) -> None:
        """The server is another's."""


class _ReadingBeside:
    """Has the observer read both witnesses for whoever asks for a list, beside the looks, as outside of rounds."""

    def __init__(self, context: Context, observer: Observer) -> None:
        self._context, self._observer = context, observer
        self._ticks: set[asyncio.Task[None]] = set()

    def hurry(self) -> None:
        """The next round comes soon enough."""

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        """A list of the database begun after this call."""
        tick = self._context.tasks.spawn("read", self._observer.tick())
        self._ticks.add(tick)
        tick.add_done_callback(self._ticks.discard)
        return await self._observer.list_rows()

    def end(self) -> None:
        """The server is another's."""
        for one in list(self._ticks):
            one.cancel()
        self._observer.end()


Task = Callable[[Context, Server], Awaitable[None]]
"""What is done in a round in place of all that an operator does."""


class Rounds:
    """The work of one process; it is also what leadership asks things of."""

    def __init__(
        self, one: Replica, *, endpoint: ports.Endpoint, task: Callable[[], Task | None], reads_beside: bool
    ) -> None:
        self._task, self._reads_beside = task, reads_beside
        self.replica, self._context, self._endpoint = one, one.context, endpoint
        writer = status.StatusWriter(one.context)
        self._reconciler = reconciler.Reconciler(one.context, writer)
        self.restarts = server_restart.ServerRestarts(one.context, writer, Announcer(one.context))
        self.observers: dict[ports.Key, Observer] = {}
        self._readings: dict[ports.Key, _Reading | _ReadingBeside] = {}

    async def run(self) -> None:
        """Round after round, without end."""
        self.replica.watch.start()
        await self._context.sleep(0)
        self._context.may_step = True
        while True:
            await self._round()
            now = self._context.clock.monotonic()
            await self._context.sleep(PERIOD_SECONDS - now % PERIOD_SECONDS)

    async def _round(self) -> None:
        await self.replica.claims.renew()
        await self.replica.claims.share(self)
        for server, observer in list(self.observers.items()):
            if self._context.claims.holds(server):
                await self._work_on(server, observer)
        if self._context.claims.holds(ports.REST):
            await self._look_at_all(ports.REST)

    async def _work_on(self, server: ports.Key, observer: Observer) -> None:
        task = self._task()
        if task is not None:
            await task(self._context, self._context.servers[server])
            return
        await observer.tick()
        await self._look_at_all(server)

    async def _look_at_all(self, server: ports.Key) -> None:
        subjects = sorted(self._context.subjects_of(server), key=lambda one: one.key)
        looks = [self._context.tasks.spawn(f"look-{one.key.name}", self._look(one)) for one in subjects]
        found = self._context.servers.get(server)
        if found is not None:
            looks.append(self._context.tasks.spawn("look-at-server", self._look_at_server(found)))
        if looks:
            await asyncio.wait(looks)

    async def _look(self, one: Subject) -> None:
        try:
            await self._reconciler.look(one)
        except ports.Conflict:
            await self._read_again(one)
        except ports.KubernetesError:
            return

    async def _look_at_server(self, one: Server) -> None:
        """Its workload, and the ledger, in which a storm may have begun; nobody reads the rest of its status."""
        try:
            await self.restarts.look(one)
            if one.ledger is not None:
                await treasury.save(self._context, one)
        except ports.KubernetesError:
            return

    async def _read_again(self, one: Subject) -> None:
        """Somebody else wrote first: take what is there now."""
        try:
            body = await self._context.kubernetes.read(instance.KIND, one.key)
        except ports.KubernetesError:
            return
        self.replica.controller.saw(instance.KIND, None, body)

    # What leadership asks of the engine, and tells it

    def ready(self) -> bool:
        """Whether the stores are filled."""
        return self._context.may_step

    def servers(self) -> Collection[ports.Key]:
        """The servers that exist."""
        return self._context.servers.keys()

    async def refresh(self) -> None:
        """List all resources: the holder before may have written what the watch has not told yet."""
        for kind in (servers.KIND, instance.KIND):
            async for page in self._context.kubernetes.list(kind):
                for one in page:
                    self.replica.controller.saw(kind, None, one.body())

    def gained(self, server: ports.Key, /) -> None:
        """All begins as after a start of the operator: with what is in status, and no evidence."""
        one = self._context.servers.get(server)
        if one is None:
            return
        one.observed, one.warm_up = Observed(), WarmUp()
        one.begin_anew()
        one.restore()
        for subject in self._context.subjects_of(server):
            begin_anew(subject)

        def holds() -> bool:
            return self._context.claims.holds(server)

        one.client = Fenced(self._context.make_client(self._endpoint, may_change=holds), holds=holds)
        observer = self.observers[server] = Observer(self._context, one)
        reading = _ReadingBeside(self._context, observer) if self._reads_beside else _Reading(one)
        self._context.observers[server] = self._readings[server] = reading

    def lost(self, server: ports.Key, /) -> None:
        """Stop observing; what would change something is held back already."""
        self.observers.pop(server, None)
        self._context.observers.pop(server, None)
        if server in self._readings:
            self._readings.pop(server).end()
        one = self._context.servers.get(server)
        if one is not None:
            one.client = None

    async def leave(self, server: ports.Key, /) -> None:
        """Stop what is still done for a server that nobody works on."""
        self.lost(server)
