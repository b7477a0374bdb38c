"""Each recorded answer of a real server, replayed on a socket, becomes the evidence that stands beside it here."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from contract import shape
from evolution import servers
from whatsapp_operator.evolution import client, evidence

Record = dict[str, Any]
OPEN, CONNECTING, CLOSE = (
    evidence.ConnectionState.OPEN,
    evidence.ConnectionState.CONNECTING,
    evidence.ConnectionState.CLOSE,
)


@dataclass(frozen=True)
class Excluded:
    """A route that the client does not have."""

    because: str


@dataclass(frozen=True)
class Rows:
    """What of each listed row the rules of health go by."""

    rows: dict[str, tuple[evidence.ConnectionState, bool, int | None, int]]


@dataclass(frozen=True)
class InstanceID:
    """`create` made an instance, with the recorded id."""


@dataclass(frozen=True)
class Code:
    """The recorded QR code."""

    count: int


@dataclass(frozen=True)
class Memory:
    """`/metrics` of the recorded version."""

    states: dict[str, evidence.ConnectionState]


def refused(why: evidence.Refusal) -> evidence.Refused:
    """Shorter."""
    return evidence.Refused(why)


def unknown(why: evidence.Ignorance) -> evidence.Unknown:
    """Shorter."""
    return evidence.Unknown(why)


DONE = evidence.Accepted()
KEY_REJECTED = unknown(evidence.Ignorance.KEY_REJECTED)
SERVER_ERROR = unknown(evidence.Ignorance.SERVER_ERROR)
UNEXPECTED = unknown(evidence.Ignorance.UNEXPECTED_SHAPE)
MISSING = refused(evidence.Refusal.DOES_NOT_EXIST)
INVALID = refused(evidence.Refusal.INVALID)
NAME_IN_USE = refused(evidence.Refusal.NAME_IN_USE)
NOTHING_DONE = refused(evidence.Refusal.NOTHING_DONE)
NOT_CONNECTED = refused(evidence.Refusal.NOT_CONNECTED)

DEFAULTS = {
    "rejectCall": False,
    "groupsIgnore": False,
    "alwaysOnline": False,
    "readMessages": False,
    "readStatus": False,
    "syncFullHistory": False,
    "msgCall": "",
    "wavoipToken": "",
}
CHANGED = {**DEFAULTS, "rejectCall": True, "groupsIgnore": True, "msgCall": "no calls"}
HOOK = evidence.Webhook(
    url="http://127.0.0.1:9/hook",
    enabled=True,
    events=frozenset({"CONNECTION_UPDATE", "QRCODE_UPDATED"}),
    headers={"x-key": "v"},
    by_events=True,
    base64=True,
)
HOOK_OFF = evidence.Webhook(
    url="http://127.0.0.1:9/hook", enabled=False, headers={"x-key": "v"}, by_events=True, base64=True
)
NEW = Rows({"closed": (CLOSE, False, None, 0)})
SCANNING = Rows({"closed": (CONNECTING, False, None, 0)})
PAIRED = Rows({"closed": (OPEN, True, None, 0)})
LOGGED_OUT = Rows({"closed": (CLOSE, True, 401, 0)})
CHANNEL = Rows({"evo": (OPEN, False, None, 0)})
WITH_GHOST = Rows(dict.fromkeys(("evo", "ghost", "biz"), (OPEN, False, None, 0)))
NOT_CALLED = Excluded("the operator neither sets nor reads this transport")

# In the recorded order. A list filtered by name is never asked for; its answers are replayed to the unfiltered read.
EXPECTED: tuple[tuple[str, object], ...] = (
    ("GET / none", evidence.ServerIdentity(version="", client_name="evolution_exchange")),
    ("POST /verify-creds global", evidence.KeyAccepted()),
    ("POST /verify-creds wrong", KEY_REJECTED),
    ("GET /instance/fetchInstances wrong", KEY_REJECTED),
    ("GET /instance/fetchInstances global", Rows({})),
    ("GET /metrics none", Memory({})),
    ("GET /health global", Excluded("no supported version has it")),
    ("PUT /instance/restart/none global", Excluded("a verb of version 1")),
    ("GET /instance/connectionState/none global", evidence.Absent()),
    ("GET /instance/fetchInstances?instanceName=none global", UNEXPECTED),
    ("GET /instance/connect/none global", MISSING),
    ("POST /instance/restart/none global", MISSING),
    ("DELETE /instance/logout/none global", MISSING),
    ("DELETE /instance/delete/none global", MISSING),
    ("GET /instance/connectionState/none wrong", evidence.Absent()),
    ("POST /instance/create global", INVALID),
    ("POST /instance/create global", INVALID),
    ("POST /instance/create global", INVALID),
    ("POST /instance/create global", InstanceID()),
    ("GET /instance/connectionState/closed global", evidence.InMemory(CLOSE)),
    ("GET /instance/fetchInstances?instanceName=closed global", NEW),
    ("GET /settings/find/closed global", DEFAULTS),
    ("GET /webhook/find/closed global", None),
    ("POST /instance/create global", NAME_IN_USE),
    ("POST /instance/restart/closed global", NOTHING_DONE),
    ("DELETE /instance/logout/closed global", NOT_CONNECTED),
    ("GET /instance/connectionState/closed own token", evidence.InMemory(CLOSE)),
    ("GET /instance/connectionState/closed wrong", KEY_REJECTED),
    ("GET /instance/fetchInstances own token", NEW),
    ("POST /settings/set/closed global", DONE),
    ("GET /settings/find/closed global", CHANGED),
    ("POST /settings/set/closed global", INVALID),
    ("POST /webhook/set/closed global", DONE),
    ("GET /webhook/find/closed global", HOOK),
    ("POST /webhook/set/closed global", DONE),
    ("POST /webhook/set/closed global", SERVER_ERROR),
    ("POST /webhook/set/closed global", INVALID),
    ("POST /webhook/set/closed global", DONE),
    ("GET /websocket/find/closed global", NOT_CALLED),
    ("GET /rabbitmq/find/closed global", NOT_CALLED),
    ("GET /sqs/find/closed global", NOT_CALLED),
    ("GET /nats/find/closed global", NOT_CALLED),
    ("GET /kafka/find/closed global", NOT_CALLED),
    ("GET /proxy/find/closed global", Excluded("proxies are not managed")),
    ("GET /chatwoot/find/closed global", Excluded("Chatwoot is not managed")),
    ("GET /instance/connect/closed global", Code(1)),
    ("GET /instance/connect/closed global", Code(1)),
    ("GET /instance/connectionState/closed global", evidence.InMemory(CONNECTING)),
    ("GET /instance/fetchInstances?instanceName=closed global", SCANNING),
    ("GET /settings/find/closed global", CHANGED),
    ("GET /webhook/find/closed global", HOOK_OFF),
    ("POST /instance/restart/closed global", DONE),
    ("GET /instance/connectionState/closed global", evidence.InMemory(OPEN)),
    ("GET /instance/fetchInstances?instanceName=closed global", PAIRED),
    ("GET /settings/find/closed global", CHANGED),
    ("GET /webhook/find/closed global", HOOK_OFF),
    ("GET /instance/connect/closed global", evidence.InMemory(OPEN)),
    ("GET /metrics none", Memory({"closed": OPEN})),
    ("POST /chat/fetchBusinessProfile/closed global", evidence.ProbeResult.ALIVE),
    ("POST /instance/restart/closed global", DONE),
    ("GET /instance/connectionState/closed global", evidence.InMemory(OPEN)),
    ("GET /instance/fetchInstances?instanceName=closed global", PAIRED),
    ("GET /settings/find/closed global", CHANGED),
    ("GET /webhook/find/closed global", HOOK_OFF),
    ("GET /instance/connectionState/closed global", evidence.InMemory(CLOSE)),
    ("GET /instance/fetchInstances?instanceName=closed global", LOGGED_OUT),
    ("GET /settings/find/closed global", CHANGED),
    ("GET /webhook/find/closed global", HOOK_OFF),
    ("DELETE /instance/logout/closed global", NOT_CONNECTED),
    ("GET /instance/connect/closed global", Code(3)),
    ("DELETE /instance/logout/closed global", DONE),
    ("GET /instance/connectionState/closed global", evidence.InMemory(CLOSE)),
    ("GET /instance/fetchInstances?instanceName=closed global", LOGGED_OUT),
    ("GET /settings/find/closed global", CHANGED),
    ("GET /webhook/find/closed global", HOOK_OFF),
    ("DELETE /instance/delete/closed global", DONE),
    ("GET /instance/connectionState/closed global", evidence.NotInMemory()),
    ("POST /instance/create global", NAME_IN_USE),
    ("GET /instance/connectionState/closed global", evidence.Absent()),
    ("POST /instance/create global", InstanceID()),
    ("GET /instance/connectionState/evo global", evidence.InMemory(OPEN)),
    ("GET /instance/fetchInstances?instanceName=evo global", CHANNEL),
    ("GET /settings/find/evo global", DEFAULTS),
    ("GET /webhook/find/evo global", None),
    ("POST /instance/restart/evo global", DONE),
    ("DELETE /instance/logout/evo global", DONE),
    ("GET /instance/connectionState/evo global", evidence.InMemory(CLOSE)),
    ("GET /instance/connect/evo global", evidence.NoCode()),
    ("POST /instance/create global", InstanceID()),
    ("POST /instance/create global", INVALID),
    ("GET /instance/fetchInstances global", WITH_GHOST),
    ("GET /instance/connectionState/ghost global", evidence.NotInMemory()),
    ("GET /instance/fetchInstances?instanceName=ghost global", UNEXPECTED),
    ("GET /settings/find/ghost global", None),
    ("GET /webhook/find/ghost global", None),
    ("GET /metrics none", Memory({"evo": CLOSE, "biz": OPEN})),
    ("GET /instance/connect/ghost global", NOTHING_DONE),
    ("POST /instance/restart/ghost global", NOTHING_DONE),
    ("POST /instance/create global", NAME_IN_USE),
    ("POST /settings/set/ghost global", SERVER_ERROR),
    ("DELETE /instance/delete/ghost global", DONE),
    ("GET /instance/connectionState/ghost global", evidence.Absent()),
    ("GET /instance/fetchInstances?instanceName=ghost global", UNEXPECTED),
    ("POST /instance/create global", InstanceID()),
    ("GET /instance/connectionState/rowless global", evidence.InMemory(OPEN)),
    ("GET /instance/fetchInstances?instanceName=rowless global", Rows({})),
    ("GET /settings/find/rowless global", None),
    ("GET /webhook/find/rowless global", None),
    ("GET /instance/connectionState/rowless own token", KEY_REJECTED),
    ("POST /instance/create global", NAME_IN_USE),
    ("POST /settings/set/rowless global", SERVER_ERROR),
    ("DELETE /instance/delete/rowless global", DONE),
)

Call = Callable[[client.Client, str, Record], Awaitable[object]]


def new_instance(request: dict[str, Any]) -> evidence.NewInstance:
    """As near to the recorded request as the client can ask."""
    return evidence.NewInstance(
        name=request.get("instanceName", "nameless"),
        integration=request.get("integration", "WHATSAPP-BAILEYS"),
        token=request.get("token", "a-token"),
        number=request.get("number"),
        business_id=request.get("businessId"),
    )


CALLS: dict[str, Call] = {
    "GET /": lambda api, _name, _record: api.identify(),
    "POST /verify-creds": lambda api, _name, _record: api.verify_key(),
    "GET /metrics": lambda api, _name, _record: api.list_memory(),
    "GET /instance/fetchInstances": lambda api, _name, _record: api.list_database(),
    "POST /instance/create": lambda api, _name, record: api.create(new_instance(record["request"])),
    "GET /instance/connectionState/{name}": lambda api, name, _record: api.read_memory(name),
    "GET /instance/connect/{name}": lambda api, name, _record: api.connect(name),
    "POST /instance/restart/{name}": lambda api, name, _record: api.restart(name),
    "DELETE /instance/logout/{name}": lambda api, name, _record: api.logout(name),
    "DELETE /instance/delete/{name}": lambda api, name, _record: api.delete(name),
    "GET /settings/find/{name}": lambda api, name, _record: api.find_settings(name),
    "POST /settings/set/{name}": lambda api, name, record: api.set_settings(name, record["request"]),
    "GET /webhook/find/{name}": lambda api, name, _record: api.find_webhook(name),
    "POST /webhook/set/{name}": lambda api, name, _record: api.set_webhook(name, HOOK),
    "POST /chat/fetchBusinessProfile/{name}": lambda api, name, record: api.probe(
        name, number=record["request"]["number"]
    ),
}


def route_and_name(record: Record) -> tuple[str, str]:
    """The route as `CALLS` names it, and the instance it is about, if any."""
    path = record["path"].partition("?")[0]
    whole = f"{record['method']} {path}"
    if whole in CALLS:
        return whole, ""
    prefix, _, name = path.rpartition("/")
    return f"{record['method']} {prefix}/{{name}}", name


def realised(expected: object, record: Record, version: str) -> object:
    """What is expected, with what the recorded server made up filled in."""
    match expected:
        case InstanceID():
            return evidence.Created(id=record["body"]["instance"]["instanceId"])
        case Code(count=count):
            return evidence.QRCode(code=record["body"]["code"], count=count)
        case Memory(states=states):
            return evidence.MemoryList(states=states, version=version, client_name="evolution_exchange")
        case evidence.ServerIdentity(client_name=client_name):
            return evidence.ServerIdentity(version=version, client_name=client_name)
        case _:
            return expected


def told(proved: object) -> object:
    """The evidence, with a list reduced to what `Rows` compares."""
    if not isinstance(proved, evidence.DatabaseList):
        return proved
    return Rows({n: (row.state, row.has_owner, row.code, row.data_count) for n, row in proved.rows.items()})


CASES = [
    pytest.param(version, index, id=f"{version}-{index}-{label}".replace(" ", "-"))
    for version in shape.VERSIONS
    for index, (label, expected) in enumerate(EXPECTED)
    if not isinstance(expected, Excluded)
]


@pytest.mark.parametrize("version", shape.VERSIONS)
def test_every_record_is_expected_or_excluded_by_name(version: str) -> None:
    recorded = [f"{record['method']} {record['path']} {record['auth']}" for record in shape.records(version)]

    assert recorded == [label for label, _expected in EXPECTED]


@pytest.mark.parametrize("version", shape.VERSIONS)
def test_no_route_that_the_client_has_is_excluded(version: str) -> None:
    for record, (_label, expected) in zip(shape.records(version), EXPECTED, strict=True):
        assert (route_and_name(record)[0] not in CALLS) == isinstance(expected, Excluded)


@pytest.mark.parametrize(("version", "index"), CASES)
async def test_recorded_answer_becomes_its_evidence(server: servers.Server, version: str, index: int) -> None:
    record = shape.records(version)[index]
    body = record["body"]
    is_text = record["contentType"].startswith("text/plain")
    server.status, server.content_type = record["status"], record["contentType"]
    server.content = body.encode() if is_text else json.dumps(body).encode()
    route, name = route_and_name(record)

    async with servers.calling(server.url) as api:
        proved = await CALLS[route](api, name, record)

    assert told(proved) == realised(EXPECTED[index][1], record, version)
    (asked,) = server.seen
    assert (asked.method, asked.target) == (record["method"], record["path"].partition("?")[0])
    assert asked.headers.get("apikey") == (None if record["auth"] == "none" else servers.KEY)
