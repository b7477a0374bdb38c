"""Where things are kept: programs in the cache of the user, each running control plane in a folder beside them."""

import os
import pwd
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
"""The checkout that these tools belong to."""
KUBECTL = TREE / ".venv" / "bin" / "kubectl"


def home() -> Path:
    """The user's home, also where `HOME` is not set, as in a bare CI job."""
    return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def cache() -> Path:
    """The project's folder in the user's cache; honours `XDG_CACHE_HOME`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "whatsapp-operator"


def run_folder(name: str) -> Path:
    """The folder that holds the data, the keys and the logs of the control plane called `name`."""
    return cache() / "run" / name


def environment() -> dict[str, str]:
    """This process's environment with `HOME` filled in: Go has nowhere to cache without it."""
    return {**os.environ, "HOME": str(home())}
