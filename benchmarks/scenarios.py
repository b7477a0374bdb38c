"""The runs of which a benchmark is made; each has a simulated server, an operator and a namespace of its own."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import changes, creation, environment, plain, population, rest, restart
from benchmarks.operator_process import Operator
from evolution_simulator import control_client

RAISED = {"perSecond": 1000, "maxInFlight": 64}
"""Request limits that bound nothing here. By default 20 calls a second go to a server."""

_SCAN_SECONDS = 1.0
_QUIET_SECONDS = 60.0
_QUIET_AT_MOST = 600.0


@dataclass(frozen=True, slots=True)
class Created:
    """A run that only creates."""

    integration: str
    limits: dict[str, int] | None
    told: creation.Creation
    reference: creation.Reference

    @property
    def ratio(self) -> float:
        """How many times as long as the API server alone."""
        return self.told.ready_seconds / self.reference.seconds


@dataclass(frozen=True, slots=True)
class Lived:
    """What the life after the creation showed."""

    settle_seconds: float
    """From the last one being Ready until the last write."""
    rest: rest.Rest
    changes: changes.Changes
    restart: restart.Restart


@dataclass(frozen=True, slots=True)
class Stage:
    """What every run takes place on."""

    api: plain.Api
    cluster: environment.Cluster
    folder: Path
    size: int


@dataclass(frozen=True, slots=True)
class Act:
    """A run's own parts."""

    people: population.Population
    operator: Operator
    simulator: control_client.Simulator


@asynccontextmanager
async def _opened(stage: Stage, name: str, integration: str, limits: dict[str, int] | None) -> AsyncIterator[Act]:
    operator = Operator(stage.cluster.operator, stage.folder / f"{name}.log")
    with control_client.launch(api_key=population.API_KEY, python=sys.executable, auto_scan=_SCAN_SECONDS) as simulator:
        wanted = population.Wanted(f"bench-{name}", stage.size, integration, limits, [simulator.url])
        async with population.opened(stage.api, wanted) as people:
            operator.start()
            try:
                yield Act(people, operator, simulator)
            finally:
                operator.stop()


async def create(stage: Stage, *, name: str, integration: str, limits: dict[str, int] | None) -> Created:
    """Create all, and compare with the API server alone."""
    async with _opened(stage, name, integration, limits) as act:
        made = await creation.measure(act.people, act.operator, act.simulator)
        await creation.rested(act.operator, quiet_seconds=2.0, at_most=_QUIET_AT_MOST)
        histories = act.people.histories()
    reference = await creation.refer(stage.api, histories, namespace=f"bench-{name}-reference")
    return Created(integration, limits, made, reference)


async def live(
    stage: Stage, *, name: str, integration: str, rest_seconds: float, samples: int
) -> tuple[Created, Lived]:
    """Create all, let them rest, change some, and restart the operator among them."""
    async with _opened(stage, name, integration, RAISED) as act:
        made = await creation.measure(act.people, act.operator, act.simulator)
        settled = await creation.rested(act.operator, quiet_seconds=_QUIET_SECONDS, at_most=_QUIET_AT_MOST)
        histories = act.people.histories()
        resting = await rest.measure(act.operator, act.simulator, seconds=rest_seconds)
        restarted = await restart.measure(act.operator, act.simulator, healthy=stage.size, watch_seconds=_QUIET_SECONDS)
        changed = await changes.measure(act.people, act.simulator, samples=samples)
    reference = await creation.refer(stage.api, histories, namespace=f"bench-{name}-reference")
    return Created(integration, RAISED, made, reference), Lived(settled, resting, changed, restarted)
