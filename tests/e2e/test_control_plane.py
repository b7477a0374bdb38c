"""What the other end-to-end tests take for granted about the cluster they run on."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import clusters
from e2e import kube
from native import binaries

AUTHORITY_OF_ANOTHER_CLUSTER = """\
-----BEGIN CERTIFICATE-----
MIIBijCCATGgAwIBAgIUPpQz1wsRNMjTIdL83kvKeQDc1FEwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPYW5vdGhlci1jbHVzdGVyMCAXDTI2MTEyMzE5NTYwN1oYDzIx
MjYxMDMwMTk1NjA3WjAaMRgwFgYDVQQDDA9hbm90aGVyLWNsdXN0ZXIwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAATml9Z/A0QSCe4yzXnP5IBL6DnZuFTuXtLfVRSe
X8a9QtG4IFyy1FKAEXA7O1XVctIk6UROpXdiP67l4zUsuRfdo1MwUTAdBgNVHQ4E
FgQU3g3tNmWWsNY1gfft4Vxwt4ryfsYwHwYDVR0jBBgwFoAU3g3tNmWWsNY1gfft
4Vxwt4ryfsYwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAtF+IP
ZyHooegtghaV9n+0IxygvhE1xAkAlSR35ROhkQIgLqyKnnbFo+CV8jhGqioaa8yP
fWexjbEM4TVMwrNUBjo=
-----END CERTIFICATE-----
"""


def config_map(name: str, **metadata: object) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}})


def test_deleted_namespace_is_gone_with_what_it_held(cluster: kube.Cluster, kubectl: kube.Kubectl) -> None:
    kubectl.apply(config_map("held"))

    kubectl("delete", "namespace", str(kubectl.namespace), "--wait=false")

    kube.wait_until(lambda: not cluster.kubectl.exists("namespace", str(kubectl.namespace)), timeout=60)
    with pytest.raises(kube.KubectlError, match="NotFound"):
        kubectl("get", "configmap", "held")


def test_dependent_is_collected_after_its_owner(kubectl: kube.Kubectl) -> None:
    kubectl.apply(config_map("owner"))
    kubectl.apply(config_map("unrelated"))
    uid = kubectl.json("get", "configmap", "owner")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    kubectl.apply(config_map("dependent", ownerReferences=[owner]))

    kubectl("delete", "configmap", "owner")

    kube.wait_until(lambda: not kubectl.exists("configmap", "dependent"), timeout=60)
    assert kubectl.exists("configmap", "unrelated")


def test_service_account_without_a_role_may_read_nothing(
    kubectl: kube.Kubectl, kubeconfig_for: Callable[[str], Path]
) -> None:
    kubectl("create", "serviceaccount", "stranger")
    stranger = kube.Kubectl(kubeconfig_for("stranger"), kubectl.namespace)

    assert f"system:serviceaccount:{kubectl.namespace}:stranger" in stranger("auth", "whoami")
    with pytest.raises(kube.KubectlError, match="Forbidden"):
        stranger("get", "configmaps")


def test_service_account_may_do_what_its_role_allows_and_no_more(
    kubectl: kube.Kubectl, kubeconfig_for: Callable[[str], Path]
) -> None:
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "reader", "--verb=get", "--resource=configmaps")
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={kubectl.namespace}:reader")
    kubectl.apply(config_map("readable"))
    reader = kube.Kubectl(kubeconfig_for("reader"), kubectl.namespace)

    kube.wait_until(lambda: reader.exists("configmap", "readable"), message="the role took no effect")
    with pytest.raises(kube.KubectlError, match="Forbidden"):
        reader("delete", "configmap", "readable")


def test_api_server_signed_by_another_authority_is_refused(cluster: kube.Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    encoded = base64.b64encode(AUTHORITY_OF_ANOTHER_CLUSTER.encode()).decode()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = encoded
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))

    with pytest.raises(kube.KubectlError, match="certificate"):
        kube.Kubectl(tmp_path / "kubeconfig")("get", "namespaces")


def test_token_of_ones_own_making_is_refused(cluster: kube.Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "made-up"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))

    with pytest.raises(kube.KubectlError, match=r"must be logged in|Unauthorized"):
        kube.Kubectl(tmp_path / "kubeconfig")("get", "namespaces")


def test_kubectl_finds_a_server_of_its_own_age(cluster: kube.Cluster) -> None:
    seen = cluster.kubectl.run("version")

    assert seen.stderr == ""
    if cluster.source is clusters.Source.NATIVE:
        assert f"Server Version: {binaries.VERSION}" in seen.stdout
