"""What the port sends, where only a scripted server can show it: pages, Events, and bodies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from aiohttp import web

from cluster.doubles import Scripted, everything
from whatsapp_operator.cluster import api, events, runtime, secrets, transport
from whatsapp_operator.engine import ports
from whatsapp_operator.resources import reasons

KIND = "WhatsAppInstance"


@dataclass
class Time:
    """A clock that stands still unless it is moved."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def recorder(calls: transport.Transport, time: Time) -> events.Recorder:
    return events.Recorder(calls, clock=time, random=runtime.SystemRandom(), instance="operator-0")


@pytest.fixture
def port(calls: transport.Transport, recorder: events.Recorder) -> api.KubernetesApi:
    return api.KubernetesApi(calls, recorder=recorder)


def page(*names: str, following: str = "") -> web.Response:
    items = [{"metadata": {"name": name, "uid": name}} for name in names]
    return web.json_response({"metadata": {"continue": following}, "items": items})


def listed(bodies: object) -> list[str]:
    assert isinstance(bodies, list)
    return [body["metadata"]["name"] for body in bodies]


async def test_list_follows_pages_to_the_end(scripted: Scripted, port: api.KubernetesApi) -> None:
    scripted.answers = [page("a", "b", following="more"), page("c")]
    assert listed(await everything(port)) == ["a", "b", "c"]
    assert [asked for _, asked, _, _ in scripted.requests] == [
        "/apis/whatsapp-operator.dev/v1alpha1/whatsappinstances?limit=500",
        "/apis/whatsapp-operator.dev/v1alpha1/whatsappinstances?limit=500&continue=more",
    ]


async def test_list_starts_again_when_its_pages_expire(scripted: Scripted, port: api.KubernetesApi) -> None:
    expired = web.json_response({"reason": "Expired"}, status=410)
    scripted.answers = [page("a", following="more"), expired, page("a", "b")]
    # What came already comes again: the store takes it once.
    assert listed(await everything(port)) == ["a", "a", "b"]


async def test_list_that_breaks_in_the_middle_is_no_list(scripted: Scripted, port: api.KubernetesApi) -> None:
    scripted.answers = [page("a", following="more"), web.json_response({}, status=503)]
    with pytest.raises(ports.Unavailable):
        await everything(port)


async def test_list_of_chosen_namespaces_asks_in_each(
    scripted: Scripted, calls: transport.Transport, recorder: events.Recorder
) -> None:
    port = api.KubernetesApi(calls, recorder=recorder, namespaces=["shop", "bank"])
    scripted.answers = [page("a"), page("b")]
    assert listed(await everything(port)) == ["a", "b"]
    assert [asked.split("/")[5] for _, asked, _, _ in scripted.requests] == ["shop", "bank"]


def event(message: str = "It closed.") -> ports.Event:
    return ports.Event(
        kind=KIND,
        key=ports.Key("shop", "one"),
        uid="u1",
        type="Warning",
        reason=reasons.Reason.CLOSED_SOCKET,
        message=message,
    )


def written(scripted: Scripted) -> list[tuple[str, dict[str, object]]]:
    return [(method, json.loads(body)) for method, _, _, body in scripted.requests]


async def test_repeated_event_raises_the_count_of_the_first(scripted: Scripted, port: api.KubernetesApi) -> None:
    scripted.answers = [web.json_response({}, status=201), web.json_response({}), web.json_response({})]
    for _ in range(3):
        await port.emit(event())
    (first, created), (second, _), (third, counted) = written(scripted)
    assert (first, second, third) == ("POST", "PATCH", "PATCH")
    assert created["count"] == 1
    assert counted["count"] == 3
    assert scripted.requests[2][1].endswith(f"/events/{created['metadata']['name']}")  # type: ignore[index]  # JSON


async def test_event_ten_minutes_later_is_a_new_one(scripted: Scripted, port: api.KubernetesApi, time: Time) -> None:
    scripted.answers = [web.json_response({}, status=201), web.json_response({}, status=201)]
    await port.emit(event())
    time.seconds = 600
    await port.emit(event())
    assert [method for method, _ in written(scripted)] == ["POST", "POST"]


async def test_event_that_expired_meanwhile_is_written_anew(scripted: Scripted, port: api.KubernetesApi) -> None:
    scripted.answers = [
        web.json_response({}, status=201),
        web.json_response({}, status=404),
        web.json_response({}, status=201),
    ]
    await port.emit(event())
    await port.emit(event())
    assert [method for method, _ in written(scripted)] == ["POST", "PATCH", "POST"]


async def test_different_events_are_not_added_up(scripted: Scripted, port: api.KubernetesApi) -> None:
    scripted.answers = [web.json_response({}, status=201), web.json_response({}, status=201)]
    await port.emit(event("It closed."))
    await port.emit(event("It closed again."))
    assert [method for method, _ in written(scripted)] == ["POST", "POST"]


@pytest.mark.parametrize("status", [403, 422, 500])
async def test_event_that_cannot_be_written_raises_nothing(
    scripted: Scripted, port: api.KubernetesApi, status: int
) -> None:
    scripted.answers = [web.json_response({}, status=status)]
    await port.emit(event())
    assert len(scripted.requests) == 1


def test_long_message_is_cut_to_what_the_api_server_takes() -> None:
    cut = events.truncate("ü" * 2000, events.MESSAGE_BYTES)
    assert len(cut.encode()) <= events.MESSAGE_BYTES
    assert cut.endswith("ü…")
    assert events.truncate("short", events.MESSAGE_BYTES) == "short"


async def test_finalizers_are_written_only_to_the_version_that_was_read(
    scripted: Scripted, port: api.KubernetesApi
) -> None:
    scripted.answers = [web.json_response({})]
    await port.write_finalizers(KIND, ports.Key("shop", "one"), ["a/b"], resource_version="7")
    _, path, headers, body = scripted.requests[0]
    assert path.endswith("/namespaces/shop/whatsappinstances/one")
    assert headers["Content-Type"] == "application/merge-patch+json"
    assert json.loads(body) == {"metadata": {"resourceVersion": "7", "finalizers": ["a/b"]}}


def test_secret_survives_being_written_and_read() -> None:
    values = {"token": b"\x00\xff", "empty": b""}
    body = secrets.build(ports.Key("shop", "one-token"), values, ports.Owner(KIND, "one", "u1"))
    read = secrets.read(body)
    assert read == ports.SecretData(values, "", frozenset({"u1"}), frozenset({"one"}), managed=True)


def test_owners_of_a_secret_that_are_no_resources_of_ours_have_no_name_among_those_that_are() -> None:
    owners = [{"kind": KIND, "name": "one", "uid": "u1"}, {"kind": "Deployment", "name": "web", "uid": "u2"}, "broken"]
    read = secrets.read({"metadata": {"ownerReferences": owners}})

    assert (read.owner_uids, read.owner_names) == (frozenset({"u1", "u2"}), frozenset({"one"}))


def test_secret_of_a_user_is_not_taken_for_ours() -> None:
    body = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "resourceVersion": "3"}}
    assert secrets.read(body) == ports.SecretData({}, "3", frozenset(), managed=False)


def test_secret_shows_no_value_when_it_is_printed() -> None:
    assert "canary" not in repr(secrets.read({"data": secrets.encode({"token": b"canary"})}))
