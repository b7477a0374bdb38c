"""What becomes of the restart of a server's workload: when it is over, with which result, and who is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.test_server_restart import WAITING, Stage, in_flight, stage
from support import servers
from support.simulated import START
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Item
from whatsapp_operator.resources import instance, server
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import StepResult


class Reads:
    """An observer that counts how often it is told to hurry."""

    def __init__(self) -> None:
        self.hurried = 0

    def hurry(self) -> None:
        self.hurried += 1


async def restarting() -> Stage:
    """The workload was told to replace its pod."""
    here = stage(*WAITING)
    await here.look()
    here.rolls_out()
    return here


async def back() -> Stage:
    """The new pod is there, and was not read yet."""
    here = await restarting()
    here.rolled_out()
    await here.look_after(1)
    return here


def read(here: Stage, *, at: datetime | None = None) -> None:
    here.one.observed.client_name = "evolution"
    servers.seen(here.one, at=at or here.time.now())


async def ended(result: StepResult) -> Stage:
    """A restart with this result."""
    if result is StepResult.SUCCEEDED:
        here = await back()
        read(here)
        await here.look()
    elif result is StepResult.FAILED:
        here = await restarting()
        await here.look_after(601)
    else:
        here = stage(*WAITING)
        here.cluster.fails["restart workload"] = ports.Forbidden()
        await here.look()
    assert here.results == [result]
    return here


async def test_restart_is_looked_at_every_second_until_after_its_end() -> None:
    here = await restarting()
    assert await here.look_after(1) == 1.0

    here.rolled_out()
    assert await here.look_after(1) == 1.0
    assert await here.look_after(1) == 1.0

    read(here)
    assert await here.look_after(1) == 1.0
    assert here.results == [StepResult.SUCCEEDED]


async def test_restart_that_failed_is_looked_after_at_once() -> None:
    here = await restarting()

    assert await here.look_after(601) == 1.0
    assert here.results == [StepResult.FAILED]


async def test_server_that_warms_up_is_not_restarted_yet() -> None:
    here = await back()
    read(here)
    here.one.warm_up = replace(here.one.warm_up, done=False)

    await here.look()

    assert here.results == []


async def test_server_that_comes_back_as_another_is_not_restarted() -> None:
    here = await back()
    read(here)
    here.one.observed.client_name = "another"
    assert here.one.warm

    await here.look()

    assert here.results == []


async def test_old_pod_that_answers_until_it_is_replaced_proves_nothing() -> None:
    here = await restarting()
    here.time.advance(5)
    read(here)
    here.rolled_out()

    await here.look()
    await here.look_after(1)

    assert here.results == []
    assert not here.one.fresh(here.time.now())


async def test_what_was_read_while_the_workload_rolls_out_is_not_forgotten_at_each_look() -> None:
    here = await restarting()
    here.time.advance(5)
    read(here)

    await here.look()

    assert here.one.observed.memory_at == here.time.now()


@pytest.mark.parametrize("error", [ports.NotFound(), ports.Forbidden()])
async def test_restart_whose_workload_cannot_be_read_has_no_result_yet(error: ports.KubernetesError) -> None:
    here = await restarting()
    here.cluster.fails["read workload"] = error
    read(here)

    await here.look()

    assert here.results == []
    assert here.one.flying is not None


async def test_restart_of_a_workload_that_is_named_no_more_ends_once_also_where_the_server_can_be_read() -> None:
    here = stage(status=in_flight())
    here.one.restore()
    assert here.one.resource is not None
    here.one.resource = here.one.resource.replace(spec=here.one.resource.spec.replace(workload_ref=None))
    assert here.one.fresh(here.time.now())

    await here.look()

    assert here.results == [StepResult.INTERRUPTED]


async def test_server_is_read_soon_once_its_new_pod_is_there_and_not_before() -> None:
    here, reads = await restarting(), Reads()
    watching: Any = reads
    here.context.observers[here.one.key] = watching

    await here.look_after(1)
    assert reads.hurried == 0
    here.rolled_out()
    await here.look_after(1)
    await here.look_after(1)

    assert reads.hurried == 1


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (StepResult.SUCCEEDED, Reason.SERVER_RESTARTED),
        (StepResult.FAILED, Reason.STEP_FAILED),
        (StepResult.INTERRUPTED, Reason.STEP_FAILED),
    ],
)
async def test_end_of_a_restart_is_an_event_and_in_the_history(result: StepResult, told: Reason) -> None:
    here = await ended(result)

    assert here.cluster.events == [Reason.SERVER_RESTARTING, told]
    (record,) = here.one.history
    assert (record.reason, record.start_time, record.end_time) == (Reason.CONNECTING, START, here.time.now())


async def test_server_and_its_instances_are_looked_at_when_a_restart_is_over() -> None:
    here = await restarting()
    subject, queue = here.one.subjects["i0"], here.context.queue
    here.context.subjects[subject.key] = subject

    await here.look_after(601)

    async with asyncio.timeout(5):
        queued = {await queue.get(), await queue.get()}
    assert queued == {Item(server.KIND, here.one.key), Item(instance.KIND, subject.key)}


async def test_restart_that_was_announced_without_a_reason_is_in_the_history_as_one_of_an_unknown_reason() -> None:
    status = in_flight()
    del status["recovery"]["inFlight"]["reason"]
    here = stage(status=status)
    here.one.restore()

    await here.look()

    assert [(record.reason, record.result) for record in here.one.history] == [(Reason.UNKNOWN, StepResult.INTERRUPTED)]


async def test_ten_restarts_are_remembered_and_the_oldest_is_forgotten() -> None:
    here = stage(status=in_flight())
    here.one.restore()
    await here.look()
    (record,) = here.one.history
    earlier = [record.replace(start_time=START - timedelta(hours=hours)) for hours in range(20, 10, -1)]
    here.one.history = tuple(earlier)
    here.cluster.fails["restart workload"] = ports.Forbidden()
    servers.wish(here.one, *WAITING)

    await here.look_after(1)

    assert here.one.history[:-1] == tuple(earlier[1:])
    assert here.one.history[-1].start_time == here.time.now()
