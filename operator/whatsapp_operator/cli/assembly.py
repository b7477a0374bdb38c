"""The engine, built from its real parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whatsapp_operator.cli import options as cli_options
from whatsapp_operator.cli import telling
from whatsapp_operator.cluster import api, leases, runtime
from whatsapp_operator.engine import context, controller, leadership, ports
from whatsapp_operator.engine import queue as queues
from whatsapp_operator.evolution import client, urls
from whatsapp_operator.plugins import plugged as plugins


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the engine is built from."""

    options: cli_options.Options
    api_server: frozenset[urls.Address]
    """Where no tenant may have the operator send a key."""
    kubernetes: api.KubernetesApi
    leases: leases.LeaseApi
    namespace: str
    """The operator's own, where its Leases are."""
    identity: str
    """The name of this replica, and of its member Lease: no other process has ever had it."""
    telling: telling.Telling
    clock: runtime.SystemClock
    random: runtime.SystemRandom
    tasks: runtime.OwnedTasks
    plugged: plugins.Plugged
    """What the installed plugins add."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The controller, and the queue that is measured."""

    controller: controller.Controller
    queue: queues.WorkQueue[context.Item]


def build(parts: Parts) -> Engine:
    """The engine, not started."""
    timers = runtime.LoopTimers()
    queue: queues.WorkQueue[context.Item] = queues.WorkQueue(clock=parts.clock, timers=timers, random=parts.random)
    claims = _leadership(parts)
    surroundings = context.Context(
        clock=parts.clock,
        sleep=runtime.sleep,
        timers=timers,
        random=parts.random,
        tasks=parts.tasks,
        kubernetes=parts.kubernetes,
        make_client=_factory(parts),
        claims=claims,
        telemetry=parts.telling,
        spans=parts.options.spans,
        limits=limits(parts.options),
        queue=queue,
        plugged=parts.plugged,
    )
    return Engine(controller.Controller(surroundings, claims, namespace=parts.namespace), queue)


def _leadership(parts: Parts) -> leadership.Leadership:
    return leadership.Leadership(
        identity=parts.identity,
        scope=",".join(sorted(parts.options.namespace)),
        terms=parts.options.terms,
        clock=parts.clock,
        sleep=runtime.sleep,
        leases=parts.leases,
        telemetry=parts.telling,
    )


def limits(options: cli_options.Options) -> context.Limits:
    """How the engine paces itself, as the options say."""
    return context.Limits(
        status_period=options.status_period_seconds,
        key_refresh=options.key_refresh_seconds,
        sweep_period=options.sweep_period_seconds,
        workers=options.workers,
        shutdown=options.shutdown_seconds,
        approval=options.approval_seconds,
        server_restart=options.server_restart_seconds,
        pause_period=options.pause_period_seconds,
    )


def _factory(parts: Parts) -> ports.EvolutionFactory:
    rules = urls.Rules(allowed=parts.options.allow_server_address, api_server=parts.api_server)

    def make(endpoint: ports.Endpoint, /, *, may_change: Callable[[], bool]) -> client.Client:
        return client.Client(
            url=endpoint.url,
            api_key=endpoint.api_key,
            ca_bundle=endpoint.ca_bundle,
            metrics_auth=endpoint.metrics_auth,
            per_second=endpoint.per_second,
            max_in_flight=endpoint.max_in_flight,
            timeout_seconds=endpoint.timeout_seconds,
            check_period_seconds=endpoint.check_period_seconds,
            rules=rules,
            monotonic=parts.clock.monotonic,
            sleep=runtime.sleep,
            random=parts.random.random,
            observe=parts.telling.evolution_call,
            may_change=may_change,
        )

    return make
