"""What the scripts read of an instance without a call is what a call would have said."""

from __future__ import annotations

import asyncio
import json

import pytest
from benchmarks.fleet_month.house import MonthLoop, furnished, server_of
from benchmarks.fleet_month.policies import Caller
from benchmarks.fleet_month.schedule import Population
from simulation import drawing
from simulation.evolution import host
from simulation.stage import KEY

from evolution_simulator import breakage, world
from evolution_simulator.api import message
from whatsapp_operator.evolution import routes

FLEET = Population("main-0", 4)
NAME = FLEET.names[0]


def said(there: host.Host) -> str | None:
    """What `connectionState` says when it is called."""
    answers: list[message.Reply | host.Lost] = []
    request = message.Request(method=routes.CONNECTION_STATE.method, path=routes.CONNECTION_STATE.fill(NAME), key=KEY)
    there.arrive(request, caller="test", sent_at=0.0, answered=answers.append)
    (reply,) = answers
    if not isinstance(reply, message.Reply) or reply.status not in (200, 404):
        return None
    return "absent" if reply.status == 404 else str(json.loads(reply.body)["instance"].get("state", "none"))


async def strike(model: world.World, what: str) -> None:
    """Bring the instance, and its server, where the test wants them."""
    for one in what.split():
        if one == "database-down":
            model.database.down = True
        elif one == "stopped":
            model.stop()
        elif one == "deleted":
            del model.memory[NAME]
            model.database.delete(NAME)
        elif one != "well":
            breakage.break_instance(model, NAME, one)
            await asyncio.sleep(5.0)


STATES = {
    "well": "open",
    "S17": "connecting",
    "S5": "close",
    "S13": "close",
    "S1": "none",
    "deleted": "absent",
    "stopped": None,
    "database-down": "open",
    "S17 database-down": "connecting",
    "S1 database-down": None,
    "deleted database-down": None,
}


@pytest.mark.parametrize("what", STATES)
def test_state_is_read_as_the_call_would_have_said_and_counted_where_it_arrives(what: str) -> None:
    loop = MonthLoop()

    async def main() -> None:
        stage = furnished(1, FLEET, loop)
        there, caller = server_of(stage), Caller(stage)
        await strike(there.model, what)

        assert caller.state(NAME) == said(there) == STATES[what]
        assert caller.shortened == int(what != "stopped")

    with drawing.left_out():
        loop.run(main())
