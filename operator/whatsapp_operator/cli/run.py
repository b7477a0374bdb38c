"""Everything put together, and taken apart in order.

Telemetry comes first, so that what is missing can be seen; then the login, preflight, the engine, and the watch that
feeds it. On SIGTERM the watch ends, the engine takes up nothing new and ends what it has begun.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Coroutine, Sequence

import prometheus_client
import structlog

from whatsapp_operator.cli import assembly, loop, memory, telling
from whatsapp_operator.cli import options as cli_options
from whatsapp_operator.cluster import api, events, leases, login, preflight, runtime, transport, watch
from whatsapp_operator.plugins import loading
from whatsapp_operator.plugins import plugged as plugins
from whatsapp_operator.telemetry import audit, health, logs, metrics

_PREFLIGHT, _STORE, _WATCH = "preflight", "store", "watch"
_WATCH_AGAIN_SECONDS = 5.0
_WATCH_END_SECONDS = 5.0
_QUEUE_SECONDS = 5.0
_log = structlog.get_logger(__name__)


def run(options: cli_options.Options) -> int:
    """Run until SIGTERM or SIGINT; the exit code is 0 then, and 1 after a failure, which was logged."""
    memory.give_back_early()
    memory.collect_rarely()
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types; they are of no use here
    logs.configure(format=options.log_format, level=options.log_level)
    told, state = metrics.Metrics(), health.Health(monotonic=runtime.SystemClock().monotonic)
    state.expect(_PREFLIGHT, "not done yet")
    server = health.TelemetryServer(health=state, told=told, port=options.telemetry_port, host=options.telemetry_host)
    try:
        port = server.start()
    except OSError as error:
        _log.critical("telemetry cannot be served: choose another --telemetry-port", error=str(error))
        return 1
    _log.info("telemetry is served", port=port)
    try:
        with asyncio.Runner(loop_factory=loop.Loop) as runner:
            return runner.run(_operate(options, told=told, state=state))
    finally:
        server.stop()


async def _operate(options: cli_options.Options, *, told: metrics.Metrics, state: health.Health) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    operator = _Operator(options, told=told, state=state)
    try:
        await _first(operator.run(), stop.wait())
    except login.LoginError as error:
        _log.critical("the operator cannot log in", error=str(error))
        return 1
    except Exception:  # noqa: BLE001 - the last place at which it can be told
        _log.critical("the operator failed", exc_info=True)
        return 1
    finally:
        await operator.close()
    _log.info("the operator has stopped")
    return 0


async def _first(*works: Coroutine[object, object, object]) -> None:
    """Wait until one of them ends, raise its error if it has one, and cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


class _Operator:
    """The parts, from login to watch."""

    def __init__(self, options: cli_options.Options, *, told: metrics.Metrics, state: health.Health) -> None:
        self._options, self._told, self._state = options, told, state
        self._clock, self._random = runtime.SystemClock(), runtime.SystemRandom()
        self._tasks = runtime.OwnedTasks()
        self._calls: transport.Transport | None = None
        self._engine: assembly.Engine | None = None
        self._watch: watch.Watch | None = None
        self._lease_namespace = ""

    async def run(self) -> None:
        """Run without end. Raises what a part failed with."""
        self._tasks.spawn("heartbeat", self._beat())
        await _first(self._operate(), self._tasks.failure())

    async def _beat(self) -> None:
        await health.heartbeat(self._state, self._told, sleep=runtime.sleep, monotonic=self._clock.monotonic)

    async def _operate(self) -> None:
        loaded = loading.load()
        if loaded.problems:
            await self._refuse_plugins(loaded.problems)
        self._tell_plugins(loaded.plugged)
        source = login.find(self._options.kubeconfig)
        self._lease_namespace = self._options.lease_namespace or login.own_namespace(
            source, watched=self._options.namespace
        )
        _log.info(
            "Leases, budgets and the pause of everything are kept in one namespace", namespace=self._lease_namespace
        )
        access = login.Login(source, clock=self._clock)
        await access.open()
        self._calls = calls = transport.Transport(access.configuration, renew_login=access.renew, observer=self._told)
        await self._preflight(calls)
        self._engine = engine = assembly.build(await self._parts(access, calls, loaded.plugged))
        self._state.check(_STORE, lambda: None if engine.controller.sweep_is_recent() else "not listed lately")
        engine.controller.start()
        self._tasks.spawn("measure-queue", self._measure(engine))
        self._watch = watch.Watch(sink=engine.controller, access=access, namespaces=self._options.namespace)
        await self._keep_watching(self._watch, calls)

    async def _refuse_plugins(self, problems: Sequence[str]) -> None:
        """Wait without end: a rollout to an operator with a broken plugin stops here, and the one of before goes on."""
        for problem in problems:
            _log.error("a plugin cannot be used, so that nothing is begun", problem=problem)
        self._state.expect(_PREFLIGHT, " ".join(problems))
        await asyncio.Event().wait()

    @staticmethod
    def _tell_plugins(plugged: plugins.Plugged) -> None:
        for state in plugged.states:
            _log.info("a plugin adds a health state", plugin=str(state.origin), reason=str(state.verdict.reason))
        for one in plugged.strategies:
            step, least = str(one.offer.step), str(one.offer.least)
            _log.info("a plugin adds a recovery strategy", plugin=str(one.origin), step=step, step_class=least)

    async def _parts(self, access: login.Login, calls: transport.Transport, plugged: plugins.Plugged) -> assembly.Parts:
        recorder = events.Recorder(calls, clock=self._clock, random=self._random, instance=socket.gethostname())
        return assembly.Parts(
            options=self._options,
            api_server=await access.api_server_addresses(),
            kubernetes=api.KubernetesApi(calls, recorder=recorder, namespaces=self._options.namespace),
            leases=self._leases(calls),
            namespace=self._lease_namespace,
            identity=leases.new_identity(socket.gethostname(), bits=self._random.getrandbits(32)),
            telling=telling.Telling(self._told, audit.AuditTrail()),
            clock=self._clock,
            random=self._random,
            tasks=self._tasks,
            plugged=plugged,
        )

    def _leases(self, calls: transport.Transport) -> leases.LeaseApi:
        terms = self._options.terms
        return leases.LeaseApi(
            calls,
            namespace=self._lease_namespace,
            clock=self._clock,
            duration_seconds=terms.lease_duration,
            # A renewal that gets no answer leaves time for another one before the deadline.
            timeout_seconds=(terms.renew_deadline - terms.renew_period) / 2,
        )

    async def _preflight(self, calls: transport.Transport) -> None:
        await preflight.wait(
            calls,
            namespaces=self._options.namespace,
            lease_namespace=self._lease_namespace,
            sleep=runtime.sleep,
            report=self._report_missing,
        )

    def _report_missing(self, missing: Sequence[str]) -> None:
        if missing:
            self._state.expect(_PREFLIGHT, " ".join(missing))
        else:
            self._state.satisfied(_PREFLIGHT)

    async def _keep_watching(self, watching: watch.Watch, calls: transport.Transport) -> None:
        """A watch that ends is started again, once preflight says that it can see anything."""
        self._state.check(_WATCH, lambda: None if watching.alive else "not running; it is started again")
        while True:
            try:
                await watching.run()
            except watch.WatchFailed as error:
                _log.warning("the watch ended, and is started again", error=logs.describe(error))
            await runtime.sleep(_WATCH_AGAIN_SECONDS)
            await self._preflight(calls)

    async def _measure(self, engine: assembly.Engine) -> None:
        while True:
            self._told.queue_measured(depth=engine.queue.depth, oldest_seconds=engine.queue.oldest_age())
            await runtime.sleep(_QUEUE_SECONDS)

    async def close(self) -> None:
        """End the watch, drain the engine, cancel what is left, and close the connections."""
        if self._watch is not None:
            self._watch.stop()
        if self._engine is not None:
            await self._engine.controller.stop()
        await self._tasks.cancel_all()
        if self._watch is not None:
            await self._watch.join(_WATCH_END_SECONDS)
        if self._calls is not None:
            await self._calls.close()
