"""The parts of the native control plane that work before anything is built."""

import contextlib
import dataclasses
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature

import clusters
from native import binaries, certificates, components, locking, places, plane


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in place of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return tmp_path


def kind_native(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([clusters.KIND_NATIVE, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_kind_without_clusters_lists_none() -> None:
    listed = kind_native("get", "clusters")

    assert (listed.returncode, listed.stdout) == (0, "")


def test_kind_refuses_to_load_an_image_and_says_why() -> None:
    loaded = kind_native("load", "docker-image", "--name", "any", "image:latest")

    assert loaded.returncode == 1
    assert "no nodes" in loaded.stderr


def test_kind_deletes_a_cluster_that_is_not_there() -> None:
    assert kind_native("delete", "cluster", "--name=absent").returncode == 0


def test_leftover_state_of_a_killed_control_plane_is_not_taken_for_a_running_one(cache: Path) -> None:
    folder = cache / "whatsapp-operator" / "run" / "killed"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{}")

    assert plane.running() == []
    assert plane.find("killed") is None


def test_lock_is_refused_while_it_is_held_and_given_afterwards(tmp_path: Path) -> None:
    with locking.locked(tmp_path / "lock"):
        assert locking.try_lock(tmp_path / "lock") is None

    held = locking.try_lock(tmp_path / "lock")
    assert held is not None
    held.close()


def test_server_certificate_is_trusted_by_its_own_authority_only(tmp_path: Path) -> None:
    certificates.write(tmp_path)
    serving = x509.load_pem_x509_certificate((tmp_path / "apiserver.crt").read_bytes())
    own = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    other = certificates.authority().certificate

    serving.verify_directly_issued_by(own)
    with pytest.raises(InvalidSignature):
        serving.verify_directly_issued_by(other)


def test_certificates_are_trusted_both_ways_as_strictly_as_a_new_python_asks(tmp_path: Path) -> None:
    """RFC 5280 to the letter, as `ssl.create_default_context` has it from Python 3.13 on."""
    issuer, administrator = certificates.write(tmp_path)
    (tmp_path / "user.pem").write_bytes(administrator.certificate_pem() + administrator.key_pem())
    assert issuer.certificate_pem() == (tmp_path / "ca.crt").read_bytes()
    serves, calls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serves.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    calls.load_cert_chain(tmp_path / "user.pem")
    for context in (serves, calls):
        context.load_verify_locations(tmp_path / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN

    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = calls.wrap_bio(here, there, server_hostname="localhost")
    server = serves.wrap_bio(there, here, server_side=True)
    for one in (client, server, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            one.do_handshake()
    server.do_handshake()

    assert client.version() == server.version() == "TLSv1.3"


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    certificates.write(tmp_path / "keys")

    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0


def test_kubeconfig_needs_no_other_file() -> None:
    issuer = certificates.authority()
    user = certificates.client(issuer, user="someone", group="some")

    text = certificates.kubeconfig(name="dev", url="https://127.0.0.1:6443", issuer=issuer, user=user)

    config = yaml.safe_load(text)
    assert config["clusters"][0]["cluster"]["certificate-authority-data"]
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_ports_differ_and_are_outside_the_range_of_outgoing_connections() -> None:
    found = components.free_ports(20)

    assert len(set(found)) == 20
    assert max(found) < 32_768


def test_programs_of_kubebuilder_are_taken_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))

    build = binaries.CONTROL_PLANE
    assert build.path("etcd") == assets / "etcd"
    assert build.path("kube-apiserver") == build.folder() / "kube-apiserver"
    assert build.path("kube-controller-manager") == build.folder() / "kube-controller-manager"


@pytest.mark.parametrize("alone", [binaries.NODES, binaries.HELM], ids=lambda build: build.label)
def test_change_of_a_module_builds_it_anew_and_nothing_else(alone: binaries.Build, tmp_path: Path) -> None:
    copies = {}
    for build in (binaries.CONTROL_PLANE, binaries.SCHEDULER, alone):
        copied = tmp_path / build.module.relative_to(places.TREE)
        copied.mkdir(exist_ok=True)
        for name in ("go.mod", "go.sum"):
            shutil.copy(build.module / name, copied)
        copies[build.label] = dataclasses.replace(build, module=copied)
    changed = copies.pop(alone.label)
    before = changed.folder()
    assert before == alone.folder()

    (changed.module / "go.mod").write_text("module changed\n")

    assert changed.folder() != before
    assert [one.folder() for one in copies.values()] == [
        binaries.CONTROL_PLANE.folder(),
        binaries.SCHEDULER.folder(),
    ]


def test_scheduler_is_of_the_control_planes_module_and_apart_from_its_programs() -> None:
    control_plane, scheduler = binaries.CONTROL_PLANE, binaries.SCHEDULER

    assert scheduler.module == control_plane.module
    assert scheduler.folder() != control_plane.folder()
    assert "cmd/kube-scheduler" not in (control_plane.module / "go.mod").read_text()


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (binaries.NODES, f"sigs.k8s.io/kwok {binaries.KWOK_VERSION} "),
        (binaries.HELM, f"helm.sh/helm/v3 {binaries.HELM_VERSION} "),
        (binaries.SCHEDULER, f"k8s.io/kubernetes {binaries.VERSION}"),
    ],
    ids=lambda one: getattr(one, "label", None),
)
def test_version_that_is_named_is_the_one_that_is_built(build: binaries.Build, wanted: str) -> None:
    assert wanted in (build.module / "go.mod").read_text()


def test_cluster_that_is_named_is_taken_whatever_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "existing")

    assert clusters.chosen() is clusters.Source.EXISTING


def test_cluster_of_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "minikube")

    with pytest.raises(ValueError, match="minikube"):
        clusters.chosen()


@pytest.mark.parametrize(("exit_code", "source"), [(0, clusters.Source.KIND), (1, clusters.Source.NATIVE)])
def test_kind_is_taken_only_where_the_docker_engine_works(
    exit_code: int, source: clusters.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CLUSTER", raising=False)

    assert clusters.chosen() is source
