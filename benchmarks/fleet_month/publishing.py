"""The numbers in the README and in the documentation: written by the run that measured them."""

from __future__ import annotations

from pathlib import Path

RESULTS = "fleet month"
HEALS = "times to heal"
"""What the places for the numbers are called."""


class NoPlaceError(Exception):
    """A text has no place for the numbers."""


def publish(path: Path, told: str, *, place: str = RESULTS) -> None:
    """Replace what stands between the two marks of a place in a text. Raises `NoPlaceError`."""
    first, last = f"<!-- {place}: begin -->\n", f"<!-- {place}: end -->"
    before, begin, rest = path.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise NoPlaceError(f"{path.name}: no {first.strip()} with {last} after it")
    path.write_text(f"{before}{begin}{told}\n{end}{after}")
