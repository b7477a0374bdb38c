"""One call: what each answer means, what is tried again, and what must never be sent or told."""

from __future__ import annotations

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from cluster.doubles import Counted, Fault, Scripted
from whatsapp_operator.cluster import transport
from whatsapp_operator.engine import ports

READ = transport.Call("get", "secrets", "/api/v1/namespaces/shop/secrets/token")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ports.Rejected),
        (403, ports.Forbidden),
        (404, ports.NotFound),
        (409, ports.Conflict),
        (410, transport.Expired),
        (422, ports.Rejected),
        (429, ports.Unavailable),
        (500, ports.Unavailable),
        (503, ports.Unavailable),
        (504, ports.Unavailable),
    ],
)
async def test_each_status_becomes_its_error(
    scripted: Scripted, calls: transport.Transport, counted: Counted, status: int, error: type[Exception]
) -> None:
    scripted.answers = [web.json_response({"kind": "Status", "reason": "Because"}, status=status)]
    with pytest.raises(ports.KubernetesError) as raised:
        await calls.call(READ)
    assert type(raised.value) is error
    assert counted.calls == [("get", "secrets", str(status))]


async def test_write_whose_connection_breaks_is_sent_once(
    scripted: Scripted, calls: transport.Transport, counted: Counted
) -> None:
    # aiohttp itself repeats a GET whose kept connection broke; a write must be sent once only.
    scripted.answers = [Fault.HANG_UP, Fault.HANG_UP]
    with pytest.raises(ports.Unavailable):
        await calls.call(transport.Call("patch", "secrets", READ.path, body={"data": {}}))
    assert len(scripted.requests) == 1
    assert [(verb, resource) for verb, resource, _ in counted.calls] == [("patch", "secrets")]


async def test_refused_connection_proves_nothing(counted: Counted) -> None:
    async def renew() -> None: ...

    calls = transport.Transport(
        Configuration(host="http://127.0.0.1:1"), renew_login=renew, observer=counted, timeout_seconds=1
    )
    with pytest.raises(ports.Unavailable):
        await calls.call(READ)
    await calls.close()


async def test_silence_ends_at_the_time_limit(scripted: Scripted, calls: transport.Transport) -> None:
    scripted.answers = [Fault.SILENCE]
    with pytest.raises(ports.Unavailable):
        await calls.call(READ)


@pytest.mark.parametrize("body", ["<html>", "[]", "null", ""])
async def test_answer_that_is_no_object_proves_nothing(
    scripted: Scripted, calls: transport.Transport, body: str
) -> None:
    scripted.answers = [web.Response(text=body)]
    with pytest.raises(ports.Unavailable):
        await calls.call(READ)


async def test_rotated_token_is_read_again_once(
    scripted: Scripted, calls: transport.Transport, renewals: list[str]
) -> None:
    scripted.answers = [web.json_response({}, status=401), web.json_response({"kind": "Secret"})]
    assert await calls.call(READ) == {"kind": "Secret"}
    assert [headers["Authorization"] for _, _, headers, _ in scripted.requests] == ["Bearer old", "Bearer new"]
    assert renewals == ["new"]


async def test_login_that_stays_refused_is_forbidden(
    scripted: Scripted, calls: transport.Transport, renewals: list[str]
) -> None:
    scripted.answers = [web.json_response({}, status=401), web.json_response({}, status=401)]
    with pytest.raises(ports.Forbidden):
        await calls.call(READ)
    assert len(renewals) == 1


async def test_error_names_fields_and_quotes_no_value(scripted: Scripted, calls: transport.Transport) -> None:
    status = {
        "reason": "Invalid",
        "message": 'data[token]: Invalid value: "canary"',
        "details": {"causes": [{"field": "data[token]", "message": 'Invalid value: "canary"'}]},
    }
    scripted.answers = [web.json_response(status, status=422)]
    with pytest.raises(ports.Rejected) as raised:
        await calls.call(READ)
    assert "data[token]" in str(raised.value)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../../namespaces/kube-system/secrets/x", "a%2fb", "a?b", "A"])
def test_name_cannot_lead_to_another_path(name: str) -> None:
    with pytest.raises(ports.Rejected):
        transport.path("api", "v1", "namespaces", "shop", "secrets", name)
