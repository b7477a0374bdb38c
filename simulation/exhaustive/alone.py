"""Scenarios of one strategy alone, with its port and nothing else: again and again until it has come to its end."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from evolution_simulator import instance, population
from evolution_simulator.version import ConnectionState
from simulation.deeds import servers
from simulation.exhaustive.arbiter import Bound, Deed
from simulation.exhaustive.play import PRELUDE_SECONDS, Scenario, Wrong
from simulation.exhaustive.scenarios import SERVER, is_there, not_open, rests, setup, vanishes
from simulation.invariants import calls
from simulation.sight import Sight
from simulation.stage import Stage
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import strategies

NAME = "i0"
_BOUND = Bound(faults=1, crashes=0)
_WHILE_SECONDS = 15.0
_NOTHING = Bound(faults=0, crashes=0)
_WITHOUT_STEPS = (
    calls.only_the_holder_of_the_claim_changes,
    calls.only_instances_with_a_resource_change,
    calls.create_only_what_does_not_exist,
    calls.create_with_a_token_that_is_kept,
)
"""Announcements are made by who calls a strategy."""


async def carry_out(strategy: strategies.Strategy, more: Mapping[str, Any], context: Context, server: Server) -> None:
    """One try."""
    client = server.client
    if client is not None:
        work = strategies.Work(
            server=client,
            name=NAME,
            list_rows=client.list_database,
            sleep=context.sleep,
            monotonic=context.clock.monotonic,
            timeout=10,
            **more,
        )
        await strategy(work)


def alone(
    strategy: strategies.Strategy,
    *states: str,
    wrong: Wrong,
    shows: str,
    bound: Bound = _BOUND,
    recreates: bool = False,
    first: Deed = rests,
    deeds: Mapping[str, Deed] | None = None,
    **more: Any,
) -> Scenario:
    """A strategy on the first instance, in these broken states, after a deed."""

    def begin(stage: Stage) -> None:
        token = stage.hosts[SERVER].model.database.rows[NAME].token
        if recreates:
            more["wanted"] = evidence.NewInstance(name=NAME, integration="WHATSAPP-BAILEYS", token=token)
        first(stage)
        for state in states:
            servers.break_instance(stage, server=SERVER, name=NAME, state=state)

    return Scenario(
        shows=shows,
        setup=setup(),
        before=rests,
        begin=begin,
        wrong=wrong,
        remembered=45.0,
        bound=bound,
        spoils_lists=True,
        task=functools.partial(carry_out, strategy, more),
        of_calls=_WITHOUT_STEPS,
        deeds=deeds or {},
    )


async def recreate(work: strategies.Work) -> strategies.Done:
    """What is gone is created, as the planner has it: a Recreate would look for what to delete."""
    if await strategies.is_gone(work):
        return await strategies.create(work)
    return await strategies.recreate(work)


def not_gone(sight: Sight) -> str | None:
    """It is still there for a witness."""
    return "it is still there" if is_there(sight) else None


def not_another(sight: Sight) -> str | None:
    """There is not exactly one incarnation, another one than before."""
    created = sight.created[SERVER, NAME]
    if len(created) < 2 or sight.row((SERVER, NAME)) is None:
        return "it was not created again"
    return None


def not_logged_out(sight: Sight) -> str | None:
    """It does not wait for a new pairing."""
    row = sight.row((SERVER, NAME))
    ended = row is not None and row.disconnection_at is not None
    waits = sight.state_since((SERVER, NAME))[1] in (ConnectionState.CONNECTING, ConnectionState.OPEN)
    return None if ended and waits else "it was not logged out and connected again"


def opens(stage: Stage) -> None:
    """Somebody pairs it past the operator."""
    model = stage.hosts[SERVER].model
    one = model.memory.get(NAME)
    if isinstance(one, instance.BaileysInstance):
        population.pair(model, one)


def has_a_webhook(stage: Stage) -> None:
    """Somebody has set one, and their receiver answers."""
    servers.hand_webhook(stage, server=SERVER, name=NAME)


def loses_its_row(stage: Stage) -> None:
    """Somebody deletes its row, past the server."""
    stage.hosts[SERVER].model.database.delete(NAME)


def not_for_long(sight: Sight) -> str | None:
    """The strategy is to be tried for a while, and to leave things as they are."""
    if sight.row((SERVER, NAME)) is None:
        return "its row is gone"
    return "it is still tried" if sight.stage.loop.time() < PRELUDE_SECONDS + _WHILE_SECONDS else None


def not_gone_for_long(sight: Sight) -> str | None:
    """It is there, or was so a moment ago."""
    there = not_gone(sight)
    return there or ("it has just gone" if sight.stage.loop.time() < PRELUDE_SECONDS + _WHILE_SECONDS else None)


def neither_open_nor_gone(sight: Sight) -> str | None:
    """What opens meanwhile is spared, however often it is tried."""
    if sight.stage.loop.time() < PRELUDE_SECONDS + _WHILE_SECONDS:
        return "it is still tried"
    if not is_there(sight):
        return None
    return None if sight.state_since((SERVER, NAME))[1] is ConnectionState.OPEN else "it is neither open nor gone"


async def create_again(work: strategies.Work) -> strategies.Done:
    """What is gone is created and connected; what is there, and closed, is connected."""
    if await strategies.is_gone(work):
        return await strategies.create(work)
    memory = await work.server.read_memory(work.name)
    if memory == evidence.InMemory(evidence.ConnectionState.CLOSE):
        return await strategies.reconnect(work)
    return strategies.Done.PENDING


SCENARIOS: Mapping[str, Scenario] = {
    "delete": alone(
        strategies.delete,
        wrong=not_gone,
        bound=Bound(faults=3, crashes=0),
        shows="safe delete of an instance that is open",
    ),
    "delete-dead": alone(
        strategies.delete, "S10", wrong=not_gone, shows="safe delete where the webhook's receiver is dead"
    ),
    "delete-lost": alone(strategies.delete, "S11", wrong=not_gone, shows="safe delete where the first DELETE is lost"),
    "recreate": alone(
        recreate,
        "S2",
        wrong=not_another,
        recreates=True,
        broken_record=True,
        shows="R4 without a row",
    ),
    "relogin": alone(strategies.relogin, "S7", wrong=not_logged_out, shows="R3 of corrupt credentials"),
    "create": alone(
        create_again,
        wrong=not_open,
        first=vanishes,
        recreates=True,
        connect_after_create=True,
        shows="a create, and the connect after it",
    ),
    "recreate-ghost": alone(
        recreate,
        "S1",
        wrong=not_another,
        first=has_a_webhook,
        recreates=True,
        broken_record=True,
        shows="R4 of a ghost, whose webhook cannot be set",
    ),
    "recreate-torn": alone(
        recreate,
        wrong=not_another,
        first=has_a_webhook,
        deeds={"its row goes": loses_its_row},
        recreates=True,
        broken_record=True,
        shows="R4 of what was without a row, has one, and may lose it again before its webhook is off",
    ),
    "delete-zombie": alone(
        strategies.delete,
        "S3",
        wrong=not_for_long,
        bound=_NOTHING,
        shows="safe delete of a zombie, which 2.3.7 refuses",
    ),
    "delete-vanishing": alone(
        strategies.delete,
        wrong=not_gone_for_long,
        deeds={"somebody deletes it": vanishes},
        shows="safe delete of what somebody else deletes meanwhile",
    ),
    "delete-opening": alone(
        strategies.delete,
        "S5",
        wrong=neither_open_nor_gone,
        deeds={"somebody pairs it": opens},
        spare_open=True,
        shows="safe delete of what is closed, and may open meanwhile",
    ),
    "relogin-zombie": alone(
        strategies.relogin, "S4", wrong=not_for_long, bound=_NOTHING, shows="R3 of a zombie, which takes no logout"
    ),
    "relogin-closed": alone(
        strategies.relogin, "S5", wrong=not_for_long, bound=_NOTHING, shows="R3 of what is closed, and not logged out"
    ),
}
