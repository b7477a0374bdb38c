"""When so many instances are missing at once that another database is meant, and not they."""

from __future__ import annotations

import pytest

from whatsapp_operator.health.witnesses import vanish_at_once


@pytest.mark.parametrize(
    ("known", "missing", "besides", "vanish"),
    [
        (3, 2, 0, True),
        (3, 3, 0, True),
        (3, 1, 0, False),
        (4, 2, 0, False),
        (4, 3, 0, True),
        (100, 50, 0, False),
        (100, 51, 0, True),
        (2, 2, 0, False),
        (2, 2, 1, True),
        (1, 1, 9, False),
        (0, 0, 9, False),
    ],
)
def test_more_than_half_and_more_than_one_of_three_or_more_vanish_at_once(
    known: int, missing: int, besides: int, vanish: bool
) -> None:
    names = [f"shop-{number}" for number in range(known)]
    listed = [*names[missing:], "somebody-elses"]

    assert vanish_at_once(names, listed, besides=besides) is vanish


def test_nobody_is_known_besides_unless_it_is_said() -> None:
    assert not vanish_at_once(["shop", "bank"], [])
