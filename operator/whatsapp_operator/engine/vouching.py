"""Before a step that an outage of WhatsApp would make a mistake, another instance has to vouch for the way to it.

Where nobody does by itself, one other instance is asked: a probe of it is one round trip to WhatsApp, and changes
nothing. However many wait for an answer, it is asked for once a minute at most.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.engine.vouchers import way_of
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState, Proxy
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY

_HOLDS = timedelta(seconds=60)
_ASKED_ONCE_IN = timedelta(seconds=60)
_TURNED_AWAY_FOR = timedelta(minutes=10)
"""One that did not answer is not asked again for so long."""
_LOOKED_FOR_ONCE_IN = timedelta(seconds=1)
"""Where nobody can be asked, hundreds look for somebody at once, each among all: in an outage, of all times."""
_LONG_AGO = 0.0
_LATE = timedelta(seconds=30)
"""How late an answer may be that is asked for at the end of a wait."""


def proxy_of(one: Subject) -> Proxy | None:
    """The proxy of an instance; without a row none is known."""
    row = one.record.row
    return row.proxy if row is not None else None


def vouched(server: Server, *, name: str, proxy: Proxy | None, now: datetime) -> bool:
    """Whether another instance proved just now that WhatsApp can be reached from this server, through this proxy."""
    at = server.observed.vouchers.latest(proxy, but=name)
    return at is not None and abs(now - at) <= _HOLDS  # one of the future was given before the wall clock went back


def prove(context: Context, server: Server, name: str, proxy: Proxy | None, *, at: datetime) -> None:
    """An instance turned open, or answered a probe: WhatsApp can be reached from this server, through this proxy.

    Who waits asks once a minute, and again at the end of a wait that counts from the first answer. An outage in a
    longer gap would count as time in which what was cut off could have come back.
    """
    unbroken = timedelta(seconds=context.spans.reachable) + _LATE
    server.observed.vouchers.note(name, proxy, at=at, unbroken=unbroken)


def may_answer(server: Server, one: Subject) -> None:
    """An instance was looked at: where it can be asked now, it is worth while to look for somebody again."""
    if is_well(one):
        server.observed.vouchers.nobody_at.pop(way_of(proxy_of(one)), None)


async def ask(context: Context, server: Server, draft: Draft) -> bool:
    """Ask one other instance to vouch for this one; whether it did."""
    seen, proxy, now = server.observed, proxy_of(draft.subject), context.clock.now()
    asked_at = seen.vouchers.asked_at.get(way_of(proxy))
    if asked_at is not None and now - asked_at < _ASKED_ONCE_IN:
        return False
    if server.client is None or draft.paused or not server.warm or not server.acted_on:
        return False
    nobody_at = seen.vouchers.nobody_at.get(way_of(proxy))
    if nobody_at is not None and abs(now - nobody_at) < _LOOKED_FOR_ONCE_IN:
        return False
    name = _whom(context, server, draft.subject, now=now)
    if name is None:
        seen.vouchers.nobody_at[way_of(proxy)] = now
        return False
    # Noted before the wait for the answer, in which others may want to ask.
    seen.vouchers.asked_at[way_of(proxy)] = seen.vouchers.asked[name] = now
    return await _answers(context, server, name)


async def _answers(context: Context, server: Server, name: str) -> bool:
    client, seen, one = server.client, server.observed, server.subjects[name]
    number = one.record.row.own_number if one.record.row is not None else None
    if client is None or number is None:
        return False
    result, proxy = await client.probe(name, number=number), proxy_of(one)
    if result is evidence.ProbeResult.ALIVE:
        prove(context, server, name, proxy, at=context.clock.now())
        return True
    seen.vouchers.note_in_vain(name, proxy, at=context.clock.now())
    return False


def _whom(context: Context, server: Server, asking: Subject, *, now: datetime) -> str | None:
    """Of those that can be asked, the one that was asked longest ago."""
    known = server.observed.vouchers
    known.forget_all_but(server.subjects)
    way = way_of(proxy_of(asking))
    able = [
        name
        for name, one in server.subjects.items()
        if one is not asking
        and way_of(proxy_of(one)) == way
        and _may_be_asked(context, server, one, name=name, now=now)
    ]
    return min(able, key=lambda name: known.asked[name].timestamp() if name in known.asked else _LONG_AGO, default=None)


def _may_be_asked(context: Context, server: Server, one: Subject, *, name: str, now: datetime) -> bool:
    turned_away_at = server.observed.vouchers.in_vain.get(name)
    if turned_away_at is not None and now - turned_away_at < _TURNED_AWAY_FOR:
        return False
    return is_well(one) and not is_disturbed(context, server, one, now=now)


def is_well(one: Subject) -> bool:
    """Whether it is a phone's session that both witnesses call open, and of whose number something can be asked."""
    opinion, record = one.opinion, one.record
    if opinion is None or not opinion.confirmed or opinion.verdict != HEALTHY or not record.paired:
        return False
    is_open = record.memory is not None and record.memory.state is ConnectionState.OPEN
    row = record.row
    return is_open and row is not None and row.integration == records.BAILEYS and row.own_number is not None


def is_disturbed(context: Context, server: Server, one: Subject, *, now: datetime) -> bool:
    """Whether a step or a deletion is under way, or somebody has asked for quiet."""
    if one.instance is None or one.instance.metadata.deletion_timestamp is not None or one.deletion is not None:
        return True
    if one.key in server.in_flight or server.flying is not None:
        return True
    pauses = (context.pause, server.paused, one.instance.spec.pause)
    return any(pause is not None and pause.holds(now) for pause in pauses)
