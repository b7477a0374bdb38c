"""Warm-up: the time in which what a server shows proves nothing.

A starting Evolution API answers at once and loads its instances one after another; what it has not loaded yet looks
like a ghost. So after an operator start, a server start or a failed read nothing is healed until memory holds every
listed instance, or has not grown for some minutes: what is missing then is missing.

Nothing that a server tells says that it was restarted. That more is missing than the ghosts known before shows it; that
only they are missing does not show the contrary, since a ghost may be the last to be loaded. So after a failed read
they do not hold the others up, but each of them is in doubt for those minutes: to recreate what is about to be loaded
would cost a pairing that the restart has just saved.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How far a server has warmed up."""

    done: bool = False
    held: int = -1
    """Instances in memory at the last look."""
    grown_at: datetime | None = None
    ghosts: frozenset[str] = frozenset()
    """Listed instances that were confirmed missing from memory."""
    doubted: frozenset[str] = frozenset()
    """Those of them that a restart that nobody saw may be about to load."""

    def is_missing(self, name: str) -> bool:
        """Whether an instance that memory lacks is missing, and not still to be loaded."""
        return self.done and name not in self.doubted


def begin(before: WarmUp) -> WarmUp:
    """Warm up again: a read failed. Ghosts confirmed before stay known, since the server may have gone on running."""
    return replace(before, done=False, grown_at=None, doubted=before.ghosts)


def observed(
    before: WarmUp, *, listed: AbstractSet[str], held: AbstractSet[str], at: datetime, growth: timedelta
) -> WarmUp:
    """Fold one look at both witnesses, the list read just before memory."""
    if before.grown_at is not None and before.grown_at > at:
        # The wall clock has gone back: else the wait would last up to what is the future now.
        before = replace(before, grown_at=at)
    missing = frozenset(listed - held)
    if missing <= before.ghosts:
        return _with_ghosts(before, missing, held=held, at=at, growth=growth)
    # More is missing than was: the server restarted, and even ghosts confirmed before may be loaded now.
    if before.done or before.grown_at is None or len(held) > before.held:
        return WarmUp(held=len(held), grown_at=at)
    if at - before.grown_at >= growth:
        return WarmUp(done=True, held=len(held), grown_at=at, ghosts=missing)
    return WarmUp(held=len(held), grown_at=before.grown_at)


def _with_ghosts(
    before: WarmUp, missing: frozenset[str], *, held: AbstractSet[str], at: datetime, growth: timedelta
) -> WarmUp:
    """Only ghosts confirmed before are missing; those in doubt stay it until none was loaded for long."""
    is_loading = not before.ghosts.isdisjoint(held)
    grown_at = at if before.grown_at is None or is_loading else before.grown_at
    doubted = missing & before.doubted if at - grown_at < growth else frozenset[str]()
    return WarmUp(done=True, held=len(held), grown_at=grown_at, ghosts=missing, doubted=doubted)
