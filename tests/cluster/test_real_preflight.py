"""Preflight against a real API server: what is missing is named with its cure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from kubernetes.aio.client import Configuration

from cluster.doubles import Counted, Kubectl
from whatsapp_operator.cluster import login, preflight, runtime, transport

pytestmark = pytest.mark.e2e


@pytest.fixture
async def account(account_kubeconfig: Path) -> AsyncIterator[transport.Transport]:
    """Calls as that service account."""
    access = login.Login(login.find(account_kubeconfig), clock=runtime.SystemClock())
    await access.open()
    calls = transport.Transport(access.configuration, renew_login=access.renew, observer=Counted())
    yield calls
    await calls.close()


async def test_administrator_lacks_nothing(real_calls: transport.Transport, kubectl: Kubectl) -> None:
    assert await preflight.missing(real_calls, lease_namespace="default") == []


async def test_account_without_role_is_told_which_rules_to_bind(account: transport.Transport, namespace: str) -> None:
    found = await preflight.missing(account, namespaces=[namespace], lease_namespace=namespace)
    assert (
        "The operator may not get, list, watch, patch whatsappinstances "
        f"in namespace {namespace}: bind its own service account to a Role with the rules of "
        "manifests/namespaced/role.yaml (the Helm chart does with rbac.create)."
    ) in found
    assert len(found) == 8
    assert found[-1].startswith(
        "The operator may not list leases, create leases, patch leases, delete leases, get configmaps in namespace "
        f"{namespace}"
    )
    assert "--lease-namespace" in found[-1]


async def test_shipped_role_is_enough_for_its_namespace(
    account: transport.Transport, namespace: str, bind: Callable[[], None]
) -> None:
    bind()
    assert await preflight.missing(account, namespaces=[namespace], lease_namespace=namespace) == []


async def test_role_is_not_enough_for_all_namespaces(
    account: transport.Transport, namespace: str, bind: Callable[[], None]
) -> None:
    bind()
    found = await preflight.missing(account, lease_namespace=namespace)
    assert all("all namespaces" in sentence and "ClusterRole" in sentence for sentence in found)
    assert found


async def test_refused_login_is_told(kubeconfig: Path, tmp_path: Path) -> None:
    access = login.Login(login.find(kubeconfig), clock=runtime.SystemClock())
    await access.open()
    refused = Configuration(host=access.configuration.host, api_key={"BearerToken": "Bearer canary"})
    refused.ssl_ca_cert = access.configuration.ssl_ca_cert
    calls = transport.Transport(refused, renew_login=access.renew, observer=Counted())
    found = await preflight.missing(calls, lease_namespace="default")
    await calls.close()
    assert len(found) == 1
    assert "refuses the login" in found[0]
    assert "canary" not in found[0]


async def test_api_server_that_is_away_is_told() -> None:
    async def renew() -> None: ...

    away = Configuration(host="http://127.0.0.1:1")
    calls = transport.Transport(away, renew_login=renew, observer=Counted())
    found = await preflight.missing(calls, lease_namespace="default")
    await calls.close()
    assert ["does not answer" in sentence for sentence in found] == [True]


async def test_wait_reports_until_all_is_there(
    account: transport.Transport, namespace: str, bind: Callable[[], None]
) -> None:
    reported: list[Sequence[str]] = []
    waits: list[float] = []

    async def sleep(seconds: float, /) -> None:
        if not waits:
            bind()
        waits.append(seconds)
        await asyncio.sleep(0.05)

    waiting = preflight.wait(
        account, namespaces=[namespace], lease_namespace=namespace, sleep=sleep, report=reported.append
    )
    await asyncio.wait_for(waiting, 20)
    assert set(waits) == {5}
    assert [bool(missing) for missing in reported] == [True] * len(waits) + [False]
