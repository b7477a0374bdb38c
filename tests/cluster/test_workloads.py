"""Deployments and StatefulSets as a restart needs to know them."""

from __future__ import annotations

from typing import Any

import pytest

from whatsapp_operator.cluster import workloads
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import names

KEY = ports.Key("messaging", "evolution-api")
DONE = {
    "observedGeneration": 3,
    "replicas": 1,
    "updatedReplicas": 1,
    "readyReplicas": 1,
    "availableReplicas": 1,
    "currentRevision": "a",
    "updateRevision": "a",
}
Body = dict[str, Any]
KINDS = ("Deployment", "StatefulSet")


def body(
    *, status: dict[str, Any] | None = None, template: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"resourceVersion": "7", "generation": 3},
        "spec": {"replicas": 1, "template": template or {}} | spec,
        "status": DONE if status is None else status,
    }


@pytest.mark.parametrize(
    ("kind", "spec", "one_at_a_time"),
    [
        ("Deployment", {"strategy": {"type": "Recreate"}}, True),
        ("Deployment", {"strategy": {"type": "RollingUpdate"}}, False),
        ("Deployment", {"strategy": {}}, False),
        ("Deployment", {}, False),
        ("StatefulSet", {"updateStrategy": {"type": "RollingUpdate"}}, True),
        ("StatefulSet", {}, True),
        ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, False),
    ],
)
def test_old_pod_is_gone_before_the_new_one_starts(kind: str, spec: dict[str, Any], one_at_a_time: bool) -> None:
    assert workloads.read(kind, body(**spec)).one_at_a_time is one_at_a_time


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_written_is_what_kubernetes_takes_it_for(kind: str) -> None:
    found = workloads.read(kind, {})

    assert (found.replicas, found.paused, found.restarted_at, found.environment) == (1, False, None, {})
    assert not found.rolled_out


def test_paused_replicas_and_version_are_read() -> None:
    found = workloads.read("Deployment", body(paused=True, replicas=3))

    assert (found.paused, found.replicas, found.resource_version) == (True, 3, "7")


@pytest.mark.parametrize("kind", KINDS)
def test_workload_whose_pods_are_all_new_and_available_is_rolled_out(kind: str) -> None:
    assert workloads.read(kind, body()).rolled_out


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((kind, {"observedGeneration": 2}) for kind in KINDS),
        *((kind, {"availableReplicas": 0}) for kind in KINDS),
        *((kind, {"readyReplicas": 0}) for kind in KINDS),
        ("Deployment", {"updatedReplicas": 0}),
        ("Deployment", {"replicas": 2}),
        ("StatefulSet", {"updateRevision": "b"}),
    ],
)
def test_workload_is_not_rolled_out_while(kind: str, status: dict[str, Any]) -> None:
    assert not workloads.read(kind, body(status=DONE | status)).rolled_out


@pytest.mark.parametrize("missing", ["observedGeneration", "availableReplicas", "readyReplicas"])
@pytest.mark.parametrize("kind", KINDS)
def test_status_that_does_not_say_it_is_not_rolled_out(kind: str, missing: str) -> None:
    status = {name: value for name, value in DONE.items() if name != missing}

    assert not workloads.read(kind, body(status=status)).rolled_out


def test_only_plain_values_of_the_containers_are_seen() -> None:
    containers = [
        {"name": "api", "env": [{"name": "DEL_INSTANCE", "value": "5"}, {"name": "KEY", "valueFrom": {}}]},
        {"name": "sidecar"},
    ]

    found = workloads.read("Deployment", body(template={"spec": {"containers": containers}}))

    assert found.environment == {"DEL_INSTANCE": "5"}
    assert "DEL_INSTANCE" not in repr(found)


def test_restart_is_the_annotation_of_kubectl_at_the_version_that_was_read() -> None:
    patch = workloads.restart(at="2026-11-23T10:00:00Z", resource_version="7")

    assert patch == {
        "metadata": {"resourceVersion": "7"},
        "spec": {
            "template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-23T10:00:00Z"}}}
        },
    }


def test_annotation_that_restarted_it_is_read_back() -> None:
    template = {"metadata": {"annotations": {names.RESTARTED_AT: "2026-11-23T10:00:00Z"}}}

    assert workloads.read("Deployment", body(template=template)).restarted_at == "2026-11-23T10:00:00Z"


@pytest.mark.parametrize(("kind", "plural"), [("Deployment", "deployments"), ("StatefulSet", "statefulsets")])
def test_path_of_a_workload(kind: str, plural: str) -> None:
    assert workloads.path(kind, KEY) == f"/apis/apps/v1/namespaces/messaging/{plural}/evolution-api"


def test_other_kinds_are_no_workloads() -> None:
    with pytest.raises(ValueError, match="DaemonSet"):
        workloads.path("DaemonSet", KEY)
