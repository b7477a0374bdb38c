"""What about a server will lose pairings one day, as far as it can be seen: its key, and the workload it runs as.

The rules come from what the variables do on Evolution API 2.3.x (env.config.ts, monitor.service.ts).
"""

from __future__ import annotations

from collections.abc import Iterator

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.server import Server
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.server import ServerWarning

PUBLIC_KEY = "BQYHJGJHJ"  # Evolution API's default, in its documentation and source (env.config.ts)
_OFF = frozenset({"", "false", "0", "1"})
"""`1` and `0` are read as booleans, and a boolean switches DEL_INSTANCE off (env.config.ts)."""

SENTENCES = {
    Reason.WORKLOAD_NOT_FOUND: "There is no workload as spec.workloadRef names it in this namespace, so the server "
    "will not be restarted when only that would help. Correct spec.workloadRef.",
    Reason.WORKLOAD_FORBIDDEN: "The operator may not read and restart the workload of spec.workloadRef: in this "
    "namespace bind the Role of manifests/server-restart.yaml to the operator's own service account, whose name and "
    "namespace stand under subjects there (in the Helm chart: serverRestart.namespaces).",
    Reason.DEFAULT_API_KEY: "The server's key is the public default of Evolution API: whoever reaches the server can "
    "read and delete everything. Set AUTHENTICATION_API_KEY, and put it into the Secret of spec.apiKeySecretRef.",
    Reason.SAME_URL: "Another EvolutionServer has the same spec.url: steps in flight, budget, storms and rate limit "
    "are counted for each, so that the server gets twice as much of them. Keep one (kubectl get evs -A), and let its "
    "spec.allowedNamespaces admit the instances of the other.",
    Reason.SEVERAL_REPLICAS: "The workload has more than one replica: two servers on one database throw each other's "
    "sessions out. Set replicas to 1.",
    Reason.ROLLING_UPDATE: "The workload starts its new pod before the old one is gone, and both throw each other's "
    "sessions out meanwhile. Set strategy.type to Recreate.",
    Reason.INSTANCES_EXPIRE: "DEL_INSTANCE is set: the server deletes instances that are not open after some minutes, "
    "also ones that were created anew. Set it to false.",
    Reason.INSTANCES_IN_REDIS: "CACHE_REDIS_SAVE_INSTANCES is true: the server then denies instances that exist, and a "
    "create deletes them. Set it to false.",
    Reason.INSTANCES_NOT_SAVED: "DATABASE_SAVE_DATA_INSTANCE is not true: after a restart the server loads no "
    "instance. Set it to true.",
    Reason.SESSION_MISSING: "Instances of the server work, but their stored sessions are gone: /metrics says open, the "
    "database close. The next restart of the server costs each its pairing, so the operator restarts it for none. "
    "With someone at hand who has the phone, log them out and pair them anew; also those without a WhatsAppInstance.",
}


def warnings(one: Server) -> tuple[ServerWarning, ...]:
    """The warnings that hold now."""
    return tuple(ServerWarning(reason=reason, message=SENTENCES[reason]) for reason in _reasons(one))


def _reasons(one: Server) -> Iterator[Reason]:
    if one.endpoint is not None and one.endpoint.api_key == PUBLIC_KEY:
        yield Reason.DEFAULT_API_KEY
    if one.has_twin:
        yield Reason.SAME_URL
    if one.workload_problem in (Reason.WORKLOAD_NOT_FOUND, Reason.WORKLOAD_FORBIDDEN):
        yield one.workload_problem
    if one.workload is not None:
        yield from _of_workload(one.workload)
    if one.observed.sessionless.lasting:
        yield Reason.SESSION_MISSING


def _of_workload(workload: ports.Workload) -> Iterator[Reason]:
    variables = workload.environment
    if workload.replicas > 1:
        yield Reason.SEVERAL_REPLICAS
    if not workload.one_at_a_time:
        yield Reason.ROLLING_UPDATE
    if variables.get("DEL_INSTANCE", "").strip().lower() not in _OFF:
        yield Reason.INSTANCES_EXPIRE
    if variables.get("CACHE_REDIS_SAVE_INSTANCES", "").strip().lower() == "true":
        yield Reason.INSTANCES_IN_REDIS
    if variables.get("DATABASE_SAVE_DATA_INSTANCE", "true").strip().lower() != "true":
        yield Reason.INSTANCES_NOT_SAVED
