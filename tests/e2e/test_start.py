"""While the cluster lacks what the operator needs it waits, says what is missing, and then starts by itself."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from e2e import kube, planes, stage
from evolution_simulator.control_client import Simulator

HIDDEN = ("secrets", "whatsappinstances/status")


def missing(operator: stage.Operator) -> str:
    """What /readyz says while the operator is not ready."""
    status, text = operator.ready()
    return text if status == 503 else ""


def logged(house: stage.Stage) -> list[Any]:
    """What the log says is missing: once for as long as it stays the same."""
    return [line["missing"] for line in house.log_lines() if line.get("missing")]


def becomes_ready(operator: stage.Operator) -> None:
    kube.wait_until(lambda: operator.ready() == (200, "ok\n"), timeout=60, message="the operator did not get ready")


def alive(operator: stage.Operator) -> bool:
    return httpx.get(f"http://127.0.0.1:{operator.port}/healthz", trust_env=False).text == "ok\n"


def take_rights(kubectl: kube.Kubectl) -> list[dict[str, Any]]:
    """Take some of the Role's rights away; returns the rules as they were."""
    rules: list[dict[str, Any]] = kubectl.json("get", "role", "whatsapp-operator")["rules"]
    left = [
        rule | {"resources": [one for one in rule["resources"] if one not in HIDDEN]}
        for rule in rules
        if set(rule["resources"]) - set(HIDDEN)
    ]
    grant(kubectl, left)
    return rules


def grant(kubectl: kube.Kubectl, rules: list[dict[str, Any]]) -> None:
    kubectl("patch", "role", "whatsapp-operator", "--type=merge", "-p", json.dumps({"rules": rules}))


def test_ready_operator_says_so(staged: stage.Stage) -> None:
    becomes_ready(staged.operator)

    assert alive(staged.operator)


def test_operator_without_its_rights_says_which_and_starts_once_they_are_granted(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    stage.install_roles(kubectl, namespace)
    rules = take_rights(kubectl)
    with stage.opened(
        namespace=namespace,
        kubectl=kubectl,
        simulator=simulator,
        kubeconfig=kubeconfig_for("whatsapp-operator"),
        log_file=tmp_path / "operator.log",
        flags=stage.quick(f"--namespace={namespace}"),
    ) as house:
        house.server()
        kube.wait_until(lambda: "may not" in missing(house.operator), message="no right was missing")
        told = missing(house.operator)

        assert f"may not get, create, patch, delete secrets in namespace {namespace}" in told
        assert f"may not patch whatsappinstances/status in namespace {namespace}" in told
        assert "manifests/namespaced/role.yaml" in told
        assert "evolutionservers" not in told
        assert alive(house.operator)
        house.quiet_for(6)  # another look at what is missing
        assert len(logged(house)) == 1
        assert simulator.calls() == []

        grant(kubectl, rules)

        becomes_ready(house.operator)
        kubectl("wait", "evs/main", "--for=condition=Ready", "--timeout=60s")


@planes.native_only
def test_operator_without_its_definitions_says_so_and_starts_once_they_are_installed(
    simulator: Simulator, tmp_path: Path
) -> None:
    with planes.own(tmp_path) as plane:
        kubectl = plane.namespace("messaging")
        with (
            stage.cluster_role(plane.cluster.kubectl, "messaging"),
            stage.opened(
                namespace="messaging",
                kubectl=kubectl,
                simulator=simulator,
                kubeconfig=plane.cluster.kubeconfig_for(
                    "whatsapp-operator", namespace="messaging", target=tmp_path / "operator.kubeconfig"
                ),
                log_file=tmp_path / "operator.log",
                flags=stage.quick(),
            ) as house,
        ):
            kube.wait_until(lambda: "CustomResourceDefinition" in missing(house.operator), message="none was missing")
            told = missing(house.operator)
            assert "whatsappinstances.whatsapp-operator.dev (v1alpha1) is not installed: kubectl apply -k crds" in told
            assert "evolutionservers.whatsapp-operator.dev" in told
            assert "may not" not in told
            assert alive(house.operator)

            plane.install_definitions()

            becomes_ready(house.operator)
            assert len(logged(house)) <= 2  # both definitions, and perhaps one of them
            house.server()
            house.paired_instance("user-1")


def test_operator_without_an_api_server_waits_for_it(cluster: kube.Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    operator = stage.Operator(tmp_path / "kubeconfig", tmp_path / "operator.log")
    operator.start()
    try:
        kube.wait_until(lambda: "does not answer" in missing(operator), message="it was not noticed")

        assert alive(operator)
    finally:
        operator.stop()


@pytest.mark.parametrize(
    ("flags", "cure"),
    [
        (["--kubeconfig=nowhere.kubeconfig"], "cannot log in with nowhere.kubeconfig"),
        (["--check-period=0"], "--check-period"),
        (["--sweep-period-seconds=0"], "--sweep-period-seconds"),
    ],
)
def test_operator_that_cannot_be_started_ends_with_the_cure(flags: list[str], cure: str, tmp_path: Path) -> None:
    command = [str(stage.PROGRAMS / "whatsapp-operator"), "run", "--telemetry-port=0", *flags]

    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)

    assert ended.returncode != 0
    assert cure in ended.stderr
    assert "Traceback" not in ended.stderr
