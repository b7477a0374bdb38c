"""Deployments and StatefulSets: whether one may be restarted, whether it was, and what its pods are told.

The restart is the one of `kubectl rollout restart`: an annotation of the pod template, which its controller carries
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names
from whatsapp_operator.resources.references import WorkloadKind

PLURALS = {WorkloadKind.DEPLOYMENT: "deployments", WorkloadKind.STATEFUL_SET: "statefulsets"}

_Object = Mapping[str, object]


def path(kind: str, key: ports.Key) -> str:
    """The path of a workload."""
    return transport.path("apis", "apps", "v1", "namespaces", key.namespace, plural(kind), key.name)


def plural(kind: str) -> str:
    """The resource's name in paths and RBAC."""
    return PLURALS[WorkloadKind(kind)]


def restart(*, at: str, resource_version: str) -> _Object:
    """The merge patch that restarts it; it is refused when the workload is no longer at `resource_version`."""
    template = {"metadata": {"annotations": {names.RESTARTED_AT: at}}}
    return {"metadata": {"resourceVersion": resource_version}, "spec": {"template": template}}


def read(kind: str, body: _Object) -> ports.Workload:
    """What a restart needs to know of it."""
    metadata, spec, status = (_object(body.get(name)) for name in ("metadata", "spec", "status"))
    template = _object(spec.get("template"))
    annotations = _object(_object(template.get("metadata")).get("annotations"))
    restarted_at = annotations.get(names.RESTARTED_AT)
    return ports.Workload(
        resource_version=str(metadata.get("resourceVersion", "")),
        replicas=_number(spec, "replicas", default=1),
        one_at_a_time=_one_at_a_time(WorkloadKind(kind), spec),
        paused=spec.get("paused") is True,
        restarted_at=str(restarted_at) if restarted_at is not None else None,
        rolled_out=_rolled_out(WorkloadKind(kind), metadata, spec, status),
        environment=dict(_environment(_object(template.get("spec")))),
    )


def _one_at_a_time(kind: WorkloadKind, spec: _Object) -> bool:
    """A StatefulSet never runs two pods of one ordinal; with `OnDelete` or a partition it would not restart at all."""
    if kind is WorkloadKind.DEPLOYMENT:
        return _object(spec.get("strategy")).get("type") == "Recreate"
    strategy = _object(spec.get("updateStrategy"))
    partition = _number(_object(strategy.get("rollingUpdate")), "partition")
    return strategy.get("type") != "OnDelete" and partition == 0


def _rolled_out(kind: WorkloadKind, metadata: _Object, spec: _Object, status: _Object) -> bool:
    """As `kubectl rollout status` has it."""
    if _number(status, "observedGeneration") < _number(metadata, "generation"):
        return False
    wanted = _number(spec, "replicas", default=1)
    if kind is WorkloadKind.STATEFUL_SET and status.get("updateRevision") != status.get("currentRevision"):
        return False
    counts: tuple[str, ...] = ("readyReplicas", "availableReplicas")
    if kind is WorkloadKind.DEPLOYMENT:
        counts = (*counts, "updatedReplicas", "replicas")
    return all(_number(status, name) == wanted for name in counts)


def _environment(pod: _Object) -> Iterable[tuple[str, str]]:
    for container in cast("Sequence[_Object]", pod.get("containers") or ()):
        for variable in cast("Sequence[_Object]", container.get("env") or ()):
            if isinstance(variable.get("value"), str):
                yield str(variable.get("name")), str(variable["value"])


def _number(values: _Object, name: str, *, default: int = 0) -> int:
    found = values.get(name)
    return found if isinstance(found, int) else default


def _object(value: object) -> _Object:
    return value if isinstance(value, Mapping) else {}
