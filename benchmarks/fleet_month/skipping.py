"""What becomes of the operator in time that is skipped: the same as if it had polled and probed through it.

The time of the loop stands still, and with it all that is due after so many seconds. Wall clocks are set forward, so
that whatever has an age is as old as it would be: budgets, incidents, logins. What was read last is as fresh as before.
Each probe that would have been taken has found its number alive, and the next one is due when it would have been.
"""

from __future__ import annotations

import math
import operator
from datetime import timedelta

from simulation.evolution import host
from simulation.stage import Stage

from whatsapp_operator.engine import probing, vouching
from whatsapp_operator.engine.context import Context, Item
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.resources import instance


def carry_on(stage: Stage, context: Context, seconds: float) -> None:
    """Bring an operator, and all that tells the time beside it, over so many seconds in which nothing happened."""
    for clock in (stage.clock, *stage.clocks):
        clock.skew += seconds
    for one in stage.hosts.values():
        scheduler = one.model.scheduler
        assert isinstance(scheduler, host.LoopScheduler)  # noqa: S101 - what a stage gives to its servers
        scheduler.set_forward(seconds)
    for server in context.servers.values():
        _keep_fresh(server, timedelta(seconds=seconds))
        _probe(context, server, seconds)
        context.look_at_server(server)


def _keep_fresh(server: Server, skipped: timedelta) -> None:
    """It was read at the same distance before now as it was before."""
    seen = server.observed
    seen.memory_at = seen.memory_at + skipped if seen.memory_at is not None else None
    seen.rows_at = seen.rows_at + skipped if seen.rows_at is not None else None


def _probe(context: Context, server: Server, seconds: float) -> None:
    """Fold the probes of the skipped time, in their order, and set the next ones where they are due."""
    now, probed = context.clock.now(), list[tuple[float, str, Subject]]()
    for name, one in server.subjects.items():
        period, is_well = one.probing.period, vouching.is_well(one)
        if one.instance is None or period is None:
            context.look_at(one)
            continue
        wait = probing.until_next_slot(one.instance.metadata.uid, period=period, at=now)
        ago = period - wait
        if ago < seconds:
            one.probing.slot += math.ceil((seconds - ago) / period)
            probed += [(max(ago, 0.0), name, one)] if is_well else []
        _wait(context, one, wait if is_well else None)
    for ago, name, one in sorted(probed, key=operator.itemgetter(0), reverse=True):
        at = now - timedelta(seconds=ago)
        one.record = records.saw_probe(one.record, evidence.ProbeResult.ALIVE, at=at)
        vouching.prove(context, server, name, vouching.proxy_of(one), at=at)


def _wait(context: Context, one: Subject, until_probe: float | None) -> None:
    """At rest a number waits for its probe and nothing else; whoever waits for something else is looked at for it."""
    recovery = one.status.recovery
    lingers = recovery is not None and recovery.incident is not None
    if until_probe is None or lingers or not one.steady:
        context.look_at(one)
        return
    item = Item(instance.KIND, one.key)
    context.queue.drop(item)
    context.queue.add_after(item, until_probe)
