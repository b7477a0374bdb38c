"""What the Dockerfile installs, on a machine without a container engine.

The commands are those of the Dockerfile's build stage, read from it, so that the two cannot differ. In place of the
base image stands a copy of a Python installation, of the image's minor version where this machine has one. What comes
out is a tree that no user but its owner could write to, and that its owner has made read-only, too.
"""

import json
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from native import places

DOCKERFILE = places.TREE / "Dockerfile"
BUILD_SECONDS = 600
NOT_COPIED = ("site-packages", "dist-packages", "test", "idlelib", "tkinter", "config-*", "__pycache__")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined."""

    word: str
    rest: str


def instructions() -> list[Instruction]:
    """The instructions of the Dockerfile, in order."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [Instruction(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, which begins with its FROM."""
    found: list[list[Instruction]] = []
    for one in instructions():
        if one.word == "FROM":
            found.append([])
        found[-1].append(one)
    return found


def listed(word: str) -> list[str]:
    """The words of an instruction in JSON form, such as ENTRYPOINT."""
    (rest,) = [one.rest for one in instructions() if one.word == word]
    return [str(part) for part in json.loads(rest)]


def user() -> str:
    """The user that the image's processes run as."""
    (rest,) = [one.rest for one in instructions() if one.word == "USER"]
    return rest


def sources() -> list[str]:
    """What is copied from the checkout."""
    copied = [one.rest.split()[:-1] for one in instructions() if one.word == "COPY" and "--from" not in one.rest]
    return [path for paths in copied for path in paths]


@dataclass(frozen=True, slots=True)
class Image:
    """What the image holds beside the base: `base` stands for that, `prefix` for the folder that was installed."""

    base: Path
    prefix: Path

    def environment(self) -> dict[str, str]:
        """The whole environment of a process in it: what the last stage sets, and nothing of this process's own."""
        known = {"PREFIX": str(self.prefix), "PATH": _path(self.base)}
        (rest,) = [one.rest for one in stages()[-1] if one.word == "ENV"]
        pairs = (part.split("=", 1) for part in shlex.split(rest))
        return {name: string.Template(value).substitute(known) for name, value in pairs} | _libraries(self.base)

    def command(self, *arguments: str) -> list[str]:
        """A command line in it, as the image's user where this process may change to one."""
        settings = [f"{name}={value}" for name, value in self.environment().items()]
        return ["env", "-i", *settings, *as_user(), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in it, from a folder that cannot be written to."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, cwd="/", timeout=60
        )


def can_change_user() -> bool:
    return os.geteuid() == 0 and shutil.which("setpriv") is not None


def as_user() -> list[str]:
    """What puts a command under the image's user and takes every privilege from it; nothing without root."""
    if not can_change_user():
        return []
    uid, gid = user().split(":")
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]


def build(folder: Path) -> Image:
    """Installs into `folder` as the Dockerfile does, and makes the result read-only. Raises AssertionError."""
    image = Image(folder / "base", folder / "prefix")
    context = folder / "build"
    context.mkdir()
    _copy_python(_find_python(), image.base)
    for one in stages()[1]:
        if one.word == "COPY":
            _copy(one.rest, context)
        elif one.word == "RUN":
            _run(one.rest, context, image)
        else:
            assert one.word in {"FROM", "ARG", "WORKDIR"}, f"{one.word} would be left out here"
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(image.base), str(image.prefix)], check=True)
    return image


def _copy(rest: str, context: Path) -> None:
    *wanted, target = rest.split()
    for path in wanted:
        source = places.TREE / path
        into = context / target / ("" if source.is_dir() else source.name)
        if source.is_dir():
            shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, into)


def _run(command: str, context: Path, image: Image) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=context,
        env=inherited | {"PATH": _path(image.base), "PREFIX": str(image.prefix), **_libraries(image.base)},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-5000:]}\n{ended.stderr[-5000:]}"


@dataclass(frozen=True, slots=True)
class _Python:
    """An installed Python: where it is, and the name of its program, such as python3.12."""

    prefix: Path
    name: str


def _find_python() -> _Python:
    """A Python of the base image's minor version, from the PATH or from pyenv; else the one that runs this."""
    (version,) = re.findall(r"^FROM python:(3\.\d+)\.", DOCKERFILE.read_text(), flags=re.MULTILINE)
    of_pyenv = (places.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}")
    for candidate in (shutil.which(f"python{version}"), *of_pyenv, sys.executable):
        if candidate and (found := _ask(candidate)):
            return found
    raise AssertionError("no Python here has ensurepip, from which the image's pip comes: install python3-venv")


def _ask(python: str | Path) -> _Python | None:
    """What a Python says of itself; None from one that does not start, or has no pip to give."""
    code = "import ensurepip, sys; print(sys.base_prefix, 'python%d.%d' % sys.version_info[:2], sep='\\n')"
    asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if asked.returncode:
        return None
    prefix, name = asked.stdout.splitlines()
    return _Python(Path(prefix), name)


def _copy_python(python: _Python, target: Path) -> None:
    """Copies a Python to where every user reaches it; only its standard library comes along, and pip."""
    library = Path("lib") / python.name
    (target / "bin").mkdir(parents=True)
    shutil.copy(python.prefix / "bin" / python.name, target / "bin" / python.name)
    for link in ("python", "python3"):
        (target / "bin" / link).symlink_to(python.name)
    shutil.copytree(python.prefix / library, target / library, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for shared in (python.prefix / "lib").glob("libpython3*.so*"):
        shutil.copy(shared, target / "lib" / shared.name)
    install = [str(target / "bin" / python.name), "-m", "ensurepip", "--default-pip"]
    subprocess.run(install, check=True, capture_output=True, env={**os.environ, **_libraries(target)})


def _path(base: Path) -> str:
    return f"{base / 'bin'}:{os.defpath}"


def _libraries(base: Path) -> dict[str, str]:
    """A Python that was built with a library of its own finds it in the copy."""
    return {"LD_LIBRARY_PATH": str(base / "lib")}


def writable(image: Image) -> Iterator[Path]:
    """What the image's user can write to, of all that the image holds."""
    for folder in (image.base, image.prefix):
        found = image.run("find", str(folder), "-not", "-type", "l", "-writable").stdout
        yield from map(Path, found.splitlines())


def packages(image: Image) -> Sequence[str]:
    """What is installed beside the base, each as `name==version`."""
    listing = "import importlib.metadata as m; [print(f'{d.name}=={d.version}') for d in m.distributions()]"
    return image.run(str(image.prefix / "bin" / "python"), "-c", listing).stdout.splitlines()
