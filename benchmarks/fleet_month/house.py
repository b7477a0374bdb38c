"""One server with its numbers, as every policy finds it: all paired and connected, some behind proxies."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from typing import Any

from simulation import setup as setups
from simulation.evolution import host
from simulation.loop import SimulatedLoop
from simulation.stage import Stage

from benchmarks.fleet_month import chance
from benchmarks.fleet_month.schedule import PROXY_PORT, Population, proxy_host
from evolution_simulator import instance, population, world
from whatsapp_operator.cli import options as cli_options

LOAD_SECONDS = 0.05
"""Between two rows when a server starts: 667 take 33 s (seen on a real server: 328 rows in 110 s, 33 in 9 s)."""
VERSION = "2.3.7"
PERSON = "person"
"""Who calls by hand: not counted as a call of a policy."""


_GRID = 64
"""Parts of a second in which time goes: sums of them are exact, and each is a whole number of microseconds."""
_NOISE = 1e-6
"""What the sum of a moment and a delay may be off, in parts of the grid."""


class MonthLoop(SimulatedLoop):
    """Simulated time, on which the parsing of long lists, which the operator gives to a thread, takes none.

    Time goes in 64ths of a second, so that whole minutes that are skipped move nothing by the rounding of a sum.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        """Seconds of the calendar that this loop has not seen."""

    def moment(self) -> float:
        """Seconds of the calendar."""
        return self.time() + self.skipped

    def call_at(  # type: ignore[override]  # the arguments are not followed by their types here
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at the next 64th of a second, and never in this one what is due later."""
        due = now = self.time()
        if when > now:
            due = max(math.ceil(when * _GRID - _NOISE) / _GRID, now + 1 / _GRID)
        return super().call_at(due, callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Do it now: the same result, without a thread."""
        del executor
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as an executor hands on whatever the function raises
            done.set_exception(error)
        return done


def furnished(seed: int, people: Population, loop: MonthLoop) -> Stage:
    """The stage with its one server, on which all numbers are paired; nobody works on it yet."""
    stage = Stage(seed, _setup(people), loop, stream=chance.streams(loop.moment))
    model = stage.hosts[people.server].model
    for number, name in enumerate(people.names):
        _move_in(model, name, people.proxy_of(number))
    return stage


def server_of(stage: Stage) -> host.Host:
    """The one server."""
    return next(iter(stage.hosts.values()))


def _setup(people: Population) -> setups.Setup:
    server = setups.ServerSetup(
        name=people.server,
        version=VERSION,
        metrics=True,
        workload=True,
        load_seconds=LOAD_SECONDS,
        auto_scan=None,
        spec={
            "url": f"http://{people.server}.{setups.HOME}.svc:8080",
            "apiKeySecretRef": {"name": f"{people.server}-key"},
            "workloadRef": {"kind": "Deployment", "name": people.server},
            "health": {"probe": {"mode": "Enabled", "periodSeconds": 1800}},
        },
    )
    instances = tuple(
        setups.InstanceSetup(namespace=setups.HOME, name=name, server=people.server, at=0.0, spec=_spec(people, name))
        for name in people.names
    )
    return setups.Setup(
        servers=(server,), instances=instances, replicas=1, options=cli_options.Options(), skews=(0.0, 0.0)
    )


def _spec(people: Population, name: str) -> dict[str, Any]:
    return {
        "serverRef": {"name": people.server},
        "tokenSecretRef": {"name": f"{name}-token"},
        "deletionPolicy": "Delete",
    }


def _move_in(model: world.World, name: str, proxy: int | None) -> None:
    row = population.insert_row(model, name=name, with_setting=True)
    if proxy is not None:
        values = {"enabled": True, "host": proxy_host(proxy), "port": PROXY_PORT, "protocol": "http"}
        credentials = {"username": "", "password": ""}
        model.database.save_proxy(row, now=model.scheduler.now(), values=values | credentials)
    one = instance.BaileysInstance(server=model, row=row)
    model.remember(one)
    population.pair(model, one)
