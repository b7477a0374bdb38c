"""The faults of the month: each ends by what the table says, with the pairing it had, and by nothing gentler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import pytest
from benchmarks.fleet_month import schedule
from benchmarks.fleet_month.calendar import Calendar
from benchmarks.fleet_month.house import MonthLoop, furnished, server_of
from benchmarks.fleet_month.policies import Caller
from benchmarks.fleet_month.rates import FAULTS, Fault, Healer, Unit
from benchmarks.fleet_month.schedule import DAY_SECONDS, Population, Strike
from benchmarks.fleet_month.truth import Truth
from simulation import drawing
from simulation.stage import Stage

from whatsapp_operator.evolution import routes

FLEET = Population("main-0", 10, each_proxy=1)
STRUCK = "number-00004"
"""Behind proxy 0, so that every kind of fault reaches it."""
LONGEST = 45 * 60.0


class Scene:
    """A server of which one number was struck, and what can be done about it."""

    def __init__(self, stage: Stage, loop: MonthLoop) -> None:
        self.stage, self.there, self.caller = stage, server_of(stage), Caller(stage)
        self.truth = Truth(self.there, Calendar(loop), FLEET.names)

    async def wait(self) -> None:
        await asyncio.sleep(LONGEST)

    async def connect(self) -> None:
        await self.caller.call(routes.CONNECT, STRUCK)

    async def restart(self) -> None:
        await self.caller.call(routes.RESTART, STRUCK)

    async def restart_server(self) -> None:
        self.there.model.stop()
        self.stage.begin_server(self.there.name)

    async def strike(self, fault: Fault) -> None:
        """As in the month: what happens in an outage of the database happens in one."""
        self.there.model.database.down = fault.unit is Unit.OUTAGE
        with self.truth.striking():
            Strike(
                at=0.0,
                fault=fault,
                name=STRUCK if fault.unit in (Unit.NUMBER, Unit.CRASH, Unit.OUTAGE) else None,
                proxy=0 if fault.unit is Unit.PROXY else None,
                seconds=fault.seconds[1] if fault.seconds is not None else None,
            ).do(self.stage)
        self.there.model.database.down = self.there.model.database.down and fault.unit is not Unit.OUTAGE
        await asyncio.sleep(5.0)

    @property
    def device(self) -> str:
        row = self.there.model.database.rows[STRUCK]
        return self.there.model.database.sessions[row.id].device


def on_stage(play: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    loop = MonthLoop()

    async def main() -> None:
        await play(Scene(furnished(1, FLEET, loop), loop))

    with drawing.left_out():
        loop.run(main())


Means = Callable[[Scene], Awaitable[None]]
LADDER: tuple[tuple[Healer, Means], ...] = (
    (Healer.WAIT, Scene.wait),
    (Healer.CONNECT, Scene.connect),
    (Healer.RESTART, Scene.restart),
    (Healer.SERVER, Scene.restart_server),
)
KEPT = [fault for fault in FAULTS if fault.healer is not Healer.SCAN]


@pytest.mark.parametrize("fault", KEPT, ids=lambda fault: fault.title)
def test_fault_is_healed_with_its_pairing_by_what_the_table_says(fault: Fault) -> None:
    async def play(scene: Scene) -> None:
        device = scene.device
        await scene.strike(fault)
        await dict(LADDER)[fault.healer](scene)
        await asyncio.sleep(60.0)
        assert scene.truth.is_connected(STRUCK)
        assert scene.device == device

    on_stage(play)


@pytest.mark.parametrize("fault", [one for one in KEPT if one.needs_a_step], ids=lambda fault: fault.title)
def test_fault_that_needs_a_step_does_not_end_by_itself(fault: Fault) -> None:
    async def play(scene: Scene) -> None:
        await scene.strike(fault)
        await scene.wait()
        assert not scene.truth.is_connected(STRUCK)
        assert scene.truth.is_paired(STRUCK)

    on_stage(play)


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.healer is Healer.SERVER], ids=lambda fault: fault.title)
def test_restart_of_the_instance_does_not_heal_what_needs_one_of_the_server(fault: Fault) -> None:
    async def play(scene: Scene) -> None:
        await scene.strike(fault)
        await scene.restart()
        await asyncio.sleep(60.0)
        assert not scene.truth.is_connected(STRUCK)

    on_stage(play)


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.healer is Healer.SCAN], ids=lambda fault: fault.title)
def test_pairing_that_a_fault_ends_is_not_held_against_the_policy(fault: Fault) -> None:
    async def play(scene: Scene) -> None:
        await scene.strike(fault)
        assert not scene.truth.is_paired(STRUCK)
        assert (scene.truth.lost_to_faults, scene.truth.lost_avoidably) == (1, [])

    on_stage(play)


@pytest.mark.parametrize("route", [routes.LOGOUT, routes.DELETE])
def test_pairing_that_a_call_ends_is_held_against_the_policy(route: routes.Route) -> None:
    async def play(scene: Scene) -> None:
        await scene.caller.call(route, STRUCK)
        await asyncio.sleep(5.0)
        scene.truth.look_around()
        assert (scene.truth.lost_to_faults, scene.truth.lost_avoidably) == (0, [STRUCK])

    on_stage(play)


def test_schedule_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    fleet = Population("main-0", 200)

    assert schedule.draw(1, fleet, days=30) == schedule.draw(1, fleet, days=30)
    assert schedule.draw(1, fleet, days=30) != schedule.draw(2, fleet, days=30)
    assert schedule.draw(1, fleet, days=30) != schedule.draw(1, Population("main-1", 200), days=30)


def test_schedule_keeps_to_the_declared_rates() -> None:
    strikes = schedule.draw(1, Population("main-0", 2000), days=300)

    drawn = {fault.title: sum(one.fault is fault for one in strikes) for fault in FAULTS if fault.unit is Unit.NUMBER}
    for fault in FAULTS:
        if fault.unit is Unit.NUMBER:
            assert drawn[fault.title] == pytest.approx(fault.rate * 2000 * 10, rel=0.2)
    assert all(0 <= one.at <= 301 * DAY_SECONDS for one in strikes)
    assert list(strikes) == sorted(strikes, key=lambda one: one.at)


def test_every_fifth_number_is_behind_a_proxy_that_few_share() -> None:
    fleet = Population("main-0", 667)

    behind = [fleet.proxy_of(number) for number in range(fleet.size)]

    assert sum(proxy is not None for proxy in behind) == 133
    assert {proxy for proxy in behind if proxy is not None} == set(range(fleet.proxies))
    assert max(behind.count(proxy) for proxy in range(fleet.proxies)) == fleet.each_proxy
