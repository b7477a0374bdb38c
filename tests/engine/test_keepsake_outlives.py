"""What a step took, and was not put back, when its resource goes; and whose the Secret is that it is kept in."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.test_keepsake import HOOK, TIMED_OUT, begun
from support import simulated
from support.servers import Cluster
from support.simulated import START
from whatsapp_operator.engine import keepsake, ports
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.resources.reasons import Reason


class Disowning(Cluster):
    """A Kubernetes API in which a Secret may outlive its owner."""

    async def disown_secret(self, key: ports.Key, *, resource_version: str) -> None:
        await self._call("disown secret")
        assert self.secrets[key].resource_version == resource_version
        self.secrets[key] = replace(self.secrets[key], owner_uids=frozenset())


async def test_keepsake_that_was_not_put_back_stays_when_its_resource_goes() -> None:
    context, one, draft, cluster = begun(cluster=Disowning())
    await keepsake.keep(context, one, draft)

    assert await keepsake.outlive(context, draft)

    (secret,) = cluster.secrets.values()
    assert secret.owner_uids == frozenset()


async def test_resource_of_which_nothing_is_kept_goes_without_a_call() -> None:
    context, _, draft, cluster = begun(cluster=Disowning())

    assert await keepsake.outlive(context, draft) is False

    assert cluster.calls == []


async def test_keepsake_that_somebody_removed_does_not_stay() -> None:
    context, one, draft, cluster = begun(cluster=Disowning())
    await keepsake.keep(context, one, draft)
    cluster.secrets.clear()

    assert await keepsake.outlive(context, draft) is False


async def test_secret_that_somebody_has_put_in_place_of_the_keepsake_is_left_alone() -> None:
    context, one, draft, cluster = begun(cluster=Disowning())
    await keepsake.keep(context, one, draft)
    key = ports.Key("messaging", draft.instance.keepsake_secret_name)
    theirs = cluster.secrets[key] = replace(cluster.secrets[key], owner_uids=frozenset({"another"}))

    await keepsake.outlive(context, draft)

    assert cluster.secrets == {key: theirs}


async def test_salt_of_the_digest_has_128_bits() -> None:
    context, one, draft, cluster = begun()
    context.random = simulated.Chance(0.75)

    await keepsake.keep(context, one, draft)

    (secret,) = cluster.secrets.values()
    assert json.loads(secret.values["configuration"])["salt"] == f"c{31 * '0'}"


async def test_secret_of_somebody_else_is_named_as_what_is_in_the_way() -> None:
    context, one, draft, cluster = begun()
    key = ports.Key("messaging", draft.instance.keepsake_secret_name)
    cluster.secrets[key] = ports.SecretData(values={}, resource_version="1")

    with pytest.raises(keepsake.NotOurs) as raised:
        await keepsake.keep(context, one, draft)

    assert raised.value.why is Reason.KEEPSAKE_NOT_OURS


@pytest.mark.parametrize("state", ConnectionState)
async def test_webhook_of_an_instance_that_runs_and_cannot_be_read_holds_the_step_up(state: ConnectionState) -> None:
    context, one, draft, cluster = begun(TIMED_OUT)
    draft.subject.record = records.saw_memory(records.Record(), evidence.InMemory(state), at=START)

    with pytest.raises(keepsake.Unreadable):
        await keepsake.keep(context, one, draft)

    assert (draft.keepsake, cluster.calls) == (None, [])


async def test_webhook_of_a_ghost_that_can_be_read_is_kept() -> None:
    context, one, draft, _ = begun(HOOK)
    draft.subject.record = records.saw_memory(records.Record(), evidence.NotInMemory(), at=START)

    await keepsake.keep(context, one, draft)

    assert draft.subject.keepsake is not None
    assert draft.subject.keepsake.webhook == HOOK
