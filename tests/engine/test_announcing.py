"""A step is announced with its reason, leaves behind what it has to, and is judged by what is observed after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.test_steps import CONNECTING, OTHERS, RESTART, Deletes, Lists, stage
from support import servers, simulated
from support.world import START, a_row, state
from whatsapp_operator.engine import ports
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY
from whatsapp_operator.recovery import ledger as ledgers
from whatsapp_operator.recovery.ledger import Storm
from whatsapp_operator.recovery.planner import NOTHING, Plan
from whatsapp_operator.resources import names
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import Approval
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight, StepResult

LOSS = StepClass.SESSION_LOSS
CREATE = Plan(step=Step.CREATE, step_class=StepClass.SOFT)
RECREATE, RELOGIN = Plan(step=Step.RECREATE, step_class=LOSS), Plan(step=Step.RELOGIN, step_class=LOSS)
OPEN = evidence.InMemory(state("open"))
SILENCE = evidence.Unknown(evidence.Ignorance.TIMEOUT)
ID = "id-of-i0"


class Listing(Lists):
    """An observer that counts what hurries it."""

    def __init__(self) -> None:
        super().__init__(evidence.DatabaseList(OTHERS))
        self.hurried = self.asked = 0

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        self.asked += 1
        return await super().list_rows()

    def hurry(self) -> None:
        self.hurried += 1


class Server(Deletes):
    """A server that answers as it is told to, and logs out."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: list[evidence.MemoryReading] = []
        self.restarted: evidence.Outcome = evidence.Accepted()
        self.created: evidence.Created | evidence.Refused | evidence.Unknown = evidence.Created("id-2")
        self.webhook: evidence.Unknown | None = None
        self.fails: BaseException | None = None

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        return self.readings.pop(0) if self.readings else await super().read_memory(name)

    async def find_webhook(self, _name: str) -> evidence.Webhook | evidence.Unknown | None:
        return self.webhook

    async def restart(self, _name: str) -> evidence.Outcome:
        self.calls.append("restart")
        return self.restarted

    async def delete(self, name: str) -> evidence.Outcome:
        if self.fails is not None:
            raise self.fails
        return await super().delete(name)

    async def create(self, _wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        self.calls.append("create")
        return self.created


class Scene:
    """An instance that is stuck, on a server that does as it is told."""

    def __init__(self, *, instance: dict[str, Any] | None = None, **spec: Any) -> None:
        self.context, self.server, self.draft, _, self.steps = stage(**spec)
        self.api, self.listing = Server(), Listing()
        client: Any = self.api
        self.server.client, self.context.observers[self.server.key] = client, self.listing
        self.one = self.draft.subject
        if instance is not None:
            self.draft.instance = servers.a_subject("i0", **instance).instance  # type: ignore[assignment] # it is one
        self.clock: Any = self.context.clock
        self.cluster: Any = self.context.kubernetes
        self.told: Any = self.context.telemetry

    def annotate(self, **annotations: str) -> None:
        found = {names.Request(what).annotation: value for what, value in annotations.items()}
        metadata = self.draft.instance.metadata.replace(annotations=found)
        self.draft.instance = self.one.instance = self.draft.instance.replace(metadata=metadata)

    async def take(self, planned: Plan = RESTART) -> None:
        await self.steps.take(self.server, self.draft, planned)

    def flies(self, *, reason: Reason | None = Reason.CONNECTING, took: bool = True) -> None:
        """A Restart was announced, and carried out five seconds after this process began."""
        flying = StepInFlight(step=Step.RESTART, step_class=StepClass.SOFT, reason=reason, since=START)
        self.draft.recovery = self.draft.recovery.replace(incident="1", in_flight=flying)
        self.one.took, self.one.stepped_at = took, 5.0

    def judge(self, *, seconds: float) -> StepResult | None:
        """The verdict so many seconds after the step, with a server that was read just then."""
        self.clock.seconds = 5.0 + seconds
        self.draft.now = self.clock.now()
        servers.seen(self.server, at=self.draft.now)
        return self.verdict()

    def verdict(self) -> StepResult | None:
        self.steps.judge(self.server, self.draft)
        history = self.draft.recovery.history
        return history[-1].result if history else None


@pytest.mark.parametrize("planned", [NOTHING, Plan(step=Step.RESTART), Plan(step_class=StepClass.SOFT)])
async def test_plan_without_a_step_takes_none(planned: Plan) -> None:
    play = Scene()

    with pytest.raises(AssertionError):
        await play.take(planned)

    assert (play.api.calls, play.draft.recovery.in_flight) == ([], None)


def healed(play: Scene) -> None:
    play.api.readings = [OPEN]


def without_client(play: Scene) -> None:
    play.server.client = None


@pytest.mark.parametrize("comes", [healed, without_client])
async def test_step_is_not_taken_on_what_has_changed_or_cannot_be_read_since(comes: Callable[[Scene], None]) -> None:
    play = Scene()
    comes(play)

    await play.take()

    assert (play.api.calls, play.draft.recovery.in_flight) == ([], None)


async def test_step_is_announced_with_its_reason_in_a_new_incident_and_looked_after_soon() -> None:
    play = Scene()
    play.context.random = simulated.Chance(0.75)
    play.draft.plan, play.one.codes.current = RESTART, "a code"

    await play.take()

    flying = play.draft.recovery.in_flight
    assert flying is not None
    assert (flying.step, flying.reason, play.draft.recovery.incident) == ("Restart", "Connecting", "20261123-c000")
    assert play.cluster.events == [Reason.STEP_STARTED]
    assert (play.draft.plan, play.one.took, play.one.codes.retired) == (NOTHING, True, ("a code",))
    assert (play.draft.instance_id, play.one.create_asked_at, play.draft.handled.restart) == (ID, None, None)
    assert play.listing.hurried == 1


SPENT = {"windows": [{"class": "Soft", "max": 0, "periodSeconds": 3600}]}


@pytest.mark.parametrize(("asked", "is_taken"), [("restart", True), ("pairing", False)])
async def test_restart_that_a_user_asks_for_needs_no_budget_and_is_no_incident(asked: str, is_taken: bool) -> None:
    play = Scene(budget=SPENT)
    play.annotate(**{asked: "now"})

    await play.take()

    flying = play.draft.recovery.in_flight
    assert play.api.calls == (["restart"] if is_taken else [])
    assert (flying.reason if flying else None) == (Reason.REQUESTED if is_taken else None)
    assert (play.draft.recovery.incident, play.draft.handled.restart) == (None, "now" if is_taken else None)


async def test_step_that_nobody_asked_for_is_not_one_that_was_asked_for_beside_it() -> None:
    play = Scene()
    play.annotate(restart="now")

    await play.take(RELOGIN)

    assert play.draft.recovery.in_flight is not None
    assert play.draft.recovery.in_flight.reason is Reason.CONNECTING
    assert play.draft.handled.restart is None


@pytest.mark.parametrize(("planned", "is_used"), [(RELOGIN, True), (RESTART, False)])
async def test_approval_is_used_up_by_a_loss_and_by_nothing_else(planned: Plan, is_used: bool) -> None:
    play = Scene()
    given = Approval(token="the-token", expires=START + timedelta(hours=1))  # noqa: S106 - of a test
    play.draft.recovery = play.draft.recovery.replace(incident="1", started_at=START, approval=given)

    await play.take(planned)

    assert play.draft.recovery.approval == (None if is_used else given)
    assert play.draft.handled.approve == ("the-token" if is_used else None)


@pytest.mark.parametrize(
    ("version", "planned", "is_deaf"),
    [("2.3.6", RELOGIN, True), ("2.3.7", RELOGIN, False), ("2.3.6", RESTART, False)],
)
async def test_only_a_relogin_on_an_old_version_leaves_an_instance_deaf(
    version: str, planned: Plan, is_deaf: bool
) -> None:
    play = Scene()
    play.server.observed.version = version
    play.api.readings = [evidence.InMemory(CONNECTING), evidence.InMemory(CONNECTING), SILENCE]

    await play.take(planned)

    assert (play.draft.recovery.deaf_since is not None) is is_deaf
    assert play.one.create_asked_at is None


async def test_instance_is_deaf_from_the_end_of_its_relogin_on() -> None:
    """A restart of the server in the middle of it would end nothing."""
    play = Scene()
    play.server.observed.version = "2.3.6"
    play.api.readings = [evidence.InMemory(CONNECTING), evidence.InMemory(CONNECTING), SILENCE]
    announced_at = play.clock.now()
    play.cluster.during["write status"] = lambda: play.clock.advance(5)

    await play.take(RELOGIN)

    assert play.cluster.statuses[0]["recovery"]["deafSince"] == f"{announced_at:%Y-%m-%dT%H:%M:%SZ}"
    assert play.draft.recovery.deaf_since == announced_at + timedelta(seconds=5)


async def test_restart_that_is_refused_does_not_cure_deafness() -> None:
    play = Scene()
    play.draft.recovery = play.draft.recovery.replace(deaf_since=START)
    play.api.restarted = evidence.Refused(evidence.Refusal.NOTHING_DONE)

    await play.take()

    assert play.draft.recovery.deaf_since == START


@pytest.mark.parametrize(
    ("created", "identity", "is_unanswered"),
    [(evidence.Created("id-2"), None, False), (SILENCE, ID, True)],
    ids=["answered", "not answered"],
)
async def test_recreate_leaves_another_incarnation_behind_once_it_is_created(
    created: evidence.Created | evidence.Unknown, identity: str | None, is_unanswered: bool
) -> None:
    play = Scene()
    play.api.created = created
    play.clock.advance(3)
    servers.seen(play.server, at=play.clock.now())

    await play.take(RECREATE)

    assert play.api.calls == ["delete", "create"]
    assert (play.draft.instance_id, play.one.create_unanswered) == (identity, is_unanswered)
    assert play.one.create_asked_at == play.clock.now()
    assert play.one.replaced_id == ID


@pytest.mark.parametrize(
    ("planned", "answer", "is_refused"),
    [
        (CREATE, evidence.Refused(evidence.Refusal.INVALID), True),
        (CREATE, SILENCE, False),
        (CREATE, evidence.Created("id-2"), False),
        (RECREATE, evidence.Refused(evidence.Refusal.INVALID), False),
    ],
)
async def test_create_that_is_refused_is_remembered_until_the_next_one(
    planned: Plan, answer: evidence.Created | evidence.Refused | evidence.Unknown, is_refused: bool
) -> None:
    play = Scene()
    play.one.create_refused = not is_refused
    play.api.created = answer
    if planned is CREATE:
        is_absent(play)
    play.clock.advance(3)
    servers.seen(play.server, at=play.clock.now())

    await play.take(planned)

    assert "create" in play.api.calls
    assert play.one.create_refused is is_refused


async def test_recreate_that_an_error_ends_may_have_created_and_has_not() -> None:
    play = Scene()
    play.api.fails = RuntimeError()

    with pytest.raises(RuntimeError):
        await play.take(RECREATE)

    assert (play.draft.instance_id, play.one.create_unanswered) == (ID, True)


async def test_recreate_spares_what_has_opened_since_it_was_looked_at_once_more() -> None:
    play = Scene()
    play.api.readings = [evidence.InMemory(CONNECTING), OPEN]

    await play.take(RECREATE)

    assert play.api.calls == []


def is_absent(play: Scene) -> None:
    for second in range(3):
        record = play.one.record if second else records.Record(paired=False)
        play.one.record = records.saw_absence(record, at=START + timedelta(seconds=second))
    play.api.readings = [evidence.Absent()]


async def test_what_is_absent_is_created() -> None:
    play = Scene()
    is_absent(play)

    await play.take(CREATE)

    assert play.api.calls == ["create"]
    assert (play.draft.instance_id, play.one.create_asked_at) == (None, START)


@pytest.mark.parametrize(
    ("instance", "why"),
    [
        ({"tokenSecretRef": {"name": "mine"}}, Reason.SECRET_NOT_OURS),
        (
            {"webhook": {"url": "https://shop/hook", "events": ["CALL"], "headersSecretRef": {"name": "headers"}}},
            Reason.HEADERS_NOT_FOUND,
        ),
        ({}, Reason.KEEPSAKE_CHANGED),
    ],
)
async def test_step_that_lacks_what_it_will_need_is_not_announced_and_says_why(
    instance: dict[str, Any], why: Reason
) -> None:
    play = Scene(instance=instance)
    nothing = ports.SecretData(values={"colour": b"red"}, resource_version="1")
    play.cluster.secrets[ports.Key("messaging", "mine")] = nothing
    play.cluster.secrets[ports.Key("messaging", play.draft.instance.keepsake_secret_name)] = nothing
    if why is Reason.KEEPSAKE_CHANGED:
        play.draft.keepsake, play.draft.keepsake_digest = "i0-keepsake", "of what was stored"

    for _ in range(3):
        play.draft.plan = replace(RECREATE, at=START)
        await play.take(RECREATE)
        assert (play.draft.synced, play.api.calls, play.draft.recovery.in_flight) == (why, [], None)
        assert play.draft.plan == replace(RECREATE, at=None, blocked_by=(why,)), "it waits for no time"
    assert play.listing.asked == 0, "what Kubernetes knows is asked for first"
    assert play.cluster.events == [why]
    assert [(entry.phase.value, entry.blocked_by) for entry in play.told.audits] == [("refused", (str(why),))]


@pytest.mark.parametrize("planned", [RECREATE, RELOGIN])
async def test_step_that_finds_no_room_for_what_it_takes_waits_for_a_person_and_asks_for_no_more_lists(
    planned: Plan,
) -> None:
    play = Scene()
    play.api.webhook = evidence.Webhook(url="http://shop/hook")  # type: ignore[assignment] # it can be read
    kept = ports.Key("messaging", play.draft.instance.keepsake_secret_name)
    play.cluster.secrets[kept] = ports.SecretData(values={"mine": b"1"}, resource_version="1")

    for _ in range(3):
        play.draft.synced, play.draft.plan = Reason.SYNCED, replace(planned, at=START)
        await play.take(planned)
        assert play.draft.synced is Reason.KEEPSAKE_NOT_OURS
        assert play.draft.plan == replace(planned, at=None, blocked_by=(Reason.KEEPSAKE_NOT_OURS,))
    assert (play.listing.asked, play.api.calls, play.draft.recovery.in_flight) == (1, [], None)
    assert play.cluster.events == [Reason.KEEPSAKE_NOT_OURS]
    told = [(entry.phase.value, entry.step, entry.step_class, entry.blocked_by) for entry in play.told.audits]
    assert told == [("refused", str(planned.step), "SessionLoss", ("KeepsakeNotOurs",))]

    del play.cluster.secrets[kept]
    play.api.webhook = None
    await play.take(planned)

    assert play.listing.asked > 1
    assert play.draft.recovery.in_flight is not None
    assert play.one.withheld is None, "were it to wait again, it would be told again"


async def test_step_that_takes_nothing_needs_no_room() -> None:
    play = Scene()
    play.one.keepsake_barred = True
    theirs = ports.SecretData(values={"mine": b"1"}, resource_version="1")
    play.cluster.secrets[ports.Key("messaging", play.draft.instance.keepsake_secret_name)] = theirs

    await play.take()

    assert play.api.calls == ["restart"]


async def test_step_that_would_take_an_unknown_webhook_is_tried_again_soon() -> None:
    play = Scene()
    play.api.webhook = SILENCE

    await play.take(RECREATE)

    assert (play.api.calls, play.draft.recovery.in_flight, play.listing.hurried) == ([], None, 1)


# The verdict.


def well(play: Scene) -> None:
    record = records.saw_database(records.Record(paired=True), a_row("open", owner=True), at=START)
    for second in range(2):
        record = records.saw_memory(record, OPEN, at=START + timedelta(seconds=second))
    play.one.record, play.draft.verdict = record, HEALTHY


def as_before(_: Scene) -> None:
    """Nothing has changed."""


async def test_instance_without_a_step_in_flight_holds_no_place() -> None:
    play = Scene()
    play.server.in_flight.add(play.one.key)

    play.steps.judge(play.server, play.draft)

    assert (play.server.in_flight, play.told.audits, play.cluster.events) == (set(), [], [])


@pytest.mark.parametrize("reason", [Reason.CONNECTING, None])
def test_step_that_this_process_did_not_take_was_interrupted(reason: Reason | None) -> None:
    play = Scene()
    play.flies(reason=reason, took=False)

    assert play.judge(seconds=0) is StepResult.INTERRUPTED

    assert (play.draft.recovery.in_flight, play.server.in_flight) == (None, set())
    assert play.cluster.events == [Reason.STEP_INTERRUPTED]
    told = [(entry.phase.value, entry.step, entry.reason, entry.result) for entry in play.told.audits]
    assert told == [("result", "Restart", str(reason or Reason.UNKNOWN), "Interrupted")]


@pytest.mark.parametrize(
    ("shows", "seconds", "result", "event", "failed"),
    [
        (well, 1, StepResult.SUCCEEDED, Reason.STEP_SUCCEEDED, False),
        (as_before, 30, StepResult.FAILED, Reason.STEP_FAILED, True),
    ],
)
def test_verdict_is_told_once_frees_the_place_and_tells_a_storm_whether_to_go_on(
    shows: Callable[[Scene], None], seconds: int, result: StepResult, event: Reason, failed: bool
) -> None:
    play = Scene()
    play.flies()
    play.server.in_flight.add(play.one.key)
    play.server.ledger = ledgers.Ledger(storm=Storm(since=START), failed_at=START)
    shows(play)

    assert play.judge(seconds=seconds) is result

    assert (play.draft.recovery.in_flight, play.server.in_flight, play.one.took) == (None, set(), False)
    assert play.cluster.events == [event]
    assert play.server.ledger.failed_at == (play.draft.now if failed else None)


def stale(play: Scene) -> None:
    play.server.observed.memory_at = START - timedelta(hours=1)


def unread(play: Scene) -> None:
    play.server.observed.unknown = evidence.Ignorance.TIMEOUT


@pytest.mark.parametrize("comes", [stale, unread])
def test_no_verdict_is_passed_while_the_server_cannot_be_observed(comes: Callable[[Scene], None]) -> None:
    play = Scene()
    play.flies()
    play.clock.seconds, play.draft.now = 65.0, START + timedelta(seconds=65)
    servers.seen(play.server, at=play.draft.now)
    comes(play)

    assert play.verdict() is None


def test_step_whose_time_is_not_over_stays_in_flight_and_holds_its_place() -> None:
    play = Scene()
    play.flies()

    assert play.judge(seconds=29) is None

    assert play.draft.recovery.in_flight is not None
    assert (play.server.in_flight, play.one.took) == ({play.one.key}, True)
    assert (play.cluster.events, play.told.audits) == ([], [])
