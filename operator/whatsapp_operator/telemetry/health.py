"""Is the operator alive, and is it ready?

The event loop of the operator cannot tell that it is stuck, so the endpoints are served by another thread with a loop
of its own. The operator's loop leaves a heartbeat there: when that grows old, `/healthz` fails, and Kubernetes starts
the operator again. `/readyz` tells whether each part is in place, and names the first that is not.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent import futures

from aiohttp import web

from whatsapp_operator.telemetry import metrics

_BEAT_SECONDS = 1.0
_START_SECONDS = 10.0


class Health:
    """What the endpoints tell. Written by the operator's loop, read by the server's thread."""

    def __init__(self, *, monotonic: Callable[[], float], stuck_seconds: float = 30) -> None:
        self._monotonic, self._stuck_seconds = monotonic, stuck_seconds
        self._beat_at = monotonic()
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._faults: dict[str, str] = {}

    def beat(self) -> None:
        """The operator's loop is running."""
        self._beat_at = self._monotonic()

    def expect(self, name: str, why_not: str) -> None:
        """A part has to be in place before the operator is ready; it is not yet, and this is why."""
        self._faults[name] = why_not

    def satisfied(self, name: str) -> None:
        """The part is in place."""
        self._faults.pop(name, None)

    def check(self, name: str, ask: Callable[[], str | None]) -> None:
        """Call `ask` at each request: None, or why the part is not in place. It is called by another thread."""
        self._checks[name] = ask

    def why_stuck(self) -> str | None:
        """Why the operator should be started again, or None."""
        age = self._monotonic() - self._beat_at
        return f"event loop: no heartbeat for {age:.0f} s" if age > self._stuck_seconds else None

    def why_not_ready(self) -> str | None:
        """The first part that is not in place, and why, or None."""
        stuck = self.why_stuck()
        if stuck is not None:
            return stuck
        for name, why_not in list(self._faults.items()):
            return f"{name}: {why_not}"
        failing = ((name, ask()) for name, ask in list(self._checks.items()))
        return next((f"{name}: {why_not}" for name, why_not in failing if why_not is not None), None)


async def heartbeat(
    health: Health, told: metrics.Metrics, *, sleep: Callable[[float], Awaitable[None]], monotonic: Callable[[], float]
) -> None:
    """Beat each second, without end, and measure how late the loop is."""
    while True:
        health.beat()
        before = monotonic()
        await sleep(_BEAT_SECONDS)
        told.loop_lagged(max(0.0, monotonic() - before - _BEAT_SECONDS))


class TelemetryServer:
    """Serves `/metrics`, `/healthz` and `/readyz` from a thread of its own."""

    def __init__(self, *, health: Health, told: metrics.Metrics, port: int, host: str = "") -> None:
        self._health, self._metrics = health, told
        self._host, self._port = host or None, port
        self._end: Callable[[], object] = lambda: None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Bind, begin to serve, and return the port. Raises OSError when the port cannot be had."""
        bound: futures.Future[int] = futures.Future()
        self._thread = threading.Thread(target=self._serve, args=(bound,), name="telemetry", daemon=True)
        self._thread.start()
        return bound.result(_START_SECONDS)

    def stop(self) -> None:
        """Serve no longer."""
        self._end()
        if self._thread is not None:
            self._thread.join()

    def _serve(self, bound: futures.Future[int]) -> None:
        try:
            asyncio.run(self._run(bound))
        except OSError as error:
            if bound.done():
                raise
            bound.set_exception(error)

    async def _run(self, bound: futures.Future[int]) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._end = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(ended.set)
        runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
            bound.set_result(int(runner.addresses[0][1]))
            await ended.wait()
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/metrics", self._show_metrics)
        application.router.add_get("/healthz", self._show_health)
        application.router.add_get("/readyz", self._show_readiness)
        return application

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _show_health(self, _request: web.Request) -> web.Response:
        return _answer(self._health.why_stuck())

    async def _show_readiness(self, _request: web.Request) -> web.Response:
        return _answer(self._health.why_not_ready())


def _answer(why_not: str | None) -> web.Response:
    return web.Response(text="ok\n") if why_not is None else web.Response(status=503, text=f"{why_not}\n")
