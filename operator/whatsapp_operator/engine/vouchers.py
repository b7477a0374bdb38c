"""Who proved lately that WhatsApp can be reached from a server, and through which proxy.

An instance vouches for the others when it turns `open`, or answers a probe. Having been open for long proves nothing:
the server goes on saying so when WhatsApp is away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from whatsapp_operator.evolution.evidence import Proxy, Way

_REMEMBERED = 2
"""By way: the latest, and another for whom the latest is itself."""


def way_of(proxy: Proxy | None) -> Way | None:
    """The way that a proxy leads; None without one."""
    return proxy.way if proxy is not None else None


@dataclass(frozen=True, slots=True)
class Voucher:
    """An instance proved it, at this moment."""

    name: str
    at: datetime


@dataclass(slots=True)
class Vouchers:
    """What is known of one server."""

    asked_at: dict[Way | None, datetime] = field(default_factory=dict, repr=False)
    """When somebody was last asked to vouch, by way."""
    asked: dict[str, datetime] = field(default_factory=dict)
    """When each instance was last asked to vouch."""
    nobody_at: dict[Way | None, datetime] = field(default_factory=dict, repr=False)
    """When somebody was last looked for, and nobody could be asked, by way."""
    in_vain: dict[str, datetime] = field(default_factory=dict)
    """When an instance that was asked last did not answer."""
    _latest: dict[Way | None, tuple[Voucher, ...]] = field(default_factory=dict, repr=False)
    _reachable_since: dict[Way | None, datetime] = field(default_factory=dict, repr=False)
    """By way: the first voucher after which there was no gap, and nobody was asked in vain."""

    def note(self, name: str, proxy: Proxy | None, *, at: datetime, unbroken: timedelta) -> None:
        """An instance turned open, or answered a probe.

        After a gap longer than `unbroken` nobody knows whether WhatsApp could be reached meanwhile.
        """
        way = way_of(proxy)
        before = max((one.at for one in self._latest.get(way, ())), default=None)
        if way not in self._reachable_since or before is None or at - before > unbroken:
            self._reachable_since[way] = at
        others = [one for one in self._latest.get(way, ()) if one.name != name]
        self._latest[way] = (*others, Voucher(name, at))[-_REMEMBERED:]
        self.in_vain.pop(name, None)

    def latest(self, proxy: Proxy | None, *, but: str) -> datetime | None:
        """When an instance other than this one last proved it, through the same proxy."""
        found = self._latest.get(way_of(proxy), ())
        return max((one.at for one in found if one.name != but), default=None)

    def note_in_vain(self, name: str, proxy: Proxy | None, *, at: datetime) -> None:
        """An instance was asked, and did not answer: it may be broken, or the way be gone again."""
        self.in_vain[name] = at
        self._reachable_since.pop(way_of(proxy), None)

    def reachable_since(self, proxy: Proxy | None) -> datetime | None:
        """Since when WhatsApp was proved again and again to be reachable through a proxy, by whomever."""
        return self._reachable_since.get(way_of(proxy))

    def forget_all_but(self, names: Iterable[str]) -> None:
        """Instances that went are not remembered as asked."""
        kept = set(names)
        for asked in (self.asked, self.in_vain):
            for name in asked.keys() - kept:
                del asked[name]
