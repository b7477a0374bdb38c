"""Which restart of a server's workload begins: what is looked at before, what holds it back, and what is announced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.test_server_restart import OTHER, REFERENCE, WAITING, Stage, stage
from support import servers
from support.servers import SAFE
from support.simulated import START
from whatsapp_operator.engine import ports, server_restart, treasury
from whatsapp_operator.recovery.ledger import Storm
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import StepResult


def change_the_spec(here: Stage, **spec: Any) -> None:
    """Somebody changes the spec, and the watch tells of it."""
    metadata = here.cluster.resource["metadata"]
    metadata = metadata | {"resourceVersion": str(int(metadata["resourceVersion"]) + 1)}
    least = {"url": "http://evolution-api:8080", "apiKeySecretRef": {"name": "evolution-api"}}
    here.cluster.resource = {"metadata": metadata, "spec": least | spec}
    here.one.update(here.cluster.resource | {"status": here.one.body["status"]})


def names_none(here: Stage) -> None:
    change_the_spec(here)


def names_another(here: Stage) -> None:
    change_the_spec(here, workloadRef=REFERENCE | {"name": "other"})


def is_not_understood(here: Stage) -> None:
    change_the_spec(here, workloadRef=REFERENCE, url="nonsense")


def known(here: Stage) -> tuple[ports.Workload | None, Reason | None]:
    return here.one.workload, here.one.workload_problem


UNNAMED: list[Callable[[Stage], None]] = [names_none, names_another, is_not_understood]


async def test_workload_is_read_at_the_first_look_and_then_once_a_minute() -> None:
    here, reads = stage(), list[int]()

    for seconds in (0, 1, 58, 1, 59, 1):
        assert await here.look_after(seconds) is None
        reads.append(here.cluster.calls.count("read workload"))

    assert reads == [1, 1, 1, 2, 2, 3]


async def test_workload_of_a_server_that_is_held_back_is_read_no_oftener() -> None:
    here = stage(*WAITING)
    here.one.in_flight.add(OTHER)

    assert await here.look() is None
    assert await here.look_after(1) is None

    assert here.cluster.calls == ["read workload"]


async def test_workload_of_a_server_without_instances_is_read_no_oftener() -> None:
    here = stage(instances=0)

    assert await here.look() is None

    assert here.cluster.calls == ["read workload"]


async def test_server_that_is_being_restarted_is_looked_at_every_second() -> None:
    here = stage(*WAITING)

    assert await here.look() == 1.0


@pytest.mark.parametrize("unnamed", [names_none, is_not_understood])
async def test_workload_that_the_spec_does_not_name_is_neither_read_nor_known(
    unnamed: Callable[[Stage], None],
) -> None:
    here = stage()
    here.cluster.workload = replace(SAFE, paused=True)
    await here.look()
    assert known(here) == (here.cluster.workload, Reason.UNSAFE_ROLLOUT)

    unnamed(here)
    assert await here.look_after(61) is None

    assert here.cluster.calls == ["read workload"]
    assert known(here) == (None, None)


async def test_workload_that_may_not_be_read_says_so() -> None:
    here = stage(*WAITING)
    here.cluster.fails["read workload"] = ports.Forbidden()

    await here.look()

    assert known(here) == (None, Reason.WORKLOAD_FORBIDDEN)
    assert here.cluster.restarted == []


@pytest.mark.parametrize("unnamed", UNNAMED)
async def test_workload_that_is_named_no_more_once_it_was_read_is_not_restarted(
    unnamed: Callable[[Stage], None],
) -> None:
    here = stage(*WAITING)
    here.cluster.during["read workload"] = lambda: unnamed(here)

    await here.look()

    assert (here.cluster.restarted, here.spent()) == ([], 0)
    assert here.one.flying is None


async def test_workload_that_goes_and_is_named_no_more_is_not_announced() -> None:
    here = stage("i0")
    await here.look()
    servers.wish(here.one, *WAITING)

    def go() -> None:
        here.cluster.workload = None
        names_none(here)

    here.cluster.during["read workload"] = go
    await here.look()

    assert (here.cluster.statuses, here.results) == ([], [])


async def test_server_whose_instances_all_went_while_the_workload_was_read_is_not_restarted() -> None:
    here = stage("i0")
    await here.look()
    servers.wish(here.one, *WAITING)

    def go() -> None:
        for subject in here.one.subjects.values():
            here.one.leave(subject)
        here.one.subjects.clear()

    here.cluster.during["read workload"] = go
    await here.look()

    assert (here.cluster.statuses, here.cluster.restarted) == ([], [])


async def test_storm_holds_no_restart_back_that_may_end_it() -> None:
    here = stage(*WAITING)
    ledger = treasury.ledger_of(here.context, here.one, now=START)
    here.one.ledger = replace(ledger, storm=Storm(since=START))

    await here.look()

    assert here.one.ledger.storm is not None
    assert len(here.cluster.restarted) == 1


async def test_server_is_restarted_only_where_its_maintenance_windows_are_open() -> None:
    night = {"schedule": "0 3 * * *", "durationSeconds": 3600, "kind": "Allow"}
    here = stage(*WAITING, budget={"maintenance": [night]})

    await here.look()

    assert here.cluster.restarted == []
    (held,) = server_restart.refusals(here.context, here.one, now=here.time.now())
    assert (held.reason, held.until) == (Reason.MAINTENANCE_WINDOW, START + timedelta(hours=17))


async def test_restart_is_announced_as_what_it_costs_and_for_what_most_wait_for() -> None:
    here = stage()
    servers.wish(here.one, "i0", reason=Reason.CONNECTING)
    servers.wish(here.one, "i1", "i2", reason=Reason.DEAF)

    await here.look()

    shown = here.cluster.statuses[0]["recovery"]["inFlight"]
    assert (shown["class"], shown["reason"]) == ("ServerRestart", "Deaf")
    assert here.cluster.events == [Reason.SERVER_RESTARTING]


async def test_restart_that_is_tried_again_at_once_is_announced_again() -> None:
    here = stage(*WAITING)
    here.cluster.during["write status"] = lambda: setattr(here.cluster, "workload", replace(SAFE, resource_version="2"))
    await here.look()
    servers.wish(here.one, *WAITING)

    await here.look()

    assert len(here.cluster.restarted) == 1
    (_, again) = here.cluster.statuses
    assert [one["result"] for one in again["recovery"]["history"]] == ["Interrupted"]
    assert again["recovery"]["inFlight"]["since"] == here.cluster.restarted[0]


async def test_workload_that_changed_while_its_restart_was_announced_is_read_at_the_next_look() -> None:
    here, other = stage(*WAITING), replace(SAFE, resource_version="2", replicas=2)
    here.cluster.during["write status"] = lambda: setattr(here.cluster, "workload", other)
    await here.look()
    assert here.results == [StepResult.INTERRUPTED]

    await here.look_after(1)

    assert known(here) == (other, Reason.UNSAFE_ROLLOUT)


async def test_instances_are_looked_at_anew_after_a_restart() -> None:
    here = stage(*WAITING)
    subject = here.one.subjects["i0"]
    subject.steady = True

    await here.look()

    assert not subject.steady
