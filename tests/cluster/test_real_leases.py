"""The Leases port against a real API server, and two replicas that meet there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cluster.doubles import Kubectl
from support.leases import Replica, Told
from whatsapp_operator.cluster import leases, runtime, transport
from whatsapp_operator.engine import leadership, ports

pytestmark = pytest.mark.e2e

MAIN = ports.Key("messaging", "main")
CLAIM = ports.Lease("whatsapp-operator-claim-0", ports.LeaseRole.CLAIM, "messaging/main", holder="a", ledger="{}")


@pytest.fixture
def api(real_calls: transport.Transport, namespace: str) -> leases.LeaseApi:
    return port(real_calls, namespace)


def port(calls: transport.Transport, namespace: str) -> leases.LeaseApi:
    clock = runtime.SystemClock()
    return leases.LeaseApi(calls, namespace=namespace, clock=clock, duration_seconds=15, timeout_seconds=5)


async def test_lease_comes_back_as_it_was_written(api: leases.LeaseApi) -> None:
    created = await api.create(CLAIM)
    assert replace(created, resource_version="", renewed=None) == CLAIM
    assert created.renewed
    assert await api.list() == [created]


async def test_name_that_is_taken_is_a_conflict(api: leases.LeaseApi) -> None:
    await api.create(CLAIM)
    with pytest.raises(ports.Conflict):
        await api.create(CLAIM)


async def test_one_of_two_writes_on_the_same_version_wins(api: leases.LeaseApi) -> None:
    created = await api.create(CLAIM)
    taken = await api.update(replace(created, holder="b"))
    assert (taken.holder, taken.ledger) == ("b", "{}")
    with pytest.raises(ports.Conflict):
        await api.update(replace(created, holder="c"))
    assert [one.holder for one in await api.list()] == ["b"]


async def test_holder_can_be_given_up_and_the_ledger_stays(api: leases.LeaseApi) -> None:
    created = await api.create(CLAIM)
    released = await api.update(replace(created, holder=None))
    assert (released.holder, released.ledger) == (None, "{}")


async def test_renewal_needs_no_version_and_shows(api: leases.LeaseApi) -> None:
    member = ports.Lease("whatsapp-operator-member-a", ports.LeaseRole.MEMBER, "", holder="whatsapp-operator-member-a")
    created = await api.create(member)
    renewed = await api.update(member)
    assert renewed.renewed != created.renewed
    assert renewed.resource_version != created.resource_version


async def test_delete_of_another_version_is_a_conflict(api: leases.LeaseApi) -> None:
    created = await api.create(CLAIM)
    newer = await api.update(replace(created, ledger='{"spent": 1}'))
    with pytest.raises(ports.Conflict):
        await api.delete(created)
    await api.delete(newer)
    assert await api.list() == []
    with pytest.raises(ports.NotFound):
        await api.update(newer)


async def test_leases_of_others_are_neither_listed_nor_touched(
    api: leases.LeaseApi, kubectl: Kubectl, namespace: str
) -> None:
    foreign = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: foreign}\nspec: {holderIdentity: x}\n"
    kubectl("apply", "-n", namespace, "-f", "-", given=foreign)
    assert await api.list() == []


async def test_two_replicas_agree_on_a_real_server(real_calls: transport.Transport, namespace: str) -> None:
    clock = runtime.SystemClock()
    replicas = [begin(name, port(real_calls, namespace), clock) for name in ("member-a", "member-b")]
    for _ in range(2):
        await asyncio.gather(*(one.leads.renew() for one in replicas))
        await asyncio.gather(*(one.leads.share(one) for one in replicas))
    (holder,) = [one for one in replicas if one.held]
    (other,) = [one for one in replicas if not one.held]

    await holder.leads.save_ledger(MAIN, '{"spent": 1}')
    await holder.leads.withdraw()
    await holder.leads.leave(holder)
    await other.leads.share(other)

    assert other.held == {MAIN}
    assert other.leads.ledger(MAIN) == '{"spent": 1}'
    with pytest.raises(ports.Conflict):
        await holder.leads.save_ledger(MAIN, "{}")


def begin(name: str, api: leases.LeaseApi, clock: runtime.SystemClock) -> Replica:
    told = Told()
    leads = leadership.Leadership(
        identity=name,
        scope="",
        terms=leadership.Terms(),
        clock=clock,
        sleep=runtime.sleep,
        leases=api,
        telemetry=told,  # type: ignore[arg-type] # the part of the port that leadership uses
    )
    return Replica(name, api, leads, told, {MAIN})
