"""An instance that is refused is not looked after any more, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from support import servers, simulated
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.reconciler import Reconciler
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Subject

SPEC = {"serverRef": {"name": "main"}, "instanceName": "i0"}
FLYING = {"step": "Restart", "class": "Soft", "reason": "Connecting", "since": "2026-11-23T10:00:00Z"}


class Duplicate:
    """A second resource of a name; a step was announced while it was the only one."""

    def __init__(self, *, in_flight: dict[str, Any] | None = FLYING) -> None:
        self.told, self.cluster = servers.Told(), servers.Cluster()
        self.server: Server = servers.a_server(instances=1)
        recovery = {"incident": "1", "attempts": 1} | ({"inFlight": in_flight} if in_flight is not None else {})
        status = {"instanceID": "id-of-i0", "recovery": recovery}
        self.one: Subject = servers.a_subject("late", status=status, instanceName="i0")
        self.context: Context = servers.a_context(simulated.Time(), self.server, self.cluster, telemetry=self.told)
        self.context.subjects[self.one.key] = self.one
        self.cluster.resource = {"metadata": self.one.body["metadata"], "spec": SPEC}
        self.reconciler = Reconciler(self.context, StatusWriter(self.context))

    async def look(self) -> dict[str, Any]:
        await self.reconciler.look(self.one)
        return dict(self.cluster.statuses[-1])


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["reason"] for one in status["conditions"] if one["status"] == "True"}


@pytest.mark.parametrize("took", [True, False])
async def test_step_in_flight_of_what_is_refused_is_interrupted_and_not_told_to_be_under_way(took: bool) -> None:
    play = Duplicate()
    play.one.took = took

    status = await play.look()

    assert "inFlight" not in status["recovery"]
    assert [(one["step"], one["result"]) for one in status["recovery"]["history"]] == [("Restart", "Interrupted")]
    assert conditions(status) == {"Stalled": "Duplicate"}
    assert [(one.phase.value, one.step, one.result) for one in play.told.audits] == [
        ("result", "Restart", "Interrupted")
    ]
    assert not play.one.took


async def test_interruption_is_told_once() -> None:
    play = Duplicate()

    for _ in range(3):
        await play.look()

    assert len(play.cluster.statuses) == 1
    assert len(play.told.audits) == 1


async def test_refusal_of_what_has_no_step_in_flight_ends_none() -> None:
    play = Duplicate(in_flight=None)

    status = await play.look()

    assert "history" not in status["recovery"] or status["recovery"]["history"] == []
    assert play.told.audits == []


async def test_step_of_another_is_not_ended_by_a_refusal() -> None:
    play = Duplicate()
    acting = ports.Key("messaging", "i0")
    play.server.in_flight.add(acting)

    await play.look()

    assert play.server.in_flight == {acting}
