"""What is done in a copy of this process, which ends with it: whatever it changes, the next one begins as it did.

A copy (`fork`) carries everything with it, also the coroutines that wait somewhere.
"""

from __future__ import annotations

import gc
import os
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


class CopyError(Exception):
    """A copy has ended without a result."""


def each(work: Callable[[Given], Result], given: Iterable[Given]) -> Iterator[Result]:
    """The result of the work on each, one after another.

    Raises:
        CopyError: the work has raised something; its traceback stands in the message.
    """
    gc.freeze()  # what is looked at by the collector is written to, and so has to be copied
    try:
        for one in given:
            yield _in_a_copy(work, one)
    finally:
        gc.unfreeze()


def _in_a_copy(work: Callable[[Given], Result], given: Given) -> Result:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(work, given, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    found: tuple[Result | None, str] = pickle.loads(told) if told else (None, "it was killed")  # noqa: S301 - our own
    result, problem = found
    if result is None:
        raise CopyError(problem)
    return result


def _work(work: Callable[[Given], Result], given: Given, writing: int) -> NoReturn:
    found: tuple[Result | None, str] = None, ""
    try:
        gc.disable()
        found = work(given), ""
    except BaseException:  # noqa: BLE001 - nothing may go on in a copy but its work
        found = None, traceback.format_exc()
    finally:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(found, pipe)
        os._exit(0)
