"""What is somebody else's is not changed, though it has the name of what was ours a moment ago."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster
from support.world import START, a_row
from whatsapp_operator.engine import configuration
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine.codes import Codes
from whatsapp_operator.engine.server import Server
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.resources.reasons import Reason

CONNECTING = evidence.InMemory(ConnectionState.CONNECTING)
WEBHOOK = {"url": "http://receiver/hook", "events": ["QRCODE_UPDATED"]}
OURS, THEIRS = "id-of-i0", "of-somebody-else"


class Evolution:
    """A server that takes everything, and notes what would have changed something."""

    def __init__(self) -> None:
        self.changes: list[str] = []

    async def read_memory(self, _name: str) -> evidence.MemoryReading:
        return CONNECTING

    async def connect(self, _name: str) -> evidence.NoCode:
        self.changes.append("connect")
        return evidence.NoCode()

    async def find_webhook(self, _name: str) -> None:
        return None

    async def set_webhook(self, _name: str, _webhook: evidence.Webhook) -> evidence.Outcome:
        self.changes.append("set_webhook")
        return evidence.Accepted()

    async def set_settings(self, _name: str, _settings: object) -> evidence.Outcome:
        self.changes.append("set_settings")
        return evidence.Accepted()


def stage(identity: str, **spec: Any) -> tuple[contexts.Context, Server, drafts.Draft, Evolution]:
    """An instance in want of a scan, on a server whose last list has this id under its name."""
    time, one, evolution = simulated.Time(), servers.a_server(), Evolution()
    context = servers.a_context(time, one, Cluster())
    client: Any = evolution
    one.client, one.subjects["i0"] = client, servers.a_subject("i0", **spec)
    row = replace(a_row("connecting", identity=identity), settings={})
    one.observed.rows = {"i0": row}
    subject = one.subjects["i0"]
    subject.record = records.saw_database(records.Record(paired=False), row, at=START)
    subject.record = records.saw_memory(subject.record, CONNECTING, at=START)
    assert subject.instance is not None
    draft = drafts.begin(subject, subject.instance, one, pause=None, now=time.now())
    draft.window_opened_at = START
    return context, one, draft, evolution


@pytest.mark.parametrize(("identity", "changes"), [(OURS, ["set_settings"]), (THEIRS, [])])
async def test_settings_are_set_on_the_incarnation_that_is_ours(identity: str, changes: list[str]) -> None:
    context, one, draft, evolution = stage(identity, settings={"rejectCall": True})

    assert await configuration.synchronise(context, one, draft) is Reason.CONFIGURATION_PENDING
    assert evolution.changes == changes


@pytest.mark.parametrize(("identity", "changes"), [(OURS, ["set_webhook"]), (THEIRS, [])])
async def test_webhook_is_set_on_the_incarnation_that_is_ours(identity: str, changes: list[str]) -> None:
    context, one, draft, evolution = stage(identity, webhook=WEBHOOK)

    assert await configuration.synchronise(context, one, draft) is Reason.CONFIGURATION_PENDING
    assert evolution.changes == changes


@pytest.mark.parametrize(("identity", "changes"), [(OURS, ["connect"]), (THEIRS, [])])
async def test_code_is_read_of_the_incarnation_that_is_ours(identity: str, changes: list[str]) -> None:
    context, one, draft, evolution = stage(identity)

    await Codes(context).keep(one, draft)

    assert evolution.changes == changes


@pytest.mark.parametrize(
    ("name", "instance_id", "expected"),
    [("i0", OURS, False), ("i0", THEIRS, True), ("i0", None, True), ("unlisted", OURS, True)],
)
def test_name_is_anothers_only_by_a_row_that_says_so(name: str, instance_id: str | None, expected: bool) -> None:
    _, one, _, _ = stage(THEIRS)

    assert one.stands_for(name, instance_id) is expected
