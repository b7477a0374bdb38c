"""A deletion asks the server until the instance is verified gone, and says what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.test_deletion import Going
from support import servers, simulated
from support.world import START, a_row, state
from whatsapp_operator.engine import deletion, existence, ports
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.reconciler import Reconciler
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Deletion, Keepsake, Subject, Token
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery import strategies
from whatsapp_operator.resources import names
from whatsapp_operator.resources.overrides import RecoveryMode
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

CONNECTING, OPEN = evidence.ConnectionState.CONNECTING, evidence.ConnectionState.OPEN
OURS, THEIRS = "id-of-i0", "of-somebody-else"
SECRET = ports.Key("messaging", "i0-token")
POLL = 2.0
SENT = ["logout", "delete"]
UNKNOWN = evidence.Unknown(evidence.Ignorance.TIMEOUT)


@dataclass
class Evolution:
    """A server and its database, in which a DELETE ends `i0`, or does nothing."""

    row: evidence.Row | None = field(default_factory=lambda: a_row("open", owner=True, identity=OURS))
    memory: evidence.MemoryReading = field(default_factory=lambda: evidence.InMemory(CONNECTING))
    stubborn: bool = False
    unread: bool = False
    calls: list[str] = field(default_factory=list)
    reads: int = 0

    def end(self) -> None:
        self.row, self.memory = None, evidence.Absent()

    def hurry(self) -> None:
        """As an observer; nothing is read."""

    async def list_rows(self) -> evidence.DatabaseList | evidence.Unknown:
        others = {name: a_row("open", owner=True, identity=f"id-of-{name}") for name in ("i1", "i2")}
        found = others if self.row is None else others | {"i0": self.row}
        return UNKNOWN if self.unread else evidence.DatabaseList(found)

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        self.reads += 1
        return self.memory

    async def find_webhook(self, _name: str) -> None:
        return None

    async def logout(self, _name: str) -> evidence.Outcome:
        self.calls.append("logout")
        return evidence.Accepted()

    async def delete(self, _name: str) -> evidence.Outcome:
        self.calls.append("delete")
        if not self.stubborn:
            self.end()
        return evidence.Accepted()


class Leaving(Going):
    """A Kubernetes API that also lets a Secret outlive its owner, and one namespace outlive the others."""

    def __init__(self) -> None:
        super().__init__(is_going=False)
        self.staying = ""
        self.told: list[str] = []

    def emit(self, event: ports.Event) -> Coroutine[object, object, None]:
        self.told.append(event.message)
        return super().emit(event)

    async def namespace_is_terminating(self, namespace: str) -> bool:
        return self.is_going and namespace != self.staying

    async def disown_secret(self, key: ports.Key, *, resource_version: str) -> None:
        self.secrets[key] = ports.SecretData(values=self.secrets[key].values, resource_version=resource_version)


class Scene:
    """An instance whose resource is being deleted, on a server that is read, warm and known."""

    def __init__(self, *, status: object = None, **spec: Any) -> None:
        self.time, self.cluster, self.told = simulated.Time(), Leaving(), servers.Told()
        self.evolution, self.server = Evolution(), servers.a_server()
        evolution: Any = self.evolution
        self.server.client = evolution
        self.context = servers.a_context(self.time, self.server, self.cluster, telemetry=self.told)
        self.context.observers[self.server.key] = evolution
        self.context.may_step = True
        self.one = leaving(servers.a_subject("i0", status=status, **spec))
        going = {"finalizers": [names.FINALIZER], "deletionTimestamp": f"{START:%Y-%m-%dT%H:%M:%SZ}"}
        metadata = {**self.one.body["metadata"], **going}
        self.cluster.resource = {"metadata": metadata, "spec": {"serverRef": {"name": "main"}}}
        self.cluster.secrets[SECRET] = ports.SecretData(
            values={"token": b"ours"}, resource_version="1", managed=True, owner_uids=frozenset({"i0"})
        )
        self.server.subjects["i0"] = self.context.subjects[self.one.key] = self.one
        announcer = Announcer(self.context)
        writer = StatusWriter(self.context)
        self.found = existence.Existence(self.context, writer, announcer)
        self.deletions = deletion.Deletions(self.context, writer, self.found, announcer)

    def draft(self, server: Server | None) -> drafts.Draft:
        assert self.one.instance is not None
        return drafts.begin(self.one, self.one.instance, server, pause=self.context.pause, now=self.time.now())

    async def look(self, *, server: bool = True, seen: bool = True) -> tuple[float | None, drafts.Draft]:
        """One look, by what the server showed just now."""
        if seen:
            servers.seen(self.server, at=self.time.now())
        draft = self.draft(self.server if server else None)
        return await self.deletions.proceed(self.server if server else None, draft), draft

    async def resend(self, **facts: Any) -> drafts.Draft:
        draft = self.draft(self.server)
        for name, value in facts.items():
            setattr(draft, name, value)
        await deletion.resend(self.context, self.found, self.server, draft)
        return draft

    @property
    def audits(self) -> list[tuple[str, str, str, str | None]]:
        return [(one.phase.value, one.step, one.reason, one.result) for one in self.told.audits]

    @property
    def is_released(self) -> bool:
        return self.cluster.finalizers == []

    def begun(self, **facts: Any) -> Deletion:
        """A DELETE was sent."""
        least: dict[str, Any] = {
            "since": START,
            "sent": 1,
            "next_at": 60.0,
            "instance_id": OURS,
            "spares_protected": False,
        }
        self.one.deletion = Deletion(**least | facts)
        return self.one.deletion


def leaving(one: Subject) -> Subject:
    assert one.instance is not None
    metadata = one.instance.metadata.replace(deletion_timestamp=START, finalizers=(names.FINALIZER,))
    one.instance = one.instance.replace(metadata=metadata)
    return one


async def test_instance_is_deleted_and_its_resource_let_go_once_it_is_gone() -> None:
    play = Scene()

    wait, draft = await play.look()

    assert (wait, play.is_released) == (None, True)
    assert play.evolution.calls == SENT
    assert draft.verdict == Verdict(HealthState.TERMINATING, Reason.TERMINATING)
    assert play.cluster.events == [Reason.DELETING, Reason.DELETED]
    assert play.audits == [("intent", "Delete", "Deleting", None), ("result", "Delete", "Deleting", "Deleted")]
    assert play.cluster.secrets[SECRET].owner_uids, "the token goes with its resource"
    assert play.cluster.calls == ["read", "write status"], "nothing is prepared for a creation"


async def test_deletion_is_told_once_however_often_its_finalizer_has_to_be_removed() -> None:
    play = Scene()
    play.cluster.refuses = 2

    for _ in range(2):
        with pytest.raises(ports.Unavailable):
            await play.look()
    assert (await play.look())[0] is None

    assert play.is_released
    assert play.cluster.events == [Reason.DELETING, Reason.DELETED]
    assert play.audits == [("intent", "Delete", "Deleting", None), ("result", "Delete", "Deleting", "Deleted")]


async def test_orphan_is_told_once_however_often_its_finalizer_has_to_be_removed() -> None:
    play = Scene()
    play.cluster.is_going = True
    await play.look(server=False)
    play.time.advance(600)
    play.cluster.refuses = 1

    with pytest.raises(ports.Unavailable):
        await play.look(server=False)
    assert (await play.look(server=False))[0] is None

    assert play.cluster.events == [Reason.ORPHANED]
    assert play.audits == [("orphaned", "Delete", "Orphaned", None)]


def said(synced: Reason, exists: Reason = Reason.DELETION_REFUSED) -> dict[str, Any]:
    """What an earlier look has said; only what `Synced` says is about the deletion."""
    told = {"Exists": exists, "Synced": synced}
    conditions = [
        {
            "type": kind,
            "status": "False",
            "reason": str(why),
            "message": "-",
            "lastTransitionTime": f"{START:%Y-%m-%dT%H:%M:%SZ}",
        }
        for kind, why in told.items()
    ]
    asked = {"deletionAskedAt": f"{START:%Y-%m-%dT%H:%M:%SZ}"} if synced is Reason.DELETION_REFUSED else {}
    return {"instanceID": OURS, "conditions": conditions, **asked}


@pytest.mark.parametrize(
    ("before", "first_look", "sent"),
    [
        (Reason.DELETION_REFUSED, Reason.DELETION_REFUSED, Reason.DELETION_REFUSED),
        (Reason.DELETION_WAITS, Reason.DELETION_WAITS, Reason.SYNCED),
        (Reason.CONFIGURATION_PENDING, Reason.SYNCED, Reason.SYNCED),
    ],
)
async def test_what_blocks_a_deletion_stays_said_until_something_is_seen_of_it(
    before: Reason, first_look: Reason, sent: Reason
) -> None:
    for comes in (not_synced, paused, just_begun):
        play = Scene(status=said(before))
        servers.seen(play.server)
        comes(play)
        assert (await play.look(seen=False))[1].synced is first_look

    asked = Scene(status=said(before))
    asked.evolution.stubborn = True
    assert (await asked.look())[1].synced is sent


async def test_instance_that_has_opened_is_deleted_all_the_same() -> None:
    play = Scene()
    play.evolution.memory = evidence.InMemory(OPEN)

    await play.look()

    assert play.evolution.calls == SENT


async def test_resource_without_our_finalizer_is_not_ours_to_end() -> None:
    play = Scene()
    assert play.one.instance is not None
    play.one.instance = play.one.instance.replace(metadata=play.one.instance.metadata.replace(finalizers=("other",)))

    assert (await play.look())[0] is None
    assert (play.evolution.calls, play.cluster.events) == ([], [])


def retained(play: Scene) -> None:
    assert play.one.instance is not None
    spec = play.one.instance.spec.replace(deletion_policy="Retain")
    play.one.instance = play.one.instance.replace(spec=spec)


def another_stands_for_it(play: Scene) -> None:
    play.server.subjects["i0"] = servers.a_subject("i0")


def is_anothers(play: Scene) -> None:
    play.evolution.row = a_row(identity=THEIRS)


@pytest.mark.parametrize("why", [retained, another_stands_for_it, is_anothers])
async def test_instance_that_is_not_to_go_is_let_go_without_a_call_and_keeps_its_token(why: Any) -> None:
    play = Scene()
    why(play)

    wait, _ = await play.look()

    assert (wait, play.is_released, play.evolution.calls) == (None, True, [])
    assert play.cluster.events == [Reason.RETAINED]
    assert not play.cluster.secrets[SECRET].owner_uids


@pytest.mark.parametrize("theirs", [None, THEIRS])
async def test_instance_whose_name_another_resource_waits_for_is_deleted(theirs: str | None) -> None:
    play = Scene()
    play.server.subjects["i0"] = servers.a_subject("i0", status={"instanceID": theirs} if theirs else NEVER_KNOWN)

    assert (await play.look())[0] is None

    assert play.evolution.calls == SENT
    assert play.cluster.events == [Reason.DELETING, Reason.DELETED]


@pytest.mark.parametrize("theirs", [{"instanceID": THEIRS}, {"paired": False}])
async def test_instance_that_was_never_known_is_the_other_resource_s(theirs: dict[str, object]) -> None:
    play = Scene(status=NEVER_KNOWN)
    play.one.create_unanswered = True
    play.evolution.end()
    play.server.subjects["i0"] = servers.a_subject("i0", status=theirs)

    await play.look()

    assert (play.evolution.calls, play.cluster.events) == ([], [Reason.RETAINED])


async def test_instance_that_is_not_counted_on_its_server_is_deleted() -> None:
    play = Scene()
    del play.server.subjects["i0"]

    assert (await play.look())[0] is None
    assert play.evolution.calls == SENT


def not_synced(play: Scene) -> None:
    play.context.may_step = False


def paused(play: Scene) -> None:
    play.context.pause = Pause(reason="a migration")


def of_unknown_version(play: Scene) -> None:
    play.server.observed.version = "2.4.0"


def stale(play: Scene) -> None:
    play.time.advance(3600)


def just_begun(play: Scene) -> None:
    play.server.observed.rows_at = None
    play.server.observed.ever_read = False


def cold(play: Scene) -> None:
    play.server.warm_up = type(play.server.warm_up)()


def without_client(play: Scene) -> None:
    play.server.client = None


def never_understood(play: Scene) -> None:
    play.server.resource = None


@pytest.mark.parametrize(
    ("comes", "why", "synced"),
    [
        (not_synced, Reason.SERVER_UNREACHABLE, Reason.SYNCED),
        (paused, Reason.PAUSED, Reason.SYNCED),
        (of_unknown_version, Reason.SERVER_UNREACHABLE, Reason.DELETION_WAITS),
        (stale, Reason.SERVER_UNREACHABLE, Reason.DELETION_WAITS),
        (just_begun, Reason.NOT_OBSERVED, Reason.SYNCED),
        (cold, Reason.WARMING_UP, Reason.DELETION_WAITS),
        (without_client, Reason.SERVER_UNREACHABLE, Reason.DELETION_WAITS),
        (never_understood, Reason.SERVER_UNREACHABLE, Reason.DELETION_WAITS),
    ],
)
async def test_deletion_waits_for_its_server_and_says_so_unless_it_was_asked_to(
    comes: Any, why: Reason, synced: Reason
) -> None:
    play = Scene()
    servers.seen(play.server)
    comes(play)

    wait, draft = await play.look(seen=False)

    assert (wait, play.is_released, play.evolution.calls) == (POLL, False, [])
    assert draft.verdict == Verdict(HealthState.UNKNOWN, why)
    assert draft.synced is synced


async def test_deletion_waits_for_a_server_that_is_nowhere() -> None:
    play = Scene()

    wait, draft = await play.look(server=False)

    assert (wait, play.is_released) == (POLL, False)
    assert draft.verdict.reason is Reason.SERVER_NOT_FOUND
    assert draft.synced is Reason.DELETION_WAITS


NEVER_KNOWN = {"paired": False}


def asked_for(play: Scene) -> None:
    play.one.create_asked_at = START


@pytest.mark.parametrize(
    ("comes", "server", "is_released"),
    [(None, False, True), (asked_for, False, False), (not_synced, False, False), (without_client, True, False)],
    ids=["on no server", "asked for", "not synced", "on a server without its key"],
)
async def test_instance_that_was_never_created_is_let_go_where_there_is_no_server_that_it_could_be_on(
    comes: Callable[[Scene], None] | None, server: bool, is_released: bool
) -> None:
    play = Scene(status=NEVER_KNOWN)
    if comes is not None:
        comes(play)

    wait, draft = await play.look(server=server)

    assert play.is_released is is_released
    assert wait == (None if is_released else POLL)
    assert (Reason.RETAINED in play.cluster.events) is is_released
    assert draft.synced is (Reason.SYNCED if is_released or comes is not_synced else Reason.DELETION_WAITS)


@pytest.mark.parametrize(
    ("comes", "server", "staying", "is_released"),
    [
        (None, False, "", True),
        (without_client, True, "", True),
        (stale, True, "", True),
        (stale, True, "elsewhere", False),
        (paused, True, "", False),
        (without_client, True, "messaging", False),
    ],
    ids=["no server", "no key", "unread, and going too", "unread, and staying", "there, and paused", "not going"],
)
async def test_instance_is_orphaned_where_its_namespace_goes_and_its_server_is_gone_for_good(
    comes: Any, server: bool, staying: str, is_released: bool
) -> None:
    play = Scene()
    play.cluster.is_going, play.cluster.staying = True, staying
    if staying == "elsewhere":
        play.server.key = ports.Key("elsewhere", "main")
    if comes is not None:
        comes(play)

    for seconds in (0, 599):
        play.time.advance(seconds)
        assert (await play.look(server=server, seen=comes is paused))[0] == POLL
    play.time.advance(1)
    wait, _ = await play.look(server=server, seen=comes is paused)

    assert (wait is None, play.is_released) == (is_released, is_released)
    assert play.cluster.events == ([Reason.ORPHANED] if is_released else [])
    assert play.audits == ([("orphaned", "Delete", "Orphaned", None)] if is_released else [])
    assert play.evolution.calls == []


async def test_deletion_whose_list_cannot_be_read_is_not_begun() -> None:
    play = Scene()
    play.evolution.unread = True

    assert (await play.look())[0] == POLL
    assert (play.one.deletion, play.evolution.calls) == (None, [])


async def test_deletion_is_not_begun_on_a_resource_that_was_created_again_since() -> None:
    play = Scene()
    play.cluster.fails["read"] = ports.Conflict()

    with pytest.raises(ports.Conflict):
        await play.look()

    assert (play.one.deletion, play.evolution.calls, play.audits) == (None, [], [])


@pytest.mark.parametrize(("asked", "events"), [(False, [Reason.RETAINED]), (True, [Reason.DELETING, Reason.DELETED])])
async def test_instance_that_is_nowhere_was_deleted_only_if_it_may_have_been_there(
    asked: bool, events: list[Reason]
) -> None:
    play = Scene(status=NEVER_KNOWN)
    play.evolution.end()
    play.one.create_unanswered = asked

    assert (await play.look())[0] is None
    assert (play.cluster.events, play.evolution.calls) == (events, [])


class Taken(Evolution):
    """`i0` is nowhere; somebody makes one of the name before memory is asked, and maybe no list is to be had then."""

    unlisted_then = False

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        self.memory, self.unread = evidence.InMemory(OPEN), self.unlisted_then
        if not self.unread:
            self.row = a_row("open", owner=True, identity=THEIRS)
        return await super().read_memory(name)


@pytest.mark.parametrize("unlisted_then", [False, True])
async def test_instance_that_has_taken_the_name_since_the_list_is_left_alone(unlisted_then: bool) -> None:
    play = Scene(status={"instanceID": OURS, "deletionAskedAt": f"{START:%Y-%m-%dT%H:%M:%SZ}"})
    taken: Any = Taken(row=None)
    taken.unlisted_then = unlisted_then
    play.evolution = play.server.client = play.context.observers[play.server.key] = taken

    for _ in range(3):
        await play.look()
        play.time.advance(POLL)

    assert taken.calls == []
    assert play.is_released is not unlisted_then


async def test_instance_that_has_taken_the_name_as_the_next_delete_came_due_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = Scene()
    play.begun(next_at=1.0)
    play.evolution.row = a_row("open", owner=True, identity=THEIRS)
    work = play.found.work

    async def work_later(*given: Any, **wanted: Any) -> strategies.Work:
        play.time.advance(1)
        return await work(*given, **wanted)

    monkeypatch.setattr(play.found, "work", work_later)

    await play.look()

    assert play.evolution.calls == []


async def test_instance_that_memory_holds_without_a_row_is_deleted() -> None:
    play = Scene(status={"instanceID": OURS})
    play.evolution.row = None

    await play.look()

    assert play.evolution.calls == SENT


async def test_instance_that_went_by_itself_is_deleted_without_a_call() -> None:
    play = Scene()
    play.evolution.end()

    assert (await play.look())[0] is None
    assert (play.cluster.events, play.evolution.calls) == ([Reason.DELETING, Reason.DELETED], [])


async def test_instance_that_only_its_token_shows_to_be_ours_is_known_by_its_id_from_then_on() -> None:
    play = Scene(status={"adopted": False})
    play.one.token = Token("known", generated=True, place=("i0-token", "token"))
    play.evolution.row, play.evolution.stubborn = replace(a_row(identity=OURS), token="known"), True  # noqa: S106

    await play.look()

    assert play.one.deletion is not None
    assert (play.one.deletion.instance_id, play.one.deletion.since) == (OURS, START)


async def test_delete_that_does_not_end_is_sent_again_ever_more_rarely_and_says_that_it_is_refused() -> None:
    play = Scene()
    play.evolution.stubborn = True
    show(play, "both")
    sent, synced = list[float](), list[Reason]()

    while play.time.seconds < 600:
        before = len(play.evolution.calls)
        began = play.time.seconds
        wait, draft = await play.look()
        assert (wait, draft.verdict) == (POLL, Verdict(HealthState.TERMINATING, Reason.TERMINATING))
        if len(play.evolution.calls) > before:
            assert play.one.deletion is not None
            sent.append(round(play.one.deletion.next_at - play.time.seconds, 3))
            synced.append(draft.synced)
        play.time.advance(1 if play.time.seconds > began else POLL)

    assert sent == [60, 120, 240, 480]
    assert synced == [Reason.SYNCED, *[Reason.DELETION_REFUSED] * 3]
    assert not play.is_released
    assert play.audits == [("intent", "Delete", "Deleting", None)]


async def test_delete_is_sent_once_an_hour_at_least() -> None:
    play = Scene()
    play.evolution.stubborn = True
    begun = play.begun(sent=10, next_at=0.0)

    await play.look()

    assert round(begun.next_at - play.time.seconds, 3) == 3600


@pytest.mark.parametrize(("next_at", "calls"), [(60.0, SENT), (61.0, [])])
async def test_delete_is_sent_again_at_its_moment_and_not_before(next_at: float, calls: list[str]) -> None:
    play = Scene()
    play.evolution.stubborn = True
    play.begun(sent=2, next_at=next_at)
    show(play, "both")
    play.time.advance(60)

    await play.look()

    assert play.evolution.calls == calls


async def test_delete_that_has_ended_meanwhile_is_seen_before_it_is_due_again() -> None:
    play = Scene()
    play.begun()
    play.evolution.end()

    assert (await play.look())[0] is None
    assert (play.cluster.events, play.evolution.calls) == ([Reason.DELETED], [])


@pytest.mark.parametrize(
    ("sent", "shown", "is_asked"),
    [(1, "both", True), (2, "both", False), (2, "memory", False), (2, "row", False), (2, "none", True)],
)
async def test_what_was_asked_to_go_twice_is_asked_after_only_once_the_observer_has_it_no_more(
    sent: int, shown: str, is_asked: bool
) -> None:
    play = Scene()
    play.begun(sent=sent)
    show(play, shown)

    await play.look()
    await play.resend()

    assert (play.evolution.reads > 0) is is_asked
    assert play.evolution.calls == []


def show(play: Scene, shown: str, word: str = "connecting", *, owner: bool = False) -> None:
    record = records.Record(paired=False)
    if shown in ("both", "row"):
        record = records.saw_database(record, a_row("connecting", owner=owner, identity=OURS), at=START)
    if shown in ("both", "memory"):
        record = records.saw_memory(record, evidence.InMemory(state(word)), at=START)
    play.one.record = record


@pytest.mark.parametrize("is_due", [False, True])
async def test_deletion_is_over_when_the_name_is_another_incarnations(is_due: bool) -> None:
    play = Scene()
    play.begun()
    theirs = a_row(identity=THEIRS)
    play.time.advance(60 if is_due else 1)
    play.evolution.row = theirs
    if not is_due:
        play.server.observed.rows = {"i0": theirs}

    assert (await play.look())[0] is None
    assert (play.cluster.events, play.evolution.calls) == ([Reason.DELETED], [])


@pytest.mark.parametrize("listed", ["before it began", "as it began", "never", "with it in the list"])
async def test_list_that_is_no_younger_than_the_deletion_does_not_tell_that_it_is_over(listed: str) -> None:
    play = Scene()
    play.evolution.stubborn = True
    play.begun(since=START + timedelta(seconds=1 if listed == "before it began" else 0))
    play.server.observed.rows = {"i0": a_row(identity=OURS if listed == "with it in the list" else THEIRS)}
    if listed == "with it in the list":
        play.time.advance(1)
    if listed == "never":
        play.server.observed.rows = None

    assert (await play.look())[0] == POLL
    assert (play.cluster.events, play.evolution.calls) == ([], [])


async def test_deletion_without_an_id_asks_each_time_whose_the_instance_is() -> None:
    play = Scene(status=NEVER_KNOWN)
    play.begun(instance_id=None, next_at=0.0)
    is_anothers(play)

    await play.look()

    assert (play.cluster.events, play.evolution.calls) == ([Reason.RETAINED], [])


async def test_deletion_with_an_id_goes_by_that() -> None:
    play = Scene(status=NEVER_KNOWN)
    play.begun(instance_id=THEIRS, next_at=0.0)
    is_anothers(play)

    await play.look()

    assert (play.cluster.events, play.evolution.calls) == ([Reason.DELETED], SENT)


# A Recreate whose DELETE did not end.


async def test_recreate_whose_delete_did_not_end_sends_it_again_when_it_is_due() -> None:
    play = Scene()
    play.evolution.stubborn = True
    begun = play.begun(sent=2)
    show(play, "both")
    play.time.advance(60)

    await play.resend()

    assert (play.evolution.calls, play.cluster.calls) == (SENT, [])
    assert play.one.deletion is begun
    assert (begun.sent, begun.next_at) == (3, 60 + 240)


@pytest.mark.parametrize(("sent", "told"), [(1, Reason.TERMINATING), (2, Reason.RECOVERY_EXHAUSTED)])
async def test_recreate_whose_delete_is_refused_tells_a_person(sent: int, told: Reason) -> None:
    """Else its status would say for ever that the server is asked again."""
    play = Scene()
    assert play.one.instance is not None
    metadata = play.one.instance.metadata.replace(deletion_timestamp=None)
    play.one.instance = play.one.instance.replace(metadata=metadata)
    play.begun(sent=sent, next_at=1e6)
    servers.seen(play.server)
    show(play, "both")

    await Reconciler(play.context, StatusWriter(play.context)).look(play.one)

    (ready,) = [one for one in play.cluster.statuses[-1]["conditions"] if one["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", told)


@pytest.mark.parametrize("next_at", [0.0, 60.0])
async def test_recreate_whose_delete_has_ended_is_over_without_another(next_at: float) -> None:
    play = Scene()
    play.begun(next_at=next_at)
    play.evolution.end()

    await play.resend()

    assert (play.one.deletion, play.evolution.calls) == (None, [])


async def test_recreate_whose_delete_is_not_due_sends_none() -> None:
    play = Scene()
    begun = play.begun(next_at=1.0)

    await play.resend()

    assert (play.one.deletion, begun.sent, play.evolution.calls) == (begun, 1, [])


def list_unread(play: Scene) -> None:
    play.evolution.unread = True


@pytest.mark.parametrize("comes", [without_client, cold, paused, of_unknown_version, list_unread])
async def test_recreate_whose_server_cannot_be_asked_now_is_left_as_it_is(comes: Any) -> None:
    play = Scene()
    begun = play.begun(next_at=0.0)
    comes(play)

    await play.resend()

    assert (play.one.deletion, begun.sent, play.evolution.calls) == (begun, 1, [])


@pytest.mark.parametrize(("next_at", "is_waited_for"), [(1.0, True), (0.0, False)])
@pytest.mark.parametrize("mode", [RecoveryMode.DRY_RUN, RecoveryMode.DISABLED])
async def test_recreate_is_not_gone_on_with_where_nothing_is_healed_and_is_over_when_its_delete_has_had_its_time(
    mode: RecoveryMode, next_at: float, *, is_waited_for: bool
) -> None:
    """Else its status would say for ever that the server is asked again."""
    play = Scene()
    begun = play.begun(next_at=next_at)
    policy = play.draft(play.server).policy

    await play.resend(policy=replace(policy, recovery=replace(policy.recovery, mode=mode)))

    assert play.one.deletion is (begun if is_waited_for else None)
    assert play.evolution.calls == []


@pytest.mark.parametrize("mode", [RecoveryMode.DRY_RUN, RecoveryMode.DISABLED])
async def test_server_is_not_asked_about_a_recreate_where_nothing_is_healed(mode: RecoveryMode) -> None:
    play = Scene()
    begun = play.begun(next_at=1.0)
    play.evolution.end()
    policy = play.draft(play.server).policy

    await play.resend(policy=replace(policy, recovery=replace(policy.recovery, mode=mode)))

    assert play.one.deletion is begun


async def test_instance_without_a_deletion_is_not_deleted() -> None:
    play = Scene()

    await play.resend()

    assert play.evolution.calls == []


@pytest.mark.parametrize(
    ("word", "owner", "spares", "known_as", "goes_on"),
    [
        ("connecting", False, True, OURS, True),
        ("connecting", False, True, None, True),
        ("open", False, False, OURS, False),
        ("connecting", True, True, OURS, False),
        ("connecting", True, False, OURS, True),
        ("connecting", False, False, THEIRS, False),
    ],
    ids=["as it was", "id not known yet", "open", "protected since", "protected, as it was", "another incarnation"],
)
async def test_recreate_spares_what_has_healed_or_holds_more_than_it_did(
    word: str, owner: bool, spares: bool, known_as: str | None, goes_on: bool
) -> None:
    play = Scene()
    play.begun(next_at=0.0, spares_protected=spares)
    show(play, "both", word, owner=owner)
    play.one.record = replace(play.one.record, paired=owner)

    await play.resend(instance_id=known_as)

    assert play.evolution.calls == (SENT if goes_on else [])
    assert (play.one.deletion is not None) is goes_on


async def test_recreate_is_over_when_the_name_is_another_incarnations() -> None:
    play = Scene()
    play.begun(next_at=0.0)
    is_anothers(play)

    await play.resend()

    assert (play.one.deletion, play.evolution.calls) == (None, [])


async def test_recreate_spares_an_instance_that_opens_at_the_last_moment() -> None:
    play = Scene()
    play.begun(next_at=0.0)
    play.evolution.memory = evidence.InMemory(OPEN)

    await play.resend()

    assert play.evolution.calls == []


# What a step has taken from an instance that stays.

KEPT = ports.Key("messaging", "i0-keepsake")
HOOK = evidence.Webhook(url="http://shop/hook", events=frozenset({"CALL"}))
OFF = replace(HOOK, enabled=False, events=frozenset())


class Hooked(Evolution):
    """A server whose webhook a step has switched off."""

    webhook = OFF
    answer: evidence.Outcome = evidence.Accepted()

    async def find_webhook(self, _name: str) -> Any:
        return self.webhook

    async def set_webhook(self, _name: str, webhook: evidence.Webhook) -> evidence.Outcome:
        self.calls.append("set webhook")
        if self.answer == evidence.Accepted():
            self.webhook = webhook
        return self.answer


FLIES = {"step": "Relogin", "class": "SessionLoss", "since": f"{START:%Y-%m-%dT%H:%M:%SZ}"}


def bereft(**recovery: Any) -> Scene:
    """A retained instance in the middle of a Relogin, which has taken its webhook."""
    kept = {"keepsake": KEPT.name, "keepsakeDigest": "0" * 64}
    play = Scene(status={"instanceID": OURS, **kept, "recovery": recovery}, deletionPolicy="Retain")
    play.evolution = evolution = Hooked()
    client: Any = evolution
    play.server.client = play.context.observers[play.server.key] = client
    play.server.observed.rows = {"i0": a_row("connecting", identity=OURS)}
    play.one.keepsake = Keepsake(webhook=HOOK)
    play.cluster.secrets[KEPT] = ports.SecretData(values={}, resource_version="1", owner_uids=frozenset({"i0"}))
    return play


def hook_of(play: Scene) -> evidence.Webhook:
    assert isinstance(play.evolution, Hooked)
    return play.evolution.webhook


async def test_what_a_step_took_from_an_instance_that_stays_is_put_back_before_its_resource_goes() -> None:
    play = bereft()

    wait, _ = await play.look()

    assert (wait, play.is_released, play.cluster.events) == (None, True, [Reason.RETAINED])
    assert (hook_of(play), play.evolution.calls) == (HOOK, ["set webhook"])
    assert KEPT not in play.cluster.secrets
    assert "keepsake" not in play.cluster.told[0]
    assert not play.cluster.secrets[SECRET].owner_uids


async def test_what_a_step_took_is_put_back_when_the_time_of_the_step_is_over() -> None:
    play = bereft(inFlight=FLIES)

    for seconds in (0, 29):
        play.time.seconds = seconds
        wait, draft = await play.look()
        assert (wait, play.is_released, play.evolution.calls) == (POLL, False, [])
        assert draft.verdict == Verdict(HealthState.UNKNOWN, Reason.RECOVERING)
        assert draft.synced is Reason.CONFIGURATION_PENDING
    play.time.seconds = 30

    assert ((await play.look())[0], hook_of(play), play.is_released) == (None, HOOK, True)


async def test_resource_that_was_deleted_long_after_the_step_is_let_go_as_soon_as_all_is_put_back() -> None:
    play = bereft(inFlight=FLIES | {"since": f"{START - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"})

    assert ((await play.look())[0], hook_of(play), play.is_released) == (None, HOOK, True)


async def test_what_a_step_took_is_put_back_on_the_incarnation_that_our_token_shows_to_be_ours() -> None:
    play = bereft()
    without_our_token(play)
    play.server.observed.rows = {"i0": replace(a_row(identity=THEIRS), token="ours")}  # noqa: S106 - no secret

    assert ((await play.look())[0], hook_of(play), play.is_released) == (None, HOOK, True)


def nowhere(play: Scene) -> None:
    del play.context.servers[play.server.key]


def is_being_deleted(play: Scene) -> None:
    play.begun()


def refused(play: Scene) -> None:
    play.evolution.answer = evidence.Refused(evidence.Refusal.INVALID)  # type: ignore[attr-defined] # it is one that has a webhook


def is_without_headers(play: Scene) -> None:
    assert play.one.instance is not None
    given = {"url": "http://shop", "events": ["CALL"], "headersSecretRef": {"name": "headers"}}
    found = servers.a_subject("i0", webhook=given).instance
    assert found is not None
    spec = play.one.instance.spec.replace(webhook=found.spec.webhook)
    play.one.instance = play.one.instance.replace(spec=spec)


@pytest.mark.parametrize(
    "comes", [nowhere, paused, another_stands_for_it, is_being_deleted, refused, is_without_headers]
)
async def test_what_cannot_be_put_back_holds_nobody_up_and_stays_in_its_secret_which_is_named(comes: Any) -> None:
    play = bereft()
    comes(play)

    wait, _ = await play.look(server=comes is not nowhere)

    assert (wait, play.is_released, hook_of(play)) == (None, True, OFF)
    assert play.evolution.calls == (["set webhook"] if comes is refused else [])
    assert not play.cluster.secrets[KEPT].owner_uids
    assert play.cluster.told[0].startswith("The Secret i0-keepsake stays as well: it holds webhook and settings")
    assert play.cluster.told[0].endswith(" The instance, if there is one, stays on the server as it is.")


def unanswered(play: Scene) -> None:
    play.evolution.answer = UNKNOWN  # type: ignore[attr-defined] # it is one that has a webhook


def unlisted(play: Scene) -> None:
    play.server.observed.rows = None


def listed_as_anothers(play: Scene) -> None:
    play.server.observed.rows = {"i0": a_row(identity=THEIRS)}


def without_our_token(play: Scene) -> None:
    assert play.one.instance is not None
    play.one.instance = play.one.instance.replace(status=play.one.instance.status.replace(instance_id=None))
    listed_as_anothers(play)


def unread_lately(play: Scene) -> None:
    play.server.observed.memory_at = START - timedelta(hours=1)


NOT_YET = [not_synced, cold, unread_lately, unlisted, listed_as_anothers, without_our_token, unanswered]


@pytest.mark.parametrize("comes", NOT_YET)
async def test_server_that_cannot_be_acted_on_is_waited_for_a_minute_with_what_a_step_took(comes: Any) -> None:
    play = bereft()

    for seconds, is_over in ((0, False), (59, False), (60, True)):
        play.time.seconds = seconds
        servers.seen(play.server, at=play.time.now())
        comes(play)
        wait, _ = await play.look(seen=False)
        assert (wait, play.is_released) == (None if is_over else POLL, is_over)

    assert hook_of(play) == OFF
    assert ("set webhook" in play.evolution.calls) is (comes is unanswered)
    assert not play.cluster.secrets[KEPT].owner_uids
    assert "i0-keepsake" in play.cluster.told[0]


async def test_secret_of_what_a_step_took_that_is_gone_is_not_named() -> None:
    play = bereft()
    del play.cluster.secrets[KEPT]
    paused(play)

    await play.look()

    assert play.cluster.told == ["The instance, if there is one, stays on the server as it is."]


async def test_instance_that_is_deleted_takes_along_what_a_step_took_from_it() -> None:
    play = bereft()
    assert play.one.instance is not None
    spec = play.one.instance.spec.replace(deletion_policy="Delete")
    play.one.instance = play.one.instance.replace(spec=spec)

    await play.look()

    assert play.cluster.events == [Reason.DELETING, Reason.DELETED]
    assert play.cluster.secrets[KEPT].owner_uids


SWITCHED_OFF = "Its webhook may be off: the server was asked to delete it before, which begins with that."


def refused_deletion(*, asked: datetime | None = START - timedelta(hours=1), **spec: Any) -> Scene:
    """An instance that the server did not delete, so that it is to stay."""
    status = {"instanceID": OURS, "configuredGeneration": servers.a_subject("i0").metadata.generation}
    status |= {"deletionAskedAt": f"{asked:%Y-%m-%dT%H:%M:%SZ}"} if asked is not None else {}
    play = Scene(status=status, deletionPolicy="Retain", **spec)
    play.evolution = evolution = Hooked()
    client: Any = evolution
    play.server.client = play.context.observers[play.server.key] = client
    play.server.observed.rows = {"i0": a_row("connecting", identity=OURS)}
    return play


WITH_HOOK: Mapping[str, Any] = {"webhook": {"url": HOOK.url, "events": sorted(HOOK.events)}}


async def test_webhook_of_the_spec_is_on_again_where_a_deletion_that_was_refused_is_given_up() -> None:
    play = refused_deletion(**WITH_HOOK)

    assert ((await play.look())[0], play.is_released) == (None, True)
    assert hook_of(play).enabled
    assert play.cluster.told == ["The instance, if there is one, stays on the server as it is."]


@pytest.mark.parametrize("comes", [not_synced, cold, unread_lately, unlisted])
async def test_webhook_of_a_deletion_that_is_given_up_long_after_is_put_back_once_its_server_can_be_read(
    comes: Any,
) -> None:
    """As after a start of the operator, or an outage of the server."""
    play = refused_deletion(**WITH_HOOK)
    play.time.seconds = 300
    comes(play)
    assert ((await play.look(seen=False))[0], play.is_released) == (POLL, False)
    play.context.may_step = True
    play.server.observed.rows = {"i0": a_row("connecting", identity=OURS)}
    play.time.seconds = 330

    assert ((await play.look())[0], play.is_released) == (None, True)
    assert hook_of(play).enabled


@pytest.mark.parametrize("by", ["this process", "another process"])
async def test_webhook_is_not_put_back_while_the_logout_of_a_deletion_may_be_under_way(by: str) -> None:
    play = refused_deletion(asked=START, **WITH_HOOK) if by == "another process" else refused_deletion(**WITH_HOOK)
    if by == "this process":
        play.begun(sent=1, next_at=play.time.monotonic() + 60.0)
    waits = list[float | None]()

    for seconds in (0, 29, 30):
        play.time.seconds = seconds
        waits.append((await play.look())[0])

    assert waits == [POLL, POLL, None]
    assert hook_of(play).enabled


async def test_webhook_of_what_nobody_asked_to_delete_is_no_business_of_a_retention() -> None:
    play = refused_deletion(asked=None, **WITH_HOOK)
    assert play.one.instance is not None
    not_configured = play.one.instance.status.replace(configured_generation=None)
    play.one.instance = play.one.instance.replace(status=not_configured)

    assert ((await play.look())[0], play.is_released, play.evolution.calls) == (None, True, [])


@pytest.mark.parametrize("spec", [{}, WITH_HOOK], ids=["in no spec", "that cannot be put back"])
async def test_webhook_that_a_refused_deletion_has_switched_off_is_told_of(spec: Mapping[str, Any]) -> None:
    play = refused_deletion(**spec)
    play.evolution.answer = evidence.Refused(evidence.Refusal.INVALID)  # type: ignore[attr-defined] # it has a webhook

    assert ((await play.look())[0], play.is_released) == (None, True)
    assert not hook_of(play).enabled
    assert play.cluster.told[0].startswith(SWITCHED_OFF)
