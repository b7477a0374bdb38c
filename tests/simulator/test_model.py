"""The model alone: without sockets, under a driven clock, and the same again from the same seed."""

import ast
import random
from pathlib import Path
from typing import Any

import pytest

import evolution_simulator
from evolution_simulator import breakage, clock, population, snapshot, version, whatsapp, world
from evolution_simulator.api import message, router

PACKAGE = Path(evolution_simulator.__file__).parent
NOT_MODEL = {"listener.py", "control.py", "control_client.py", "main.py", "realtime.py"}
KEY = "k"


def new_world(seed: int) -> world.World:
    """A server in a world of its own."""
    return world.World(
        scheduler=clock.DrivenClock(now=1_800_000_000.0),
        rng=random.Random(seed),  # noqa: S311  # a simulation, no cryptography
        release=version.V2_3_7,
        settings=world.Settings(api_key=KEY),
    )


def ask(server: world.World, method: str, path: str, body: bytes = b"") -> message.Reply:
    """A request without a socket; time passes until it is answered."""
    answers: list[message.Reply] = []
    router.Api(server).handle(message.Request(method=method, path=path, key=KEY, body=body), answers.append)
    while not answers:
        advance(server, 0.1)
    return answers[0]


def advance(server: world.World, seconds: float) -> None:
    """Let time pass."""
    assert isinstance(server.scheduler, clock.DrivenClock)
    server.scheduler.advance(seconds)


def eventful_hour(seed: int) -> dict[str, Any]:
    """What is left of some instances after an hour in which much went wrong."""
    server = new_world(seed)
    states = ("S3", "S4", "S5", "S6", "S7", "S8", "S12", "S13", "S15", "S17", "S18", "S19")
    names = list(population.seed(server, count=len(states)))
    for name, state in zip(names, states, strict=True):
        breakage.break_instance(server, name, state)
    server.whatsapp.set_reach(whatsapp.Reach.REFUSED)
    advance(server, 60)
    server.whatsapp.set_reach(whatsapp.Reach.REACHABLE)
    for name in names:
        ask(server, "DELETE", f"/instance/logout/{name}")
    advance(server, 60)
    server.restart(load_seconds=0.5)
    advance(server, 600)
    return snapshot.server_body(server, received=0)


def test_same_seed_gives_the_same_hour_and_another_seed_another() -> None:
    assert eventful_hour(1) == eventful_hour(1)
    assert eventful_hour(1) != eventful_hour(2)


def test_requests_are_answered_without_a_socket() -> None:
    server = new_world(0)

    created = ask(server, "POST", "/instance/create", b'{"instanceName":"one","integration":"WHATSAPP-BAILEYS"}')
    code = ask(server, "GET", "/instance/connect/one")

    assert created.status == 201
    assert '"count":1' in code.body


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_simulator_knows_nothing_of_the_operator_and_its_model_nothing_of_sockets_and_clocks(path: Path) -> None:
    found = imported(path)

    assert "whatsapp_operator" not in found
    if path.name not in NOT_MODEL:
        assert not found & {"aiohttp", "asyncio", "httpx", "socket", "time"}
