"""Which other replicas live, by this process's own clock.

A replica writes to its member Lease every few seconds. Another one is dead when nothing new was seen there for the
lease's duration; what it wrote is compared for being new and never as a time, since its clock may be wrong by hours. A
member Lease that vanished proves nothing more than one that stands still: somebody may have deleted it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from whatsapp_operator.engine import ports


@dataclass(frozen=True, slots=True)
class _Sign:
    """The last sign of life, and the monotonic seconds at which it was seen to be new."""

    renewed: str | None
    at: float


class Members:
    """The signs of life that this process has seen."""

    def __init__(self, *, lease_duration: float) -> None:
        self._lease_duration = lease_duration
        self._signs: dict[str, _Sign] = {}

    def observe(self, leases: Mapping[str, ports.Lease], holders: Iterable[str], *, now: float) -> None:
        """Take a list of all member Leases, and whom claims name; `now` is when the list had arrived."""
        named = {*leases, *holders}
        self._signs = {name: self._sign(name, leases.get(name), now) for name in named}

    def _sign(self, name: str, lease: ports.Lease | None, now: float) -> _Sign:
        before = self._signs.get(name)
        renewed = lease.renewed if lease is not None else None
        if before is None or renewed not in (None, before.renewed):
            return _Sign(renewed, now)
        return before

    def silent_for(self, name: str, *, now: float) -> float:
        """Seconds since the last new sign of life; 0 for one that was never heard of."""
        sign = self._signs.get(name)
        return now - sign.at if sign is not None else 0.0

    def dead(self, name: str, *, now: float) -> bool:
        """Whether a member has been silent for the lease's duration."""
        return self.silent_for(name, now=now) >= self._lease_duration
