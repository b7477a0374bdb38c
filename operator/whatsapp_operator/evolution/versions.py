"""Which versions of Evolution API the operator acts on.

A version's behaviour, more than its replies, decides whether a step heals or harms, so only versions whose behaviour is
known are acted on; the replies of all others are read as far as they have a known shape.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class Support(enum.Enum):
    """What the operator does with a server of some version."""

    TESTED = "Tested"
    ACTED_ON = "ActedOn"
    """Like a tested one in all that is known, but not recorded."""
    OBSERVED_ONLY = "ObservedOnly"
    LICENSED = "Licensed"
    """2.4 and later: observed only, and without a licence all routes but `/` answer 503."""


_RELEASE = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-.+)?")
_FIRST, _LAST = (2, 3, 3), (2, 3, 7)
_TESTED = frozenset({(2, 3, 6), (2, 3, 7)})
_FIRST_LICENSED = (2, 4, 0)


def support(version: str) -> Support:
    """Judge the version that `/metrics` or `GET /` names; a pre-release counts as unknown."""
    match = _RELEASE.fullmatch(version)
    if match is None:
        return Support.OBSERVED_ONLY
    release = (int(match[1]), int(match[2]), int(match[3]))
    if release >= _FIRST_LICENSED:
        return Support.LICENSED
    if match[4] is not None or not _FIRST <= release <= _LAST:
        return Support.OBSERVED_ONLY
    return Support.TESTED if release in _TESTED else Support.ACTED_ON


@dataclass(frozen=True, slots=True)
class Traits:
    """What steps do differently on some versions."""

    relogin_deafens: bool = False
    """Up to 2.3.6: after a logout and a connect incoming messages are dropped (PR #2186 of the Evolution API)."""
    refuses_zombies: bool = False
    """From 2.3.7: a paired instance whose socket is dead can be neither logged out nor deleted."""


_FIRST_MENDED = (2, 3, 7)


def traits(version: str | None) -> Traits:
    """What is known of a version; of an unknown one nothing is, and no step is taken on it."""
    mended = _is_mended(version)
    return Traits() if mended is None else Traits(relogin_deafens=not mended, refuses_zombies=mended)


def hears_after_relogin(version: str | None) -> bool:
    """Whether a server is known to be of a version on which no Relogin leaves an instance deaf."""
    return _is_mended(version) is True


def _is_mended(version: str | None) -> bool | None:
    match = _RELEASE.fullmatch(version) if version is not None else None
    return (int(match[1]), int(match[2]), int(match[3])) >= _FIRST_MENDED if match is not None else None
