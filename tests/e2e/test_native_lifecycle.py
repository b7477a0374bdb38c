"""The native control plane ends when it should, and leaves no process behind."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import clusters
from e2e import kube
from native import places

pytestmark = pytest.mark.skipif(
    clusters.chosen() is not clusters.Source.NATIVE, reason="the cluster is not the native one"
)
PYTHON = places.TREE / ".venv" / "bin" / "python"
CONTROL_PLANE = places.TREE / "tools" / "control_plane.py"


@pytest.fixture
def name() -> Iterator[str]:
    chosen = f"lifecycle-{secrets.token_hex(3)}"
    yield chosen
    control_plane("stop", "--name", chosen)


def control_plane(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PYTHON, CONTROL_PLANE, *arguments], capture_output=True, text=True, check=False, timeout=120)


def processes(name: str) -> dict[str, int]:
    """The programs that run with files in the folder of the control plane, by name."""
    folder = os.fsencode(places.run_folder(name))
    commands = {int(path.parent.name): _read(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    return {_program(command): pid for pid, command in commands.items() if folder in command}


def _program(command: bytes) -> str:
    return Path(os.fsdecode(command.split(b"\0")[0])).name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended since it was listed
        return b""


def test_stopped_control_plane_leaves_nothing(name: str, tmp_path: Path) -> None:
    started = control_plane("start", "--name", name, "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert started.returncode == 0, started.stderr
    assert set(processes(name)) == {"etcd", "kube-apiserver", "kube-controller-manager"}
    assert "default" in kube.Kubectl(tmp_path / "kubeconfig")("get", "namespaces")

    stopped = control_plane("stop", "--name", name, "--kubeconfig", str(tmp_path / "kubeconfig"))

    assert stopped.returncode == 0, stopped.stderr
    assert processes(name) == {}
    assert not places.run_folder(name).exists()
    assert not (tmp_path / "kubeconfig").exists()


def test_control_plane_with_nodes_plays_them_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    started = control_plane("start", "--name", name, "--nodes", "2", "--kubeconfig", str(kubeconfig))
    assert started.returncode == 0, started.stderr
    assert set(processes(name)) == {"etcd", "kube-apiserver", "kube-controller-manager", "kwok"}
    ready = kube.Kubectl(kubeconfig).json("get", "nodes")["items"]
    assert [node["metadata"]["name"] for node in ready] == ["node-1", "node-2"]

    control_plane("stop", "--name", name, "--kubeconfig", str(kubeconfig))

    assert processes(name) == {}
    assert not places.run_folder(name).exists()


def test_control_plane_ends_with_its_owner(name: str) -> None:
    with subprocess.Popen(["sleep", "600"]) as owner:
        started = control_plane("start", "--name", name, "--owner", str(owner.pid))
        assert started.returncode == 0, started.stderr
        assert processes(name)

        owner.kill()

    kube.wait_until(lambda: not processes(name), timeout=30)
    kube.wait_until(lambda: not places.run_folder(name).exists(), message="the folder was not removed")


def test_crash_of_one_program_ends_the_others_and_is_told(name: str) -> None:
    started = control_plane("start", "--name", name)
    assert started.returncode == 0, started.stderr

    os.kill(processes(name)["etcd"], signal.SIGKILL)

    log = places.run_folder(name) / "supervisor.log"
    kube.wait_until(lambda: "etcd ended with exit code -9" in log.read_text(), timeout=30)
    kube.wait_until(lambda: not processes(name), timeout=30)
