"""Warm-up: until a server has loaded what it will, nothing it lacks is missing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.simulated import START
from whatsapp_operator.engine import warmup
from whatsapp_operator.engine.warmup import WarmUp

GROWTH = timedelta(seconds=300)


def looks(before: WarmUp, *held: str, listed: str = "abcdef", every: float = 10) -> WarmUp:
    """Look after look, the first `every` seconds after the last of `before`."""
    began = before.grown_at or START
    for number, names in enumerate(held):
        at = began + timedelta(seconds=every * (number + 1))
        before = warmup.observed(before, listed=set(listed), held=set(names), at=at, growth=GROWTH)
    return before


def test_server_that_holds_all_it_lists_is_warm_at_once() -> None:
    assert looks(WarmUp(), "abcdef").done


def test_server_that_lists_nothing_is_warm_at_once() -> None:
    assert looks(WarmUp(), "", listed="").done


def test_server_that_still_loads_is_not_warm() -> None:
    assert not looks(WarmUp(), "a", "ab", "abc", "abcd").done


def test_server_that_has_not_grown_for_minutes_is_warm_without_its_ghosts() -> None:
    almost = looks(WarmUp(), *["abcde"] * 30)
    assert not almost.done

    warm = looks(WarmUp(), *["abcde"] * 31)
    assert warm.done
    assert warm.ghosts == {"f"}


def test_nothing_is_missing_before_a_server_is_warm() -> None:
    assert not looks(WarmUp(), "abcde").is_missing("f")


def test_ghost_stays_missing_where_no_read_failed_also_when_another_is_loaded() -> None:
    known = looks(WarmUp(), *["abcd"] * 31)

    assert looks(known, "abcd").is_missing("f")
    assert looks(known, "abcde").is_missing("f")


def after_the_clock_went_back(before: WarmUp, *, seconds: float) -> WarmUp:
    """An hour back at one look, and another look so long after that."""
    for at in (START - timedelta(hours=1), START - timedelta(hours=1) + timedelta(seconds=seconds)):
        before = warmup.observed(before, listed=set("abcdef"), held=set("abcde"), at=at, growth=GROWTH)
    return before


@pytest.mark.parametrize(("seconds", "done"), [(299, False), (300, True)])
def test_wait_lasts_no_longer_where_the_wall_clock_has_gone_back(seconds: float, *, done: bool) -> None:
    begun = looks(WarmUp(), "abcde")

    assert after_the_clock_went_back(begun, seconds=seconds).done is done


@pytest.mark.parametrize(("seconds", "is_missing"), [(299, False), (300, True)])
def test_ghost_is_in_doubt_no_longer_where_the_wall_clock_has_gone_back(seconds: float, *, is_missing: bool) -> None:
    again = looks(warmup.begin(looks(WarmUp(), *["abcde"] * 31)), "abcde")

    assert after_the_clock_went_back(again, seconds=seconds).is_missing("f") is is_missing


def test_each_growth_begins_the_wait_anew() -> None:
    assert not looks(WarmUp(), *["abc"] * 30, *["abcd"] * 30).done


def test_ghosts_confirmed_before_do_not_hold_up_a_server_that_only_failed_a_read() -> None:
    known = looks(WarmUp(), *["abcde"] * 31)

    assert looks(warmup.begin(known), "abcde").done


def test_ghost_confirmed_before_is_in_doubt_for_minutes_after_a_failed_read_since_a_restart_may_be_loading_it() -> None:
    known = looks(WarmUp(), *["abcde"] * 31)
    assert known.is_missing("f")

    first = looks(warmup.begin(known), "abcde")
    assert first.done
    assert not first.is_missing("f")
    assert first.is_missing("a"), "what was held until now is missing when it goes: the others are not held up"

    assert not looks(first, *["abcde"] * 29).is_missing("f")
    assert looks(first, *["abcde"] * 30).is_missing("f")


def test_ghost_is_in_doubt_after_a_failed_read_however_long_ago_anything_was_loaded() -> None:
    known, at = looks(WarmUp(), *["abcde"] * 31), START + timedelta(days=1)

    after = warmup.observed(warmup.begin(known), listed=set("abcdef"), held=set("abcde"), at=at, growth=GROWTH)

    assert not after.is_missing("f")


def test_ghost_stays_in_doubt_for_as_long_as_others_are_loaded_and_no_longer_for_those_that_are_new() -> None:
    known = looks(WarmUp(), *["abcd"] * 31)
    assert known.ghosts == {"e", "f"}
    first = looks(warmup.begin(known), "abcd")

    assert not looks(first, "abcde", every=300).is_missing("f")
    assert looks(first, "abcdg", listed="abcdefg", every=300).is_missing("f")


def test_each_failed_read_puts_a_ghost_in_doubt_anew() -> None:
    known = looks(WarmUp(), *["abcde"] * 31)
    again = warmup.begin(looks(warmup.begin(known), *["abcde"] * 31))

    assert not looks(again, *["abcde"] * 29).is_missing("f")


def test_ghosts_confirmed_before_are_in_doubt_after_a_failed_read_and_a_restart() -> None:
    """That more than they is missing shows the restart; they may be the last to be loaded now."""
    known = looks(WarmUp(), *["abcde"] * 31)

    restarted = looks(warmup.begin(known), "ab", "abcd", "abcde")

    assert not restarted.done
    assert looks(restarted, "abcdef").done


def test_ghosts_are_in_doubt_after_a_restart_that_no_read_failed_to_see() -> None:
    known = looks(WarmUp(), *["abcde"] * 31)

    restarted = looks(known, "ab", "abcde")

    assert not restarted.done


def test_failed_read_begins_the_warm_up_anew() -> None:
    assert not warmup.begin(looks(WarmUp(), "abcdef")).done


def test_warm_server_that_is_shown_a_new_instance_stays_warm() -> None:
    assert looks(looks(WarmUp(), "abcdef"), "abcdefg", listed="abcdefg").done


def test_instance_that_is_gone_from_both_does_not_end_the_warmth() -> None:
    assert looks(looks(WarmUp(), "abcdef"), "abcde", listed="abcde").done


NAMES = st.frozensets(st.sampled_from("abcdef"))


@given(st.lists(st.tuples(NAMES, NAMES, st.booleans(), st.integers(min_value=1, max_value=290)), max_size=30))
def test_server_is_never_warm_in_less_than_the_wait_after_it_grew_unless_it_holds_all_it_should(
    steps: list[tuple[frozenset[str], frozenset[str], bool, int]],
) -> None:
    state, at, held_before, grew_at = WarmUp(), START, -1, START
    for listed, held, failed, seconds in steps:
        at += timedelta(seconds=seconds)
        if failed:
            state, held_before = warmup.begin(state), -1
        if len(held) > held_before:
            grew_at = at
        held_before = len(held)
        known = state.ghosts
        state = warmup.observed(state, listed=listed, held=held, at=at, growth=GROWTH)
        if state.done and at - grew_at < GROWTH:
            assert listed - held <= known
