"""What the benchmarks run on: a cluster with the shipped resources and rights, and the machine's size."""

import asyncio
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

import clusters
from benchmarks import plain

ROOT = Path(__file__).resolve().parents[1]
_ACCOUNT = "whatsapp-operator"
_TOKEN_HOURS = 4


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: the administrator's kubeconfig, and one of the operator's ServiceAccount."""

    administrator: Path
    operator: Path


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the API server and etcd have, and which all the rest: the same ones, or none in common."""

    control_plane: frozenset[int]
    rest: frozenset[int]

    @property
    def apart(self) -> bool:
        """Whether the control plane has cores of its own."""
        return not self.control_plane & self.rest


def shared_cores() -> Cores:
    """Everything on all cores."""
    every = frozenset(os.sched_getaffinity(0))
    return Cores(every, every)


def cores_apart() -> Cores:
    """The control plane on one half, as on a node of its own. Raises ValueError where there is one core only."""
    every = sorted(os.sched_getaffinity(0))
    half = len(every) // 2
    if not half:
        raise ValueError("--apart needs two cores, this machine gives one")
    return Cores(frozenset(every[:half]), frozenset(every[half:]))


@contextmanager
def cluster(folder: Path, cores: Cores) -> Iterator[Cluster]:
    """A cluster with everything of `manifests/` but the Deployment, whose part the benchmarks' own process plays.

    What this process starts later, the operator and the simulators, inherits its cores.
    """
    os.sched_setaffinity(0, cores.control_plane)
    with clusters.opened(f"bench-{os.getpid()}", folder) as administrator:
        os.sched_setaffinity(0, cores.rest)
        _install(administrator)
        yield Cluster(administrator, _as_operator(administrator, folder / "operator.kubeconfig"))


async def allow_server_restarts(cluster: Cluster, namespace: str) -> None:
    """The shipped role that allows the operator to restart the servers of a namespace."""
    role = str(ROOT / "manifests" / "server-restart.yaml")
    await asyncio.to_thread(_kubectl, cluster.administrator, "apply", f"--namespace={namespace}", "-f", role)


def _kubectl(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
    command = [str(clusters.KUBECTL), f"--kubeconfig={kubeconfig}", *arguments]
    return subprocess.run(command, check=True, text=True, input=stdin, stdout=subprocess.PIPE).stdout


def _install(kubeconfig: Path) -> None:
    rendered = list(yaml.safe_load_all(_kubectl(kubeconfig, "kustomize", str(ROOT / "manifests"))))
    wanted = yaml.safe_dump_all([one for one in rendered if one["kind"] != "Deployment"])
    _kubectl(kubeconfig, "apply", "--server-side", "-f", "-", stdin=wanted)
    _kubectl(kubeconfig, "wait", "--for=condition=Established", "--timeout=60s", "-f", str(ROOT / "crds"))


def _as_operator(administrator: Path, target: Path) -> Path:
    asked = ["create", "token", _ACCOUNT, f"--namespace={_ACCOUNT}", f"--duration={_TOKEN_HOURS}h"]
    config = yaml.safe_load(administrator.read_text())
    config["users"] = [{"name": _ACCOUNT, "user": {"token": _kubectl(administrator, *asked).strip()}}]
    for entry in config["contexts"]:
        entry["context"]["user"] = _ACCOUNT
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(config))
    return target


@dataclass(frozen=True, slots=True)
class Machine:
    """What the numbers were measured on."""

    processor: str
    cores: int
    apart: bool
    """Whether half of the cores are the control plane's own."""
    memory_gib: float
    system: str
    python: str
    kubernetes: str
    control_plane: str


async def machine(api: plain.Api, cores: Cores) -> Machine:
    """This machine, how it is shared, and the API server's version."""
    version = await api.call("GET", "/version")
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=_processor(),
        cores=len(cores.control_plane | cores.rest),
        apart=cores.apart,
        memory_gib=round(pages / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        kubernetes=version["gitVersion"],
        control_plane=clusters.chosen().value,
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
