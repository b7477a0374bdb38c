"""What the API server makes of the examples and of the manifests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import kube

TREE = Path(__file__).resolve().parents[2]
EXAMPLES = TREE / "examples"
FOREIGN_GROUPS = ("argoproj.io", "fluxcd.io", "kustomize.config.k8s.io", "monitoring.coreos.com")
BUILT = ("manifests", "manifests/namespaced", "crds", "examples/evolution-api", "examples/gitops/apps")
ADMISSION = "pod-security.kubernetes.io/warn"

Object = dict[str, Any]


@pytest.fixture(scope="module")
def visitor(cluster: kube.Cluster) -> kube.Kubectl:
    """kubectl for what leaves nothing behind: only tried out."""
    return cluster.kubectl.within("default")


def written(path: Path) -> Iterator[Object]:
    yield from (one for one in yaml.safe_load_all(path.read_text()) if one)


def is_ours(one: Object) -> bool:
    return not any(group in one.get("apiVersion", "") for group in FOREIGN_GROUPS) and "kind" in one


def anywhere(one: Object) -> Object:
    """The object without its namespace, so that it can be tried in that of a test."""
    return one | {"metadata": {name: value for name, value in one["metadata"].items() if name != "namespace"}}


def try_out(kubectl: kube.Kubectl, objects: list[Object]) -> str:
    """Applies objects without effect; returns the API server's warnings."""
    flags = ("--server-side", "--dry-run=server", "--force-conflicts")
    tried = kubectl.run("apply", "-f", "-", *flags, stdin=yaml.safe_dump_all([anywhere(one) for one in objects]))
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.count("serverside-applied") == len(objects)
    return tried.stderr


FILES = sorted(
    path
    for path in EXAMPLES.rglob("*.yaml")
    if any(is_ours(one) for one in written(path)) and path.name != "docker-compose.yaml"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TREE)))
def test_example_is_accepted(visitor: kube.Kubectl, path: Path) -> None:
    assert try_out(visitor, [one for one in written(path) if is_ours(one)]) == ""


@pytest.mark.parametrize("folder", BUILT)
def test_what_kustomize_builds_is_accepted(visitor: kube.Kubectl, folder: str) -> None:
    built = list(yaml.safe_load_all(visitor("kustomize", str(TREE / folder))))

    assert built
    assert try_out(visitor, built) == ""


@pytest.mark.parametrize(("folder", "level"), [("manifests", "restricted"), ("examples/evolution-api", "baseline")])
def test_pods_keep_to_pod_security(cluster: kube.Cluster, kubectl: kube.Kubectl, folder: str, level: str) -> None:
    cluster.kubectl("label", "namespace", str(kubectl.namespace), f"{ADMISSION}={level}")
    built = yaml.safe_load_all(kubectl("kustomize", str(TREE / folder)))
    workloads = [one for one in built if one["kind"] in {"Deployment", "StatefulSet"}]

    assert workloads
    assert try_out(kubectl, workloads) == ""


def test_pod_security_is_watched_by_the_test_above(cluster: kube.Cluster, kubectl: kube.Kubectl) -> None:
    cluster.kubectl("label", "namespace", str(kubectl.namespace), f"{ADMISSION}=restricted")
    built = yaml.safe_load_all(kubectl("kustomize", str(EXAMPLES / "evolution-api")))

    assert "would violate PodSecurity" in try_out(kubectl, [one for one in built if one["kind"] == "Deployment"])


def test_installation_follows_the_namespace_of_its_kustomization(visitor: kube.Kubectl) -> None:
    for folder, namespace in (("manifests", "whatsapp-operator"), ("manifests/namespaced", "messaging")):
        built = list(yaml.safe_load_all(visitor("kustomize", str(TREE / folder))))
        bindings = [one for one in built if one["kind"] in {"ClusterRoleBinding", "RoleBinding"}]

        assert [subject["namespace"] for one in bindings for subject in one["subjects"]] == [namespace] * 2


def test_installation_for_one_namespace_asks_for_nothing_outside_it(visitor: kube.Kubectl) -> None:
    built = list(yaml.safe_load_all(visitor("kustomize", str(TREE / "manifests/namespaced"))))
    (deployment,) = [one for one in built if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert all(one["metadata"].get("namespace") for one in built)
    assert "--namespace=$(POD_NAMESPACE)" in container["args"]


def test_right_to_restart_servers_is_apart_and_no_wider_than_that(visitor: kube.Kubectl) -> None:
    role, binding = written(TREE / "manifests" / "server-restart.yaml")
    installed = yaml.safe_load_all(visitor("kustomize", str(TREE / "manifests")))
    granted = [rule for one in installed for rule in one.get("rules", ())]

    assert try_out(visitor, [role, binding]) == ""
    assert (role["kind"], binding["kind"]) == ("Role", "RoleBinding")
    (rule,) = role["rules"]
    assert (set(rule["resources"]), set(rule["verbs"])) == ({"deployments", "statefulsets"}, {"get", "patch"})
    assert [(one["name"], one["namespace"]) for one in binding["subjects"]] == [("whatsapp-operator",) * 2]
    assert granted
    assert all("apps" not in rule.get("apiGroups", ()) for rule in granted)
