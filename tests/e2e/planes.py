"""Control planes of a test's own, for what would disturb the others that share a cluster."""

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import clusters
from e2e import kube, stage
from native import places

CONTROL_PLANE = places.TREE / "tools" / "control_plane.py"
START_SECONDS = 120

native_only = pytest.mark.skipif(
    clusters.chosen() is not clusters.Source.NATIVE, reason="it needs a control plane of its own"
)


@dataclass(frozen=True, slots=True)
class Plane:
    """A control plane in which nothing is installed."""

    cluster: kube.Cluster
    audit_log: Path

    def install_definitions(self) -> None:
        """Our CustomResourceDefinitions."""
        crds = str(stage.ROOT / "crds")
        self.cluster.kubectl("apply", "--server-side", "-k", crds)
        self.cluster.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")

    def namespace(self, name: str) -> kube.Kubectl:
        """A new namespace."""
        self.cluster.kubectl("create", "namespace", name)
        return self.cluster.kubectl.within(name)


@contextlib.contextmanager
def own(folder: Path, *flags: str) -> Iterator[Plane]:
    """A control plane for as long as the block lasts, started with flags such as `--audit`."""
    name, kubeconfig = f"own-{secrets.token_hex(4)}", folder / "own.kubeconfig"
    _run("start", "--name", name, "--kubeconfig", str(kubeconfig), "--owner", str(os.getpid()), *flags)
    try:
        cluster = kube.Cluster(kubeconfig, clusters.Source.NATIVE)
        yield Plane(cluster, places.run_folder(name) / "logs" / "audit.log")
    finally:
        _run("stop", "--name", name)


def _run(*arguments: str) -> None:
    subprocess.run([stage.PROGRAMS / "python", CONTROL_PLANE, *arguments], check=True, timeout=START_SECONDS)
