"""A spec that names another Secret wants another token, which only a creation gives an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from engine.test_creation import GIVEN, Secrets, begun
from support.world import a_row
from whatsapp_operator.engine import configuration, ports, tokens
from whatsapp_operator.engine.subject import Token
from whatsapp_operator.health import record as records
from whatsapp_operator.health.witnesses import Database
from whatsapp_operator.resources.reasons import Reason

OTHER = ports.SecretData(values={"colour": b"red"}, resource_version="1")
AT_MINE = {"tokenSecretRef": {"name": "mine"}}


async def outcome(
    secrets: Secrets, *, on_server: str | None, known: Token | None = None, spec: Mapping[str, object] = AT_MINE
) -> Reason:
    house, draft = begun(secrets, **spec)
    row = replace(a_row("open", owner=True, identity="id-1"), token=on_server)
    moment = house.time.now()
    draft.subject.record = records.Record(database=Database(row, since=moment, seen_at=moment, moved_at=moment))
    draft.subject.token = known
    return await configuration.synchronise(house.context, house.server, draft)


async def test_instance_that_has_another_token_than_the_secret_says_so() -> None:
    assert await outcome(Secrets(GIVEN), on_server="another") is Reason.TOKEN_DIFFERS


async def test_instance_whose_secret_is_missing_says_so() -> None:
    assert await outcome(Secrets(), on_server="another") is Reason.TOKEN_DIFFERS


async def test_secret_without_the_key_is_named() -> None:
    assert await outcome(Secrets(OTHER), on_server="another") is Reason.SECRET_NOT_OURS


async def test_instance_that_has_the_token_of_the_secret_is_synced() -> None:
    assert await outcome(Secrets(GIVEN), on_server="given") is Reason.SYNCED


@pytest.mark.parametrize(
    ("policy", "is_disowned"),
    [({"deletionPolicy": "Retain"}, True), ({"deletionPolicy": "Delete"}, False), ({}, False)],
)
async def test_token_of_what_is_retained_is_its_resource_s_no_longer(
    policy: dict[str, object], is_disowned: bool
) -> None:
    secrets = Secrets(replace(GIVEN, owner_uids=frozenset({"shop"})))

    assert await outcome(secrets, on_server="given", spec=policy) is Reason.SYNCED

    assert ("disown" in secrets.asked) is is_disowned


async def test_token_that_this_process_gave_the_instance_is_not_read_again() -> None:
    secrets, token = Secrets(), Token("ours", generated=True, place=("shop-token", "token"))

    assert await outcome(secrets, on_server="ours", known=token, spec={}) is Reason.SYNCED

    assert secrets.asked == []


@pytest.mark.parametrize("spec", [AT_MINE, {"tokenSecretRef": {"name": "shop-token", "key": "other"}}])
async def test_next_creation_takes_the_token_from_where_the_spec_says_now(spec: dict[str, object]) -> None:
    secrets = Secrets(ports.SecretData(values={"token": b"given", "other": b"given"}, resource_version="1"))
    house, draft = begun(secrets, **spec)
    draft.subject.token = Token("ours", generated=True, place=("shop-token", "token"))

    assert (await tokens.ensure(house.context, draft)).value == "given"


@pytest.mark.parametrize(("identity", "is_kept"), [("id-1", True), ("id-2", False)])
async def test_secret_that_was_deleted_is_made_again_with_the_token_of_the_instance(
    identity: str, is_kept: bool
) -> None:
    secrets = Secrets()
    house, draft = begun(secrets)
    moment = house.time.now()
    row = replace(a_row("open", owner=True, identity="id-1"), token="of-the-clients")  # noqa: S106 - opens nothing
    draft.subject.record = records.Record(database=Database(row, since=moment, seen_at=moment, moved_at=moment))
    draft.instance_id = identity

    made = await tokens.ensure(house.context, draft)

    assert (made.value == "of-the-clients") is is_kept


async def test_token_that_was_read_elsewhere_does_not_tell_whose_an_instance_is() -> None:
    _, draft = begun(Secrets(), **AT_MINE)
    for place, known in ((("shop-token", "token"), False), (("mine", "token"), True)):
        draft.subject.token = Token("ours", generated=True, place=place)
        assert (tokens.known(draft) is not None) is known
