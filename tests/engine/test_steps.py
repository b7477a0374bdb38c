"""What comes between a plan and its step: others' steps, a pause, a storm, an error in the strategy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster
from support.world import START, a_row
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.existence import Existence
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.steps import Steps
from whatsapp_operator.engine.subject import Deletion
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery.planner import Plan
from whatsapp_operator.resources.instance import DeletionPolicy, WhatsAppInstance
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight

CONNECTING = evidence.ConnectionState.CONNECTING
OTHERS = {name: a_row("open", owner=True, identity=f"id-of-{name}") for name in ("i1", "i2")}
RESTART = Plan(step=Step.RESTART, step_class=StepClass.SOFT)


class Evolution:
    """A server that says connecting; `restart` is noted, and may raise."""

    def __init__(self) -> None:
        self.restarts, self.webhooks_read, self.error = 0, 0, False
        self.on_read: Any = lambda: None
        self.on_restart: Any = lambda: None

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        self.on_read()
        return evidence.InMemory(CONNECTING)

    async def find_webhook(self, _name: str) -> evidence.Webhook | evidence.Unknown | None:
        self.webhooks_read += 1
        return evidence.Unknown(evidence.Ignorance.TIMEOUT)

    async def restart(self, _name: str) -> evidence.Outcome:
        self.restarts += 1
        self.on_restart()
        if self.error:
            raise RuntimeError
        return evidence.Accepted()


class Lists:
    """An observer that has this list."""

    def __init__(self, listed: evidence.DatabaseList | evidence.Unknown) -> None:
        self.listed = listed

    def hurry(self) -> None:
        """Nothing is read."""

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        return self.listed


def stage(**spec: Any) -> tuple[contexts.Context, Server, drafts.Draft, Evolution, Steps]:
    time, cluster, one, evolution = simulated.Time(), Cluster(), servers.a_server(**spec), Evolution()
    context = servers.a_context(time, one, cluster)
    client: Any = evolution
    one.client = client
    subject = one.subjects["i0"]
    subject.record = records.saw_memory(records.Record(paired=True), evidence.InMemory(CONNECTING), at=START)
    assert subject.instance is not None
    draft = drafts.begin(subject, subject.instance, one, pause=None, now=time.now())
    draft.verdict = Verdict(HealthState.STUCK, Reason.CONNECTING)
    writer, announcer = StatusWriter(context), Announcer(context)
    return context, one, draft, evolution, Steps(context, writer, Existence(context, writer, announcer), announcer)


async def test_step_that_nothing_speaks_against_is_taken_once_and_is_in_flight() -> None:
    _, one, draft, evolution, steps = stage()

    await steps.take(one, draft, RESTART)

    assert evolution.restarts == 1
    assert draft.recovery.in_flight is not None
    assert one.in_flight == {draft.subject.key}


async def test_what_is_read_after_a_step_is_compared_also_where_the_instance_was_steady_before_it() -> None:
    _, one, draft, evolution, steps = stage()
    evolution.on_restart = lambda: setattr(draft.subject, "steady", True)

    await steps.take(one, draft, RESTART)

    assert not draft.subject.steady


@pytest.mark.parametrize(
    "comes",
    ["pause of everything", "pause of the server", "steps of others", "another incarnation", "age", "restart", "load"],
)
async def test_step_is_not_taken_when_something_came_while_it_was_looked_at_once_more(comes: str) -> None:
    context, one, draft, evolution, steps = stage()

    def come() -> None:
        match comes:
            case "pause of everything":
                context.pause = Pause(reason="now")
            case "pause of the server":
                assert one.resource is not None
                one.resource = one.resource.replace(spec=one.resource.spec.replace(pause=Pause(reason="now")))
            case "steps of others":
                one.in_flight.update({ports.Key("messaging", "a"), ports.Key("messaging", "b")})
            case "another incarnation":
                one.observed.rows = {"i0": a_row("open", owner=True, identity="of-somebody-else")}
            case "age":
                clock: Any = context.clock
                clock.advance(3600)
            case "restart":
                one.flying = StepInFlight(step=Step.RESTART_SERVER, step_class=StepClass.SERVER_RESTART, since=START)
            case _:
                one.warm_up = type(one.warm_up)()

    evolution.on_read = come
    await steps.take(one, draft, RESTART)

    assert evolution.restarts == 0
    assert draft.recovery.in_flight is None
    assert draft.subject.key not in one.in_flight


async def test_error_in_a_strategy_leaves_no_evidence_from_before_it() -> None:
    _, one, draft, evolution, steps = stage()
    evolution.error = True

    with pytest.raises(RuntimeError):
        await steps.take(one, draft, RESTART)

    assert draft.subject.record.memory is None or draft.subject.record.observations == 0
    assert draft.subject.stepped_at >= 0


@pytest.mark.parametrize(("silenced", "is_deaf"), [(evidence.Unknown(evidence.Ignorance.TIMEOUT), False), (None, True)])
async def test_only_a_relogin_that_may_have_logged_out_leaves_an_instance_deaf_on_2_3_6(
    silenced: evidence.Unknown | None, is_deaf: bool
) -> None:
    context, one, draft, evolution, steps = stage()
    context.observers[one.key] = Lists(evidence.DatabaseList(OTHERS))
    one.observed.version = "2.3.6"
    webhooks: list[evidence.Unknown | None] = [None, silenced]
    client: Any = evolution

    async def find_webhook(_name: str) -> evidence.Unknown | None:
        return webhooks.pop(0)

    async def logout(_name: str) -> evidence.Outcome:
        return evidence.Unknown(evidence.Ignorance.TIMEOUT)

    client.find_webhook, client.logout = find_webhook, logout

    await steps.take(one, draft, Plan(step=Step.RELOGIN, step_class=StepClass.SESSION_LOSS))

    assert draft.recovery.in_flight is not None
    assert (draft.recovery.deaf_since is not None) is is_deaf


async def test_step_that_switches_the_webhook_off_is_announced_with_a_configuration_that_is_to_be_verified() -> None:
    """What is only said after it would be lost with the process, and with a status that is not written at once."""
    context, one, draft, evolution, steps = stage()
    context.observers[one.key] = Lists(evidence.DatabaseList(OTHERS))
    draft.configured_generation = 1
    cluster: Any = context.kubernetes
    client: Any = evolution
    found = [evidence.Webhook("http://shop/hook"), None]

    async def find_webhook(_name: str) -> evidence.Webhook | None:
        return found.pop(0)

    async def logout(_name: str) -> evidence.Outcome:
        return evidence.Unknown(evidence.Ignorance.TIMEOUT)

    client.find_webhook, client.logout = find_webhook, logout

    await steps.take(one, draft, Plan(step=Step.RELOGIN, step_class=StepClass.SESSION_LOSS))

    (announced,) = cluster.statuses
    assert announced["recovery"]["inFlight"]["step"] == "Relogin"
    assert "configuredGeneration" not in announced


def deleted(one: WhatsAppInstance, **spec: Any) -> WhatsAppInstance:
    metadata = one.metadata.replace(deletion_timestamp=START)
    return one.replace(metadata=metadata, spec=one.spec.replace(**spec))


def retained(one: WhatsAppInstance) -> WhatsAppInstance:
    return one.replace(spec=one.spec.replace(deletion_policy=DeletionPolicy.RETAIN))


@pytest.mark.parametrize(
    ("comes", "adopted", "connects"),
    [
        (deleted, False, 1),
        (lambda one: deleted(retained(one)), False, 0),
        (deleted, True, 0),
        (lambda one: deleted(one, deletion_policy=DeletionPolicy.DELETE), True, 1),
        (retained, False, 1),
        (lambda _: None, True, 1),
    ],
    ids=["deleted", "retained", "adopted", "adopted, and to be deleted", "not deleted", "not understood"],
)
async def test_step_under_way_stops_when_the_resource_of_what_is_to_stay_is_deleted(
    comes: Callable[[WhatsAppInstance], WhatsAppInstance | None], adopted: bool, connects: int
) -> None:
    context, one, draft, evolution, steps = stage()
    draft.adopted, before = adopted, draft.instance
    states, connected = [CONNECTING], []
    client: Any = evolution

    class Closing(Lists):
        async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
            return evidence.DatabaseList(OTHERS | {"i0": replace(ASSESSED, state=states[0])})

    async def read_memory(_name: str) -> evidence.MemoryReading:
        return evidence.InMemory(states[0])

    async def find_webhook(_name: str) -> None:
        return None

    async def logout(_name: str) -> evidence.Outcome:
        states[0] = evidence.ConnectionState.CLOSE
        draft.subject.instance = comes(before)
        return evidence.Accepted()

    async def connect(name: str) -> evidence.NoCode:
        connected.append(name)
        return evidence.NoCode()

    client.read_memory, client.find_webhook, client.logout, client.connect = read_memory, find_webhook, logout, connect
    context.observers[one.key] = Closing(evidence.DatabaseList({}))
    draft.subject.record = records.saw_database(draft.subject.record, replace(ASSESSED, state=CONNECTING), at=START)

    await steps.take(one, draft, Plan(step=Step.RELOGIN, step_class=StepClass.SESSION_LOSS))

    assert (states, len(connected)) == ([evidence.ConnectionState.CLOSE], connects)


async def test_step_that_leaves_the_configuration_alone_does_not_have_it_verified_anew() -> None:
    context, one, draft, _, steps = stage()
    draft.configured_generation = 1
    cluster: Any = context.kubernetes

    await steps.take(one, draft, RESTART)

    assert [status["configuredGeneration"] for status in cluster.statuses] == [1]


ASSESSED = a_row("open", owner=True)


@pytest.mark.parametrize(
    "listed",
    [
        evidence.Unknown(evidence.Ignorance.TIMEOUT),
        evidence.DatabaseList(OTHERS),
        evidence.DatabaseList(OTHERS | {"i0": replace(ASSESSED, id="of-somebody-else")}),
        evidence.DatabaseList(OTHERS | {"i0": replace(ASSESSED, state=evidence.ConnectionState.CLOSE, code=403)}),
    ],
    ids=["unread", "gone", "another incarnation", "restricted since"],
)
@pytest.mark.parametrize("step", [Step.RELOGIN, Step.RECREATE])
async def test_step_that_loses_a_session_is_not_taken_when_the_row_is_another_by_now(
    step: Step, listed: evidence.DatabaseList | evidence.Unknown
) -> None:
    context, one, draft, evolution, steps = stage()
    draft.subject.record = records.saw_database(draft.subject.record, ASSESSED, at=START)
    context.observers[one.key] = Lists(listed)

    await steps.take(one, draft, Plan(step=step, step_class=StepClass.SESSION_LOSS))

    assert (draft.recovery.in_flight, evolution.webhooks_read) == (None, 0)
    assert one.in_flight == set()
    context.observers[one.key] = Lists(evidence.DatabaseList(OTHERS | {"i0": ASSESSED}))
    await steps.take(one, draft, Plan(step=step, step_class=StepClass.SESSION_LOSS))
    assert evolution.webhooks_read > 0, "and it may ask for a list again"


async def test_list_is_compared_with_what_the_assessment_rests_on_and_not_with_itself() -> None:
    """The observer folds a list before whoever asked for it goes on."""
    context, one, draft, _, steps = stage()
    draft.subject.record = records.saw_database(draft.subject.record, ASSESSED, at=START)
    theirs = replace(ASSESSED, id="of-somebody-else")

    class Folds(Lists):
        async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
            draft.subject.record = records.saw_database(draft.subject.record, theirs, at=START)
            return self.listed

    context.observers[one.key] = Folds(evidence.DatabaseList(OTHERS | {"i0": theirs}))

    await steps.take(one, draft, Plan(step=Step.RECREATE, step_class=StepClass.SESSION_LOSS))

    assert draft.recovery.in_flight is None


async def test_one_worker_at_a_time_waits_for_the_list_of_a_server() -> None:
    context, one, draft, evolution, steps = stage()
    draft.subject.record = records.saw_database(draft.subject.record, ASSESSED, at=START)
    asked, answered = 0, asyncio.Event()

    class Slow(Lists):
        async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
            nonlocal asked
            asked += 1
            await answered.wait()
            return self.listed

    context.observers[one.key] = Slow(evidence.DatabaseList(OTHERS))
    recreate = Plan(step=Step.RECREATE, step_class=StepClass.SESSION_LOSS)
    waiting = asyncio.create_task(steps.take(one, draft, recreate))
    await asyncio.sleep(0)

    await steps.take(one, draft, recreate)

    assert (asked, evolution.webhooks_read) == (1, 0)
    answered.set()
    await waiting
    assert draft.recovery.in_flight is None


class Deletes(Evolution):
    """A server that has no instance any more as soon as it is told to delete one."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        return evidence.Absent() if "delete" in self.calls else evidence.InMemory(CONNECTING)

    async def find_webhook(self, _name: str) -> evidence.Webhook | evidence.Unknown | None:
        return None

    async def logout(self, _name: str) -> evidence.Outcome:
        return evidence.Accepted()

    async def delete(self, _name: str) -> evidence.Outcome:
        self.calls.append("delete")
        return evidence.Accepted()

    async def create(self, _wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        self.calls.append("create")
        return evidence.Created("id-2")


@pytest.mark.parametrize(
    ("comes", "calls"),
    [
        (deleted, ["delete"]),
        (lambda one: deleted(retained(one)), ["delete", "create"]),
        (retained, ["delete", "create"]),
        (lambda _: None, ["delete", "create"]),
    ],
    ids=["deleted", "retained", "not deleted", "not understood"],
)
async def test_recreate_does_not_create_what_is_to_go_by_now(
    comes: Callable[[WhatsAppInstance], WhatsAppInstance | None], calls: list[str]
) -> None:
    context, one, draft, _, steps = stage()
    evolution, before = Deletes(), draft.instance
    client: Any = evolution
    one.client = client
    draft.subject.record = records.saw_database(draft.subject.record, ASSESSED, at=START)

    class Meanwhile(Lists):
        async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
            if not evolution.calls:
                return self.listed
            draft.subject.instance = comes(before)
            return evidence.DatabaseList(OTHERS)

    context.observers[one.key] = Meanwhile(evidence.DatabaseList(OTHERS | {"i0": ASSESSED}))

    await steps.take(one, draft, Plan(step=Step.RECREATE, step_class=StepClass.SESSION_LOSS))

    assert evolution.calls == calls
    assert draft.subject.deletion is None


@pytest.mark.parametrize(
    ("afterwards", "calls", "is_pending"),
    [
        (OTHERS, ["delete", "create"], False),
        ({}, ["delete"], True),
        ({"i1": OTHERS["i1"], "stranger": replace(a_row(), client_name="another")}, ["delete"], True),
    ],
    ids=["it alone is gone", "all are gone", "another server's"],
)
async def test_instance_is_not_gone_by_the_list_of_a_database_that_was_exchanged_after_the_delete(
    afterwards: dict[str, evidence.Row], calls: list[str], is_pending: bool
) -> None:
    context, one, draft, _, steps = stage()
    evolution = Deletes()
    client: Any = evolution
    one.client = client
    draft.subject.record = records.saw_database(draft.subject.record, ASSESSED, at=START)

    class Exchanged(Lists):
        async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
            return evidence.DatabaseList(afterwards) if evolution.calls else self.listed

    context.observers[one.key] = Exchanged(evidence.DatabaseList(OTHERS | {"i0": ASSESSED}))

    await steps.take(one, draft, Plan(step=Step.RECREATE, step_class=StepClass.SESSION_LOSS))

    assert evolution.calls == calls
    next_at = context.clock.monotonic() + 60
    pending = Deletion(since=START, sent=1, next_at=next_at, instance_id="id-of-i0", spares_protected=False)
    assert draft.subject.deletion == (pending if is_pending else None)
