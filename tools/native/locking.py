"""Locks between processes, held by the kernel: they end with their owner, however it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def try_lock(path: Path) -> IO[str] | None:
    """Takes the lock at `path` and returns what holds it, or `None` where another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.open("a")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder.close()
        return None
    return holder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock at `path`, after waiting for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        yield
