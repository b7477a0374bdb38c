"""Whose an instance is when its resource goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support import servers, simulated
from support.servers import Cluster
from support.world import START, a_row
from whatsapp_operator.engine import deletion, existence, ports
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine.announce import Announcer
from whatsapp_operator.engine.status import StatusWriter

TOKEN = "canary-token"  # noqa: S105 - a token of a test
ROW = replace(a_row("open", owner=True, identity="id-of-i0"), token=TOKEN)
POLICY: dict[str, object] = {"deletionPolicy": "Delete"}


async def is_ours(*, status: dict[str, object], managed: bool, spec: dict[str, object] | None = None) -> bool:
    """Whether a deletion takes the instance along; `managed` is a token that this operator generated."""
    cluster, one, subject = Cluster(), servers.a_server(), servers.a_subject("i0", status=status, **spec or {})
    context = servers.a_context(simulated.Time(), one, cluster)
    values = {"token": TOKEN.encode()}
    cluster.secrets[ports.Key("messaging", "i0-token")] = ports.SecretData(
        values=values, resource_version="1", managed=managed
    )
    assert subject.instance is not None
    draft = drafts.begin(subject, subject.instance, one, pause=None, now=START)
    announcer = Announcer(context)
    found = existence.Existence(context, StatusWriter(context), announcer)
    return await deletion.Deletions(context, found, announcer)._is_ours(draft, ROW)  # noqa: SLF001 - all else is e2e


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
