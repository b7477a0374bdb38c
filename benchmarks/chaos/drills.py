"""The drills: what is done to the fleet, and by when it must be well again. Spans are those of life, in minutes."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from benchmarks.chaos.fleet import PROBE_SECONDS, SPEED, Fleet, House
from benchmarks.operator_process import Operator

_OUTAGE_SECONDS = 600 / SPEED
_PROBES_SECONDS = 2 * PROBE_SECONDS


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill. `do` returns the names of those that were broken, once the cause is over."""

    title: str
    do: Callable[["Scene"], Awaitable[set[str]]]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a drill plays with."""

    fleet: Fleet
    operator: Operator
    chance: random.Random


def _break_some(scene: Scene, house: House, share: float, states: tuple[str, ...]) -> set[str]:
    chosen = scene.chance.sample(list(house.instances), round(len(house.instances) * share))
    for position, name in enumerate(chosen):
        house.simulator.break_(name, states[position % len(states)])
    return set(chosen)


async def _break_everywhere(scene: Scene, share: float, states: tuple[str, ...]) -> set[str]:
    work = (asyncio.to_thread(_break_some, scene, house, share, states) for house in scene.fleet.houses)
    return set().union(*await asyncio.gather(*work))


async def hang(scene: Scene) -> set[str]:
    """30 %: hung logins and lost closes, which a restart or a connect of each heals."""
    return await _break_everywhere(scene, 0.3, ("S17", "S5"))


async def haunt(scene: Scene) -> set[str]:
    """60 %: ghosts and dead sockets, which only a restart of their server heals without a loss."""
    return await _break_everywhere(scene, 0.6, ("S1", "S4", "S3"))


async def lose_whatsapp(scene: Scene) -> set[str]:
    """100 %: WhatsApp cannot be reached for ten minutes."""
    for house in scene.fleet.houses:
        house.simulator.whatsapp("refused")
    await asyncio.sleep(_OUTAGE_SECONDS)
    for house in scene.fleet.houses:
        house.simulator.whatsapp("reachable")
    return {name for house in scene.fleet.houses for name in house.instances}


async def lose_server(scene: Scene) -> set[str]:
    """One server is down for ten minutes."""
    house = scene.fleet.houses[0]
    house.simulator.down()
    await asyncio.sleep(_OUTAGE_SECONDS)
    house.simulator.up(load_seconds=house.pod.load_seconds)
    return set()


async def lose_database(scene: Scene) -> set[str]:
    """A server's database is down for ten minutes, and one in twenty connections drops meanwhile: zombies stay."""
    house = scene.fleet.houses[1]
    house.simulator.database_down()
    dropped = scene.chance.sample(list(house.instances), len(house.instances) // 20)
    for name in dropped:
        house.simulator.drop(name)
    await asyncio.sleep(_OUTAGE_SECONDS)
    house.simulator.database_up()
    # What says open on a dead socket is found by the next two probes only.
    await asyncio.sleep(_PROBES_SECONDS)
    return set(dropped)


async def lose_operator(scene: Scene) -> set[str]:
    """10 % hang, and the operator is killed in the middle of healing them."""
    broken = await _break_everywhere(scene, 0.1, ("S17",))
    await asyncio.sleep(10)
    process = scene.operator.process
    assert process is not None  # noqa: S101 - it runs
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    await asyncio.to_thread(scene.operator.start)
    return broken


async def rest(scene: Scene) -> set[str]:
    """Nothing is broken; the operator is stopped and started again."""
    await asyncio.to_thread(scene.operator.stop)
    await asyncio.to_thread(scene.operator.start)
    return set()


DRILLS: Mapping[str, Drill] = {
    "restart": Drill("operator restarted, nothing broken", rest),
    "hang": Drill("30 % hang or have lost their close", hang),
    "haunt": Drill("60 % are ghosts or have dead sockets", haunt),
    "whatsapp": Drill("100 %: WhatsApp away for ten minutes", lose_whatsapp),
    "server": Drill("one of three servers down for ten minutes", lose_server),
    "database": Drill("its database down for ten minutes", lose_database),
    "crash": Drill("10 % hang, operator killed in the middle", lose_operator),
}
