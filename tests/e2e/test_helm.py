"""The chart's life on a real control plane: installed, upgraded, uninstalled by the real helm.

kwok plays the node of the operator's pods: they are scheduled, run and get ready, though no container is behind them.
What the operator does with the chart's rights is shown by the process beside the cluster, as in all other tests.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import charts, kube, planes, rights
from native import binaries

pytestmark = [planes.native_only, pytest.mark.timeout(1800)]  # helm and the scheduler are built where they are missing

OPERATORS, SHOP = "operators", "shop"
DEFINITIONS = "evolutionservers.whatsapp-operator.dev", "whatsappinstances.whatsapp-operator.dev"
WAIT = ("--namespace", OPERATORS, "--wait", "--timeout=90s")
REUSE = ("--reset-then-reuse-values",)


@dataclass(frozen=True, slots=True)
class House:
    """A control plane with a scheduler and a node, and helm with an administrator's rights in it."""

    helm: charts.Helm
    kubectl: kube.Kubectl
    shop: kube.Kubectl

    def install(self, release: str = charts.RELEASE, *, chart: Path = charts.CHART, **values: Any) -> str:
        """Installs a release and waits for it; returns the notes."""
        return self.helm("install", release, str(chart), *WAIT, values=values)

    def upgrade(self, **values: Any) -> str:
        return self.helm("upgrade", charts.RELEASE, str(charts.CHART), *WAIT, *REUSE, values=values)

    def uninstall(self) -> str:
        return self.helm("uninstall", charts.RELEASE, *WAIT)

    def defined(self) -> set[str]:
        """The definitions that there are."""
        listed = self.kubectl.json("get", "crd")["items"]
        return {one["metadata"]["name"] for one in listed}

    def ready_pods(self) -> int:
        deployment = self.kubectl.within(OPERATORS).json("get", "deployment", "whatsapp-operator")
        return int(deployment["status"].get("readyReplicas", 0))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The namespace of the operators admits restricted pods only."""
    binaries.HELM.ensure()
    binaries.SCHEDULER.ensure()
    with planes.own(tmp_path, "--nodes", "1", "--scheduler") as plane:
        shop = plane.namespace(SHOP)
        plane.namespace(OPERATORS)
        kubectl = plane.cluster.kubectl
        kubectl("label", "namespace", OPERATORS, "pod-security.kubernetes.io/enforce=restricted")
        yield House(charts.Helm(plane.cluster.kubeconfig), kubectl, shop)


def server(**spec: Any) -> str:
    wanted = {"url": "http://evolution:8080", "apiKeySecretRef": {"name": "key"}} | spec
    head = {"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": "EvolutionServer", "metadata": {"name": "main"}}
    return yaml.safe_dump(head | {"spec": wanted})


def uid(kubectl: kube.Kubectl, name: str = "main") -> str:
    return str(kubectl.json("get", "evs", name)["metadata"]["uid"])


def older_chart(folder: Path) -> Path:
    """The chart as it was before a server's probe was declared in it."""
    chart = charts.copied(folder)
    path = chart / "files" / "crds" / "evolutionservers.yaml"
    definition = yaml.safe_load(path.read_text())
    (version,) = definition["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["health"]["properties"]["probe"]
    path.write_text(yaml.safe_dump(definition))
    return chart


def test_installation_succeeds_once_its_pods_are_ready(house: House) -> None:
    said = house.install(namespaces=[SHOP])

    assert house.ready_pods() == 2
    assert house.defined() == set(DEFINITIONS)
    assert f"works in {SHOP}, with 2 replica(s) of whatsapp-operator:0.1.0" in said
    assert "No image is published yet" in said
    assert house.helm("status", charts.RELEASE, "--namespace", OPERATORS).count("STATUS: deployed") == 1


def test_pod_that_gets_no_node_fails_the_installation(house: House) -> None:
    values = {"nodeSelector": {"there": "is-none"}}
    failed = house.helm.run("install", charts.RELEASE, str(charts.CHART), *WAIT, "--timeout=8s", values=values)

    assert failed.returncode != 0
    assert "context deadline exceeded" in failed.stderr


def test_upgrade_adds_fields_to_the_definitions_and_keeps_the_resources(house: House, tmp_path: Path) -> None:
    probed = server(health={"probe": {"mode": "Enabled"}})
    house.install(chart=older_chart(tmp_path / "older"), namespaces=[SHOP], replicas=1)
    house.shop.apply(server())
    before = uid(house.shop)
    with pytest.raises(kube.KubectlError, match=r"unknown field \"spec.health.probe\""):
        house.shop.apply(probed)

    house.upgrade(replicas=3)

    house.shop.apply(probed)
    assert house.shop.json("get", "evs", "main")["spec"]["health"]["probe"]["mode"] == "Enabled"
    assert uid(house.shop) == before
    assert house.ready_pods() == 3
    assert house.shop.exists("role", "whatsapp-operator")


def test_upgrade_narrows_the_rights_and_takes_back_what_it_granted(house: House) -> None:
    house.install()
    account = f"--as=system:serviceaccount:{OPERATORS}:whatsapp-operator"
    elsewhere = house.kubectl.within("default")
    assert house.kubectl.run("auth", "can-i", "get", "secrets", account, "-n", "default").returncode == 0

    house.upgrade(namespaces=[SHOP])

    assert elsewhere.run("auth", "can-i", "get", "secrets", account).returncode != 0
    assert elsewhere.run("auth", "can-i", "list", "wai", "--all-namespaces", account).returncode != 0
    assert house.shop.run("auth", "can-i", "get", "secrets", account).returncode == 0
    assert house.shop.run("auth", "can-i", "get", f"namespaces/{SHOP}", account).returncode == 0


def test_uninstalling_keeps_definitions_and_resources_and_a_new_release_takes_them_over(house: House) -> None:
    house.install(namespaces=[SHOP])
    house.shop.apply(server())
    before = uid(house.shop)

    house.uninstall()

    assert house.defined() == set(DEFINITIONS)
    assert uid(house.shop) == before
    left = house.kubectl.within(OPERATORS)("get", "deployment,serviceaccount,role,pdb", "-o", "name").split()
    assert [one for one in left if "whatsapp-operator" in one] == []
    house.install(namespaces=[SHOP])
    assert uid(house.shop) == before
    assert house.ready_pods() == 2


def test_uninstalling_without_keeping_takes_definitions_and_resources(house: House) -> None:
    said = house.install(crds={"keep": False})
    house.shop.apply(server())

    house.uninstall()

    assert "DELETES the CustomResourceDefinitions and all your resources" in said
    kube.wait_until(lambda: house.defined() == set(), message="the definitions stayed")


def test_definitions_that_kubectl_applied_are_taken_over_when_told_and_not_otherwise(house: House) -> None:
    house.kubectl("apply", "--server-side", "-k", str(charts.CHART.parents[1] / "crds"))
    refused = house.helm.run("install", charts.RELEASE, str(charts.CHART), *WAIT, values={})

    assert refused.returncode != 0
    assert "invalid ownership metadata" in refused.stderr
    house.helm("upgrade", "--install", charts.RELEASE, str(charts.CHART), *WAIT, "--take-ownership", values={})
    assert house.ready_pods() == 2


def test_two_releases_work_side_by_side_for_a_namespace_each(house: House) -> None:
    house.kubectl("create", "namespace", "bakery")
    house.install(namespaces=[SHOP])
    second: dict[str, Any] = {"crds": {"install": False}, "approval": {"create": False}, "rbac": {"userRoles": False}}

    house.install("bakery", namespaces=["bakery"], **second)

    deployments = house.kubectl.within(OPERATORS).json("get", "deployments")["items"]
    assert {one["metadata"]["name"] for one in deployments} == {"whatsapp-operator", "bakery-whatsapp-operator"}
    assert [one["status"]["readyReplicas"] for one in deployments] == [2, 2]


WITH_THE_CHARTS_RIGHTS = (
    "test_permissions.py::test_operator_uses_all_that_its_role_grants_and_nothing_else",
    "test_create.py::test_instance_is_created_shows_its_code_and_becomes_ready_once_scanned",
    "test_server_restart.py::test_ghosts_and_zombies_are_healed_by_one_restart_and_keep_their_pairing",
    "test_leadership.py::test_replica_that_is_told_to_end_is_followed_within_five_seconds",
)
"""What needs every right that there is. `make e2e ARGS=--rbac=helm` runs all end-to-end tests so."""


@pytest.mark.skipif(rights.chosen() is rights.Source.HELM, reason="all tests run so")
def test_operator_passes_end_to_end_tests_with_the_rights_of_the_chart_and_no_others() -> None:
    here = Path(__file__).parent
    chosen = [str(here / one) for one in WITH_THE_CHARTS_RIGHTS]
    # A run with a cluster of its own: what pytest-xdist tells its workers is not meant for it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rbac=helm", *chosen],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2000:]
    assert f"{len(chosen)} passed" in ended.stdout
