"""What a step takes from an instance is kept in a Secret until it is put back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster, Told
from support.simulated import START
from support.world import a_row
from whatsapp_operator.engine import configuration, keepsake, ports
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.presentation import present
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Keepsake
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.resources.reasons import Reason

HOOK = evidence.Webhook(
    url="http://shop/hook",
    events=frozenset({"MESSAGES_UPSERT", "REMOVE_INSTANCE"}),
    headers={"Authorization": "canary-4711"},
    by_events=True,
    base64=True,
)
TIMED_OUT = evidence.Unknown(evidence.Ignorance.TIMEOUT)


class Evolution:
    """A server that has one webhook."""

    def __init__(self, webhook: evidence.Webhook | evidence.Unknown | None) -> None:
        self.webhook = webhook

    async def find_webhook(self, _name: str) -> evidence.Webhook | evidence.Unknown | None:
        return self.webhook


def begun(
    webhook: evidence.Webhook | evidence.Unknown | None = HOOK, *, cluster: Cluster | None = None, spec: Any = None
) -> tuple[contexts.Context, Server, Draft, Cluster]:
    cluster, one, subject = cluster or Cluster(), servers.a_server(), servers.a_subject("shop", **spec or {})
    context = servers.a_context(simulated.Time(), one, cluster)
    client: Any = Evolution(webhook)
    one.client = client
    assert subject.instance is not None
    return context, one, drafts.begin(subject, subject.instance, one, pause=None, now=START), cluster


async def restored(context: contexts.Context, draft: Draft) -> Keepsake:
    """As another process of the operator has it, which knows only the status and the Secret."""
    draft.subject.keepsake = None
    return await keepsake.recall(context, draft)


async def test_webhook_and_settings_are_read_back_as_they_were() -> None:
    context, one, draft, cluster = begun()
    row = evidence.Row(
        **{name: getattr(a_row(), name) for name in a_row().__slots__} | {"settings": {"rejectCall": True}}
    )
    draft.subject.record = records.saw_database(records.Record(), row, at=START)

    await keepsake.keep(context, one, draft)

    assert draft.keepsake is not None
    assert await restored(context, draft) == Keepsake(webhook=HOOK, settings={"rejectCall": True})
    (secret,) = cluster.secrets.values()
    assert secret.owner_uids == {"shop"}


async def test_headers_stay_out_of_everything_but_the_secret() -> None:
    context, one, draft, _ = begun()

    await keepsake.keep(context, one, draft)

    assert "canary-4711" not in repr(draft.subject.keepsake)


@pytest.mark.parametrize(
    "webhook",
    [None, evidence.Webhook(url="http://shop/hook", enabled=False), evidence.Webhook(url="", enabled=True)],
    ids=["none", "off", "nobody's"],
)
async def test_webhook_that_calls_nobody_is_not_kept(webhook: evidence.Webhook | None) -> None:
    context, one, draft, cluster = begun(webhook)

    await keepsake.keep(context, one, draft)

    assert (draft.keepsake, cluster.calls) == (None, [])


SAID = {"webhook": {"url": "http://shop/spec", "events": ["MESSAGES_UPSERT"]}}


async def test_webhook_that_leaves_the_spec_after_a_step_has_taken_it_is_put_back_as_it_was() -> None:
    context, one, draft, _ = begun(spec=SAID)

    await keepsake.keep(context, one, draft)

    said = await configuration.wanted_webhook(context, draft)
    assert said is not None
    assert said.url == "http://shop/spec"
    draft.instance = draft.instance.replace(spec=draft.instance.spec.replace(webhook=None))
    await restored(context, draft)
    assert await configuration.wanted_webhook(context, draft) == HOOK


async def test_webhook_of_the_spec_that_cannot_be_read_holds_no_step_up() -> None:
    context, one, draft, cluster = begun(TIMED_OUT, spec=SAID)

    await keepsake.keep(context, one, draft)

    assert (draft.keepsake, cluster.calls) == (None, [])


async def test_settings_that_the_spec_says_are_not_kept() -> None:
    context, one, draft, cluster = begun(None, spec={"settings": {"rejectCall": False}})
    row = replace(a_row(), settings={"rejectCall": True})
    draft.subject.record = records.saw_database(records.Record(), row, at=START)

    await keepsake.keep(context, one, draft)

    assert (draft.keepsake, cluster.calls) == (None, [])


async def test_step_whose_webhook_cannot_be_read_is_not_prepared() -> None:
    context, one, draft, cluster = begun(TIMED_OUT)

    with pytest.raises(keepsake.Unreadable):
        await keepsake.keep(context, one, draft)

    assert (draft.keepsake, cluster.calls) == (None, [])


async def test_webhook_of_a_ghost_cannot_be_read_and_holds_nothing_up() -> None:
    context, one, draft, _ = begun(TIMED_OUT)
    draft.subject.record = records.saw_memory(records.Record(), evidence.NotInMemory(), at=START)

    await keepsake.keep(context, one, draft)

    assert draft.keepsake is None


async def test_keepsake_that_is_not_put_back_yet_is_not_replaced_by_what_a_step_left() -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)
    client: Any = Evolution(evidence.Webhook(url="http://other/hook"))
    one.client = client

    await keepsake.keep(context, one, draft)

    assert cluster.calls.count("create secret") == 1
    assert (await restored(context, draft)).webhook == HOOK


async def test_secret_that_a_crash_left_behind_is_written_anew() -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)
    context, one, draft, _ = begun(evidence.Webhook(url="http://newer/hook"), cluster=cluster)

    await keepsake.keep(context, one, draft)

    found = (await restored(context, draft)).webhook
    assert found is not None
    assert found.url == "http://newer/hook"


async def test_secret_of_somebody_else_is_never_overwritten() -> None:
    context, one, draft, cluster = begun()
    key = ports.Key("messaging", draft.instance.keepsake_secret_name)
    theirs = ports.SecretData(values={"mine": b"1"}, resource_version="1", owner_uids=frozenset({"another"}))
    cluster.secrets[key] = theirs

    with pytest.raises(keepsake.NotOurs):
        await keepsake.keep(context, one, draft)

    assert cluster.secrets[key] is theirs
    assert draft.keepsake is None


async def test_secret_of_somebody_else_is_looked_at_again_until_it_is_gone_or_ours_and_only_then() -> None:
    context, one, draft, cluster = begun()
    await keepsake.require_room(context, draft)
    assert cluster.calls == [], "nothing is known against it"
    key = ports.Key("messaging", draft.instance.keepsake_secret_name)
    theirs = ports.SecretData(values={}, resource_version="1")
    for afterwards in ({}, {key: replace(theirs, owner_uids=frozenset({"shop"}))}):
        cluster.secrets = {key: theirs}
        with pytest.raises(keepsake.NotOurs):
            await keepsake.keep(context, one, draft)
        with pytest.raises(keepsake.NotOurs):
            await keepsake.require_room(context, draft)
        cluster.secrets = dict(afterwards)
        await keepsake.require_room(context, draft)
        cluster.calls.clear()
        await keepsake.require_room(context, draft)
        assert cluster.calls == [], "it has gone"


async def test_secret_that_cannot_be_written_keeps_nothing() -> None:
    context, one, draft, cluster = begun()
    cluster.fails["create secret"] = ports.Unavailable()

    with pytest.raises(ports.Unavailable):
        await keepsake.keep(context, one, draft)

    assert (draft.keepsake, draft.subject.keepsake) == (None, None)


def forge(cluster: Cluster, draft: Draft, values: dict[str, bytes] | None) -> None:
    """As a tenant does, who may write Secrets of the namespace; None removes it."""
    key = ports.Key("messaging", draft.instance.keepsake_secret_name)
    before = cluster.secrets.pop(key)
    if values is not None:
        cluster.secrets[key] = replace(before, values=values, resource_version="3")


async def test_keepsake_that_somebody_removed_is_told_and_puts_nothing_back() -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)
    forge(cluster, draft, None)

    assert (await restored(context, draft)).empty
    assert isinstance(context.telemetry, Told)
    assert context.telemetry.problems == ["A keepsake was removed"]


EVE = {"host": "eve", "port": "1", "protocol": "http", "username": "", "password": ""}
FORGED = json.dumps({"settings": None, "proxy": EVE}).encode()


@pytest.mark.parametrize(
    "values",
    [{}, {"configuration": b"x"}, {"configuration": b"[]"}, {"configuration": FORGED}],
    ids=["no key", "no JSON", "no object", "another proxy"],
)
async def test_keepsake_that_somebody_changed_is_refused(values: dict[str, bytes]) -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)
    forge(cluster, draft, values)

    with pytest.raises(keepsake.Changed):
        await restored(context, draft)


async def test_change_of_a_keepsake_shows_in_synced_and_calls_nothing() -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)
    forge(cluster, draft, {"configuration": FORGED})
    draft.subject.keepsake = None

    assert await configuration.synchronise(context, one, draft) is Reason.KEEPSAKE_CHANGED

    assert draft.keepsake is not None
    shown = present(draft.view(), now=START)
    assert (shown.keepsake, shown.keepsake_digest) == (draft.keepsake, draft.keepsake_digest)


async def test_digest_does_not_tell_what_is_kept() -> None:
    digests = set()
    for chance in (0.25, 0.5):
        context, one, draft, _ = begun()
        salt = simulated.Chance()
        salt.value, context.random = chance, salt
        await keepsake.keep(context, one, draft)
        digests.add(draft.keepsake_digest)

    assert len(digests) == 2


async def test_keepsake_that_was_put_back_is_dropped_with_its_secret() -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)

    await keepsake.drop(context, draft)

    assert (draft.keepsake, draft.keepsake_digest, draft.subject.keepsake, cluster.secrets) == (None, None, None, {})
    assert (await keepsake.recall(context, draft)).empty


async def test_secret_that_somebody_has_put_in_place_of_the_keepsake_stays_when_all_is_put_back() -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)
    key = ports.Key("messaging", draft.instance.keepsake_secret_name)
    theirs = replace(cluster.secrets[key], owner_uids=frozenset({"another"}))
    cluster.secrets[key] = theirs

    await keepsake.drop(context, draft)

    assert (draft.keepsake, cluster.secrets) == (None, {key: theirs})


async def test_secret_that_was_removed_by_hand_meanwhile_is_dropped_in_silence() -> None:
    context, one, draft, cluster = begun()
    await keepsake.keep(context, one, draft)
    cluster.secrets.clear()

    await keepsake.drop(context, draft)

    assert draft.keepsake is None


async def test_nothing_kept_costs_no_call() -> None:
    context, _, draft, cluster = begun()

    assert (await keepsake.recall(context, draft)).empty
    await keepsake.drop(context, draft)
    assert cluster.calls == []
