"""Sets the checkout up with nothing but Python 3.11 or newer: both virtual environments, from hashed packages.

    python3 tools/bootstrap.py setup        .venv and .venv-kind; quick when nothing changed
    python3 tools/bootstrap.py lock         resolves pyproject.toml into locks/ (--upgrade: to the newest)
    python3 tools/bootstrap.py check-locks  fails when locks/ does not belong to pyproject.toml; needs no network

Each lock names in its first line the hash of the requirements it was resolved from. The packages are installed with uv:
the one on the PATH where it is new enough, else one from PyPI in `.cache/uv`.
"""

import argparse
import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
OLDEST_UV = (0, 8)
TREE = Path(__file__).resolve().parents[1]
LOCKS = TREE / "locks"
OWN_UV = TREE / ".cache" / "uv"

PROJECT = "project"  # stands for the dependencies of the project itself, beside the names of groups
LOCKED = {
    "dev": (PROJECT, "dev", "tools", "build"),
    "kind": ("kind",),
    "run": (PROJECT,),
    "build": ("build",),
    "uv": ("uv",),
    "go": ("go",),
}
ENVIRONMENTS = {".venv": "dev", ".venv-kind": "kind"}


class SetupError(Exception):
    """The set-up cannot go on; the message says what to install or to run."""


def main() -> int:
    """Runs one command; returns the exit code."""
    _need_new_python()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup")
    commands.add_parser("lock").add_argument("--upgrade", action="store_true")
    commands.add_parser("check-locks")
    chosen = parser.parse_args()
    try:
        if chosen.command == "setup":
            setup()
        elif chosen.command == "lock":
            lock(upgrade=chosen.upgrade)
        else:
            check_locks()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"error: {' '.join(map(str, error.cmd))} ended with exit code {error.returncode}", file=sys.stderr)
        return 1
    return 0


def setup() -> None:
    """Creates or updates both environments, where they are not up to date."""
    check_locks()
    for folder, name in ENVIRONMENTS.items():
        environment = TREE / folder
        stamp = environment / "setup-stamp"
        wanted = _stamp(name)
        if _is_usable(environment) and stamp.exists() and stamp.read_text() == wanted:
            continue
        print(f"Setting up {folder} from locks/{name}.txt", flush=True)
        _install(environment, name)
        stamp.write_text(wanted)


def lock(*, upgrade: bool) -> None:
    """Resolves each set of requirements for every platform and Python that the project supports."""
    for name, parts in LOCKED.items():
        target = LOCKS / f"{name}.txt"
        sources = ["pyproject.toml"] if PROJECT in parts else []
        groups = [argument for part in parts if part != PROJECT for argument in ("--group", part)]
        uv(
            *("pip", "compile", "--quiet", "--universal", "--python-version", ".".join(map(str, OLDEST_PYTHON))),
            *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
            *(["--upgrade"] if upgrade else []),
            *sources,
            *groups,
            *("--output-file", f"locks/{name}.txt"),
        )
        target.write_text(_header(name) + target.read_text())
        print(f"locks/{name}.txt")


def check_locks() -> None:
    """Raises SetupError where a lock was resolved from other requirements than pyproject.toml has now."""
    for name in LOCKED:
        target = LOCKS / f"{name}.txt"
        if not target.exists() or not target.read_text().startswith(_header(name)):
            raise SetupError(f"locks/{name}.txt does not belong to pyproject.toml: run `make lock`")


def uv(*arguments: str) -> None:
    """Runs uv in the checkout. Raises CalledProcessError when it fails, SetupError where it cannot be had."""
    subprocess.run([_find_uv(), *arguments], check=True, cwd=TREE, env=_environment())


def _install(environment: Path, name: str) -> None:
    python = str(environment / "bin" / "python")
    if not _is_usable(environment):
        uv("venv", "--quiet", "--clear", "--python", sys.executable, str(environment))
    # Compiled once, and not by each operator that a test starts, where Python is told to write no bytecode.
    compiled = ("--compile-bytecode", "--require-hashes")
    uv("pip", "sync", "--quiet", "--python", python, *compiled, str(LOCKS / f"{name}.txt"))
    if PROJECT in LOCKED[name]:
        # The build backend comes from the lock, too: nothing is installed that was not hashed.
        uv("pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", "--editable", ".")


def _stamp(name: str) -> str:
    """What the environment was made from: it is made anew when any of it changes."""
    text = (LOCKS / f"{name}.txt").read_bytes()
    if PROJECT in LOCKED[name]:
        text += (TREE / "pyproject.toml").read_bytes()
    return f"{hashlib.sha256(text).hexdigest()} {TREE}\n"


def _is_usable(environment: Path) -> bool:
    """Whether its Python starts, and it was made at this very path, which its programs name in their first line."""
    python, stamp = environment / "bin" / "python", environment / "setup-stamp"
    if stamp.exists() and not stamp.read_text().endswith(f" {TREE}\n"):
        return False
    return python.exists() and subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


def _header(name: str) -> str:
    import tomllib  # noqa: PLC0415 - an older Python gets as far as the message that it is too old

    described = tomllib.loads((TREE / "pyproject.toml").read_text())
    groups = {PROJECT: described["project"]["dependencies"], **described["dependency-groups"]}
    requirements = [described["project"]["requires-python"], *(groups[part] for part in LOCKED[name])]
    digest = hashlib.sha256(json.dumps(requirements).encode()).hexdigest()[:16]
    return f"# Made by `make lock` from pyproject.toml; requirements {digest}\n"


def _find_uv() -> str:
    for candidate in (shutil.which("uv"), str(OWN_UV / "bin" / "uv")):
        if candidate and _is_new_uv(candidate):
            return candidate
    print("Installing uv from PyPI into .cache/uv", flush=True)
    requirements = ["--quiet", "--require-hashes", "--requirement", str(LOCKS / "uv.txt")]
    shutil.rmtree(OWN_UV, ignore_errors=True)
    if _can(["-c", "import ensurepip"]):
        subprocess.run([sys.executable, "-m", "venv", str(OWN_UV)], check=True)
        subprocess.run([OWN_UV / "bin" / "python", "-m", "pip", "install", *requirements], check=True)
    elif _can(["-m", "pip", "--version"]):
        target = ["--target", str(OWN_UV)]
        subprocess.run([sys.executable, "-m", "pip", "install", *target, *requirements], check=True)
    else:
        raise SetupError("this Python has neither ensurepip nor pip: install python3-venv (its name on Debian)")
    return str(OWN_UV / "bin" / "uv")


def _can(arguments: list[str]) -> bool:
    return subprocess.run([sys.executable, *arguments], check=False, capture_output=True).returncode == 0


def _is_new_uv(candidate: str) -> bool:
    try:
        asked = subprocess.run([candidate, "--version"], check=False, capture_output=True, text=True)
    except OSError:
        return False
    version = re.match(r"uv (\d+)\.(\d+)", asked.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_UV


def _environment() -> dict[str, str]:
    """`HOME` is filled in where it is not set, and pip's index serves uv, too."""
    settings = {"HOME": pwd.getpwuid(os.getuid()).pw_dir, **os.environ}
    if "PIP_INDEX_URL" in settings:
        settings.setdefault("UV_DEFAULT_INDEX", settings["PIP_INDEX_URL"])
    return settings


def _need_new_python() -> None:
    """Goes on with a newer Python where this one is too old and another is on the PATH."""
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return
    for minor in range(20, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606 - no shell is wanted
    sys.exit("error: Python 3.11 or newer is needed")


if __name__ == "__main__":
    sys.exit(main())
