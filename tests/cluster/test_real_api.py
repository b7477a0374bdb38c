"""The port against a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from cluster.doubles import Counted, Kubectl, everything
from whatsapp_operator.cluster import api, login, watch
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import reasons

pytestmark = pytest.mark.e2e

KIND = "WhatsAppInstance"


def manifest(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "whatsapp-operator.dev/v1alpha1",
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"serverRef": {"name": "main"}},
    }


@pytest.fixture
def create(kubectl: Kubectl, namespace: str) -> Callable[..., dict[str, Any]]:
    """Creates instances, and returns the last one as the API server has it."""

    def create(*names: str) -> dict[str, Any]:
        items = [manifest(namespace, name) for name in names]
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        kubectl("create", "-f", "-", given=given)
        read = kubectl("get", "-n", namespace, "whatsappinstance", names[-1], "-o", "json")
        return cast("dict[str, Any]", json.loads(read))

    return create


def version(body: ports.Body) -> str:
    return str(cast("dict[str, Any]", body["metadata"])["resourceVersion"])


async def test_list_finds_what_is_there_and_nothing_of_other_namespaces(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]]
) -> None:
    create("one", "two")
    found = await everything(real)
    assert {cast("dict[str, Any]", body["metadata"])["name"] for body in found} == {"one", "two"}


async def test_list_of_more_than_a_page_is_whole(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], counted: Counted
) -> None:
    create(*(f"instance-{number}" for number in range(501)))
    assert len(await everything(real)) == 501
    assert counted.calls == [("list", "whatsappinstances", "200")] * 2


async def test_missing_resource_is_not_found(real: api.KubernetesApi, namespace: str) -> None:
    with pytest.raises(ports.NotFound):
        await real.read(KIND, ports.Key(namespace, "absent"))


async def test_status_is_written_as_a_difference(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str
) -> None:
    key, created = ports.Key(namespace, "one"), create("one")
    first = {"observedGeneration": 1, "reason": "NotStarted", "healthState": "Disconnected"}
    before = created.get("status", {})
    body = await real.write_status(KIND, key, before=before, after=first, resource_version=version(created))
    second = {"observedGeneration": 1, "reason": "Healthy"}
    body = await real.write_status(KIND, key, before=first, after=second, resource_version=version(body))
    read = await real.read(KIND, key)
    assert read["status"] == body["status"] == second


async def test_status_that_does_not_change_is_not_stored_again(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str
) -> None:
    key, created = ports.Key(namespace, "one"), create("one")
    status = {"observedGeneration": 1, "reason": "Healthy"}
    first = await real.write_status(KIND, key, before={}, after=status, resource_version=version(created))
    second = await real.write_status(KIND, key, before=status, after=status, resource_version=version(first))
    assert version(first) == version(second) != version(created)


async def test_status_of_an_older_version_is_a_conflict(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str, kubectl: Kubectl
) -> None:
    key, created = ports.Key(namespace, "one"), create("one")
    kubectl("annotate", "-n", namespace, "whatsappinstance", "one", "a=b")
    with pytest.raises(ports.Conflict):
        await real.write_status(KIND, key, before={}, after={"reason": "Healthy"}, resource_version=version(created))


async def test_status_against_the_schema_is_rejected(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str
) -> None:
    created = create("one")
    with pytest.raises(ports.Rejected) as raised:
        await real.write_status(
            KIND,
            ports.Key(namespace, "one"),
            before={},
            after={"healthState": "Canary"},
            resource_version=version(created),
        )
    assert "status.healthState" in str(raised.value)
    assert "Canary" not in str(raised.value)


async def test_finalizers_are_replaced_and_let_go(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str, kubectl: Kubectl
) -> None:
    key, created = ports.Key(namespace, "one"), create("one")
    held = await real.write_finalizers(KIND, key, ["whatsapp-operator.dev/instance"], resource_version=version(created))
    with pytest.raises(ports.Conflict):
        await real.write_finalizers(KIND, key, [], resource_version=version(created))
    kubectl("delete", "-n", namespace, "whatsappinstance", "one", "--wait=false")
    held = await real.read(KIND, key)
    assert "deletionTimestamp" in cast("dict[str, Any]", held["metadata"])
    await real.write_finalizers(KIND, key, [], resource_version=version(held))
    with pytest.raises(ports.NotFound):
        await real.read(KIND, key)


async def test_secret_is_created_once_replaced_whole_and_deleted_twice(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str
) -> None:
    uid = create("one")["metadata"]["uid"]
    key, owner = ports.Key(namespace, "one-token"), ports.Owner(KIND, "one", uid)
    await real.create_secret(key, {"token": b"\x00first", "old": b""}, owner=owner)
    with pytest.raises(ports.Conflict):
        await real.create_secret(key, {"token": b"other"}, owner=owner)
    first = await real.read_secret(key)
    assert first.managed
    assert first.owner_uids == {uid}
    assert first.values == {"token": b"\x00first", "old": b""}
    await real.replace_secret(key, {"token": b"second"}, resource_version=first.resource_version)
    assert (await real.read_secret(key)).values == {"token": b"second"}
    with pytest.raises(ports.Conflict):
        await real.replace_secret(key, {"token": b"third"}, resource_version=first.resource_version)
    with pytest.raises(ports.Conflict):
        await real.delete_secret(key, resource_version=first.resource_version)
    second = await real.read_secret(key)
    await real.delete_secret(key, resource_version=second.resource_version)
    await real.delete_secret(key, resource_version=second.resource_version)
    with pytest.raises(ports.NotFound):
        await real.read_secret(key)


async def test_event_shows_in_describe_with_its_count(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str, kubectl: Kubectl
) -> None:
    uid = create("one")["metadata"]["uid"]
    event = ports.Event(
        kind=KIND,
        key=ports.Key(namespace, "one"),
        uid=uid,
        type="Warning",
        reason=reasons.Reason.CLOSED_SOCKET,
        message="The socket is closed. " + "ü" * 2000,
    )
    for _ in range(3):
        await real.emit(event)
    described = kubectl("describe", "-n", namespace, "whatsappinstance", "one")
    shown = next(line for line in described.splitlines() if "ClosedSocket" in line)
    assert "(x3 over" in shown
    assert "whatsapp-operator" in shown


async def test_namespace_that_is_gone_or_going_is_terminating(
    real: api.KubernetesApi, create: Callable[..., dict[str, Any]], namespace: str, kubectl: Kubectl
) -> None:
    created = create("one")
    key = ports.Key(namespace, "one")
    body = await real.write_finalizers(KIND, key, ["whatsapp-operator.dev/instance"], resource_version=version(created))
    assert not await real.namespace_is_terminating(namespace)
    kubectl("delete", "namespace", namespace, "--wait=false")
    assert await real.namespace_is_terminating(namespace)
    with pytest.raises(ports.Forbidden):
        await real.create_secret(ports.Key(namespace, "late"), {}, owner=None)
    body = await real.read(KIND, key)
    await real.write_finalizers(KIND, key, [], resource_version=version(body))
    assert await real.namespace_is_terminating("never-was")


class Seen:
    """What the watch told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | None, str]] = []

    def saw(self, kind: str, change: str | None, body: ports.Body, /) -> None:
        assert type(body) is dict
        self.told.append((kind, change, cast("dict[str, Any]", body["metadata"])["name"]))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not happen within 20 s")


@pytest.fixture
async def watching(access: login.Login, namespace: str) -> tuple[watch.Watch, Seen]:
    seen = Seen()
    return watch.Watch(sink=seen, access=access, namespaces=[namespace]), seen


async def test_watch_tells_what_was_there_and_what_happens(
    watching: tuple[watch.Watch, Seen],
    create: Callable[..., dict[str, Any]],
    namespace: str,
    kubectl: Kubectl,
) -> None:
    one, seen = watching
    create("before")
    running = asyncio.create_task(one.run())
    await until(lambda: (KIND, None, "before") in seen.told)
    assert one.alive
    create("after")
    await until(lambda: (KIND, "ADDED", "after") in seen.told)
    kubectl("delete", "-n", namespace, "whatsappinstance", "after")
    await until(lambda: (KIND, "DELETED", "after") in seen.told)
    one.stop()
    await asyncio.wait_for(running, 15)
    assert not one.alive


async def test_watch_leaves_no_mark_on_resources(
    watching: tuple[watch.Watch, Seen],
    create: Callable[..., dict[str, Any]],
    real: api.KubernetesApi,
    namespace: str,
) -> None:
    one, seen = watching
    created = create("one")
    key = ports.Key(namespace, "one")
    held = await real.write_finalizers(KIND, key, ["whatsapp-operator.dev/instance"], resource_version=version(created))
    running = asyncio.create_task(one.run())
    await until(lambda: (KIND, None, "one") in seen.told)
    one.stop()
    await asyncio.wait_for(running, 15)
    assert await real.read(KIND, key) == held
    await real.write_finalizers(KIND, key, [], resource_version=version(held))


async def test_tasks_begun_beside_the_watch_outlive_it(watching: tuple[watch.Watch, Seen]) -> None:
    one, _ = watching
    running = asyncio.create_task(one.run())
    await until(lambda: one.alive)
    step = asyncio.create_task(asyncio.Event().wait())
    one.stop()
    await asyncio.wait_for(running, 15)
    assert not step.done()
    step.cancel()


async def test_watch_that_is_stopped_before_it_runs_ends_at_once(watching: tuple[watch.Watch, Seen]) -> None:
    one, _ = watching
    one.stop()
    await asyncio.wait_for(one.run(), 5)
