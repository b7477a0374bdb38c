"""What is done in a copy of this process leaves this one as it is, and says so where it fails."""

from __future__ import annotations

import os

import pytest
from simulation import copies


def test_each_copy_begins_as_the_one_before_did() -> None:
    seen: list[int] = []

    def note(number: int) -> list[int]:
        seen.append(number)
        return seen

    assert list(copies.each(note, [1, 2, 3])) == [[1], [2], [3]]
    assert seen == []


def test_error_in_a_copy_is_told_with_its_traceback() -> None:
    def fail(number: int) -> int:
        raise ValueError(f"no {number}")

    with pytest.raises(copies.CopyError, match="no 7"):
        list(copies.each(fail, [7]))


def test_copy_that_is_killed_is_told_of() -> None:
    with pytest.raises(copies.CopyError, match="killed"):
        list(copies.each(lambda _: os._exit(1), [0]))
