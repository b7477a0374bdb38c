"""What becomes of the operator in time that is skipped, and that a comparison tells where that changed too much."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine

import pytest
from benchmarks.fleet_month import comparison
from benchmarks.fleet_month.calendar import Calendar
from benchmarks.fleet_month.house import MonthLoop, furnished, server_of
from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.operated import Operated
from benchmarks.fleet_month.policies import Policy
from benchmarks.fleet_month.rates import FAULTS, Fault
from benchmarks.fleet_month.schedule import DAY_SECONDS, Population
from benchmarks.fleet_month.truth import Heal, Truth
from simulation import drawing
from simulation import setup as setups
from simulation.evolution import host
from simulation.kubernetes import kinds, server
from simulation.stage import Stage, key_of, ready, status_of

from evolution_simulator import breakage
from whatsapp_operator.evolution import routes

HOUR = 3600.0


def fault(title: str) -> Fault:
    return next(one for one in FAULTS if title in one.title)


FLEET = Population("main-0", 8)
PROBE = routes.FETCH_BUSINESS_PROFILE


def incidents(stage: Stage) -> list[str]:
    bodies = stage.api.all(kinds.INSTANCES)
    return [key_of(body).name for body in bodies if (status_of(body).get("recovery") or {}).get("incident")]


def test_incident_that_is_well_again_is_over_after_ten_minutes_that_were_skipped() -> None:
    async def play(stage: Stage, operated: Operated) -> None:
        breakage.break_instance(server_of(stage).model, FLEET.names[0], "S17")
        await asyncio.sleep(180.0)
        assert incidents(stage) == [FLEET.names[0]]

        operated.skip(300.0)
        await asyncio.sleep(60.0)
        assert incidents(stage) == [FLEET.names[0]]

        operated.skip(300.0)
        await asyncio.sleep(60.0)
        assert incidents(stage) == []

    on_stage(play)


def test_probes_keep_their_places_over_skipped_time() -> None:
    async def play(stage: Stage, operated: Operated) -> None:
        loop, probed = stage.loop, list[tuple[str | None, float]]()
        assert isinstance(loop, MonthLoop)

        def note(one: host.Arrival) -> None:
            if one.request.path.startswith(PROBE.path.partition("{")[0]):
                probed.append((one.instance, loop.moment() % 1800.0))

        server_of(stage).on_arrival.append(note)
        await asyncio.sleep(1800.0)
        places = sorted(probed)
        probed.clear()

        for _ in range(6):  # the five minutes that are played are others each time
            loop.skipped += 1200.0
            operated.skip(1200.0)
            look_at_all(stage)  # nobody is probed sooner for that
            await asyncio.sleep(300.0)

        assert len({name for name, _ in places}) == FLEET.size
        assert sorted(probed) == places

    on_stage(play)


def test_nothing_is_skipped_until_who_was_logged_out_has_been_shown_a_code_and_nobody_came() -> None:
    async def play(stage: Stage, operated: Operated) -> None:
        (name, *_), reasons = FLEET.names, list[object]()
        truth = Truth(server_of(stage), Calendar(loop_of(stage)), FLEET.names)
        breakage.break_instance(server_of(stage).model, name, "S13")
        operated.struck()

        while "QRExpired" not in reasons:
            assert not operated.is_quiet(truth)
            await asyncio.sleep(5.0)
            truth.look_around()
            reasons += [status_of(stage.api.find(kinds.INSTANCES, setups.HOME, name) or {}).get("reason")]

        assert "LoggedOut" in reasons
        assert "AwaitingScan" in reasons
        await asyncio.sleep(60.0)
        assert operated.is_quiet(truth)

    on_stage(play)


def test_nothing_is_skipped_before_the_end_of_a_fault_though_that_of_another_one_has_ended_what_both_do() -> None:
    async def play(stage: Stage, operated: Operated) -> None:
        truth = Truth(server_of(stage), Calendar(loop_of(stage)), FLEET.names)
        operated.struck(lasting=600.0)
        operated.struck(lasting=100.0)

        await asyncio.sleep(600.0)
        assert not operated.is_quiet(truth)

        await asyncio.sleep(31.0)
        assert operated.is_quiet(truth)

    on_stage(play)


def loop_of(stage: Stage) -> MonthLoop:
    assert isinstance(stage.loop, MonthLoop)
    return stage.loop


def look_at_all(stage: Stage) -> None:
    (replica,) = stage.replicas
    for one in replica.context.servers.values():
        replica.context.look_at_all(one)


def test_skipped_time_makes_nothing_stale_and_writes_nothing() -> None:
    async def play(stage: Stage, operated: Operated) -> None:
        written = list[server.Change]()
        stage.api.listeners.append(written.append)

        operated.skip(8 * HOUR)
        await asyncio.sleep(60.0)

        assert [one.name for one in written if one.kind is not kinds.LEASES] == []
        assert all(ready(body)[0] == "True" for body in stage.api.all(kinds.INSTANCES))

    on_stage(play)


def on_stage(play: Callable[[Stage, Operated], Coroutine[None, None, None]]) -> None:
    loop = MonthLoop()

    async def main() -> None:
        stage = furnished(1, FLEET, loop)
        operated = Operated(stage)
        await operated.begin()
        await play(stage, operated)

    with drawing.left_out():
        loop.run(main())


HUNG, DEAD = fault("S17").title, fault("shows connected").title
POLLED = Outcome(
    policy=Policy.OPERATOR,
    numbers=10,
    days=1.0,
    connected_by_day=(10 * DAY_SECONDS,),
    lost_avoidably=0,
    lost_to_faults=1,
    asked=1,
    healed=(Heal("shop", HUNG, 55.0), Heal("bank", DEAD, 900.0)),
    never_healed=0,
    calls=100,
    server_restarts=1,
    steps=("bank: Restart", "shop: Restart"),
    simulated=DAY_SECONDS,
)


def test_second_and_one_in_a_hundred_calls_may_differ() -> None:
    healed = (Heal("bank", DEAD, 900.9), Heal("shop", HUNG, 54.1))
    skipped = dataclasses.replace(
        POLLED, healed=healed, calls=99, simulated=HOUR, connected_by_day=(10 * DAY_SECONDS - 1.8,)
    )

    assert comparison.differences(skipped, POLLED) == []


def test_heals_are_paired_by_number_and_fault() -> None:
    healed = (Heal("bank", DEAD, 900.0), Heal("shop", DEAD, 55.0), Heal("shop", HUNG, 55.0), Heal("shop", HUNG, 70.0))
    polled = dataclasses.replace(POLLED, healed=healed)

    assert comparison.differences(dataclasses.replace(polled, healed=healed[:2] + healed[:1:-1]), polled)
    assert comparison.differences(dataclasses.replace(polled, healed=(healed[1], healed[0], *healed[2:])), polled) == []
    (told,) = comparison.differences(dataclasses.replace(polled, healed=(healed[0], *healed[2:])), polled)
    assert told == f"shop, {DEAD}: healed 0 times with skipping, 1 without"


@pytest.mark.parametrize(
    "changes",
    [
        {"lost_avoidably": 1},
        {"asked": 2},
        {"never_healed": 1},
        {"server_restarts": 2},
        {"steps": ("bank: Restart",)},
        {"steps": ("bank: Restart", "shop: Reconnect")},
        {"steps": (*POLLED.steps, "post: Restart")},
        {"steps": ("post: Restart", "shop: Restart")},
        {"healed": POLLED.healed[:1]},
        {"healed": (Heal("post", HUNG, 55.0), POLLED.healed[1])},
        {"healed": (Heal("shop", HUNG, 56.1), POLLED.healed[1])},
        {"healed": (POLLED.healed[0], Heal("bank", DEAD, 901.1))},
        {"connected_by_day": (10 * DAY_SECONDS - 2.1,)},
        {"calls": 98},
    ],
    ids=str,
)
def test_whatever_else_differs_is_told(changes: dict[str, object]) -> None:
    assert comparison.differences(dataclasses.replace(POLLED, **changes), POLLED)  # type: ignore[arg-type]
