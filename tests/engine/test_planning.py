"""Who waits for a restart of the server, and from when on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster
from support.world import START, a_row
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import warmup
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.existence import Existence
from whatsapp_operator.engine.planning import Planning
from whatsapp_operator.engine.server import Server, Wish
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.steps import Steps
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY, Verdict
from whatsapp_operator.recovery import incident
from whatsapp_operator.resources import server as server_resources
from whatsapp_operator.resources.pause import Pause, PausedBy, PauseInForce
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus

GHOST = Verdict(HealthState.CORRUPTED, Reason.GHOST)
WORKLOAD = {"workloadRef": {"kind": "Deployment", "name": "evolution-api"}}


def stage(**spec: Any) -> tuple[contexts.Context, Server, drafts.Draft, Planning]:
    """An instance that was found a ghost twice, on a server that may be restarted for it."""
    time, one = simulated.Time(), servers.a_server(**WORKLOAD | spec)
    context = servers.a_context(time, one, Cluster())
    subject = one.subjects["i0"]
    context.subjects.update({each.key: each for each in one.subjects.values()})
    record = records.saw_database(records.Record(paired=True), a_row("open", owner=True), at=START)
    opinion = None
    for second in range(3):
        at = START + timedelta(seconds=second)
        record = records.saw_memory(record, evidence.NotInMemory(), at=at)
        opinion = opinions.consider(opinion, GHOST, reads=record.reads, at=at)
    subject.record, subject.opinion = record, opinion
    assert subject.instance is not None
    time.advance(3)
    servers.seen(one, at=time.now())
    draft = drafts.begin(subject, subject.instance, one, pause=None, now=time.now())
    draft.verdict = GHOST
    writer, announcer = StatusWriter(context), Announcer(context)
    steps = Steps(context, writer, Existence(context, writer, announcer), announcer)
    return context, one, draft, Planning(context, announcer, steps)


def begin_incident(draft: drafts.Draft) -> None:
    draft.recovery = incident.opened(draft.recovery, incident="1", now=START)


def is_queued(context: contexts.Context, one: Server) -> bool:
    return contexts.Item(server_resources.KIND, one.key) in context.queue


async def test_restart_of_the_server_is_not_asked_for_before_an_incident_counts_it() -> None:
    context, one, draft, planning = stage()

    await planning.plan(one, draft)

    assert draft.plan.step == "RestartServer"
    assert one.wishes == {}
    assert not is_queued(context, one)


async def test_restart_of_the_server_is_asked_for_once_by_who_has_an_incident() -> None:
    context, one, draft, planning = stage()
    begin_incident(draft)

    await planning.plan(one, draft)
    await planning.plan(one, draft)

    assert one.wishes == {draft.subject.key: Wish(since=START, reason=Reason.GHOST)}
    assert is_queued(context, one)
    assert draft.recovery.in_flight is None


async def test_who_is_deaf_asks_since_it_is_with_or_without_an_incident() -> None:
    _, one, draft, planning = stage()
    deaf_since = START - timedelta(seconds=30)
    draft.recovery = draft.recovery.replace(deaf_since=deaf_since)

    await planning.plan(one, draft)

    assert one.wishes == {draft.subject.key: Wish(since=deaf_since, reason=Reason.DEAF)}


@pytest.mark.parametrize("comes", ["health", "the end of the incident", "a pause"])
async def test_who_needs_no_restart_any_more_or_may_have_none_takes_the_wish_back(comes: str) -> None:
    _, one, draft, planning = stage()
    begin_incident(draft)
    await planning.plan(one, draft)
    assert one.wishes != {}

    match comes:
        case "health":
            at = draft.now + timedelta(seconds=1)
            draft.subject.opinion = opinions.consider(None, HEALTHY, reads=99, at=at)
            draft.verdict = HEALTHY
        case "the end of the incident":
            draft.recovery = RecoveryStatus()
        case _:
            draft.pause = PauseInForce(by=PausedBy.INSTANCE, pause=Pause())
    await planning.plan(one, draft)

    assert one.wishes == {}


async def test_ghost_that_may_be_about_to_be_loaded_is_not_acted_upon_and_others_are() -> None:
    _, one, draft, planning = stage()
    begin_incident(draft)
    one.warm_up = warmup.WarmUp(done=True, ghosts=frozenset({"i0"}), doubted=frozenset({"i0"}))
    other = one.subjects["i1"]

    await planning.plan(one, draft)

    assert Reason.WARMING_UP in draft.plan.blocked_by
    assert one.wishes == {}
    assert not one.neighbours(draft.subject, name="i0", now=draft.now).warm
    assert one.neighbours(other, name="i1", now=draft.now).warm
