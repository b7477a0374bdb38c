"""The programs: taken from `KUBEBUILDER_ASSETS` as far as they are there, else built once and kept in the cache.

Each build has a folder of its own, whose name holds a hash of everything that decides what is built: a change of its
`go.mod` builds it anew and leaves those of other modules alone, and two checkouts share what they can.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from native import go, locking, places

VERSION = "v1.37.2"
KWOK_VERSION = "v0.7.0"
HELM_VERSION = "v3.22.0"
ASSETS = ("etcd", "kube-apiserver")
REPORT_SECONDS = 20.0


class BuildError(Exception):
    """The programs cannot be built; the message holds the compiler's last words."""


@dataclass(frozen=True, slots=True)
class Build:
    """What one Go module is built into: the packages by the names of their programs."""

    label: str
    module: Path
    packages: Mapping[str, str]
    linker_flags: str
    cost: str

    def ensure(self) -> None:
        """Builds the programs that neither the cache nor `KUBEBUILDER_ASSETS` holds. One build at a time."""
        if not self.missing():
            return
        with locking.locked(places.cache() / "build.lock"):
            if names := self.missing():
                _build(self, names)

    def missing(self) -> list[str]:
        """The programs that are not there yet."""
        return [name for name in self.packages if not self.path(name).exists()]

    def folder(self) -> Path:
        """The cache folder of exactly this build."""
        parts = [(self.module / name).read_bytes() for name in ("go.mod", "go.sum")]
        parts.append(f"{self.linker_flags} {sys.platform} {platform.machine()}".encode())
        return places.cache() / f"{self.label}-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:12]}"

    def path(self, name: str) -> Path:
        """Where one of the programs is, or will be once it is built."""
        assets = os.environ.get("KUBEBUILDER_ASSETS")
        if assets and name in ASSETS and (Path(assets) / name).exists():
            return Path(assets) / name
        return self.folder() / name


CONTROL_PLANE = Build(
    label=VERSION,
    module=places.TREE / "tools",
    packages={
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    },
    # kubectl cannot parse the version that is there by default.
    linker_flags=f"-s -w -X k8s.io/component-base/version.gitVersion={VERSION}",
    cost="six to eight minutes on two cores and 4.7 GB of build cache",
)
NODES = Build(
    label=f"kwok-{KWOK_VERSION}",
    module=places.TREE / "tools" / "kwok",
    packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    linker_flags="-s -w",
    cost="two minutes on two cores and 0.9 GB of build cache",
)
SCHEDULER = Build(
    label=f"scheduler-{VERSION}",
    # The module of the control plane, whose requirements are enough. Its go.mod does not name this program, so that
    # whoever has built the control plane keeps it.
    module=CONTROL_PLANE.module,
    packages={"kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler"},
    linker_flags=CONTROL_PLANE.linker_flags,
    cost="half a minute on two cores right after the control plane, four minutes without",
)
HELM = Build(
    label=f"helm-{HELM_VERSION}",
    module=places.TREE / "tools" / "helm",
    packages={"helm": "helm.sh/helm/v3/cmd/helm"},
    # As a release of helm is linked. Without a cluster it takes charts for the Kubernetes that it is told here.
    linker_flags=" ".join(
        [
            f"-s -w -X helm.sh/helm/v3/internal/version.version={HELM_VERSION}",
            f"-X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor={VERSION.split('.')[1]}",
            f"-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={VERSION.split('.')[1]}",
        ]
    ),
    cost="three minutes on two cores",
)


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of the programs; `kwok` and `scheduler` are built only for a control plane that has them."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    kwok: Path
    scheduler: Path


def locate(*, nodes: bool, scheduler: bool) -> Programs:
    """Where the programs are. Builds what is missing first."""
    ensure(nodes=nodes, scheduler=scheduler)
    etcd, apiserver, manager = (CONTROL_PLANE.path(name) for name in CONTROL_PLANE.packages)
    return Programs(etcd, apiserver, manager, kwok=NODES.path("kwok"), scheduler=SCHEDULER.path("kube-scheduler"))


def ensure(*, nodes: bool, scheduler: bool) -> None:
    """Builds the programs of a control plane, and those that play nodes and assign pods to them, where missing."""
    CONTROL_PLANE.ensure()
    if nodes:
        NODES.ensure()
    if scheduler:
        SCHEDULER.ensure()


def _build(build: Build, names: list[str]) -> None:
    started = time.monotonic()
    folder = build.folder()
    print(
        f"Building {', '.join(names)} ({build.label}), once: {build.cost}.\nThe programs are kept in {folder}.",
        flush=True,
    )
    with go.toolchain() as toolchain:
        unfinished = folder / "unfinished"
        unfinished.mkdir(parents=True, exist_ok=True)
        for name in names:
            _compile(toolchain, build, name, unfinished / name)
            (unfinished / name).replace(folder / name)
        unfinished.rmdir()
    print(f"Built in {time.monotonic() - started:.0f} s.", flush=True)


def _compile(toolchain: go.Toolchain, build: Build, name: str, target: Path) -> None:
    command = [toolchain.go, "build", "-v", "-trimpath", "-ldflags", build.linker_flags, "-o", str(target)]
    total = _count_packages(toolchain, build, name)
    process = subprocess.Popen(
        [*command, build.packages[name]],
        cwd=build.module,
        env=toolchain.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None  # noqa: S101 - it was asked for above
    last_words = _Progress(name, total).follow(process.stderr)
    if process.wait():
        raise BuildError(f"go build of {name} failed:\n" + "\n".join(last_words))


def _count_packages(toolchain: go.Toolchain, build: Build, name: str) -> int:
    """How many packages a program consists of. Downloads the modules, which the build needs anyway."""
    listing = [toolchain.go, "list", "-deps", build.packages[name]]
    listed = subprocess.run(
        listing, cwd=build.module, env=toolchain.environment, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise BuildError(f"go list of {name} failed:\n{listed.stderr}")
    return len(listed.stdout.splitlines())


class _Progress:
    """Says how far a build is: on one line that changes where a person looks on, as a line now and then elsewhere."""

    def __init__(self, name: str, total: int) -> None:
        self._name = name
        self._total = total
        self._count = 0
        self._last: list[str] = []
        self._live = sys.stdout.isatty()
        self._done = threading.Event()

    def follow(self, output: IO[str]) -> list[str]:
        """Reads `output`, one package or message a line, to its end; returns the last lines."""
        ticker = threading.Thread(target=self._tick, daemon=True)
        ticker.start()
        for line in output:
            self._count += 1
            self._last = [*self._last[-19:], line.rstrip()]
        self._done.set()
        ticker.join()
        self._report(end="\n")
        return self._last

    def _tick(self) -> None:
        while not self._done.wait(1.0 if self._live else REPORT_SECONDS):
            self._report(end="" if self._live else "\n")

    def _report(self, *, end: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        last = self._last[-1] if self._last and self._live and not end else ""
        text = f"  {self._name}: {self._count} of {self._total} packages compiled {last}"[:width]
        print(f"\r\033[K{text}" if self._live else text, end=end, flush=True)
