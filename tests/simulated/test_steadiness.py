"""What the operator need not look at, though something of it is still to come."""

from __future__ import annotations

import asyncio

from benchmarks.fleet_month.house import MonthLoop, furnished, server_of
from benchmarks.fleet_month.operated import Operated
from benchmarks.fleet_month.schedule import Population
from simulation import drawing
from simulation import setup as setups
from simulation.kubernetes import kinds, server
from simulation.stage import Stage, key_of, ready, status_of

from evolution_simulator import breakage
from whatsapp_operator.engine import probing

FLEET = Population("main-0", 4)


def shown(stage: Stage, name: str) -> server.Body:
    found = stage.api.find(kinds.INSTANCES, setups.HOME, name)
    assert found is not None
    return found


def has_incident(stage: Stage, name: str) -> bool:
    return bool((status_of(shown(stage, name)).get("recovery") or {}).get("incident"))


def probed_last(stage: Stage) -> str:
    """Of all numbers the one whose probe, which is a read as well, is due last."""

    def until_probe(name: str) -> float:
        uid = shown(stage, name)["metadata"]["uid"]
        return probing.until_next_slot(uid, period=1800.0, at=stage.clock.now())

    return max(FLEET.names, key=until_probe)


def test_instance_that_is_well_again_is_not_looked_at_for_each_read_until_its_incident_is_over() -> None:
    loop = MonthLoop()

    async def main() -> None:
        stage = furnished(1, FLEET, loop)
        await Operated(stage).begin()
        name = probed_last(stage)
        breakage.break_instance(server_of(stage).model, name, "S17")
        await asyncio.sleep(180.0)
        replica = stage.replica(0)
        assert replica is not None
        subject = replica.context.subjects[key_of(shown(stage, name))]
        assert (ready(shown(stage, name))[0], has_incident(stage, name)) == ("True", True)
        assert subject.steady
        reads = subject.record.reads

        await asyncio.sleep(300.0)
        assert has_incident(stage, name)
        assert subject.record.reads == reads

        await asyncio.sleep(300.0)
        assert not has_incident(stage, name), "nobody looked when its ten minutes were over"

    with drawing.left_out():
        loop.run(main())
