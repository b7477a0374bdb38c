"""JSON merge patches: the smallest write that turns one document into another.

A status is written as the difference between what was read and what should be there, so that fields of other writers,
and of a newer version of the resource, stay as they are. RFC 7396: nested objects are merged, null removes a key, lists
are replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping


def merge_patch(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """The patch that turns `before` into `after`; empty when they are equal. None and a missing key are the same."""
    patch: dict[str, object] = {key: None for key, value in before.items() if value is not None and _gone(key, after)}
    for key, value in after.items():
        if value is not None:
            _merge(patch, key, before.get(key), value)
    return patch


def _gone(key: str, after: Mapping[str, object]) -> bool:
    return after.get(key) is None


def _merge(patch: dict[str, object], key: str, before: object, after: object) -> None:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        inner = merge_patch(before, after)
        if inner:
            patch[key] = inner
    elif before != after or _kind(before) is not _kind(after):
        patch[key] = after


def _kind(value: object) -> type:
    """JSON tells `true` from 1, which Python's equality does not."""
    return bool if isinstance(value, bool) else object
