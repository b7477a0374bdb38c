"""Thousands of instances over one server or many: what creation, rest, change, restart and failover cost then."""

import asyncio
from dataclasses import dataclass

import clusters
from benchmarks import changes, creation, failover, plain, population, rest, restart, scenarios, simulators
from benchmarks.operator_process import Operator

_CHANNEL, _PHONE = "EVOLUTION", "WHATSAPP-BAILEYS"
_QUIET_SECONDS = 20.0
_SETTLE_AT_MOST = 900.0
_PHONES_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it."""

    instances: int
    servers: int
    rest_seconds: float
    samples: int
    """Instances with a phone, beside the others, that are changed."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """What was measured."""

    servers: int
    created: scenarios.Created
    settle_seconds: float
    """From the last one being Ready until the last write."""
    rest: rest.Rest
    restart: restart.Restart
    changes: changes.Changes | None
    failover: failover.Failover


async def measure(stage: scenarios.Stage, size: Size) -> Scaled:
    """Create all, let them rest, restart the operator among them, change some, and replay the writes without it.

    Nothing is removed where the cluster goes too: that would take longer than all the rest.
    """
    removed = clusters.chosen() is clusters.Source.EXISTING
    operator = Operator(stage.cluster.operator, stage.folder / "scale.log")
    second = Operator(stage.cluster.operator, stage.folder / "second.log")
    with simulators.launched(size.servers, api_key=population.API_KEY) as fleet:
        urls = [one.url for one in fleet.members]
        wanted = population.Wanted("bench-scale", size.instances, _CHANNEL, scenarios.RAISED, urls, removed=removed)
        async with population.opened(stage.api, wanted) as people:
            operator.start()
            try:
                made = await creation.measure(people, operator, fleet)
                settled = await creation.rested(operator, quiet_seconds=_QUIET_SECONDS, at_most=_SETTLE_AT_MOST)
                histories = people.histories()
                resting = await rest.measure(operator, fleet, seconds=size.rest_seconds)
                changed = await _changes(people, fleet, samples=size.samples) if size.samples else None
                healthy = size.instances
                restarted = await restart.measure(operator, fleet, healthy=healthy, watch_seconds=_QUIET_SECONDS)
                failed_over = await failover.measure(operator, second, healthy=healthy)
            finally:
                operator.stop()
                second.stop()
    reference = await creation.refer(stage.api, histories, namespace="bench-scale-reference", removed=removed)
    created = scenarios.Created(_CHANNEL, scenarios.RAISED, made, reference)
    return Scaled(size.servers, created, settled, resting, restarted, changed, failed_over)


async def _changes(people: population.Population, fleet: simulators.Fleet, *, samples: int) -> changes.Changes:
    """Of some instances with a phone on the first server, which are created now and paired."""
    first, names = fleet.members[0], [f"phone-{number}" for number in range(samples)]
    for name in names:
        await people.create(name, 0, integration=_PHONE)
        await asyncio.to_thread(first.wait_for, name, lambda one: one["memory"] is not None, timeout=_PHONES_SECONDS)
        await asyncio.to_thread(first.pair, name)

    async def are_ready() -> bool:
        return people.are_ready(names)

    await plain.until(are_ready, seconds=_PHONES_SECONDS, every=0.5, message="the phones were not Ready")
    return await changes.of(people, first, names)
