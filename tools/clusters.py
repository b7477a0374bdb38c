"""Which cluster the tests and the demo run on.

The first of these that there is, unless `CLUSTER` names one:

- `CLUSTER=existing`: the cluster of the current kubeconfig; never created, never deleted.
- `kind`: where a Docker engine works.
- `native`: the control plane of plain processes; works everywhere.
"""

import enum
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from native import places

KIND_VERSION = "v0.32.0"
KIND_IMAGE = "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"
KUBECTL = places.KUBECTL
KIND_NATIVE = places.TREE / "tools" / "kind-native"
DOCKER_SECONDS = 20.0


class Source(enum.Enum):
    """Where a cluster comes from."""

    EXISTING = "existing"
    KIND = "kind"
    NATIVE = "native"


def chosen() -> Source:
    """What `CLUSTER` names, else what this machine can do. Raises ValueError for a name that is none of the three."""
    named = os.environ.get("CLUSTER")
    if named:
        return Source(named)
    return Source.KIND if _docker_works() else Source.NATIVE


@contextmanager
def opened(name: str, folder: Path) -> Iterator[Path]:
    """A cluster for as long as the `with` block runs: the path of its administrator's kubeconfig, written to `folder`.

    Raises CalledProcessError when the cluster cannot be created; what went wrong is on stderr by then.
    """
    source = chosen()
    kubeconfig = folder / "kubeconfig"
    if source is Source.EXISTING:
        yield export_current(kubeconfig)
        return
    kind = shutil.which("kind") if source is Source.KIND else None
    program, image = (kind, [f"--image={KIND_IMAGE}"]) if kind else (str(KIND_NATIVE), [])
    target = [f"--name={name}", f"--kubeconfig={kubeconfig}"]
    owner = {**os.environ, "KIND_NATIVE_OWNER": str(os.getpid())}
    subprocess.run([program, "create", "cluster", *target, *image], check=True, env=owner)
    try:
        yield kubeconfig
    finally:
        subprocess.run([program, "delete", "cluster", *target], check=True)


def export_current(target: Path) -> Path:
    """Writes the current context of the current kubeconfig to `target`, in one piece, and returns `target`."""
    view = [str(KUBECTL), "config", "view", "--raw", "--flatten", "--minify"]
    text = subprocess.run(view, check=True, stdout=subprocess.PIPE, text=True).stdout
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(text)
    return target


def _docker_works() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "info"], capture_output=True, timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0
