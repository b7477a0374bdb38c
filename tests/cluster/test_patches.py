"""The merge patch turns what is there into what should be there, and says nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from whatsapp_operator.cluster import patches

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2)
KEYS = st.sampled_from("abcd")
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def applied(target: object, patch: object) -> object:
    """RFC 7396, section 2, as it is written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = applied(result.get(key), value)
    return result


def without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def typed(value: object) -> object:
    """The value with its types, since Python takes True for 1."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value), value)


@settings(deadline=None)  # how long it takes hangs on the machine
@given(DOCUMENTS, DOCUMENTS)
def test_patch_turns_before_into_after(before: dict[str, object], after: dict[str, object]) -> None:
    patched = applied(without_nulls(before), patches.merge_patch(before, after))
    assert typed(patched) == typed(without_nulls(after))


@settings(deadline=None)  # how long it takes hangs on the machine
@given(DOCUMENTS)
def test_equal_documents_need_no_patch(document: dict[str, object]) -> None:
    assert patches.merge_patch(document, document) == {}


def test_only_what_differs_is_written() -> None:
    before = {"same": {"x": 1}, "deep": {"kept": 1, "gone": 2, "new": 3}, "list": [1, 2]}
    after = {"same": {"x": 1}, "deep": {"kept": 1, "new": 4}, "list": [2]}
    assert patches.merge_patch(before, after) == {"deep": {"gone": None, "new": 4}, "list": [2]}


def test_true_is_not_taken_for_one() -> None:
    assert patches.merge_patch({"ready": 1}, {"ready": True}) == {"ready": True}
