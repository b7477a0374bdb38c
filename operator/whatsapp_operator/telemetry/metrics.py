"""What Prometheus scrapes.

Each method is named after a fact, and is called where the fact happens. Nothing is labelled by instance: with ten
thousand of them each scrape would be megabytes, and `kubectl get wai` tells it better. A server is `namespace/name`.
"""

from __future__ import annotations

from collections.abc import Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

PREFIX = "whatsapp_operator_"
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

_CALL_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAG_BUCKETS = (0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5)


class Metrics:
    """The operator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._build_recovery()
        self._build_calls()
        self._build_engine()
        self._build_leadership()

    def _build_recovery(self) -> None:
        self._instances = self._gauge("instances", "WhatsAppInstances by health state.", "server", "state")
        self._not_healthy = self._gauge(
            "instances_not_healthy",
            "WhatsAppInstances that are not Healthy, by the reason in their status.",
            "server",
            "reason",
        )
        self._recoveries = self._counter(
            "recoveries_total", "Recovery steps by the verdict of a later observation.", "step", "class", "result"
        )
        self._cleanups = self._counter("cleanups_total", "Deletions of instances from their servers.", "result")
        self._refusals = self._counter(
            "recoveries_refused_total", "Recovery steps that were called for and held back.", "step", "reason"
        )
        self._storms = self._gauge("storm", "1 while so many are bad at once that nothing is lost for it.", "server")
        self._waiting = self._gauge(
            "waiting_for_server_restart", "Instances that only a restart of their server heals.", "server"
        )
        self._budget_used = self._gauge(
            "budget_used", "Steps of a class in the window of the budget that has least left.", "server", "class"
        )
        self._budget_max = self._gauge("budget_max", "Steps of a class that this window allows.", "server", "class")
        self._orphaned = self._counter(
            "orphaned_total", "Resources released without proof that the server had deleted their instance."
        )

    def _build_calls(self) -> None:
        self._checks = self._histogram("check_seconds", "Duration of one bulk read of a server.", "witness")
        self._evolution_calls = self._counter(
            "evolution_calls_total", "Calls to Evolution API servers.", "method", "route", "outcome"
        )
        self._evolution_seconds = self._histogram(
            "evolution_call_seconds", "Duration of calls to Evolution API servers.", "method", "route"
        )
        self._open_circuits: set[str] = set()
        self._circuits = self._gauge(
            "circuit_open", "1 while a server does not answer and is not called for single instances, else 0.", "server"
        )
        self._circuit_openings = self._counter(
            "circuit_openings_total", "How often a server's circuit breaker has opened.", "server"
        )
        self._kubernetes_calls = self._counter(
            "kubernetes_calls_total",
            "Calls to the Kubernetes API, without the watch; code is the HTTP status or the kind of failure.",
            "verb",
            "resource",
            "code",
        )
        self._status_writes = self._counter("status_writes_total", "Writes of a status.", "kind", "result")

    def _build_engine(self) -> None:
        self._queue_depth = self._gauge("queue_depth", "Resources that wait to be looked at.")
        self._queue_oldest = self._gauge("queue_oldest_seconds", "How long the longest waiting resource has waited.")
        self._reconciliations = self._histogram("reconcile_seconds", "Duration of one look at a resource.", "kind")
        self._sweeps = self._counter("sweeps_total", "Listings that repair what the watch has missed.")
        self._sweep_drift = self._counter(
            "sweep_drift_total", "Resources that a listing found and the watch had missed."
        )
        self._loop_lag = self._histogram("loop_lag_seconds", "How late the event loop ran.", buckets=_LAG_BUCKETS)
        self._problems = self._counter("problems_total", "Failures that no resource is to blame for.")
        self._plugin_failures = self._counter(
            "plugin_failures_total",
            "Failures of rules and strategies of plugins, by their reason or step.",
            "part",
            "word",
        )

    def _build_leadership(self) -> None:
        self._claims = self._gauge("claims", "EvolutionServers that this replica works on.")
        self._live = self._gauge("member_live", "1 while this replica's Lease is renewed in time, else 0.")
        self._claims_lost = self._counter(
            "claims_lost_total", "Servers that this replica lost without having handed them over.", "why"
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = _CALL_BUCKETS) -> Histogram:
        return Histogram(f"{PREFIX}{name}", text, labels, registry=self.registry, buckets=buckets)

    def render(self) -> bytes:
        """The metrics in Prometheus' text format, of content type `CONTENT_TYPE`."""
        return prometheus_client.generate_latest(self.registry)

    def instances_counted(self, server: str, *, states: Mapping[str, int], reasons: Mapping[str, int]) -> None:
        """How many of a server's instances are in which health state, and why; both empty when the server is gone."""
        for gauge, counts in ((self._instances, states), (self._not_healthy, reasons)):
            gauge.remove_by_labels({"server": server})
            for word, count in counts.items():
                gauge.labels(server, word).set(count)

    def guarded(self, server: str, *, storm: bool, waiting: int, budget: Mapping[str, tuple[int, int]]) -> None:
        """What holds steps back on a server: `budget` is used and allowed steps by class."""
        self._storms.labels(server).set(storm)
        self._waiting.labels(server).set(waiting)
        for step_class, (used, most) in budget.items():
            self._budget_used.labels(server, step_class).set(used)
            self._budget_max.labels(server, step_class).set(most)

    def unguarded(self, server: str) -> None:
        """A server is gone."""
        for gauge in (self._storms, self._waiting, self._budget_used, self._budget_max):
            gauge.remove_by_labels({"server": server})

    def check_took(self, witness: str, seconds: float) -> None:
        """A bulk read of `memory` or `database` ended."""
        self._checks.labels(witness).observe(seconds)

    def step_ended(self, *, step: str, step_class: str, result: str) -> None:
        """The verdict on a recovery step is known."""
        self._recoveries.labels(step, step_class, result).inc()

    def step_refused(self, *, step: str, reason: str) -> None:
        """A step was called for, and a gate held it back."""
        self._refusals.labels(step, reason).inc()

    def cleanup_ended(self, *, result: str) -> None:
        """The deletion of an instance from its server has ended."""
        self._cleanups.labels(result).inc()

    def orphaned(self) -> None:
        """A resource was released unverified: its instance may still exist on its server."""
        self._orphaned.inc()

    def evolution_call(self, *, method: str, route: str, outcome: str, seconds: float) -> None:
        """A call to an Evolution API server ended; `route` is its template, without a name in it."""
        self._evolution_calls.labels(method, route, outcome).inc()
        self._evolution_seconds.labels(method, route).observe(seconds)

    def circuit_seen(self, server: str, *, is_open: bool) -> None:
        """Whether a server's circuit breaker is open, and that it opened where it was not before."""
        if is_open and server not in self._open_circuits:
            self._circuit_openings.labels(server).inc()
        (self._open_circuits.add if is_open else self._open_circuits.discard)(server)
        self._circuits.labels(server).set(is_open)

    def circuit_gone(self, server: str) -> None:
        """The server is gone, and its circuit breaker with it."""
        self._open_circuits.discard(server)
        self._circuits.remove_by_labels({"server": server})
        self._circuit_openings.remove_by_labels({"server": server})

    def kubernetes_call(self, *, verb: str, resource: str, code: str) -> None:
        """A call to the Kubernetes API ended."""
        self._kubernetes_calls.labels(verb, resource, code).inc()

    def status_written(self, *, kind: str, result: str) -> None:
        """A status was written, or could not be."""
        self._status_writes.labels(kind, result).inc()

    def queue_measured(self, *, depth: int, oldest_seconds: float) -> None:
        """The work queue's length, and the age of what waits longest in it."""
        self._queue_depth.set(depth)
        self._queue_oldest.set(oldest_seconds)

    def reconciled(self, *, kind: str, seconds: float) -> None:
        """A worker has looked at a resource."""
        self._reconciliations.labels(kind).observe(seconds)

    def swept(self, *, drift: int) -> None:
        """A listing was compared with what the watch had told; `drift` resources differed."""
        self._sweeps.inc()
        self._sweep_drift.inc(drift)

    def loop_lagged(self, seconds: float) -> None:
        """The heartbeat ran this late."""
        self._loop_lag.observe(seconds)

    def claims_counted(self, held: int, *, live: bool) -> None:
        """How many servers this replica works on, and whether its Lease was renewed in time."""
        self._claims.set(held)
        self._live.set(int(live))

    def claim_lost(self, *, why: str) -> None:
        """A server was lost: the replica lapsed, or another has taken or somebody deleted its claim."""
        self._claims_lost.labels(why).inc()

    def plugin_failed(self, *, part: str, word: str) -> None:
        """A `rule` or `strategy` of a plugin failed; `word` is its reason or step."""
        self._plugin_failures.labels(part, word).inc()

    def problem_met(self) -> None:
        """Something went wrong that is not a resource's fault."""
        self._problems.inc()
