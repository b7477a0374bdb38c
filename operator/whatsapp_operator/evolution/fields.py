"""Typed access to a JSON object that someone else wrote.

A field of another type than the server's makes the whole reply an unexpected shape: a value made up in its place, such
as "no owner" or "no messages", could cost a pairing or data. A field that is null or missing is None, where that is
allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from whatsapp_operator.evolution import errors


class Fields:
    """One JSON object and the request that brought it."""

    __slots__ = ("_request", "values")

    def __init__(self, request: errors.Request, values: object) -> None:
        """Raise `errors.UnexpectedShape` when `values` is no object."""
        if not isinstance(values, dict):
            raise errors.UnexpectedShape(request)
        self._request = request
        self.values: Mapping[str, object] = values

    def unexpected(self) -> errors.UnexpectedShape:
        """The error to raise when a value means nothing."""
        return errors.UnexpectedShape(self._request)

    def optional_text(self, key: str) -> str | None:
        """A string, or None."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.unexpected()

    def any_text(self, key: str) -> str:
        """A string that is there, and may be empty."""
        value = self.optional_text(key)
        if value is None:
            raise self.unexpected()
        return value

    def text(self, key: str) -> str:
        """A string that is not empty."""
        value = self.any_text(key)
        if not value:
            raise self.unexpected()
        return value

    def optional_number(self, key: str) -> int | None:
        """A whole number, or None."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self.unexpected()

    def number(self, key: str) -> int:
        """A whole number."""
        value = self.optional_number(key)
        if value is None:
            raise self.unexpected()
        return value

    def optional_flag(self, key: str) -> bool:
        """A boolean; null and missing are false, as they are to the server."""
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.unexpected()

    def optional_moment(self, key: str) -> datetime | None:
        """A date in ISO 8601 with its zone, in UTC, or None."""
        value = self.optional_text(key)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise self.unexpected()
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.unexpected() from None

    def child(self, key: str) -> Fields:
        """An object."""
        return Fields(self._request, self.values.get(key))

    def optional_child(self, key: str) -> Fields | None:
        """An object, or None."""
        value = self.values.get(key)
        return None if value is None else Fields(self._request, value)

    def optional_texts(self, key: str) -> frozenset[str]:
        """An array of strings; null and missing are empty."""
        value = self.values.get(key)
        if value is None:
            return frozenset()
        if not isinstance(value, list):
            raise self.unexpected()
        texts = [item for item in value if isinstance(item, str)]
        if len(texts) != len(value):
            raise self.unexpected()
        return frozenset(texts)
