"""Only what a server has loaded anew proves that it has restarted."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from support.world import START, a_row, state
from whatsapp_operator.engine.loaded import Loaded

LOOKS = 10
"""Seconds from one look to the next."""


def at(number: int) -> datetime:
    return START + timedelta(seconds=LOOKS * number)


def looks(*held: str, listed: str = "ab", unread: str = "", ids: dict[int, str] | None = None) -> Loaded:
    """Look after look; in look `n` the instance `b` has the id `ids[n]`, and no look has what is `unread` in it."""
    found = Loaded()
    for number, names in enumerate(held):
        rows = {name: a_row("open", identity=name) for name in listed}
        if ids is not None:
            rows["b"] = a_row("open", identity=ids[number])
        states = {name: state("open") for name in names}
        found = found.after(rows, states, unread=frozenset(unread), at=at(number))
    return found


@pytest.mark.parametrize(
    ("held", "since"),
    [
        (("ab", "a", "ab"), at(0)),
        (("ab", "a", "a", "ab"), at(0)),
        (("ab", "", "a", "a", "ab"), at(0)),
        (("ab", "ab", "ab", "", "ab", "ab"), at(2)),
        (("ab", "a", "ab", "b", "ab"), at(2)),
        (("ab", "b", "a", "ab"), at(1)),
    ],
    ids=["one", "slowly", "one by one", "later", "twice", "one while another still loads"],
)
def test_server_has_restarted_since_it_last_held_what_it_loaded_anew(held: tuple[str, ...], since: datetime) -> None:
    assert looks(*held).since == since


@pytest.mark.parametrize(
    "held",
    [(), ("ab",), ("ab", "ab"), ("ab", "a"), ("ab", "a", "a"), ("a", "ab"), ("a", "a", "ab"), ("", "ab")],
)
def test_what_is_missing_still_or_was_not_held_before_proves_no_restart(held: tuple[str, ...]) -> None:
    """An outage shows nothing else, and neither does an instance that is deleted, or that is new."""
    assert looks(*held).since is None


@pytest.mark.parametrize("ids", ["bcc", "bbc", "bcb"])
def test_instance_that_was_created_anew_proves_no_restart(ids: str) -> None:
    assert looks("ab", "a", "ab", ids=dict(enumerate(ids))).since is None
    assert looks("ab", "a", "ab", ids=dict(enumerate("bbb"))).since == START


def test_instance_that_the_list_lacks_proves_no_restart() -> None:
    assert looks("abc", "ab", "abc").since is None
    rows = {"a": a_row("open", identity="a")}
    held = {"a": state("open")}
    found = Loaded().after(rows, held, unread=frozenset(), at=at(0)).after(rows, {}, unread=frozenset(), at=at(1))
    without = found.after({}, held, unread=frozenset(), at=at(2))

    assert without.since is None
    assert without.after(rows, held, unread=frozenset(), at=at(3)).since is None
    listed_again = without.after(rows, {}, unread=frozenset(), at=at(3))
    assert listed_again.after(rows, held, unread=frozenset(), at=at(4)).since is None


def test_instance_that_could_not_be_read_proves_no_restart() -> None:
    assert looks("ab", "a", "ab", unread="b").since is None
    assert looks("ab", "a", "ab", unread="a").since == START
