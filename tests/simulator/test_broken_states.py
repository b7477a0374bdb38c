"""Each broken state: how it looks from outside, what does not heal it, and what does.

The table is the specification (docs/simulator.md has it in words). "Wrong" repairs must leave the look unchanged; after
the right one the look is that of its column.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from simulator import repairs
from simulator.conftest import Bench, Start
from simulator.repairs import ASKING, GONE, HEALTHY, Action, Look, outside

BOTH = ("2.3.6", "2.3.7")
ZOMBIE_OPEN = outside("open", "open", probe=500)
STUCK = outside("connecting", "open")
FLAPPING = outside("close/connecting", "open")
REPLACED = outside("close/connecting/open", "open")
HELD_ELSEWHERE = outside("close/connecting/open", "open", hidden="heldElsewhere")
ORPHANED = outside("open", "open", probe=200, hidden="orphans")
OPEN_CHANNEL = outside("open", "open", probe=400)
DEAF = outside("open", "open", probe=200, hidden="deaf")


@dataclass(frozen=True, kw_only=True)
class State:
    """One broken state on some releases."""

    id: str
    look: Look
    versions: tuple[str, ...] = BOTH
    begins: str = "open"
    """`open` (paired), `qr` (showing a code), `channel` (an EVOLUTION instance)."""
    wrong: tuple[Action, ...] = ()
    right: tuple[tuple[Action, Look], ...] = ()


R = repairs
STATES = (
    State(
        id="S1",
        look=outside("none", "open", metrics=False),
        wrong=(R.connect, R.restart, R.logout, R.wait),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY), (R.delete, GONE)),
    ),
    State(
        id="S2",
        look=outside("open", None, probe=200),
        wrong=(R.connect, R.wait),
        right=((R.delete, GONE), (R.restart_server, GONE), (R.replace_process, GONE)),
    ),
    State(
        id="S3",
        versions=("2.3.7",),
        look=ZOMBIE_OPEN,
        wrong=(R.connect, R.restart, R.logout, R.delete, R.wait),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY)),
    ),
    State(
        id="S3",
        versions=("2.3.6",),
        look=ZOMBIE_OPEN,
        wrong=(R.connect, R.restart, R.logout, R.wait),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY), (R.delete, GONE)),
    ),
    State(
        id="S4",
        versions=("2.3.7",),
        look=STUCK,
        wrong=(R.connect, R.restart, R.logout, R.delete, R.wait),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY)),
    ),
    State(
        id="S4",
        versions=("2.3.6",),
        look=STUCK,
        wrong=(R.connect, R.restart, R.logout, R.wait),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY), (R.delete, GONE)),
    ),
    State(
        id="S4",
        begins="qr",
        look=ASKING,
        wrong=(R.connect, R.restart, R.logout, R.wait),
        right=((R.delete, GONE),),
    ),
    State(
        id="S5",
        look=outside("close", "open"),
        wrong=(R.restart, R.logout, R.wait),
        right=((R.connect, HEALTHY), (R.restart_server, HEALTHY), (R.replace_process, HEALTHY), (R.delete, GONE)),
    ),
    State(
        id="S6",
        look=FLAPPING,
        wrong=(R.connect, R.restart, R.restart_server, R.wait),
        right=((R.network_returns, HEALTHY),),
    ),
    State(
        id="S7",
        look=FLAPPING,
        wrong=(R.restart, R.restart_server, R.replace_process, R.wait),
        right=((R.relogin, ASKING),),
    ),
    State(
        id="S8",
        look=ASKING,
        wrong=(R.connect, R.restart, R.restart_server, R.replace_process),
        right=((R.scan, HEALTHY),),
    ),
    State(
        id="S9",
        begins="qr",
        look=outside("close", "connecting"),
        wrong=(R.restart, R.logout, R.wait),
        right=((R.connect, ASKING), (R.delete, GONE)),
    ),
    State(
        id="S12",
        look=ORPHANED,
        wrong=(R.connect, R.restart, R.relogin_and_scan),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY)),
        versions=("2.3.7",),
    ),
    State(
        id="S12",
        look=ORPHANED,
        wrong=(R.connect, R.restart),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY)),
        versions=("2.3.6",),
    ),
    State(
        id="S13",
        versions=("2.3.7",),
        look=outside("close", "close"),
        wrong=(R.restart, R.logout, R.wait, R.restart_server, R.replace_process),
        right=((R.connect_and_scan, HEALTHY), (R.delete, GONE)),
    ),
    State(
        id="S13",
        versions=("2.3.6",),
        look=outside("close", "close"),
        wrong=(R.restart, R.logout, R.wait),
        right=((R.connect_and_scan, HEALTHY), (R.delete, GONE), (R.restart_server, ASKING)),
    ),
    State(
        id="S14",
        begins="channel",
        look=outside("close", "open"),
        wrong=(R.connect, R.restart, R.logout, R.wait),
        right=((R.restart_server, OPEN_CHANNEL), (R.replace_process, OPEN_CHANNEL)),
    ),
    State(
        id="S15",
        look=HELD_ELSEWHERE,
        wrong=(R.connect, R.restart, R.restart_server, R.replace_process, R.wait),
        right=((R.end_foreign_holder, HEALTHY),),
    ),
    State(
        id="S16",
        versions=("2.3.6",),
        look=DEAF,
        wrong=(R.connect, R.restart, R.relogin_and_scan, R.wait),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY), (R.delete, GONE)),
    ),
    State(
        id="S17",
        versions=("2.3.7",),
        look=STUCK,
        wrong=(R.connect, R.logout, R.delete, R.wait),
        right=((R.restart, HEALTHY), (R.restart_server, HEALTHY), (R.replace_process, HEALTHY)),
    ),
    State(
        id="S17",
        versions=("2.3.6",),
        look=STUCK,
        wrong=(R.connect, R.logout, R.wait),
        right=((R.restart, HEALTHY), (R.restart_server, HEALTHY), (R.replace_process, HEALTHY)),
    ),
    State(
        id="S18",
        look=REPLACED,
        wrong=(R.connect, R.restart, R.logout),
        right=((R.restart_server, HEALTHY), (R.replace_process, HEALTHY)),
    ),
    State(
        id="S19",
        look=outside("open", "close", probe=200),
        wrong=(R.connect, R.wait),
        right=((R.restart, ASKING),),
    ),
)


def cases(kind: str) -> list[Any]:
    """One test case for each state, version and repair of that kind."""
    found: list[Any] = []
    for state in STATES:
        for version in state.versions:
            name = f"{state.id}-{state.begins}-{version}"
            if kind == "look":
                found.append(pytest.param(state, version, id=name))
            elif kind == "wrong":
                found += [pytest.param(state, version, each, id=f"{name}-{each.__name__}") for each in state.wrong]
            else:
                found += [
                    pytest.param(state, version, each, after, id=f"{name}-{each.__name__}")
                    for each, after in state.right
                ]
    return found


async def broken(start: Start, state: State, version: str) -> Bench:
    """A server with an instance in that state."""
    bench = await start(version)
    if state.begins == "open":
        await bench.create_open()
    elif state.begins == "qr":
        await bench.create_showing_code()
    else:
        await bench.create("one", integration="EVOLUTION")
    await bench.break_("one", state.id)
    return bench


@pytest.mark.parametrize(("state", "version"), cases("look"))
async def test_state_looks_from_outside_as_it_does_on_a_real_server(start: Start, state: State, version: str) -> None:
    bench = await broken(start, state, version)
    bench.pass_time(1)

    assert str(await repairs.look(bench)) == str(state.look)


@pytest.mark.parametrize(("state", "version", "repair"), cases("wrong"))
async def test_wrong_repair_does_not_heal(start: Start, state: State, version: str, repair: Action) -> None:
    bench = await broken(start, state, version)
    bench.pass_time(1)

    await repair(bench)
    bench.pass_time(2)

    assert str(await repairs.look(bench)) == str(state.look)


@pytest.mark.parametrize(("state", "version", "repair", "after"), cases("right"))
async def test_right_repair_heals(start: Start, state: State, version: str, repair: Action, after: Look) -> None:
    bench = await broken(start, state, version)
    bench.pass_time(1)

    await repair(bench)
    bench.pass_time(2)

    assert str(await repairs.look(bench)) == str(after)
