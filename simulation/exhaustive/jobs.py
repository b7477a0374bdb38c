"""Who may run: the copies of a search wait for each other, but for as many as there are jobs, which run side by side.

A process that waits for a copy has lent it its right to run. A copy beside it has a right of its own, as long as one
is free.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable

_PATIENCE_SECONDS = 1.0
"""Between two looks at whether the search goes on, of who waits for a right that a killed process may have had."""


class Failed(Exception):  # noqa: N818 - a fact about the copy
    """A copy has ended badly."""


class Jobs:
    """The rights of all processes of a search, and the copies of this one."""

    def __init__(self, most: int, *, goes_on: Callable[[], bool]) -> None:
        """So many may run. Raises `ValueError` where that is none."""
        if most < 1:
            raise ValueError("there have to be 1 or more jobs")
        self._free = multiprocessing.get_context("fork").Semaphore(most - 1)
        self._goes_on = goes_on
        self._beside: list[int] = []
        """Copies that nobody has waited for yet."""
        self._lent = True
        """Whether somebody waits until this process has ended, and runs again then."""

    def copy(self) -> bool:
        """Whether this is the copy. The other one goes on when that has ended, or at once where a right is free.

        Raises:
            Failed: the copy has ended badly.
        """
        beside = self._free.acquire(block=False)
        child = os.fork()
        if child == 0:
            self._beside, self._lent = [], not beside
            return True
        if beside:
            self._beside.append(child)
        else:
            _wait(child)
        return False

    def end(self) -> None:
        """Wait for the copies beside; somebody else may run meanwhile, and the one that waits for this one after it.

        Raises:
            Failed: a copy has ended badly.
        """
        if self._beside or not self._lent:
            self._free.release()
        for child in self._beside:
            _wait(child)
        while self._beside and self._lent and self._goes_on():
            if self._free.acquire(timeout=_PATIENCE_SECONDS):
                return


def _wait(child: int) -> None:
    _, status = os.waitpid(child, 0)
    if status:
        raise Failed(status)
