"""Memory of a server without `/metrics`: its instances are asked for one by one, and one may fail alone.

A server is away when it answers for none, or not for most of them. Where it answers for the others, what fails is that
instance's own, a record that it cannot read or a name that cannot be asked for, and nothing is known of that one only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from whatsapp_operator.engine import ports
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState, Ignorance

_MAY_BE_ITS_OWN = frozenset(
    {
        Ignorance.TIMEOUT,
        Ignorance.BROKEN,
        Ignorance.SERVER_ERROR,
        Ignorance.NOT_JSON,
        Ignorance.UNEXPECTED_SHAPE,
        Ignorance.REFUSED_BY_POLICY,
    }
)
_MAY_BE_A_RESTART = frozenset({Ignorance.TIMEOUT, Ignorance.BROKEN})


@dataclass(frozen=True, slots=True)
class Round:
    """One round of reads."""

    states: Mapping[str, ConnectionState]
    """What memory shows; it lacks those that it does not hold, and those that could not be read."""
    unread: Mapping[str, Ignorance]
    """Those whose read proved nothing, and why."""

    def may_have_met_a_restart(self, before: Mapping[str, datetime]) -> bool:
        """Whether a call broke off that did not the time before: the server may have gone, and be loading again."""
        return any(why in _MAY_BE_A_RESTART and name not in before for name, why in self.unread.items())


async def read(client: ports.Evolution, names: Sequence[str]) -> Round | evidence.Unknown:
    """Ask for each of them; the client bounds how many calls are under way at once."""
    readings = await asyncio.gather(*(client.read_memory(name) for name in names))
    return of(dict(zip(names, readings, strict=True)))


def of(readings: Mapping[str, evidence.MemoryReading]) -> Round | evidence.Unknown:
    """What a round proved; Unknown where it is the server that does not answer."""
    unread = {name: one.why for name, one in readings.items() if isinstance(one, evidence.Unknown)}
    servers_own = next((why for why in unread.values() if why not in _MAY_BE_ITS_OWN), None)
    if servers_own is not None:
        return evidence.Unknown(servers_own)
    if len(unread) * 2 > len(readings):
        return evidence.Unknown(next(iter(unread.values())))
    states = {name: one.state for name, one in readings.items() if isinstance(one, evidence.InMemory)}
    return Round(states=states, unread=unread)
