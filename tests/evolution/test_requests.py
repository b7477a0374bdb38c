"""What the client sends: to the right route, with the right credential, and nothing it was not asked to."""

from __future__ import annotations

import base64
import inspect
import urllib.parse

import pytest

from evolution import servers
from whatsapp_operator.engine import ports
from whatsapp_operator.evolution import client, evidence

REFUSED_BY_POLICY = evidence.Unknown(evidence.Ignorance.REFUSED_BY_POLICY)
TOKEN = "the-token"  # noqa: S105 - opens nothing
WEBHOOK = evidence.Webhook(
    url="https://shop.example.com/hook",
    events=frozenset({"QRCODE_UPDATED", "CONNECTION_UPDATE"}),
    headers={"x-key": "v"},
    by_events=True,
)
WEBHOOK_BODY = {
    "enabled": True,
    "url": "https://shop.example.com/hook",
    "events": ["CONNECTION_UPDATE", "QRCODE_UPDATED"],
    "headers": {"x-key": "v"},
    "byEvents": True,
    "base64": False,
}


def as_the_engine_sees_it(api: client.Client) -> ports.Evolution:
    """The type checker refuses this function when the client does not fit the engine's port."""
    return api


def test_every_call_of_the_port_has_the_client_s_signature() -> None:
    calls = [name for name, _ in inspect.getmembers(ports.Evolution, inspect.isfunction) if not name.startswith("_")]

    assert {"read_memory", "create", "close"} <= set(calls)
    for name in calls:
        wanted = inspect.signature(getattr(ports.Evolution, name)).parameters.keys()
        assert inspect.signature(getattr(client.Client, name)).parameters.keys() == wanted


NAMES = [
    "user_1",
    "a/b",
    "a b",
    " ",
    "x?instanceName=other",
    "x#y",
    "50%",
    "a%2Fb",
    "ümläut",
    "日本",
    "..%2f",
    "...",
    "&;+",
]


@pytest.mark.parametrize("name", NAMES)
async def test_name_arrives_as_one_path_segment(server: servers.Server, api: client.Client, name: str) -> None:
    server.answers(200, {"instance": {"instanceName": name, "state": "open"}})

    assert await api.read_memory(name) == evidence.InMemory(evidence.ConnectionState.OPEN)
    (asked,) = server.seen
    prefix, _, segment = asked.target.rpartition("/")
    assert (prefix, urllib.parse.unquote(segment)) == ("/instance/connectionState", name)
    assert "?" not in asked.target


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
async def test_name_that_no_path_can_carry_is_never_sent(server: servers.Server, api: client.Client, name: str) -> None:
    assert await api.delete(name) == REFUSED_BY_POLICY
    assert await api.read_memory(name) == REFUSED_BY_POLICY
    assert server.seen == []


@pytest.mark.parametrize("prefix", ["", "/", "/evolution", "/evolution/"])
async def test_path_of_the_url_comes_before_the_route(server: servers.Server, prefix: str) -> None:
    server.answers(200, {"instance": {"instanceName": "shop", "state": "open"}})
    async with servers.calling(server.url + prefix) as api:
        await api.read_memory("shop")

    assert server.seen[0].target == f"{prefix.rstrip('/')}/instance/connectionState/shop"


async def test_key_goes_only_where_it_is_asked_for(server: servers.Server) -> None:
    async with servers.calling(server.url, metrics_auth=("prom", "pass:word")) as api:
        await api.identify()
        await api.list_memory()
        await api.verify_key()

    identify, metrics, verify = (asked.headers for asked in server.seen)
    assert "apikey" not in identify
    assert "authorization" not in identify
    assert "apikey" not in metrics
    assert base64.b64decode(metrics["authorization"].removeprefix("Basic ")) == b"prom:pass:word"
    assert verify["apikey"] == servers.KEY
    assert "authorization" not in verify
    assert "content-type" not in verify


async def test_create_asks_for_no_qr_code_and_sends_only_what_is_wanted(
    server: servers.Server, api: client.Client
) -> None:
    await api.create(evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token=TOKEN))

    assert server.seen[0].body == {
        "instanceName": "shop",
        "integration": "WHATSAPP-BAILEYS",
        "token": TOKEN,
        "qrcode": False,
    }


async def test_create_sends_settings_channel_and_webhook(server: servers.Server, api: client.Client) -> None:
    wanted = evidence.NewInstance(
        name="shop",
        integration="WHATSAPP-BUSINESS",
        token=TOKEN,
        number="123",
        business_id="456",
        settings={"rejectCall": True, "instanceName": "not the name"},
        webhook=WEBHOOK,
    )

    await api.create(wanted)

    assert server.seen[0].body == {
        "instanceName": "shop",
        "integration": "WHATSAPP-BUSINESS",
        "token": TOKEN,
        "qrcode": False,
        "number": "123",
        "businessId": "456",
        "rejectCall": True,
        "webhook": WEBHOOK_BODY,
    }


async def test_settings_that_a_row_has_not_are_left_out_since_null_is_refused(
    server: servers.Server, api: client.Client
) -> None:
    """A row of before 2.2.1 has null; a Recreate that puts it back would be refused for ever after its DELETE."""
    settings = {"rejectCall": True, "msgCall": "", "wavoipToken": None}

    await api.create(evidence.NewInstance("shop", "WHATSAPP-BAILEYS", TOKEN, settings=settings))
    await api.set_settings("shop", settings)

    created, set_ = (seen.body for seen in server.seen)
    assert isinstance(created, dict)
    assert created.items() >= {"rejectCall": True, "msgCall": ""}.items()
    assert "wavoipToken" not in created
    assert set_ == {"rejectCall": True, "msgCall": ""}


async def test_create_sends_a_proxy_with_each_part_as_text(server: servers.Server, api: client.Client) -> None:
    proxy = evidence.Proxy(host="proxy.example.com", port="3128", protocol="http")

    await api.create(evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token=TOKEN, proxy=proxy))

    assert server.seen[0].body == {
        "instanceName": "shop",
        "integration": "WHATSAPP-BAILEYS",
        "token": TOKEN,
        "qrcode": False,
        "proxyHost": "proxy.example.com",
        "proxyPort": "3128",
        "proxyProtocol": "http",
        "proxyUsername": "",
        "proxyPassword": "",
    }


async def test_create_leaves_out_a_disabled_webhook_which_the_server_would_enable(
    server: servers.Server, api: client.Client
) -> None:
    disabled = evidence.Webhook(url="https://shop.example.com/hook", enabled=False)

    await api.create(evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token=TOKEN, webhook=disabled))

    assert isinstance(server.seen[0].body, dict)
    assert "webhook" not in server.seen[0].body


async def test_webhook_settings_and_probe_send_their_bodies(server: servers.Server, api: client.Client) -> None:
    await api.set_webhook("shop", WEBHOOK)
    await api.set_settings("shop", {"rejectCall": True})
    await api.probe("shop", number="5511999990001")

    assert [(asked.method, asked.target, asked.body) for asked in server.seen] == [
        ("POST", "/webhook/set/shop", {"webhook": WEBHOOK_BODY}),
        ("POST", "/settings/set/shop", {"rejectCall": True}),
        ("POST", "/chat/fetchBusinessProfile/shop", {"number": "5511999990001"}),
    ]


async def test_cookie_of_the_server_is_not_sent_back(server: servers.Server) -> None:
    server.headers = {"set-cookie": "session=1; Path=/"}
    async with servers.calling(server.url.replace("127.0.0.1", "localhost")) as api:
        await api.verify_key()
        await api.verify_key()
        await api.restart("shop")
        await api.restart("shop")

    assert len(server.seen) == 4
    assert all("cookie" not in asked.headers for asked in server.seen)


async def test_each_call_is_observed_once_by_route_and_outcome(server: servers.Server) -> None:
    calls: list[client.Call] = []
    async with servers.calling(server.url, observe=calls.append) as api:
        server.answers(200, {"instance": {"instanceName": "shop", "state": "open"}})
        await api.read_memory("shop")
        server.answers(200, {"error": True, "message": "[object Object]"})
        await api.restart("shop")
        server.answers(502, {})
        await api.delete("shop")

    assert [(call.method, call.route, call.outcome) for call in calls] == [
        ("GET", "/instance/connectionState/{name}", "Answered"),
        ("POST", "/instance/restart/{name}", "Refused"),
        ("DELETE", "/instance/delete/{name}", "ServerError"),
    ]
    assert all(0 < call.seconds < 5 for call in calls)
