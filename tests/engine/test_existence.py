"""An instance is found by its id or its token, and created once where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support import servers, simulated
from support.world import START, a_row, state
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import existence, ports
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Token
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.rules import Symptom
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import RecoveryStatus

OURS, THEIRS, TOKEN = "id-of-shop", "of-somebody-else", "the-token"
SECRET = ports.Key("messaging", "shop-token")
PENDING, SILENCE = Reason.CONFIGURATION_PENDING, evidence.Unknown(evidence.Ignorance.TIMEOUT)
CLOSE = evidence.InMemory(state("close"))
META = {"integration": "WHATSAPP-BUSINESS", "number": "1234567890", "tokenSecretRef": {"name": "meta"}}
UTF_16 = ports.SecretData(values={"token": "schlüssel".encode("utf-16")}, resource_version="1")
HEARS = RecoveryStatus(incident="1", started_at=START)
DEAF = HEARS.replace(deaf_since=START)


class Evolution:
    """A server that answers a create as it is told to; it is its own observer, and counts what hurries it."""

    def __init__(self) -> None:
        self.memory: evidence.MemoryReading = evidence.Absent()
        self.answer: evidence.Created | evidence.Refused | evidence.Unknown = evidence.Created(OURS)
        self.calls: list[str] = []
        self.hurried = 0
        self.during: Any = lambda: None

    def hurry(self) -> None:
        self.hurried += 1

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        self.calls.append("read")
        return self.memory

    async def create(self, _wanted: evidence.NewInstance) -> object:
        self.calls.append("create")
        self.during()
        return self.answer

    async def connect(self, _name: str) -> evidence.NoCode:
        self.during()
        return evidence.NoCode()


class Scene:
    """A resource without an instance, on a server whose list was just read and lacks its name."""

    def __init__(self, *, status: object = None, **spec: Any) -> None:
        self.time, self.cluster, self.told = simulated.Time(), servers.Cluster(), servers.Told()
        self.evolution, self.server = Evolution(), servers.a_server()
        evolution: Any = self.evolution
        self.server.client, self.server.observed.rows, self.server.observed.rows_begun = evolution, {}, 0.0
        self.context = servers.a_context(self.time, self.server, self.cluster, telemetry=self.told)
        self.context.observers[self.server.key] = evolution
        self.one = servers.a_subject("shop", status=status or {"paired": False}, **spec)
        self.server.subjects["shop"] = self.context.subjects[self.one.key] = self.one
        self.cluster.resource = {"metadata": dict(self.one.body["metadata"]), "spec": {"serverRef": {"name": "main"}}}
        writer, announcer = StatusWriter(self.context), Announcer(self.context)
        self.found = existence.Existence(self.context, writer, announcer)

    def secret(self, *, managed: bool, **values: bytes) -> None:
        found = values or {"token": TOKEN.encode()}
        self.cluster.secrets[SECRET] = ports.SecretData(values=found, resource_version="1", managed=managed)

    def listed(self, identity: str, *, token: str = TOKEN, integration: str = "WHATSAPP-BAILEYS") -> None:
        row = replace(a_row(identity=identity), token=token, integration=integration)
        self.server.observed.rows = {"shop": row}

    def draft(self) -> drafts.Draft:
        assert self.one.instance is not None
        return drafts.begin(self.one, self.one.instance, self.server, pause=self.context.pause, now=self.time.now())

    async def look(self, **facts: Any) -> tuple[Reason, drafts.Draft]:
        draft = self.draft()
        for name, value in facts.items():
            setattr(draft, name, value)
        return await self.found.establish(self.server, draft), draft

    @property
    def audits(self) -> list[tuple[str, str, str, str | None]]:
        return [(one.phase.value, one.step, one.reason, one.result) for one in self.told.audits]


class Held(servers.Tasks):
    """Keeps what was spawned besides Events."""

    def __init__(self) -> None:
        self.held: list[Any] = []

    def spawn(self, name: str, work: Any, /) -> None:
        if name == "emit-event":
            super().spawn(name, work)
        else:
            self.held.append(work)

    async def run(self) -> None:
        while self.held:
            await self.held.pop()


@pytest.mark.parametrize("listed", [False, True])
async def test_instance_that_has_the_id_of_the_status_is_ours_without_a_look_at_its_token(listed: bool) -> None:
    play = Scene(status={"instanceID": OURS})
    if listed:
        play.listed(OURS, token="whatever")  # noqa: S106 - of a test

    reason, draft = await play.look(recovery=DEAF)

    assert (reason, draft.instance_id, draft.recovery) == (Reason.SYNCED, OURS, DEAF)
    assert (play.cluster.calls, play.evolution.calls) == ([], [])


@pytest.mark.parametrize(
    ("managed", "before", "adopted", "events"),
    [(True, None, False, []), (False, None, True, [Reason.ADOPTED]), (False, False, False, []), (True, True, True, [])],
    ids=["generated", "given", "given, and created by us", "known as adopted"],
)
async def test_instance_that_has_our_token_is_ours_and_adopted_where_a_user_made_the_token(
    managed: bool, before: bool | None, adopted: bool, events: list[Reason]
) -> None:
    play = Scene()
    play.secret(managed=managed)
    play.listed(THEIRS)

    reason, draft = await play.look(adopted=before, configured_generation=1)

    assert (reason, draft.instance_id, draft.adopted) == (Reason.SYNCED, THEIRS, adopted)
    assert draft.configured_generation is None
    assert play.cluster.events == events
    assert play.one.token is not None
    assert play.one.token.value == TOKEN


async def test_other_incarnation_with_our_token_begins_without_what_was_known_of_the_one_before() -> None:
    play = Scene(status={"instanceID": OURS})
    play.secret(managed=False)
    play.listed(THEIRS)
    play.one.record = records.saw_database(records.Record(paired=True), a_row("open", owner=True), at=START)
    play.one.record = records.saw_memory(play.one.record, CLOSE, at=START)

    reason, draft = await play.look(recovery=DEAF)

    assert (reason, draft.instance_id) == (Reason.SYNCED, THEIRS)
    assert draft.recovery == HEARS
    assert (play.one.record.paired, play.one.record.database, play.one.record.memory) == (None, None, None)
    assert (draft.adopted, play.cluster.events) == (None, [])


async def test_token_that_this_process_knows_is_not_read_again() -> None:
    play = Scene()
    play.one.token = Token(TOKEN, generated=True, place=("shop-token", "token"))
    play.listed(OURS)

    assert (await play.look())[0] is Reason.SYNCED
    assert play.cluster.calls == []


@pytest.mark.parametrize("stored", [b"another", None])
@pytest.mark.parametrize("known", [OURS, None])
async def test_instance_without_our_token_is_somebody_elses(stored: bytes | None, known: str | None) -> None:
    play = Scene()
    if stored is not None:
        play.secret(managed=True, token=stored)
    play.listed(THEIRS)

    reason, draft = await play.look(instance_id=known)

    assert (reason, draft.instance_id) == (Reason.ALREADY_EXISTS, known)
    assert play.one.token is None


@pytest.mark.parametrize("known", [OURS, None])
async def test_instance_of_another_integration_is_not_adopted(known: str | None) -> None:
    play = Scene()
    play.secret(managed=False)
    play.listed(THEIRS, integration="EVOLUTION")

    reason, draft = await play.look(instance_id=known)

    assert (reason, draft.instance_id, draft.adopted) == (Reason.INTEGRATION_DIFFERS, known, None)
    assert play.one.token is None
    assert play.cluster.events == []


async def test_row_that_tells_no_integration_is_adopted_by_its_token() -> None:
    play = Scene()
    play.secret(managed=False)
    play.listed(THEIRS, integration="")

    assert (await play.look())[0] is Reason.SYNCED


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"tokenSecretRef": {"name": "shop-token"}}, Reason.SECRET_NOT_OURS),
        ({"tokenSecretRef": {"name": "utf-16"}}, Reason.SECRET_NOT_OURS),
        (META, Reason.TOKEN_NOT_FOUND),
        (
            {"webhook": {"url": "https://shop/hook", "events": ["CALL"], "headersSecretRef": {"name": "headers"}}},
            Reason.HEADERS_NOT_FOUND,
        ),
        (
            {"webhook": {"url": "https://shop/hook", "events": ["CALL"], "headersSecretRef": {"name": "utf-16"}}},
            Reason.HEADERS_NOT_FOUND,
        ),
        ({}, Reason.KEEPSAKE_CHANGED),
    ],
)
async def test_what_a_creation_lacks_is_named_and_nothing_is_created(spec: dict[str, object], why: Reason) -> None:
    play = Scene(**spec)
    play.secret(managed=False, **({"colour": b"red"} if why is Reason.SECRET_NOT_OURS else {}))
    play.cluster.secrets[ports.Key("messaging", "utf-16")] = UTF_16
    kept = "shop-keepsake" if why is Reason.KEEPSAKE_CHANGED else None
    assert play.one.instance is not None
    place = ports.Key("messaging", play.one.instance.keepsake_secret_name)
    play.cluster.secrets[place] = ports.SecretData(values={"configuration": b"{}"}, resource_version="1")

    reason, _ = await play.look(keepsake=kept, keepsake_digest="of what was stored")

    assert reason is why
    assert "create" not in play.evolution.calls
    assert ports.Key("messaging", "meta") not in play.cluster.secrets


async def test_business_instance_is_created_with_the_token_of_meta_once_it_is_there() -> None:
    play = Scene(**META)
    play.cluster.secrets[ports.Key("messaging", "meta")] = ports.SecretData(
        values={"token": b"of-meta"}, resource_version="1"
    )

    reason, _ = await play.look()

    assert (reason, play.one.token and play.one.token.value) == (PENDING, "of-meta")


async def test_creation_is_told_before_and_after_and_looked_for_soon() -> None:
    play = Scene()
    play.one.pairing_next_at, play.one.create_refusals = 60.0, 3
    play.one.codes.current = "a code of the one before"
    play.time.advance(5)

    reason, draft = await play.look(recovery=DEAF)

    assert (reason, draft.instance_id, draft.adopted) == (PENDING, OURS, False)
    assert draft.recovery == HEARS
    assert play.cluster.events == [Reason.CREATED]
    assert play.audits == [("intent", "Create", "NotFound", None), ("result", "Create", "NotFound", "Created")]
    assert play.evolution.hurried == 1
    assert (play.one.create_asked_at, play.one.create_unanswered) == (play.time.now(), False)
    assert (play.one.create_refusals, play.one.stepped_at, play.one.pairing_next_at) == (0, 5, 0)
    assert play.one.codes.retired == ("a code of the one before",)
    assert play.one.codes.history_known


async def test_first_connect_ends_as_a_step_does() -> None:
    play = Scene()
    tasks: Any = Held()
    play.context.tasks = tasks
    await play.look()
    play.evolution.during = lambda: play.time.advance(7)

    await tasks.run()

    assert play.one.stepped_at == 7
    assert play.evolution.hurried == 2


async def test_first_connect_is_left_out_where_the_server_has_lost_its_key_meanwhile() -> None:
    play = Scene()
    tasks: Any = Held()
    play.context.tasks = tasks
    await play.look()
    play.server.client = None

    await tasks.run()

    assert play.evolution.calls.count("connect") == 0
    assert not play.one.connecting


async def test_create_that_was_asked_for_while_the_clock_was_ahead_was_asked_for_now() -> None:
    play = Scene()
    play.one.create_asked_at, play.one.create_unanswered = play.time.now() + timedelta(days=1), True

    await play.look()

    assert play.one.create_asked_at == play.time.now()


@pytest.mark.parametrize(
    ("managed", "before", "writes"),
    [(False, None, [False]), (True, None, []), (False, False, []), (False, True, [])],
    ids=["given", "generated", "created by us before", "adopted before"],
)
async def test_creation_with_a_users_token_is_written_down_before_since_the_token_will_not_tell(
    managed: bool, before: bool | None, writes: list[bool]
) -> None:
    play = Scene()
    play.secret(managed=managed)
    written: list[object] = []
    play.evolution.during = lambda: written.extend(status["adopted"] for status in play.cluster.statuses)

    _, draft = await play.look(adopted=before)

    assert written == writes
    assert draft.adopted is bool(before)


def without_client(play: Scene) -> None:
    play.server.client = None


def paused(play: Scene) -> None:
    play.context.pause = Pause(reason="a migration")


def of_unknown_version(play: Scene) -> None:
    play.server.observed.version = "2.4.0"


def not_listed_yet(play: Scene) -> None:
    play.server.observed.rows_at = None


@pytest.mark.parametrize("comes", [without_client, paused, of_unknown_version, not_listed_yet])
async def test_nothing_is_created_where_nothing_may_be_done_or_no_list_was_read(comes: Any) -> None:
    play = Scene()
    comes(play)

    assert (await play.look())[0] is PENDING
    assert play.evolution.calls == []


@pytest.mark.parametrize(
    ("memory", "reason"), [(CLOSE, Reason.ALREADY_EXISTS), (evidence.NotInMemory(), PENDING), (SILENCE, PENDING)]
)
async def test_nothing_is_created_where_absence_is_not_proved(memory: evidence.MemoryReading, reason: Reason) -> None:
    play = Scene()
    play.evolution.memory = memory

    assert (await play.look())[0] is reason
    assert play.evolution.calls == ["read"]


async def test_instance_that_memory_was_seen_to_have_is_somebody_elses_without_another_call() -> None:
    play = Scene()
    play.one.record = records.saw_memory(play.one.record, CLOSE, at=START)

    assert (await play.look())[0] is Reason.ALREADY_EXISTS
    assert play.evolution.calls == []


async def test_instance_that_memory_lacked_is_looked_for_once_more_and_created() -> None:
    play = Scene()
    play.one.record = records.saw_memory(play.one.record, evidence.NotInMemory(), at=START)

    await play.look()

    assert play.evolution.calls == ["read", "create"]


async def test_nothing_is_created_for_a_resource_that_was_seen_as_it_was_in_the_past() -> None:
    play = Scene()
    play.cluster.fails["read"] = ports.Conflict()

    with pytest.raises(ports.Conflict):
        await play.look()

    assert play.evolution.calls == ["read"]


@pytest.mark.parametrize(
    ("answer", "reason", "result", "is_unanswered"),
    [
        (evidence.Refused(evidence.Refusal.NAME_IN_USE), PENDING, "NameInUse", False),
        (evidence.Refused(evidence.Refusal.INVALID), Reason.CONFIGURATION_REFUSED, "Invalid", False),
        (SILENCE, PENDING, "Timeout", True),
    ],
)
async def test_create_that_failed_is_told_and_not_taken_for_a_creation(
    answer: evidence.Refused | evidence.Unknown, reason: Reason, result: str, is_unanswered: bool
) -> None:
    play = Scene()
    play.evolution.answer = answer
    play.one.create_unanswered = not is_unanswered
    play.one.create_refusals = 1

    told, draft = await play.look()

    assert (told, draft.instance_id) == (reason, None)
    assert [one[:3] for one in play.audits] == [("intent", "Create", "NotFound"), ("result", "Create", "NotFound")]
    assert play.audits[1][3] == result
    assert (play.one.create_unanswered, play.one.create_refusals) == (is_unanswered, 2)
    assert play.evolution.hurried == 1


@pytest.mark.parametrize(
    ("refusals", "is_unanswered", "seconds"),
    [(0, False, 0), (0, True, 30), (1, False, 30), (2, True, 60), (3, False, 120), (20, False, 3600)],
)
async def test_create_is_tried_again_by_a_younger_list_and_ever_more_rarely_where_it_is_refused(
    refusals: int, is_unanswered: bool, seconds: int
) -> None:
    play = Scene()
    play.one.create_asked_at, play.one.create_refusals, play.one.create_unanswered = START, refusals, is_unanswered

    servers.seen(play.server, at=START + timedelta(seconds=seconds))
    assert (await play.look())[0] is PENDING
    assert (play.evolution.calls, play.evolution.hurried) == ([], 0 if refusals else 1)

    servers.seen(play.server, at=START + timedelta(seconds=seconds, milliseconds=1))
    await play.look()
    assert play.evolution.calls == ["read", "create"]


async def test_list_that_was_begun_as_the_create_was_answered_does_not_count() -> None:
    play = Scene()
    play.one.create_asked_at, play.one.stepped_at = START, 5.0
    servers.seen(play.server, at=START + timedelta(seconds=60))
    play.server.observed.rows_begun = 5.0

    assert (await play.look())[0] is PENDING
    assert (play.evolution.calls, play.evolution.hurried) == ([], 0)


async def test_strategy_has_nothing_to_work_with_on_a_server_that_cannot_be_called() -> None:
    play = Scene()
    without_client(play)

    with pytest.raises(ports.Unavailable):
        await play.found.work(play.server, play.draft(), creates=False, spare_open=False)


@pytest.mark.parametrize(("seconds", "most"), [(5, 5), (30, 10)])
@pytest.mark.parametrize(("symptom", "flapping"), [(Symptom.FLAPPING, True), (Symptom.WITHOUT_CODE, False)])
async def test_strategy_knows_whether_it_flaps_and_waits_as_long_as_a_worker_may(
    seconds: int, most: float, symptom: Symptom, flapping: bool
) -> None:
    play = Scene(recovery={"stepTimeoutSeconds": seconds})
    play.one.symptom = symptom

    work = await play.found.work(play.server, play.draft(), creates=False, spare_open=False)

    assert (work.timeout, work.flapping, work.wanted) == (most, flapping, None)
