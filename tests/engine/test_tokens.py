"""The token of an instance: how it is made up, whose its Secret is, and when it is read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from engine.test_creation import GENERATED, GIVEN, Secrets, begun
from engine.test_token_place import AT_MINE, outcome
from support import simulated
from whatsapp_operator.engine import ports, tokens
from whatsapp_operator.engine.subject import Token
from whatsapp_operator.resources.reasons import Reason


class Owned(Secrets):
    """A Kubernetes API that notes for whom a Secret is created; another one that is there may go meanwhile."""

    def __init__(self, found: ports.SecretData | None = None, *, going: bool = False) -> None:
        super().__init__(found)
        self.going, self.owners = going, list[ports.Owner | None]()

    async def create_secret(self, _key: ports.Key, values: Mapping[str, bytes], **given: object) -> None:
        owner = given["owner"]
        assert owner is None or isinstance(owner, ports.Owner)
        self.owners.append(owner)
        try:
            await super().create_secret(_key, values)
        finally:
            self.found = None if self.going else self.found


async def test_token_is_made_of_forty_digits_and_letters() -> None:
    house, draft = begun(secrets := Secrets())
    house.context.random = simulated.Chance(0.75)

    token = await tokens.ensure(house.context, draft)

    assert token.value == f"C{39 * '0'}"
    assert secrets.found is not None
    assert secrets.found.text("token") == token.value


async def test_token_that_was_read_from_the_secret_of_the_spec_is_not_read_again() -> None:
    house, draft = begun(secrets := Secrets(GIVEN), **AT_MINE)
    first = await tokens.ensure(house.context, draft)

    assert await tokens.ensure(house.context, draft) is first

    assert secrets.asked == ["read"]


@pytest.mark.parametrize("spec", [{}, {"deletionPolicy": "Delete"}])
async def test_token_of_what_goes_with_its_resource_goes_with_it_as_well(spec: dict[str, object]) -> None:
    house, draft = begun(secrets := Owned(), **spec)

    await tokens.ensure(house.context, draft)

    assert secrets.owners == [ports.Owner(kind="WhatsAppInstance", name="shop", uid=draft.instance.metadata.uid)]


async def test_token_of_what_is_retained_is_nobody_s_from_the_start() -> None:
    house, draft = begun(secrets := Owned(), deletionPolicy="Retain")

    await tokens.ensure(house.context, draft)

    assert secrets.owners == [None]


async def test_token_whose_secret_goes_while_it_is_looked_at_is_asked_for_again() -> None:
    house, draft = begun(Owned(GENERATED, going=True))

    with pytest.raises(ports.Conflict):
        await tokens.ensure(house.context, draft)

    assert draft.subject.token is None


async def test_instance_whose_token_the_server_does_not_show_is_synced() -> None:
    assert await outcome(Secrets(GIVEN), on_server=None) is Reason.SYNCED


@pytest.mark.parametrize("owners", [frozenset[str](), frozenset({"of another"})])
async def test_secret_of_somebody_else_stays_theirs_also_where_the_instance_is_retained(owners: frozenset[str]) -> None:
    secrets = Secrets(replace(GIVEN, owner_uids=owners))

    assert await outcome(secrets, on_server="given", spec=AT_MINE | {"deletionPolicy": "Retain"}) is Reason.SYNCED

    assert secrets.asked
    assert "disown" not in secrets.asked


async def test_secret_of_a_retained_instance_that_was_deleted_holds_nothing_up() -> None:
    secrets, token = Secrets(), Token("ours", generated=True, place=("shop-token", "token"))

    assert await outcome(secrets, on_server="ours", known=token, spec={"deletionPolicy": "Retain"}) is Reason.SYNCED

    assert secrets.asked == ["read"]
