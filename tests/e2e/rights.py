"""The operator's account and rights in a test: those of `manifests/`, or with `--rbac=helm` those of the chart.

The rest of an installation is left out: the operator of a test is a process beside the cluster.
"""

import enum
import os
import subprocess
from collections.abc import Sequence
from typing import Any

import yaml

import clusters
from e2e import charts
from native import places

VARIABLE = "E2E_RBAC"
MANIFESTS = places.TREE / "manifests"
NAMES = ("whatsapp-operator", "whatsapp-operator-own")
NO_OTHERS: dict[str, Any] = {
    "crds": {"install": False},
    "approval": {"create": False},
    "rbac": {"userRoles": False},
}

Object = dict[str, Any]


class Source(enum.Enum):
    """Where the rights come from."""

    MANIFESTS = "manifests"
    HELM = "helm"


def chosen() -> Source:
    """What `--rbac` named; it reaches the workers through the environment."""
    return Source(os.environ.get(VARIABLE, Source.MANIFESTS.value))


def for_namespace(namespace: str) -> list[Object]:
    """Account, Roles and bindings of an operator that works in its own namespace only."""
    if chosen() is Source.HELM:
        return _granting(charts.Helm().render(NO_OTHERS | {"namespaces": [namespace]}, namespace=namespace))
    return _placed(_granting(_built("namespaced")), namespace)


def for_all(namespace: str) -> list[Object]:
    """Account, ClusterRole, Role and bindings of an operator that works everywhere.

    Those that belong to no namespace are named after the operator's own, since tests share the cluster.
    """
    if chosen() is Source.HELM:
        found = _granting(charts.Helm().render(NO_OTHERS, namespace=namespace))
    else:
        found = _placed(_granting(_built("")), namespace)
    name = f"whatsapp-operator-{namespace}"
    for one in found:
        if one["kind"] == "ClusterRole":
            one["metadata"]["name"] = name
        elif one["kind"] == "ClusterRoleBinding":
            one["metadata"]["name"] = one["roleRef"]["name"] = name
    return found


def for_server_restart(namespace: str) -> list[Object]:
    """Role and binding of an operator that may restart the servers of its own namespace."""
    if chosen() is Source.HELM:
        found = charts.Helm().render({"serverRestart": {"namespaces": [namespace]}}, namespace=namespace)
        return [one for one in found if one["metadata"]["name"] == "whatsapp-operator-server-restart"]
    return _placed(list(yaml.safe_load_all((MANIFESTS / "server-restart.yaml").read_text())), namespace)


def _built(folder: str) -> list[Object]:
    command = [str(clusters.KUBECTL), "kustomize", str(MANIFESTS / folder)]
    return list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _granting(objects: Sequence[Object]) -> list[Object]:
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    return [one for one in objects if one["kind"] in kinds and one["metadata"]["name"] in NAMES]


def _placed(objects: list[Object], namespace: str) -> list[Object]:
    for one in objects:
        if not one["kind"].startswith("Cluster"):
            one["metadata"]["namespace"] = namespace
        for subject in one.get("subjects", ()):
            subject["namespace"] = namespace
    return objects
