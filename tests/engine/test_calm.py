"""A server is calm while all its instances are steady and its answers are the same objects again."""

from __future__ import annotations

from support.world import a_row, state
from whatsapp_operator.engine.calm import Calm

SEEN = object()
STATES, OTHERS = {"shop": state("open")}, {"shop": state("open")}
ROWS, LATER_ROWS = {"shop": a_row("open")}, {"shop": a_row("open")}


def calm() -> Calm:
    one = Calm()
    one.note(SEEN, STATES, ROWS, all_steady=True)
    return one


def test_same_answers_change_nothing_for_anybody() -> None:
    assert calm().lasts(SEEN, STATES, ROWS)
    assert calm().lasts(SEEN, STATES, None)


def test_other_answers_are_compared_even_where_they_are_equal() -> None:
    assert not calm().lasts(SEEN, OTHERS, ROWS)
    assert not calm().lasts(SEEN, STATES, LATER_ROWS)
    assert not calm().lasts(object(), STATES, ROWS)


def test_nothing_is_calm_before_a_comparison_and_after_one_that_found_an_instance_unsteady() -> None:
    one = calm()
    one.note(SEEN, STATES, ROWS, all_steady=False)

    for each in (Calm(), one):
        assert not each.lasts(SEEN, STATES, None)
        assert not each.lasts(None, STATES, None)


def test_look_at_an_instance_ends_it() -> None:
    one = calm()
    one.end()

    assert not one.lasts(SEEN, STATES, None)
    one.note(SEEN, STATES, None, all_steady=True)
    assert one.lasts(SEEN, STATES, None)
    assert not one.lasts(SEEN, STATES, ROWS), "the list was not compared since"


def test_comparison_of_memory_alone_leaves_the_list_as_it_was_compared() -> None:
    one = calm()
    one.note(SEEN, OTHERS, None, all_steady=True)
    assert one.lasts(SEEN, OTHERS, ROWS)

    one.note(another := object(), STATES, None, all_steady=True)
    assert not one.lasts(another, STATES, ROWS), "that list was another server's"
