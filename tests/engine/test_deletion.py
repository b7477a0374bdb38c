"""Whose an instance is when its resource goes, and what is waited for before it is let go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support import servers, simulated
from support.servers import Cluster
from support.world import START, a_row
from whatsapp_operator.engine import deletion, existence, ports
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.reconciler import Reconciler
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.resources import names

TOKEN = "canary-token"  # noqa: S105 - a token of a test
ROW = replace(a_row("open", owner=True, identity="id-of-i0"), token=TOKEN)
POLICY: dict[str, object] = {"deletionPolicy": "Delete"}


async def is_ours(
    *, status: dict[str, object], managed: bool, spec: dict[str, object] | None = None, stored: str | None = TOKEN
) -> bool:
    """Whether a deletion takes the instance along; `managed` is a token that this operator generated."""
    cluster, one, subject = Cluster(), servers.a_server(), servers.a_subject("i0", status=status, **spec or {})
    context = servers.a_context(simulated.Time(), one, cluster)
    if stored is not None:
        values = {"token": stored.encode()} if stored else {"colour": b"red"}
        secret = ports.SecretData(values=values, resource_version="1", managed=managed)
        cluster.secrets[ports.Key("messaging", "i0-token")] = secret
    assert subject.instance is not None
    draft = drafts.begin(subject, subject.instance, one, pause=None, now=START)
    announcer, writer = Announcer(context), StatusWriter(context)
    found = existence.Existence(context, writer, announcer)
    return await deletion.Deletions(context, writer, found, announcer)._is_ours(draft, ROW)  # noqa: SLF001 - all else is e2e


async def test_instance_that_the_status_knows_is_deleted() -> None:
    assert await is_ours(status={"instanceID": "id-of-i0", "adopted": False}, managed=False)


async def test_instance_that_a_crash_kept_from_being_written_down_is_known_by_the_token_that_was_generated_for_it() -> (
    None
):
    assert await is_ours(status={"paired": True}, managed=True)


@pytest.mark.parametrize("spec", [None, {"deletionPolicy": "Retain"}])
async def test_instance_whose_adoption_a_crash_kept_from_being_written_down_stays(
    spec: dict[str, object] | None,
) -> None:
    assert not await is_ours(status={"paired": True}, managed=False, spec=spec)


async def test_adopted_instance_is_deleted_where_its_spec_says_so() -> None:
    assert await is_ours(status={"paired": True}, managed=False, spec=POLICY)


async def test_instance_that_this_operator_created_with_a_users_token_is_deleted() -> None:
    assert await is_ours(status={"adopted": False}, managed=False)


@pytest.mark.parametrize("stored", ["another", "", None], ids=["another token", "no token in the Secret", "no Secret"])
async def test_instance_that_no_token_shows_to_be_ours_is_not_deleted(stored: str | None) -> None:
    assert not await is_ours(status={"adopted": False}, managed=True, stored=stored)


@pytest.mark.parametrize("managed", [True, False])
async def test_instance_of_another_integration_than_the_declared_one_stays(managed: bool) -> None:
    other = {"integration": "EVOLUTION", **POLICY}

    assert not await is_ours(status={"paired": True}, managed=managed, spec=other)
    assert await is_ours(status={"instanceID": "id-of-i0"}, managed=managed, spec=other)


NONSENSE = {"serverRef": {"name": "main"}, "deletionPolicy": "Burn"}


class Going(Cluster):
    """A Kubernetes API in which a namespace is being deleted, or only the resource."""

    def __init__(self, *, is_going: bool) -> None:
        super().__init__()
        self.is_going, self.finalizers = is_going, [names.FINALIZER]
        self.refuses = 0
        """So many removals of a finalizer fail first."""

    async def namespace_is_terminating(self, _namespace: str) -> bool:
        return self.is_going

    async def write_finalizers(
        self, _kind: str, _key: ports.Key, finalizers: tuple[str, ...], *, resource_version: str
    ) -> ports.Body:
        del resource_version
        if self.refuses:
            self.refuses -= 1
            raise ports.Unavailable
        self.finalizers = list(finalizers)
        return self.resource


def unread(*, deleted: bool = True) -> Subject:
    """An instance that was created, and whose spec this operator does not understand any more."""
    one = servers.a_subject("i0")
    deletion = {"deletionTimestamp": "2026-11-23T10:00:00Z"} if deleted else {}
    metadata = {**one.body["metadata"], "finalizers": [names.FINALIZER], **deletion}
    one.update({**one.body, "metadata": metadata, "spec": NONSENSE})
    assert one.instance is None
    return one


@pytest.mark.parametrize(
    ("is_going", "deleted", "seconds", "is_released"),
    [(True, True, 600, True), (True, True, 599, False), (False, True, 6000, False), (True, False, 6000, False)],
    ids=["its time is over", "its time is not over", "its namespace stays", "it stays"],
)
async def test_instance_that_nobody_understands_is_let_go_when_its_namespace_has_been_going_for_long(
    is_going: bool, deleted: bool, seconds: int, is_released: bool
) -> None:
    time, cluster, one, told = simulated.Time(), Going(is_going=is_going), unread(deleted=deleted), servers.Told()
    context = servers.a_context(time, servers.a_server(), cluster, telemetry=told)
    context.subjects[one.key] = one
    cluster.resource = {"metadata": dict(one.body["metadata"]), "spec": NONSENSE}
    reconciler = Reconciler(context, StatusWriter(context))

    await reconciler.look(one)
    time.advance(seconds)
    wait = await reconciler.look(one)

    assert cluster.finalizers == ([] if is_released else [names.FINALIZER])
    assert [(entry.phase.value, entry.reason) for entry in told.audits] == (
        [("orphaned", "InvalidSpec")] if is_released else []
    )
    assert (wait is None) is (is_released or not deleted)


async def test_what_nobody_understands_and_does_not_hold_up_its_namespace_is_none_of_the_orphans() -> None:
    time, cluster, one, told = simulated.Time(), Going(is_going=True), unread(), servers.Told()
    one.update({**one.body, "metadata": {**one.body["metadata"], "finalizers": []}, "spec": NONSENSE})
    context = servers.a_context(time, servers.a_server(), cluster, telemetry=told)
    announcer = Announcer(context)
    writer = StatusWriter(context)
    deletions = deletion.Deletions(context, writer, existence.Existence(context, writer, announcer), announcer)

    for _ in range(2):
        assert await deletions.release_unread(one) is None
        time.advance(600)

    assert told.audits == []


async def test_what_nobody_understands_is_told_to_be_an_orphan_once_however_often_its_finalizer_is_removed() -> None:
    time, cluster, one, told = simulated.Time(), Going(is_going=True), unread(), servers.Told()
    context = servers.a_context(time, servers.a_server(), cluster, telemetry=told)
    announcer, writer = Announcer(context), StatusWriter(context)
    deletions = deletion.Deletions(context, writer, existence.Existence(context, writer, announcer), announcer)
    await deletions.release_unread(one)
    time.advance(600)
    cluster.refuses = 1

    with pytest.raises(ports.Unavailable):
        await deletions.release_unread(one)
    assert await deletions.release_unread(one) is None

    assert cluster.finalizers == []
    assert len(told.audits) == 1


async def test_wait_for_a_namespace_to_be_gone_begins_anew_when_it_stays_after_all() -> None:
    time, cluster, one = simulated.Time(), Going(is_going=True), unread()
    context = servers.a_context(time, servers.a_server(), cluster)
    announcer, writer = Announcer(context), StatusWriter(context)
    deletions = deletion.Deletions(context, writer, existence.Existence(context, writer, announcer), announcer)
    for is_going in (True, False, True):
        cluster.is_going = is_going
        time.advance(599)
        await deletions.release_unread(one)

    assert cluster.finalizers == [names.FINALIZER]


async def shown_by(one: Subject, *, server_goes: bool) -> str:
    """The reason that a look shows of a resource that we do not hold yet."""
    time, cluster, server = simulated.Time(), Cluster(resource=dict(one.body)), servers.a_server(instances=0)
    if server_goes:
        server.update(
            {**server.body, "metadata": {**server.body["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
        )
    context = servers.a_context(time, server, cluster)
    context.subjects[one.key] = one
    await Reconciler(context, StatusWriter(context)).look(one)
    (written,) = cluster.statuses
    return next(str(shown["reason"]) for shown in written["conditions"] if shown["type"] == "Synced")


@pytest.mark.parametrize(
    ("server_goes", "asked", "is_refused"),
    [(True, False, True), (True, True, False), (False, False, False)],
    ids=["new", "its finalizer may be there", "the server stays"],
)
async def test_server_that_is_being_deleted_takes_no_new_instance(
    server_goes: bool, asked: bool, is_refused: bool
) -> None:
    """Else its last instance would make room for another of the name just as the server, and its key, are let go."""
    one = servers.a_subject("i9", status={})
    one.hold_asked = asked

    assert (await shown_by(one, server_goes=server_goes) == "ServerTerminating") is is_refused
