"""Before a pairing is given up, another instance has to show that WhatsApp can be reached: else it may be away.

One that is stuck looks the same in an outage of WhatsApp, in which none is broken. Whoever is paired and goes the same
way is asked by a probe, one round trip that changes nothing. Where there is nobody to ask, the caller's word counts.
"""

from __future__ import annotations

from whatsapp_operator.engine import ports, vouchers
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records

_LOOKED_AT = 20
_PROBED = 3


async def may_be_an_outage(client: ports.Evolution, listed: evidence.DatabaseList, name: str) -> bool:
    """Whether others are paired that go the same way, and none of those that were asked reaches WhatsApp."""
    others = _able_to_vouch(listed, name)
    probed = 0
    for row in others[:_LOOKED_AT]:
        if await client.read_memory(row.name) != evidence.InMemory(ConnectionState.OPEN):
            continue
        if probed == _PROBED:
            break
        probed += 1
        if await client.probe(row.name, number=row.own_number or "") is evidence.ProbeResult.ALIVE:
            return False
    return bool(others)


def _able_to_vouch(listed: evidence.DatabaseList, name: str) -> list[evidence.Row]:
    own = listed.rows.get(name)
    way = vouchers.way_of(own.proxy if own is not None else None)
    return [
        row
        for row in listed.rows.values()
        if row.name != name
        and row.integration == records.BAILEYS
        and row.state is ConnectionState.OPEN
        and row.own_number is not None
        and vouchers.way_of(row.proxy) == way
    ]
