"""Vocabularies that are open: they list our words, and take those of plugins and of later versions, too.

A word that is not listed becomes a member of its own, made once, so that it is compared by identity like any other. So
a status that a plugin's word stands in is still read, and nothing of it is lost, when the plugin is gone.
"""

from __future__ import annotations

import enum
import re
from typing import Any, Self

LONGEST = 316

PATTERN = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
"""What Kubernetes takes for the reason of a condition (`metav1.Condition`)."""

SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": PATTERN}
"""Any word: an older schema must not refuse a newer operator's status, or one in which a plugin has its say."""

_WORD = re.compile(PATTERN.rstrip("$") + r"\Z")


class Vocabulary(enum.StrEnum):
    """Words that are listed, and others."""

    @property
    def foreign(self) -> bool:
        """Whether it is not listed: a plugin's word, or a later version's."""
        return type(self).__members__.get(self._name_) is not self

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or len(value) > LONGEST or _WORD.match(value) is None:
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = value, value
        # The same word next time: `is` tells words apart.
        return cls._value2member_map_.setdefault(value, word)  # type: ignore[return-value]  # typed as any Enum's
