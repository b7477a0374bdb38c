"""What a step takes and no spec says is had back by whoever comes after, and stays out of every repr."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support import simulated, surroundings
from support.world import a_row
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import keepsake, ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records

SECRET = {"password": "canary"}
PROXY = evidence.Proxy(host="proxy.example.com", port="3128", protocol="http", username="shop", **SECRET)


class Secrets:
    """The Secrets of a namespace, as the engine's port has them."""

    def __init__(self) -> None:
        self.kept: dict[ports.Key, ports.SecretData] = {}

    async def create_secret(self, key: ports.Key, values: Any, *, owner: ports.Owner | None) -> None:
        assert owner is not None
        self.kept[key] = ports.SecretData(values=dict(values), resource_version="1", owner_uids=frozenset({owner.uid}))

    async def read_secret(self, key: ports.Key) -> ports.SecretData:
        return self.kept[key]


def a_draft(context: Context, row: evidence.Row) -> Draft:
    body = {
        "metadata": {"name": "shop", "namespace": "messaging", "uid": "u-1"},
        "spec": {
            "serverRef": {"name": "main"},
            "webhook": {"url": "https://shop.example.com", "events": ["MESSAGES_UPSERT"]},
        },
    }
    one = Subject(key=ports.Key("messaging", "shop"), body=body)
    one.update(body)
    assert one.instance is not None
    one.record = records.saw_database(records.Record(paired=True), row, at=context.clock.now())
    return drafts.begin(one, one.instance, None, pause=None, now=context.clock.now())


async def test_proxy_is_kept_and_had_back_by_another_process() -> None:
    secrets = Secrets()
    context = surroundings.context(simulated.Time(), kubernetes=secrets)
    draft = a_draft(context, replace(a_row(), proxy=PROXY))
    await keepsake.keep(context, Server(key=ports.Key("messaging", "main"), body={}), draft)

    later = a_draft(context, a_row())
    later.keepsake, later.keepsake_digest = draft.keepsake, draft.keepsake_digest
    found = await keepsake.recall(context, later)

    assert found.proxy == PROXY
    assert "canary" not in repr(found) + repr(draft.subject)


async def test_nothing_is_kept_where_there_is_nothing_to_keep() -> None:
    context = surroundings.context(simulated.Time(), kubernetes=Secrets())
    draft = a_draft(context, a_row())

    await keepsake.keep(context, Server(key=ports.Key("messaging", "main"), body={}), draft)

    assert draft.keepsake is None
    assert (await keepsake.recall(context, draft)).proxy is None
