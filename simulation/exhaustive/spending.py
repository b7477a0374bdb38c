"""The budget alone: two instances want a gentle step each, and share one place; no strategy and no verdict besides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from simulation import setup as setups
from simulation.deeds import servers
from simulation.evolution import host
from simulation.exhaustive.arbiter import Bound
from simulation.exhaustive.play import Scenario
from simulation.exhaustive.scenarios import SERVER, not_open, rests, setup
from simulation.invariants import calls
from simulation.sight import Sight
from simulation.stage import Stage
from whatsapp_operator.engine import ports, treasury
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.resources.steps import StepClass

_NAMES = ("i0", "i1")
_HANGS = evidence.InMemory(evidence.ConnectionState.CONNECTING)
_PERIOD_SECONDS = 60
_BUDGET: Mapping[str, object] = {
    "maxInFlight": 2,
    "windows": [{"class": "Soft", "max": 1, "periodSeconds": _PERIOD_SECONDS}],
}
_ROUNDING_SECONDS = 0.001


async def spend(context: Context, server: Server) -> None:
    """What workers do side by side in a round: a look at each instance that hangs, and one at the server."""
    listed = await server.client.list_memory() if server.client is not None else None
    states = listed.states if isinstance(listed, evidence.MemoryList) else {}
    hang = [name for name in _NAMES if states.get(name) is _HANGS.state]
    looks = [context.tasks.spawn(f"look-{name}", _look(context, server, name)) for name in hang]
    looks.append(context.tasks.spawn("look-at-server", _save(context, server)))
    await asyncio.wait(looks)


async def _look(context: Context, server: Server, name: str) -> None:
    key = ports.Key(setups.HOME, name)
    with context.claims.work(server.key) as is_ours:
        if is_ours and _may_step(context, server, key):
            await _step(context, server, key)


async def _hangs(server: Server, name: str) -> bool:
    return server.client is not None and await server.client.read_memory(name) == _HANGS


def _may_step(context: Context, server: Server, key: ports.Key) -> bool:
    """What holds every step of this class back, but for what is read of the instances."""
    now = context.clock.now()
    guard = treasury.guard(context, server, key=key, now=now)
    holds = guards.budget_holds(guard, StepClass.SOFT, now=now), guards.others_are_under_way(guard, StepClass.SOFT)
    return holds == (None, None)


async def _step(context: Context, server: Server, key: ports.Key) -> None:
    """Entered, looked at once more, and taken; given back where it surely is not."""
    try:
        at = await treasury.spend(context, server, StepClass.SOFT, key=key)
    except ports.KubernetesError:
        return
    if not await _hangs(server, key.name):
        treasury.give_back(server, StepClass.SOFT, key=key, at=at)
    elif server.client is not None:
        answer = await server.client.restart(key.name)
        treasury.judged(context, server, key=key, healed=not isinstance(answer, evidence.Refused))


async def _save(context: Context, server: Server) -> None:
    with context.claims.work(server.key) as is_ours:
        try:
            if is_ours and server.ledger is not None:
                await treasury.save(context, server)
        except ports.KubernetesError:
            return


def _hang(stage: Stage) -> None:
    for name in _NAMES:
        servers.break_instance(stage, server=SERVER, name=name, state="S17")


def _taken(sight: Sight) -> Iterable[float]:
    """When the steps were taken that the window counts."""
    begin = sight.stage.loop.time() - _PERIOD_SECONDS + _ROUNDING_SECONDS
    return sorted(at for name in _NAMES for at in sight.restarted[SERVER, name] if at > begin)


def keeps_to_the_window(sight: Sight, one: host.Arrival) -> str | None:
    """Invariant 4: steps per window, over crashes and two operators."""
    taken = len(list(_taken(sight)))
    return f"{taken} in {_PERIOD_SECONDS} s, of 1" if one.route == "restart" and taken > 1 else None


_CHECKS: Sequence[calls.Check] = (
    calls.only_the_holder_of_the_claim_changes,
    calls.only_instances_with_a_resource_change,
    keeps_to_the_window,
)

SCENARIOS: Mapping[str, Scenario] = {
    "spending": Scenario(
        shows="the budget alone: two instances want a gentle step each, and one place is free within a time",
        setup=setup(budget=_BUDGET),
        before=rests,
        begin=_hang,
        wrong=not_open,
        remembered=75.0,
        bound=Bound(faults=1, crashes=1),
        task=spend,
        of_calls=_CHECKS,
        remembers=_taken,
    )
}
