"""Which replica works on which server: the same answer in every replica, without a word between them.

Rendezvous hashing (Thaler and Ravishankar, 1998): each pair of a server and a member has a weight, and the heaviest
pairs win. A member takes no more than its share, so that the shares differ by one server at most; and most servers stay
where they are when members come and go.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping

from whatsapp_operator.engine import ports


def assign(servers: Collection[ports.Key], members: Collection[str]) -> Mapping[ports.Key, str]:
    """The member for each server; empty without members."""
    if not members:
        return {}
    share, extra = divmod(len(servers), len(members))
    pairs = sorted(((server, member) for server in servers for member in members), key=_heaviest_first)
    assigned: dict[ports.Key, str] = {}
    load: Counter[str] = Counter()
    for server, member in pairs:
        if server in assigned or load[member] > share or (load[member] == share and not extra):
            continue
        extra -= load[member] == share
        load[member] += 1
        assigned[server] = member
    return assigned


def preferred(server: ports.Key, members: Collection[str]) -> str | None:
    """The member with the heaviest pair, whatever else it has; None without members."""
    return min(members, key=lambda member: _heaviest_first((server, member)), default=None)


def _heaviest_first(pair: tuple[ports.Key, str]) -> tuple[bytes, ports.Key, str]:
    server, member = pair
    return (
        hashlib.blake2b(f"{server.namespace}/{server.name} {member}".encode(), digest_size=8).digest(),
        server,
        member,
    )
