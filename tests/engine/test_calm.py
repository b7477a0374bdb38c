"""Of who is calm only those are compared again whose answers are other objects, and whom something has happened to."""

from __future__ import annotations

from collections.abc import Sequence

from support.world import a_row, state
from whatsapp_operator.engine.calm import Calm
from whatsapp_operator.engine.ports import Key
from whatsapp_operator.engine.subject import Subject

SEEN = object()
OPEN, CLOSED = state("open"), state("close")
STATES = {"mail": OPEN, "shop": OPEN}
ROWS = {"mail": a_row("open"), "shop": a_row("open")}
ALL = ["mail", "shop"]


def subjects(*, unsteady: Sequence[str] = ()) -> dict[str, Subject]:
    found = {name: Subject(key=Key("default", name), body={}) for name in ALL}
    for name, one in found.items():
        one.steady = name not in unsteady
    return found


STEADY = subjects()


def calm(*names: str) -> Calm:
    one = Calm()
    one.note(SEEN, STATES, ROWS, compared=ALL, calm=names or ALL)
    return one


def test_same_answers_tell_nothing_of_anybody() -> None:
    assert not calm().left(SEEN, STATES, ROWS, STEADY)
    assert not calm().left(SEEN, STATES, None, STEADY)


def test_equal_lists_are_compared_item_by_item() -> None:
    assert not calm().left(SEEN, dict(STATES), dict(ROWS), STEADY)


def test_who_differs_is_compared_and_nobody_else() -> None:
    assert calm().left(SEEN, STATES | {"shop": CLOSED}, None, STEADY) == ["shop"]
    assert calm().left(SEEN, {"mail": OPEN}, ROWS, STEADY) == ["shop"]
    assert calm().left(SEEN, STATES, ROWS | {"mail": a_row("open")}, STEADY) == ["mail"]
    assert calm().left(SEEN, STATES, {"shop": ROWS["shop"]}, STEADY) == ["mail"]


def test_who_is_new_is_compared() -> None:
    one = Calm()
    one.note(SEEN, {"shop": OPEN}, {"shop": ROWS["shop"]}, compared=["shop"], calm=["shop"])

    assert one.left(SEEN, STATES, ROWS, STEADY) == ["mail"]


def test_another_server_s_answers_are_compared_for_all() -> None:
    one, other = calm(), object()
    assert list(one.left(other, STATES, ROWS, STEADY)) == ALL

    one.note(other, STATES, None, compared=ALL, calm=ALL)
    assert not one.left(other, STATES, None, STEADY)
    assert one.left(other, STATES, ROWS, STEADY) == ALL, "that list was another server's"


def test_nobody_is_calm_before_a_comparison() -> None:
    assert list(Calm().left(SEEN, STATES, None, STEADY)) == ALL
    assert list(Calm().left(None, STATES, None, STEADY)) == ALL


def test_who_was_not_found_as_it_was_is_compared_again() -> None:
    assert calm("mail").left(SEEN, STATES, ROWS, STEADY) == ["shop"]


def test_who_is_unsteady_is_compared_again() -> None:
    assert calm().left(SEEN, STATES, ROWS, subjects(unsteady=["mail"])) == ["mail"]


def test_who_was_looked_at_is_compared_again_with_both_answers() -> None:
    one = calm()
    one.forget("shop")
    assert one.left(SEEN, STATES, None, STEADY) == ["shop"]

    one.note(SEEN, STATES, None, compared=["shop"], calm=["shop"])
    assert not one.left(SEEN, STATES, None, STEADY)
    assert one.left(SEEN, STATES, ROWS, STEADY) == ["shop"], "the list was not compared since"


def test_end_forgets_all() -> None:
    one = calm()
    one.end()

    assert one.left(SEEN, STATES, ROWS, STEADY) == ALL
    assert one.left(SEEN, STATES, None, STEADY) == ALL


def test_who_was_compared_and_not_found_as_it_was_is_calm_no_more() -> None:
    one = calm()
    one.note(SEEN, STATES, ROWS, compared=["shop"], calm=[])

    assert one.left(SEEN, STATES, ROWS, STEADY) == ["shop"]
    assert one.left(SEEN, STATES, None, STEADY) == ["shop"]


def test_nothing_that_was_found_before_another_server_answered_is_left() -> None:
    one, other = calm(), object()
    one.note(other, STATES, ROWS, compared=[], calm=[])

    assert one.left(other, STATES, ROWS, STEADY) == ALL


def test_comparison_of_memory_alone_leaves_the_list_as_it_was_compared() -> None:
    one, others = calm(), dict(STATES)
    one.note(SEEN, others, None, compared=[], calm=[])

    assert not one.left(SEEN, others, ROWS, STEADY)


def test_who_has_differed_is_not_calm_though_nobody_compared_it() -> None:
    one, without = calm(), {"mail": STEADY["mail"]}
    assert not one.left(SEEN, STATES | {"shop": CLOSED}, None, without), "its resource is gone"
    one.note(SEEN, STATES | {"shop": CLOSED}, None, compared=[], calm=[])

    assert one.left(SEEN, STATES | {"shop": CLOSED}, None, STEADY) == ["shop"], "and is there again"
