"""How memory is handed out and taken back: a process that runs for months must not keep the most that it ever needed.

Thousands of resources are listed now and then, and each connection to the API server has a buffer of 256 KiB. glibc
learns from such blocks to keep them for the next time, and keeps memory per thread; without that they go back at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

# From malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE = 128 * 1024


def give_back_early() -> None:
    """Return large blocks to the system as soon as they are free; nothing happens where the C library is another."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)
        mallopt(_ARENA_MAX, 1)


def collect_rarely() -> None:
    """Let the garbage collector run far less often: each full run goes through all that is known of all instances.

    Nearly everything is freed by its reference count; Python's defaults (700, 10, 10) suit programs that hold little.
    """
    gc.set_threshold(10_000, 20, 50)
