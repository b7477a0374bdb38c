"""The controller: starts everything in the right order, and stops it in the right order.

Workers take keys from the queue; observers and the catalogue put them there. Nothing is created, healed or deleted
before a LIST has filled the stores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.catalogue import Catalogue
from whatsapp_operator.engine.context import Context, Item
from whatsapp_operator.engine.handover import Handover
from whatsapp_operator.engine.leadership import Leadership
from whatsapp_operator.engine.pausing import Pausing
from whatsapp_operator.engine.queue import Urgency
from whatsapp_operator.engine.reconciler import Reconciler
from whatsapp_operator.engine.servers import Servers
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.resources import instance, server

_LIST_RETRY = 2.0
_STALE_SWEEPS = 3


class Controller:
    """The engine as a whole. `saw` is where the watch puts what it sees."""

    def __init__(self, context: Context, leadership: Leadership, *, namespace: str) -> None:
        """`namespace` is the operator's own, in which everything can be paused."""
        self._context, self._leadership = context, leadership
        self._pausing = Pausing(context, namespace=namespace, known=self._pause_is_known)
        self._pause_known = False
        self._catalogue = Catalogue(context)
        writer = StatusWriter(context)
        self._reconciler, self._servers = Reconciler(context, writer), Servers(context, writer)
        self._handover = Handover(context, self._servers, list_anew=self._sweep)
        self._workers: list[asyncio.Task[None]] = []
        self._claiming: list[asyncio.Task[None]] = []
        self._swept_at: float | None = None
        self._stopping = False
        self._listing_failed: type[ports.KubernetesError] | None = None
        self._sweeper: asyncio.Task[None] | None = None

    def saw(self, kind: str, event: str | None, body: Mapping[str, Any]) -> None:
        """Take one watch event; never raises for what is in it."""
        self._catalogue.saw(kind, event, body)

    def start(self) -> None:
        """Start the sweep and the workers: before kopf, which cancels tasks that are younger than itself."""
        spawn, hands = self._context.tasks.spawn, self._handover
        self._sweeper = spawn("sweep", self._sweep_for_ever())
        self._claiming.append(spawn("read-pause", self._pausing.run()))
        self._claiming.append(spawn("renew-member", self._leadership.run_renewals(hands)))
        self._claiming.append(spawn("share-servers", self._leadership.run_sharing(hands)))
        for number in range(self._context.limits.workers):
            self._workers.append(spawn(f"worker-{number}", self._work()))

    async def stop(self) -> None:
        """Take no new key, give the running looks time to end what they do, and hand over to the other replicas."""
        self._stopping = True
        self._context.may_step = False
        self._context.queue.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._leadership.withdraw()
        if self._workers:
            await asyncio.wait(self._workers, timeout=self._context.limits.shutdown)
        for task in self._claiming:
            task.cancel()
        await asyncio.gather(*self._claiming, return_exceptions=True)
        await self._leadership.leave(self._handover)
        for one in list(self._context.servers.values()):
            await self._servers.forget(one)

    @property
    def synced(self) -> bool:
        """Whether a LIST has filled the stores."""
        return self._context.may_step

    def sweep_is_recent(self) -> bool:
        """Whether the Kubernetes API was listed lately; a watch that died without a word is noticed by this."""
        if self._swept_at is None:
            return False
        age = self._context.clock.monotonic() - self._swept_at
        return age <= self._context.limits.sweep_period * _STALE_SWEEPS

    async def _sweep_for_ever(self) -> None:
        while True:
            done = await self._sweep()
            await self._context.sleep(self._context.limits.sweep_period if done else _LIST_RETRY)

    async def _sweep(self) -> bool:
        began = self._context.clock.monotonic()
        try:
            drift = await self._compare(server.KIND, began=began) + await self._compare(instance.KIND, began=began)
        except ports.KubernetesError as error:
            if self._listing_failed is not type(error):
                self._listing_failed = type(error)
                self._context.telemetry.problem("Listing the resources failed", error=type(error).__name__)
            return False
        self._listing_failed = None
        self._catalogue.forget_the_gone()
        self._context.telemetry.sweep(drift if self._swept_at is not None else 0)
        self._swept_at = self._context.clock.monotonic()
        self._begin()
        return True

    async def _compare(self, kind: str, *, began: float) -> int:
        """Compare the store with a LIST, page by page; how many resources the watch had missed."""
        drift, listed = 0, set[ports.Key]()
        async for page in self._context.kubernetes.list(kind):
            drift += self._catalogue.take(kind, page, listed)
            del page  # the generator asks for the next one now
        return drift + self._catalogue.lose_all_but(listed, kind, began=began)

    def _pause_is_known(self) -> None:
        self._pause_known = True
        self._begin()

    def _begin(self) -> None:
        """Once the stores are filled, and it is known that nothing pauses everything, steps may be taken."""
        if self._context.may_step or self._swept_at is None or not self._pause_known or self._stopping:
            return
        self._context.may_step = True
        for one in self._context.subjects.values():
            self._context.look_at(one)

    async def _work(self) -> None:
        while (item := await self._context.queue.get()) is not None:
            began = self._context.clock.monotonic()
            try:
                await self._look(item)
            finally:
                self._context.queue.done(item)
            self._context.telemetry.reconciled(item.kind, self._context.clock.monotonic() - began)
            # A look that calls nobody never waits: ten thousand of them would hold up the observers until nothing that
            # was read is fresh any more.
            await self._context.sleep(0)

    async def _look(self, item: Item) -> None:
        try:
            wait = await self._look_once(item)
        except ports.Conflict:
            await self._read_again(item)
        except ports.KubernetesError as error:
            self._retry(item, error)
        except Exception as error:  # noqa: BLE001 - one resource that trips a bug must not stop the care for all others
            self._context.queue.retry(item)
            self._context.telemetry.crashed("A look at a resource failed", error, kind=item.kind, name=item.key.name)
        else:
            self._context.queue.forget(item)
            if wait is not None:
                self._context.queue.add_after(item, wait)

    def _retry(self, item: Item, error: ports.KubernetesError) -> None:
        delay = self._context.queue.retry(item)
        if isinstance(error, ports.NotFound):
            # It went meanwhile; the watch will tell.
            return
        self._context.telemetry.problem(
            "The Kubernetes API did not do its part",
            error=type(error).__name__,
            kind=item.kind,
            namespace=item.key.namespace,
            name=item.key.name,
            retry_seconds=round(delay, 1),
        )

    async def _look_once(self, item: Item) -> float | None:
        if item.kind == server.KIND:
            await self._let_go(item)
            one = self._context.servers.get(item.key)
            if one is not None:
                return await self._servers.look(one)
            self._context.queue.drop(item)
            return None
        subject = self._context.subjects.get(item.key)
        if subject is None:
            self._context.queue.drop(item)
            return None
        return await self._reconciler.look(subject)

    async def _let_go(self, item: Item) -> None:
        """End the care for a server whose resource is gone, also where another of its name has come since."""
        gone = self._context.gone.pop(item.key, None)
        if gone is not None:
            await self._servers.forget(gone)

    async def _read_again(self, item: Item) -> None:
        """Somebody else wrote first: take what is there now, and look again."""
        try:
            body = await self._context.kubernetes.read(item.kind, item.key)
        except ports.NotFound:
            self._context.queue.drop(item)
            return
        except ports.KubernetesError:
            self._context.queue.retry(item)
            return
        self._catalogue.saw(item.kind, None, body)
        self._context.queue.add(item, Urgency.CHANGE)
