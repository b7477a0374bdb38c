"""No key, token, QR code, phone number or header shows in a repr, an error, a log record or what metrics are given."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from contract import shape
from evolution import servers
from whatsapp_operator.evolution import client, errors, evidence, replies, routes, transport

CANARY = "canary"
NUMBER = "5511999990001"
SECRETS = (CANARY, NUMBER)

WEBHOOK = evidence.Webhook(url=f"https://{CANARY}.example.com", headers={"x-key": CANARY})
WANTED = evidence.NewInstance(
    name="shop",
    integration="WHATSAPP-BAILEYS",
    token=CANARY,
    number=NUMBER,
    settings={"wavoipToken": CANARY},
    webhook=WEBHOOK,
    proxy=evidence.Proxy(host=CANARY, port="1", protocol="http", username=CANARY, password=CANARY),
)
ROW: dict[str, Any] = {
    **shape.records("2.3.7")[65]["body"][0],
    "token": f"{CANARY}-token",
    "ownerJid": f"{NUMBER}@s.whatsapp.net",
}
ROW["Setting"] = {**ROW["Setting"], "wavoipToken": CANARY}
ROW["Proxy"] = {
    "enabled": True,
    "host": CANARY,
    "port": "3128",
    "protocol": "http",
    "username": CANARY,
    "password": CANARY,
}
STORED_WEBHOOK = {"url": f"https://{CANARY}.example.com", "enabled": True, "headers": {"x-key": CANARY}}

CALLS: list[tuple[object, Callable[[client.Client], Awaitable[object]], type[object]]] = [
    ([ROW], lambda api: api.list_database(), evidence.DatabaseList),
    ({"code": f"2@{CANARY}", "count": 1}, lambda api: api.connect("shop"), evidence.QRCode),
    (STORED_WEBHOOK, lambda api: api.find_webhook("shop"), evidence.Webhook),
    (STORED_WEBHOOK, lambda api: api.set_webhook("shop", WEBHOOK), evidence.Accepted),
    (
        {"instance": {"instanceName": "shop", "instanceId": "1"}, "hash": CANARY},
        lambda api: api.create(WANTED),
        evidence.Created,
    ),
    ({"isBusiness": False, "jid": NUMBER}, lambda api: api.probe("shop", number=NUMBER), evidence.ProbeResult),
    ({"message": CANARY}, lambda api: api.restart("shop"), evidence.Unknown),
    ({"message": CANARY}, lambda api: api.list_memory(), evidence.Unknown),
]


def assert_keeps_secrets(text: str) -> None:
    """None of the planted secrets is in it."""
    assert not [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(("body", "call", "kind"), CALLS)
async def test_call_leaves_no_secret_in_evidence_logs_or_metrics(
    server: servers.Server,
    caplog: pytest.LogCaptureFixture,
    body: object,
    call: Callable[[client.Client], Awaitable[object]],
    kind: type[object],
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(enabled=True)
    observed: list[client.Call] = []
    server.answers(200, body)
    auth = (CANARY, CANARY)
    async with servers.calling(server.url, api_key=CANARY, metrics_auth=auth, observe=observed.append) as api:
        proved = await call(api)

        assert isinstance(proved, kind)
        assert_keeps_secrets(repr(proved) + str(proved))
        assert_keeps_secrets(repr(api) + repr(vars(api)))
    assert_keeps_secrets(repr(observed))
    assert_keeps_secrets(repr(WANTED) + repr(WEBHOOK))
    assert [str(record.getMessage()) for record in caplog.records if record.name == "asyncio"]
    assert_keeps_secrets("".join(f"{record.getMessage()}{vars(record)}" for record in caplog.records))


FAILURES = [
    (200, b"<html>" + CANARY.encode(), errors.NotJSON),
    (500, CANARY.encode(), errors.ServerFailed),
]


@pytest.mark.parametrize(("status", "content", "kind"), FAILURES)
def test_error_shows_the_route_and_nothing_of_the_answer(
    status: int, content: bytes, kind: type[errors.EvolutionError]
) -> None:

    reply = transport.Reply(routes.CONNECT.request, status, content)
    with pytest.raises(kind) as raised:
        replies.connected(reply, name="shop")

    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(reply)
    assert "GET /instance/connect/{name}" in shown
    assert_keeps_secrets(shown)


async def test_error_of_a_connection_shows_neither_key_nor_body() -> None:
    sender = transport.Transport(
        url="http://127.0.0.1:1",
        api_key=CANARY,
        ca_bundle=None,
        metrics_auth=None,
        timeout_seconds=5,
        rules=servers.LOOPBACK_ALLOWED,
    )
    with pytest.raises(errors.ConnectionRefused) as raised:
        await sender.send(routes.CREATE, path=routes.CREATE.path, body={"token": CANARY, "number": NUMBER})
    await sender.close()

    assert_keeps_secrets("".join(traceback.format_exception(raised.value)) + repr(raised.value))


def test_every_error_means_something_to_the_caller_and_is_in_the_drawn_tree() -> None:
    def leaves(kind: type[errors.EvolutionError]) -> list[type[errors.EvolutionError]]:
        below = kind.__subclasses__()
        return [leaf for sub in below for leaf in leaves(sub)] if below else [kind]

    drawn = errors.__doc__ or ""
    for leaf in leaves(errors.EvolutionError):
        assert isinstance(leaf.why, evidence.Ignorance)
        assert leaf.__name__ in drawn
