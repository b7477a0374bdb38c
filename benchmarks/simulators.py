"""Many simulated servers, each a process of its own, counted as one."""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from evolution_simulator import control_client


class Journal(Protocol):
    """What was called, and how often."""

    def call_counts(self) -> dict[str, int]:
        """How many requests each route got since the last reset."""

    def reset_calls(self) -> None:
        """Forget the requests so far."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Several simulators."""

    members: Sequence[control_client.Simulator]

    def call_counts(self) -> dict[str, int]:
        """How many requests each route got on all of them."""
        return dict(sum((Counter(one.call_counts()) for one in self.members), Counter()))

    def reset_calls(self) -> None:
        """Forget the requests so far."""
        for one in self.members:
            one.reset_calls()


@contextlib.contextmanager
def launched(count: int, *, api_key: str) -> Iterator[Fleet]:
    """So many simulators, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        yield Fleet(
            [stack.enter_context(control_client.launch(api_key=api_key, python=sys.executable)) for _ in range(count)]
        )
