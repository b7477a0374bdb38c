"""What the C library does with memory that is free."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from whatsapp_operator.cli import memory

def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024

if sys.argv[1] == "early":
    memory.give_back_early()
bytearray(300_000)  # one that was free once is what glibc learns from
before, blocks, kept = resident(), [], []
for _ in range(200):
    blocks.append(bytearray(262_144))
    kept.append(bytearray(2_000))
blocks.clear()
print(resident() - before)
"""


def grown_mebibytes(how: str) -> int:
    """How much a process keeps of 50 MiB in large blocks that are free again, with small ones between them."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other rules")
def test_large_blocks_that_are_free_go_back_to_the_system() -> None:
    assert grown_mebibytes("late") > 40
    assert grown_mebibytes("early") < 5
