"""A failing seed made small: deeds are left out for as long as the same invariant still fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulation.run import Outcome

Attempt = Callable[[Sequence[int]], Outcome]


def shrink(broken: Outcome, attempt: Attempt) -> Outcome:
    """The smallest outcome that was found; `attempt` runs the seed again with only these deeds.

    First halves are left out, then quarters, and in the end single deeds (delta debugging, Zeller 1999).
    """
    best = broken
    size = max(len(_numbers(best)) // 2, 1)
    while _numbers(best):
        smaller = _without_a_part(best, size, attempt)
        if smaller is not None:
            best = smaller
            size = min(size, max(len(_numbers(best)) // 2, 1))
        elif size == 1:
            break
        else:
            size = max(size // 2, 1)
    return best


def _without_a_part(best: Outcome, size: int, attempt: Attempt) -> Outcome | None:
    numbers = _numbers(best)
    for begin in range(0, len(numbers), size):
        outcome = attempt([*numbers[:begin], *numbers[begin + size :]])
        if outcome.broken == best.broken:
            return outcome
    return None


def _numbers(outcome: Outcome) -> list[int]:
    return [one.number for one in outcome.schedule.entries]
