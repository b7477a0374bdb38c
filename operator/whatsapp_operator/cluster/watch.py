"""The watch: kopf tells what is created, changed and deleted; nothing is done about it here.

kopf runs in a thread with an event loop of its own. It cancels every task of its loop that it did not find there, so a
step in flight would be lost with it; and when it gives up, which it does after a minute of errors from the API server,
only the watch ends, and is started again. What it sees is handed over to the caller's loop.

Handlers are `on.event` only, without timers, daemons or indexes: those hold tasks per resource, and persist into it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, Protocol, cast

import kopf
from kopf._core.reactor import inventory  # not public, but what the public `kopf.operator` takes as `memories`

from whatsapp_operator.cluster import login, permissions
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names

_GOODBYE_SECONDS = 0.25
"""TLS connections close only after their session did (aiohttp's "Graceful Shutdown"); the loop waits for them."""

Saw = Callable[[str, str | None, ports.Body], None]


class WatchFailed(Exception):  # noqa: N818 - the event is the name
    """kopf ended by itself; what it met is the cause."""


class Sink(Protocol):
    """Takes what the watch sees."""

    def saw(self, kind: str, type: str | None, body: ports.Body, /) -> None:  # noqa: A002 - Kubernetes' word
        """A resource as it is now; `type` is ADDED, MODIFIED, DELETED, or None in the listing at the start."""


def registry(saw: Saw, access: login.Login) -> kopf.OperatorRegistry:
    """The handlers, in a registry of their own."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.event(names.GROUP, names.VERSION, permissions.PLURALS[permissions.Kind.INSTANCE], registry=handlers)
    async def saw_instance(event: kopf.RawEvent, **_: Any) -> None:
        saw(permissions.Kind.INSTANCE.value, event["type"], event["object"])

    @kopf.on.event(names.GROUP, names.VERSION, permissions.PLURALS[permissions.Kind.SERVER], registry=handlers)
    async def saw_server(event: kopf.RawEvent, **_: Any) -> None:
        saw(permissions.Kind.SERVER.value, event["type"], event["object"])

    @kopf.on.login(registry=handlers)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return await access.connection()

    return handlers


def settings() -> kopf.OperatorSettings:
    """kopf reduced to a watch: no peering, no posting of Events, no scanning for new kinds, no marks on resources."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.process.ultimate_exiting_timeout = None
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 10
    chosen.watching.chunk_size = 500
    chosen.watching.server_timeout = 600
    # A bookmark comes every minute: without one for this long the stream is dead, and is opened anew.
    chosen.watching.inactivity_timeout = 90
    # A resource's worker keeps the last body until then: in a listing of thousands that is all of them at once.
    chosen.queueing.idle_timeout = 0.05
    chosen.persistence.diffbase_storage = _NoDifferences()
    return chosen


class _NoDifferences(kopf.DiffBaseStorage):
    """kopf compares each object with its last version, by deep copies, for handlers that there are none of here."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing of an object is compared."""
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        return None

    def store(self, **_: Any) -> None:
        """Nothing is stored."""


class NoMemories(inventory.ResourceMemories):
    """kopf remembers each object, for handlers that there are none of here."""

    async def recall(self, raw_body: kopf.RawBody, **options: Any) -> inventory.ResourceMemory:
        """What is kept while one event is handled."""
        return await super().recall(raw_body, **{**options, "ephemeral": True})


class _Handover:
    """Brings what the watch's thread sees to the caller's loop, in order, and wakes it once for what comes together."""

    def __init__(self, caller: asyncio.AbstractEventLoop, sink: Sink) -> None:
        self._caller, self._sink = caller, sink
        self._waiting: collections.deque[tuple[str, str | None, ports.Body]] = collections.deque()
        self._called = False

    def saw(self, kind: str, change: str | None, body: ports.Body) -> None:
        """In the watch's thread."""
        self._waiting.append((kind, change, body))
        if not self._called:
            self._called = True
            self._caller.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        # First the flag: what is appended after the last look into the line calls again.
        self._called = False
        while self._waiting:
            self._sink.saw(*self._waiting.popleft())


class Watch:
    """Feeds a sink with what happens to both kinds of resources."""

    def __init__(self, *, sink: Sink, access: login.Login, namespaces: Sequence[str] = ()) -> None:
        self._sink, self._access, self._namespaces = sink, access, tuple(namespaces)
        self._started = threading.Event()
        self._stop = threading.Event()
        self._wake: Callable[[], object] = self._stop.set
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether kopf is running. That its streams are alive is kopf's own care, and checked by the LIST sweep."""
        return self._started.is_set()

    async def run(self) -> None:
        """Watch until `stop`, or until kopf gives up: then it raises `WatchFailed`, and may be run again."""
        ended: futures.Future[None] = futures.Future()
        ended.set_running_or_notify_cancel()  # so that cancelling the wait below leaves it to the thread
        caller = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, args=(caller, ended), name="watch", daemon=True)
        self._thread.start()
        try:
            await asyncio.wrap_future(ended)
        finally:
            self._wake()

    def stop(self) -> None:
        """Let kopf end; `run` returns when it has, within seconds. Final: a stopped watch does not run again."""
        self._stop.set()
        self._wake()

    async def join(self, seconds: float) -> None:
        """Wait until kopf has ended, at most some seconds; what is left then ends with the process."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, seconds)

    def _serve(self, caller: asyncio.AbstractEventLoop, ended: futures.Future[None]) -> None:
        try:
            asyncio.run(self._watch(caller))
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread is for the caller to know
            self._started.clear()
            failure = WatchFailed("kopf gave up")
            failure.__cause__ = error
            ended.set_exception(failure)
        else:
            self._started.clear()
            ended.set_result(None)

    async def _watch(self, caller: asyncio.AbstractEventLoop) -> None:
        stop_flag = asyncio.Event()
        self._wake = functools.partial(_call_soon, asyncio.get_running_loop(), stop_flag.set)
        if self._stop.is_set():  # set before there was a flag to raise
            return
        try:
            await kopf.operator(
                registry=registry(_Handover(caller, self._sink).saw, self._access),
                settings=settings(),
                memories=NoMemories(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                ready_flag=self._started,
                stop_flag=stop_flag,
                # For peering, which is off. Without it kopf asks for the user's name, which a user in a pod has not.
                identity="whatsapp-operator",  # type: ignore[arg-type]  # a string whose type is not public
            )
        finally:
            await asyncio.sleep(_GOODBYE_SECONDS)


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: what the call would end has ended
        loop.call_soon_threadsafe(call)
