"""The budget of each server: what it says now, and what is spent of it.

A step is reserved without a wait in between, so that two workers never share the last one, and then saved beside the
claim on the server, which fails when the claim is another's by now. Only after that is it announced, and taken.
"""

from __future__ import annotations

from datetime import datetime

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import versions
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery import ledger as ledgers
from whatsapp_operator.resources.budgets import Budget
from whatsapp_operator.resources.steps import StepClass


def budget_of(server: Server) -> Budget:
    """The budget that holds for a server."""
    return server.resource.spec.budget if server.resource is not None else Budget()


def traits_of(server: Server) -> versions.Traits:
    """What steps do differently on the server's version, the last that was known."""
    return versions.traits(server.observed.version or server.status.version)


def ledger_of(context: Context, server: Server, *, now: datetime) -> ledgers.Ledger:
    """What was spent; read from beside the claim once, when this process has just taken it."""
    if server.ledger is None:
        text = context.claims.ledger(server.key)
        server.ledger_saved = text
        try:
            server.ledger = ledgers.loads(text) if text is not None else ledgers.Ledger()
        except ValueError:
            context.telemetry.problem("A ledger cannot be read; its budget counts as spent", server=server.key.name)
            server.ledger = ledgers.exhausted(budget_of(server), now=now)
        server.kept_storm = server.ledger.storm is not None
    server.ledger = ledgers.clamped(server.ledger, now=now)
    return server.ledger


def guard(context: Context, server: Server, *, key: ports.Key | None, now: datetime) -> guards.Guard:
    """What the server as a whole says now to a step on one of its instances, or, without a key, on itself."""
    traits = traits_of(server)
    return guards.Guard(
        budget=budget_of(server),
        ledger=weather(context, server, now=now),
        in_flight=len(server.in_flight - {key}),
        surveyed=server.surveyed,
        restarting=server.flying is not None or _is_interrupted(context, server, but=key),
        restartable=server.resource is not None and server.resource.spec.workload_ref is not None,
        restart_holds=restart_holds(server, now=now),
        restarted_at=server.restarted_at,
        relogin_deafens=traits.relogin_deafens,
        refuses_zombies=traits.refuses_zombies,
    )


def _is_interrupted(context: Context, server: Server, *, but: ports.Key | None) -> bool:
    """Whether a plugin's step is under way that costs all instances; ours are the server's, and not one instance's."""
    recoveries = (context.subjects[key].status.recovery for key in server.in_flight - {but} if key in context.subjects)
    flying = (recovery.in_flight for recovery in recoveries if recovery is not None)
    return any(one is not None and one.step_class is StepClass.SERVER_RESTART for one in flying)


def weather(context: Context, server: Server, *, now: datetime) -> ledgers.Ledger:
    """The ledger, with the storm as it is by what the instances show now."""
    before = ledger_of(context, server, now=now)
    if not server.fresh(now) or not server.warm or not server.surveyed:
        return before
    standing = server.standings
    server.ledger = ledgers.weathered(
        before,
        bad=standing.bad,
        paired=standing.paired,
        limits=budget_of(server).storm,
        now=now,
    )
    if (server.ledger.storm is None) is not (before.storm is None):
        context.look_at_server(server)
    return server.ledger


def restart_holds(server: Server, *, now: datetime) -> tuple[guards.Hold, ...]:
    """What is against a restart of the server, besides its budget."""
    spec = server.resource.spec.workload_ref if server.resource is not None else None
    if spec is None:
        return ()
    return guards.restart_holds(
        problem=server.workload_problem,
        without_session=server.without_session,
        waiting=len(server.wishes),
        waiting_since=(wish.since for wish in server.wishes.values()),
        managed=len(server.subjects),
        enough=spec.min_instances,
        max_wait_seconds=spec.max_wait_seconds,
        now=now,
    )


async def spend(context: Context, server: Server, step_class: StepClass, *, key: ports.Key | None) -> datetime:
    """Enter a step that is about to be taken; returns the moment under which it stands in the ledger.

    Raises:
        ports.KubernetesError: it could not be entered, so it must not be taken; it is given back.
    """
    now = context.clock.now()
    server.ledger = ledgers.spend(ledger_of(context, server, now=now), step_class, budget=budget_of(server), now=now)
    if key is not None:
        server.in_flight.add(key)
    try:
        await save(context, server)
    except BaseException:
        give_back(server, step_class, key=key, at=now)
        raise
    return now


def give_back(server: Server, step_class: StepClass, *, key: ports.Key | None, at: datetime) -> None:
    """The step was surely not taken."""
    server.ledger = ledgers.refund(_read(server), step_class, at=at)
    if key is not None:
        server.in_flight.discard(key)


async def save(context: Context, server: Server) -> None:
    """Keep the ledger beside the claim, if it changed.

    Raises:
        ports.KubernetesError: it was not kept.
    """
    async with server.ledger_lock:
        await _save_what_is_new(context, server)


async def _save_what_is_new(context: Context, server: Server) -> None:
    ledger = _read(server)
    text = ledgers.dumps(ledger)
    if text != server.ledger_saved:
        await context.claims.save_ledger(server.key, text)
        server.ledger_saved, server.kept_storm = text, ledger.storm is not None


def _read(server: Server) -> ledgers.Ledger:
    """What was spent, where it was read before: it is forgotten with the claim, which is taken anew only after that.

    Work from before a lapse ends first: `Leadership` takes no claim on a server for which work is under way.
    """
    assert server.ledger is not None  # noqa: S101 - whoever enters, gives back or saves something has read it
    return server.ledger


def judged(context: Context, server: Server, *, key: ports.Key, healed: bool) -> None:
    """The verdict on a step is known: its place is free, and in a storm it tells whether to go on."""
    server.in_flight.discard(key)
    if server.ledger is not None:
        server.ledger = ledgers.judged(server.ledger, healed=healed, now=context.clock.now())
