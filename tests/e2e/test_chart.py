"""What helm makes of the chart: the objects of `manifests/`, narrowed and switched by the values.

Only helm is needed here; what the API server makes of the result is tried out without effect.
"""

import itertools
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

import clusters
from e2e import charts, kube, rights
from native import binaries, places

pytestmark = pytest.mark.timeout(1800)  # helm is built first where it is not there

Object = dict[str, Any]

OF_THE_CHART = ("app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by")
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
ADMISSION = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
NARROW = rights.NO_OTHERS | {"namespaces": ["messaging"]}


@pytest.fixture(scope="module")
def helm() -> charts.Helm:
    """helm, without a cluster."""
    binaries.HELM.ensure()
    return charts.Helm()


def built(folder: str) -> list[Object]:
    """What kustomize builds, without the Namespace: helm has its own way to create one.

    kustomize puts admission policies into a namespace, since it does not know that they have none.
    """
    command = [str(clusters.KUBECTL), "kustomize", str(places.TREE / folder)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = [one for one in yaml.safe_load_all(text) if one["kind"] != "Namespace"]
    for one in found:
        if one["kind"] in ADMISSION:
            del one["metadata"]["namespace"]
    return found


def comparable(objects: Iterable[Object]) -> dict[tuple[str, str], Object]:
    """Objects by kind and name, without what only helm adds: its labels, and what keeps the definitions."""
    return {(one["kind"], one["metadata"]["name"]): _without_helm(one) for one in objects}


def _without_helm(one: Any) -> Any:
    if isinstance(one, list):
        return [_without_helm(item) for item in one]
    if not isinstance(one, dict):
        return one
    kept = {name: _without_helm(item) for name, item in one.items() if not _is_of_helm(name)}
    return {name: item for name, item in kept.items() if name not in ("labels", "annotations") or item}


def _is_of_helm(name: str) -> bool:
    return name in OF_THE_CHART or name.startswith("helm.sh/")


def unnamed(objects: Iterable[Object]) -> list[Object]:
    """The definitions of `crds/` have no label that names the operator."""
    found = list(objects)
    for one in found:
        if one["kind"] == "CustomResourceDefinition":
            one["metadata"].pop("labels", None)
    return found


def container(objects: Iterable[Object]) -> Object:
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def kinds(objects: Iterable[Object]) -> set[str]:
    return {one["kind"] for one in objects}


def test_chart_gives_the_objects_of_the_manifests(helm: charts.Helm) -> None:
    rendered, shipped = comparable(unnamed(helm.render())), comparable(unnamed(built("manifests")))

    assert rendered.keys() == shipped.keys()
    for which, one in shipped.items():
        assert rendered[which] == one


def test_chart_for_one_namespace_gives_the_objects_of_the_manifests_for_one(helm: charts.Helm) -> None:
    rendered = comparable(helm.render(NARROW, namespace="messaging"))
    shipped = comparable(_with_namespace_spelled_out(built("manifests/namespaced"), "messaging"))

    assert rendered == shipped


def _with_namespace_spelled_out(objects: list[Object], namespace: str) -> list[Object]:
    """The manifests let the kubelet fill in the namespace, which the chart knows."""
    found = container(objects)
    found["args"][:] = [one.replace("$(POD_NAMESPACE)", namespace) for one in found["args"]]
    found["env"][:] = [one for one in found["env"] if one["name"] != "POD_NAMESPACE"]
    return objects


def test_right_to_restart_servers_is_that_of_the_manifests(helm: charts.Helm) -> None:
    without, given = helm.render(), helm.render({"serverRestart": {"namespaces": ["shop"]}})
    names = {(one["kind"], one["metadata"]["name"]) for one in without}
    added = comparable(one for one in given if (one["kind"], one["metadata"]["name"]) not in names)
    shipped = list(yaml.safe_load_all((rights.MANIFESTS / "server-restart.yaml").read_text()))

    assert {one["metadata"].pop("namespace") for one in added.values()} == {"shop"}
    assert added == comparable(shipped)


def test_right_to_restart_servers_narrows_to_names(helm: charts.Helm) -> None:
    given = helm.render({"serverRestart": {"namespaces": ["shop"], "resourceNames": ["evolution"]}})

    (rule,) = [rule for one in given for rule in one.get("rules", ()) if "apps" in rule["apiGroups"]]
    assert rule["resourceNames"] == ["evolution"]


@pytest.mark.parametrize("namespaces", [[], ["shop"]])
def test_release_that_is_to_grant_nothing_grants_nothing(helm: charts.Helm, namespaces: list[str]) -> None:
    found = helm.render({"namespaces": namespaces, "rbac": {"create": False, "userRoles": False}})

    assert kinds(found) & {"Role", "RoleBinding", "ClusterRoleBinding"} == set()


def test_rights_narrow_with_the_watched_namespaces(helm: charts.Helm) -> None:
    found = helm.render(rights.NO_OTHERS | {"namespaces": ["shop", "456"]}, namespace="operators")

    granting = [one for one in found if one["kind"] in ("Role", "RoleBinding")]
    assert kinds(found) & (CLUSTER_WIDE | ADMISSION) == set()
    assert {one["metadata"]["namespace"] for one in granting} == {"shop", "456", "operators"}
    assert {subject["namespace"] for one in granting for subject in one.get("subjects", ())} == {"operators"}
    assert [one for one in container(found)["args"] if "namespace" in one] == ["--namespace=shop", "--namespace=456"]
    in_its_own = [one for one in granting if one["metadata"]["namespace"] == "operators"]
    assert {one["metadata"]["name"] for one in in_its_own} == {"whatsapp-operator-own"}


NAMESPACES: tuple[list[str], ...] = ([], ["messaging"], ["messaging", "shop"])
DEFINITIONS = ({"install": True, "keep": True}, {"install": True, "keep": False}, {"install": False, "keep": True})
MATRIX = list(itertools.product(NAMESPACES, DEFINITIONS, (True, False), (1, 3)))


@pytest.mark.parametrize(("namespaces", "definitions", "switch", "replicas"), MATRIX)
def test_every_combination_of_switches_is_linted_and_templated(
    helm: charts.Helm, namespaces: list[str], definitions: dict[str, bool], switch: bool, replicas: int
) -> None:
    values = {
        "namespaces": namespaces,
        "crds": definitions,
        "replicas": replicas,
        "rbac": {"create": switch, "userRoles": switch},
        "serviceAccount": {"create": switch, "name": "" if switch else "theirs"},
        "approval": {"create": switch},
        "podDisruptionBudget": {"create": switch},
        "serviceMonitor": {"create": switch},
        "serverRestart": {"namespaces": namespaces if switch else []},
    }

    assert "0 chart(s) failed" in helm("lint", "--strict", str(charts.CHART), values=values)
    found = helm.render(values, namespace="operators")

    expected = {"Deployment"}
    expected |= {"CustomResourceDefinition"} if definitions["install"] else set()
    if switch:
        expected |= {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "PodDisruptionBudget"} | ADMISSION
        expected |= {"Service", "ServiceMonitor"}
        expected |= set() if namespaces else {"ClusterRoleBinding"}
    assert kinds(found) == expected
    assert [one["spec"]["replicas"] for one in found if one["kind"] == "Deployment"] == [replicas]
    for one in found:
        assert ("namespace" in one["metadata"]) == (one["kind"] not in CLUSTER_WIDE | ADMISSION)
        if one["kind"] == "CustomResourceDefinition":
            policy = one["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            assert policy == ("keep" if definitions["keep"] else None)
    identities = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in found]
    assert len(set(identities)) == len(identities)


EVERYTHING: Object = {
    "image": {"repository": "registry.example/operator", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "fullnameOverride": "keeper",
    "namespaces": ["messaging"],
    "options": {"logLevel": "debug", "shutdownSeconds": 31.5, "allowServerAddress": ["10.0.0.0/8", "127.0.0.1"]},
    "serviceAccount": {"annotations": {"example.org/a": "b"}},
    "serviceMonitor": {"labels": {"release": "prometheus"}},
    "runAsUser": None,
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "podAnnotations": {"example.org/a": "b"},
    "podLabels": {"team": "messaging", "app.kubernetes.io/name": "taken"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "priorityClassName": "system-cluster-critical",
}


@pytest.fixture
def pod(helm: charts.Helm) -> Object:
    """The pod template with everything set."""
    (deployment,) = [one for one in helm.render(EVERYTHING) if one["kind"] == "Deployment"]
    assert deployment["metadata"]["name"] == "keeper"
    assert (
        deployment["spec"]["selector"]["matchLabels"].items()
        <= deployment["spec"]["template"]["metadata"]["labels"].items()
    )
    return dict(deployment["spec"]["template"])


def test_values_reach_the_pod(pod: Object) -> None:
    spec = pod["spec"]

    assert pod["metadata"]["labels"]["team"] == "messaging"
    assert pod["metadata"]["annotations"] == {"example.org/a": "b"}
    assert spec["terminationGracePeriodSeconds"] == 42
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["serviceAccountName"] == "keeper"
    for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints"):
        assert spec[name] == EVERYTHING[name]
    assert spec["priorityClassName"] == EVERYTHING["priorityClassName"]


def test_values_reach_the_container(helm: charts.Helm) -> None:
    found = container(helm.render(EVERYTHING))

    assert found["image"] == f"registry.example/operator@sha256:{'0' * 64}"
    assert found["imagePullPolicy"] == "Always"
    assert EVERYTHING["env"][0] in found["env"]
    assert found["args"] == [
        "--telemetry-port=8080",
        "--namespace=messaging",
        "--allow-server-address=10.0.0.0/8",
        "--allow-server-address=127.0.0.1",
        "--log-level=debug",
        "--shutdown-seconds=31.5",
    ]


def test_service_monitor_finds_the_service_of_its_own_release(helm: charts.Helm) -> None:
    found = {one["kind"]: one for one in helm.render({"serviceMonitor": {"create": True, "labels": {"a": "b"}}})}
    service, monitor, deployment = found["Service"], found["ServiceMonitor"], found["Deployment"]

    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    (endpoint,), (port,) = monitor["spec"]["endpoints"], service["spec"]["ports"]
    assert endpoint["port"] == port["name"]
    assert port["targetPort"] in [one["name"] for one in container(found.values())["ports"]]
    assert monitor["metadata"]["labels"]["a"] == "b"


def test_packed_chart_is_the_whole_chart(helm: charts.Helm, tmp_path: Path) -> None:
    helm("package", str(charts.CHART), "--destination", str(tmp_path))
    (packed,) = tmp_path.iterdir()

    text = helm("template", charts.RELEASE, str(packed), f"--namespace={charts.RELEASE}")

    assert [one for one in yaml.safe_load_all(text) if one] == helm.render()


def every_option() -> dict[str, object]:
    """A value for each option that the schema knows."""
    known = json.loads((charts.CHART / "values.schema.json").read_text())["properties"]["options"]["properties"]
    samples: dict[str, object] = {"integer": 20, "number": 20, "array": ["10.0.0.0/8"]}
    return {name: one["enum"][0] if "enum" in one else samples[one["type"]] for name, one in known.items()}


def test_every_option_is_a_flag_that_the_operator_knows(helm: charts.Helm) -> None:
    options = every_option()
    arguments = container(helm.render({"options": options}))["args"]

    program = places.TREE / ".venv" / "bin" / "whatsapp-operator"
    told = subprocess.run([program, "run", "--help"], check=True, capture_output=True, text=True).stdout
    assert len(arguments) == len(options) + 1
    for one in arguments:
        assert one.partition("=")[0] + " " in told


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicaCount": 3}, "additional properties 'replicaCount' not allowed"),
        ({"crds": {"create": True}}, "additional properties 'create' not allowed"),
        ({"options": {"logLvl": "debug"}}, "additional properties 'logLvl' not allowed"),
        ({"options": {"telemetryPort": 9090}}, "additional properties 'telemetryPort' not allowed"),
        ({"options": {"logLevel": "loud"}}, "'/options/logLevel': value must be one of"),
        ({"options": {"shutdownSeconds": 0}}, "'/options/shutdownSeconds'"),
        ({"replicas": 0}, "'/replicas'"),
        ({"runAsUser": 0}, "'/runAsUser'"),
        ({"namespaces": ["Shop"]}, "'/namespaces/0'"),
        ({"namespaces": "shop"}, "'/namespaces': got string, want array"),
        ({"image": {"digest": "0.1.0"}}, "'/image/digest'"),
        ({"image": {"repository": "registry.example:5000/whatsapp-operator:0.1.0"}}, "'/image/repository'"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name the ServiceAccount"),
        (
            {"serverRestart": {"resourceNames": ["evolution"]}},
            "serverRestart.resourceNames: has no effect without serverRestart.namespaces: name the namespaces",
        ),
        (
            {"rbac": {"create": False}, "serverRestart": {"namespaces": ["shop"]}},
            "serverRestart.namespaces: with rbac.create=false the release grants no rights: leave it out",
        ),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
def test_unusable_value_is_refused_and_named(helm: charts.Helm, values: Object, said: str) -> None:
    refused = helm.run("template", charts.RELEASE, str(charts.CHART), values=values)

    assert refused.returncode != 0
    assert said in refused.stderr


def test_chart_that_is_part_of_another_takes_what_helm_hands_on(helm: charts.Helm) -> None:
    assert helm.render({"global": {"anything": 1}})


@pytest.mark.parametrize("values", [{}, NARROW, EVERYTHING], ids=["defaults", "narrow", "everything"])
def test_api_server_accepts_it_and_pods_keep_to_pod_security(
    helm: charts.Helm, cluster: kube.Cluster, kubectl: kube.Kubectl, values: Object
) -> None:
    here = str(kubectl.namespace)
    cluster.kubectl("label", "namespace", here, "pod-security.kubernetes.io/warn=restricted")
    narrowed = values | {"namespaces": [here]} if "namespaces" in values else values
    rendered = helm.render(narrowed, namespace=here)

    flags = ("--server-side", "--dry-run=server", "--force-conflicts")
    tried = kubectl.run("apply", "-f", "-", *flags, stdin=yaml.safe_dump_all(rendered))

    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.count("serverside-applied") == len(rendered)
