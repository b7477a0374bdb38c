"""The numbers in the README and in the documentation: written by the run that measured them."""

from __future__ import annotations

from pathlib import Path

_BEGIN, _END = "<!-- fleet month: begin -->\n", "<!-- fleet month: end -->"


class NoPlaceError(Exception):
    """A text has no place for the numbers."""


def publish(path: Path, told: str) -> None:
    """Replace what stands between the two marks of a text. Raises `NoPlaceError`."""
    before, begin, rest = path.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise NoPlaceError(f"{path.name}: no {_BEGIN.strip()} with {_END} after it")
    path.write_text(f"{before}{begin}{told}\n{end}{after}")
