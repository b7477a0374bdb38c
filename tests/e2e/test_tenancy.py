"""Several namespaces under one operator: who may use a server, what a namespace takes with it, where a key is sent.

The operator has the rights of the shipped ClusterRole. It is told to work in the namespaces of the test only, since
other tests share the cluster.
"""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from e2e import kube, stage, tls
from evolution_simulator.control_client import Simulator

ALLOW = "--allow-server-address"


@pytest.fixture
def tenant(cluster: kube.Cluster, namespace: str) -> Iterator[str]:
    """A second namespace, beside that of the operator."""
    name = f"tenant-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def house(
    *,
    cluster: kube.Cluster,
    namespace: str,
    tenant: str,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> Iterator[stage.Stage]:
    """An operator for the test's namespace and that of a tenant; what is applied goes to the tenant."""
    with stage.cluster_role(cluster.kubectl, namespace):
        with stage.opened(
            namespace=tenant,
            kubectl=cluster.kubectl.within(tenant),
            simulator=simulator,
            kubeconfig=kubeconfig_for("whatsapp-operator"),
            log_file=tmp_path / "operator.log",
            flags=stage.quick(f"--namespace={namespace}", f"--namespace={tenant}"),
        ) as opened:
            yield opened
        stage.free(cluster.kubectl.within(tenant))


def test_server_takes_instances_of_the_namespaces_that_it_allows(house: stage.Stage, kubectl: kube.Kubectl) -> None:
    at_home = stage.Stage(str(kubectl.namespace), kubectl, house.simulator, house.operator)
    at_home.server()
    kubectl("wait", "evs/main", "--for=condition=Ready", "--timeout=60s")

    house.instance("user-1", serverRef={"name": "main", "namespace": at_home.namespace})

    told = house.told("user-1", "Ready", "ServerNotAllowed")
    assert "spec.allowedNamespaces" in told
    assert house.condition("user-1", "Stalled") == ("True", "ServerNotAllowed")
    assert house.mutating_calls("user-1") == []
    at_home.server(allowedNamespaces=[house.namespace])
    house.wait_for_reason("user-1", "AwaitingScan")
    assert house.kubectl.exists("secret", "user-1-token")
    assert not kubectl.exists("secret", "user-1-token")
    house.delete("user-1")
    house.wait_gone("user-1")
    assert not house.lives("user-1")


def test_stranger_does_not_keep_a_name_from_the_servers_own(house: stage.Stage, kubectl: kube.Kubectl) -> None:
    at_home = stage.Stage(str(kubectl.namespace), kubectl, house.simulator, house.operator)
    at_home.server()
    house.instance("squatter", serverRef={"name": "main", "namespace": at_home.namespace}, instanceName="payments")
    house.told("squatter", "Ready", "ServerNotAllowed")

    at_home.instance("payments")

    at_home.wait_for_reason("payments", "AwaitingScan")
    house.delete("squatter")
    house.wait_gone("squatter")
    assert house.lives("payments")
    at_home.delete("payments")
    at_home.wait_gone("payments")


def test_stranger_does_not_hold_a_server(house: stage.Stage, kubectl: kube.Kubectl) -> None:
    at_home = stage.Stage(str(kubectl.namespace), kubectl, house.simulator, house.operator)
    at_home.server()
    house.instance("user-1", serverRef={"name": "main", "namespace": at_home.namespace})
    house.told("user-1", "Ready", "ServerNotAllowed")

    at_home.delete("main", "evs")

    at_home.wait_gone("main", "evs")


def test_namespace_that_is_deleted_takes_its_instances_with_it(cluster: kube.Cluster, house: stage.Stage) -> None:
    house.server()
    house.paired_instance("user-1")
    house.instance("user-2")
    house.wait_for_reason("user-2", "AwaitingScan")

    cluster.kubectl("delete", "namespace", house.namespace, "--wait=false")

    kube.wait_until(
        lambda: not cluster.kubectl.exists("namespace", house.namespace), timeout=90, message="the namespace stayed"
    )
    assert not house.lives("user-1")
    assert not house.lives("user-2")


def test_namespace_whose_server_is_gone_ends_too_and_the_orphan_is_told(
    cluster: kube.Cluster, house: stage.Stage
) -> None:
    house.server()
    house.paired_instance("user-1")
    house.simulator.down()
    house.told("user-1", "Ready", "ServerUnreachable")

    cluster.kubectl("delete", "namespace", house.namespace, "--wait=false")

    kube.wait_until(
        lambda: not cluster.kubectl.exists("namespace", house.namespace), timeout=90, message="the namespace stayed"
    )
    orphaned = [line for line in house.log_lines() if line.get("phase") == "orphaned"]
    assert [(line["namespace"], line["name"], line["reason"]) for line in orphaned] == [
        (house.namespace, "user-1", "Orphaned")
    ]
    assert "whatsapp_operator_orphaned" in house.operator.metrics()
    house.simulator.up()
    assert house.lives("user-1")
    assert house.mutating_calls("user-1") == []


def test_server_that_is_away_in_another_namespace_is_waited_for(
    cluster: kube.Cluster, house: stage.Stage, kubectl: kube.Kubectl
) -> None:
    at_home = stage.Stage(str(kubectl.namespace), kubectl, house.simulator, house.operator)
    at_home.server(allowedNamespaces=[house.namespace])
    house.paired_instance("user-1", serverRef={"name": "main", "namespace": at_home.namespace})
    house.simulator.down()
    house.told("user-1", "Ready", "ServerUnreachable")

    cluster.kubectl("delete", "namespace", house.namespace, "--wait=false")

    house.quiet_for(12)  # longer than the span after which what is gone for good is let go
    assert house.kubectl.exists("wai", "user-1")
    house.simulator.up()
    kube.wait_until(
        lambda: not cluster.kubectl.exists("namespace", house.namespace), timeout=90, message="the namespace stayed"
    )
    assert not house.lives("user-1")


def test_key_is_rotated_without_a_restart(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")

    staged.simulator.set_api_key("the-next-key")

    told = staged.told("main", "Authenticated", "KeyRejected", kind="evs")
    assert "AUTHENTICATION_API_KEY" in told
    staged.told("user-1", "Ready", "KeyRejected")
    assert staged.condition("user-1", "Ready") == ("Unknown", "KeyRejected")
    staged.kubectl("patch", "secret", "main-key", "-p", '{"stringData": {"apikey": "the-next-key"}}')
    staged.wait_ready("user-1")
    assert staged.kubectl.condition("evs", "main", "Authenticated")["status"] == "True"
    assert staged.mutating_calls("user-1") == []


def test_token_of_an_instance_is_not_taken_for_the_key(staged: stage.Stage) -> None:
    staged.paired_instances("user-1", "user-2")
    token = staged.kubectl("get", "secret", "user-1-token", "-o", "jsonpath={.data.token}")

    staged.kubectl("patch", "secret", "main-key", "-p", f'{{"data": {{"apikey": "{token}"}}}}')

    told = staged.told("main", "Authenticated", "KeyRejected", kind="evs")
    assert "the token of an instance is not enough" in told
    staged.told("user-2", "Ready", "KeyRejected")
    staged.kubectl("patch", "secret", "main-key", "-p", f'{{"stringData": {{"apikey": "{stage.API_KEY}"}}}}')
    staged.wait_ready("user-1")
    staged.wait_ready("user-2")
    assert staged.mutating_calls("user-1") + staged.mutating_calls("user-2") == []


def test_metrics_that_ask_for_a_password_are_named_and_read_with_it(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")

    staged.simulator.set_metrics_auth("prom", "of-the-metrics")

    told = staged.told("main", "Authenticated", "MetricsRefused", kind="evs")
    assert "spec.metricsAuthSecretRef" in told
    assert "METRICS_ALLOWED_IPS" in told
    assert staged.kubectl.condition("evs", "main", "Reachable")["status"] == "True"
    staged.told("user-1", "Ready", "MetricsRefused")
    staged.kubectl(
        "create",
        "secret",
        "generic",
        "metrics",
        "--from-literal=username=prom",
        "--from-literal=password=of-the-metrics",
    )
    staged.kubectl(
        "patch", "evs", "main", "--type=merge", "-p", '{"spec": {"metricsAuthSecretRef": {"name": "metrics"}}}'
    )
    staged.wait_ready("user-1")
    assert staged.kubectl.condition("evs", "main", "Authenticated")["status"] == "True"
    assert staged.mutating_calls("user-1") == []


def test_missing_secret_and_missing_key_are_named(staged: stage.Stage) -> None:
    staged.server("second", apiKeySecretRef={"name": "absent", "key": "password"})

    told = staged.told("second", "Authenticated", "SecretNotFound", kind="evs")
    assert "spec.apiKeySecretRef" in told
    assert "absent" in told
    staged.kubectl("create", "secret", "generic", "absent", "--from-literal=other=x")
    told = staged.told("second", "Authenticated", "SecretKeyMissing", kind="evs")
    assert "no key password" in told
    assert staged.kubectl.condition("evs", "second", "Stalled")["status"] == "True"
    staged.kubectl("patch", "secret", "absent", "-p", f'{{"stringData": {{"password": "{stage.API_KEY}"}}}}')
    staged.kubectl("wait", "evs/second", "--for=condition=Ready", "--timeout=60s")
    assert staged.kubectl.condition("evs", "second", "Stalled") == {}


def test_key_is_not_sent_to_an_address_that_is_not_allowed(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    stage.install_roles(kubectl, namespace)
    port = simulator.url.rpartition(":")[2]
    with stage.opened(
        namespace=namespace,
        kubectl=kubectl,
        simulator=simulator,
        kubeconfig=kubeconfig_for("whatsapp-operator"),
        log_file=tmp_path / "operator.log",
        flags=stage.quick(f"--namespace={namespace}", without={ALLOW}),
    ) as strict:
        strict.server("address")
        strict.server("name", url=f"http://localhost:{port}")

        for server in ("address", "name"):
            told = strict.told(server, "Reachable", "RefusedByPolicy", kind="evs")
            assert ALLOW in told
            assert strict.kubectl.condition("evs", server, "Ready")["status"] == "False"
        assert strict.simulator.calls() == []


def test_server_with_another_authority_is_not_trusted(staged: stage.Stage, tmp_path: Path) -> None:
    theirs, ours = tls.authority(tmp_path / "theirs"), tls.authority(tmp_path / "ours")
    staged.kubectl("create", "secret", "generic", "ca", f"--from-file=ca.crt={ours.certificate}")
    with tls.proxy(staged.simulator.url, theirs) as url:
        staged.simulator.reset_calls()
        staged.server("second", url=url, caBundleSecretRef={"name": "ca"})

        told = staged.told("second", "Reachable", "TLSError", kind="evs")
        assert "spec.caBundleSecretRef" in told

        bundle = yaml.safe_dump({"stringData": {"ca.crt": theirs.certificate.read_text()}})
        staged.kubectl("patch", "secret", "ca", "-p", bundle)
        staged.kubectl("wait", "evs/second", "--for=condition=Ready", "--timeout=60s")
