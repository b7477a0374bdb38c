"""Scenarios of one strategy alone, with its port and nothing else: again and again until it has come to its end."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from evolution_simulator.version import ConnectionState
from simulation import deeds
from simulation.exhaustive.arbiter import Bound
from simulation.exhaustive.play import Scenario, Wrong
from simulation.exhaustive.scenarios import SERVER, rests, setup
from simulation.invariants import calls
from simulation.sight import Sight
from simulation.stage import Stage
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import strategies

NAME = "i0"
_BOUND = Bound(faults=2, crashes=0)
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
    **more: Any,
) -> Scenario:
    """A strategy on the first instance, in these broken states."""

    def begin(stage: Stage) -> None:
        token = stage.hosts[SERVER].model.database.rows[NAME].token
        if recreates:
            more["wanted"] = evidence.NewInstance(name=NAME, integration="WHATSAPP-BAILEYS", token=token)
        for state in states:
            deeds.servers.break_instance(stage, server=SERVER, name=NAME, state=state)

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
    )


async def recreate(work: strategies.Work) -> strategies.Done:
    """What is gone is created, as the planner has it: a Recreate would look for what to delete."""
    if await strategies.is_gone(work):
        return await strategies.create(work)
    return await strategies.recreate(work)


def not_gone(sight: Sight) -> str | None:
    """It is still there for a witness."""
    there = sight.row((SERVER, NAME)) is not None or sight.memory((SERVER, NAME)) is not None
    return "it is still there" if there else None


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


SCENARIOS: Mapping[str, Scenario] = {
    "delete": alone(strategies.delete, wrong=not_gone, shows="safe delete of an instance that is open"),
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
}
