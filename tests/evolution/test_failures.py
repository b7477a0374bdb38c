"""Whatever goes wrong between the operator and a server proves nothing, and says why."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from evolution import servers
from whatsapp_operator.evolution import client, evidence, transport

Ignorance = evidence.Ignorance


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The authority that signed the server's certificate."""
    return trustme.CA()


@pytest.fixture
async def secure(authority: trustme.CA) -> AsyncIterator[servers.Server]:
    """An HTTPS server that accepts the key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with servers.running(tls=context) as running:
        running.answers(200, {"status": 200, "message": "Credentials are valid"})
        yield running


def pem(authority: trustme.CA) -> str:
    """A CA bundle of one certificate."""
    return authority.cert_pem.bytes().decode()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The head of one request."""
    return await reader.readuntil(b"\r\n\r\n")


async def answer_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Half open: the connection stands, no one answers."""
    await reader.read()
    await asyncio.Event().wait()


async def answer_drop_by_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never silent for long, never done."""
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Close after the request."""
    await read_request(reader)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Abort after the request."""
    await read_request(reader)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def stop_in_the_middle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise more than is sent."""
    await read_request(reader)
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"instance":{"instanceName":"shop","state":"open"}}')


async def speak_something_else(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Not HTTP."""
    await read_request(reader)
    writer.write(b"220 mail.example.com ESMTP\r\n\r\n")


CONVERSATIONS = [
    (answer_nothing, Ignorance.TIMEOUT),
    (answer_drop_by_drop, Ignorance.TIMEOUT),
    (hang_up, Ignorance.BROKEN),
    (reset, Ignorance.BROKEN),
    (stop_in_the_middle, Ignorance.BROKEN),
    (speak_something_else, Ignorance.BROKEN),
]


@pytest.mark.parametrize(("conversation", "why"), CONVERSATIONS)
async def test_connection_that_fails_proves_nothing(conversation: servers.Conversation, why: Ignorance) -> None:
    async with servers.conversing(conversation) as url, servers.calling(url, timeout_seconds=0.3) as api:
        assert await api.read_memory("shop") == evidence.Unknown(why)
        assert await api.restart("shop") == evidence.Unknown(why)
        assert await api.list_memory() == evidence.Unknown(why)


async def test_refused_connection_proves_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with servers.calling(url) as api:
            assert await api.read_memory("shop") == evidence.Unknown(Ignorance.REFUSED)


@pytest.mark.parametrize("host", ["evolution.invalid", "evolution..example.com", "a" * 64])
async def test_name_without_address_proves_nothing(host: str) -> None:
    async with servers.calling(f"http://{host}:8080", timeout_seconds=60) as api:
        assert await api.read_memory("shop") == evidence.Unknown(Ignorance.NOT_RESOLVED)


async def test_call_after_close_proves_nothing(server: servers.Server) -> None:
    async with servers.calling(server.url) as api:
        await api.close()

        assert await api.read_memory("shop") == evidence.Unknown(Ignorance.BROKEN)
        assert server.seen == []


JSON_ERRORS = [
    (429, {"error": "slow down"}, Ignorance.RATE_LIMITED),
    (500, {"status": 500, "response": {"message": ["PrismaClientKnownRequestError"]}}, Ignorance.SERVER_ERROR),
    (502, {}, Ignorance.SERVER_ERROR),
    (503, {"error": "service not activated"}, Ignorance.SERVER_ERROR),
    (503, {"error": "service not activated", "code": "LICENSE_REQUIRED"}, Ignorance.LICENSE_REQUIRED),
    (504, None, Ignorance.SERVER_ERROR),
    (401, {"status": 401, "response": {"message": "Unauthorized"}}, Ignorance.KEY_REJECTED),
    (403, {"status": 403, "response": {"message": ["Forbidden"]}}, Ignorance.KEY_REJECTED),
    (404, {"status": 404, "response": {"message": ["Cannot GET /instance/x"]}}, Ignorance.NO_SUCH_ROUTE),
    (
        404,
        {"status": 404, "response": {"message": ['The "other" instance does not exist']}},
        Ignorance.UNEXPECTED_SHAPE,
    ),
    (404, {"message": 'The "shop" instance does not exist'}, Ignorance.UNEXPECTED_SHAPE),
    (410, {"status": 410, "response": {"message": ['The "shop" instance does not exist']}}, Ignorance.UNEXPECTED_SHAPE),
    (400, {"isBoom": True, "output": {"statusCode": 428}}, Ignorance.UNEXPECTED_SHAPE),
    (200, {"status": "ok"}, Ignorance.UNEXPECTED_SHAPE),
    (200, {"instance": {"instanceName": "other", "state": "open"}}, Ignorance.UNEXPECTED_SHAPE),
    (200, {"instance": {"instanceName": "shop", "state": "refused"}}, Ignorance.UNEXPECTED_SHAPE),
    (200, {"instance": {"instanceName": "shop", "state": None}}, Ignorance.UNEXPECTED_SHAPE),
]


@pytest.mark.parametrize(("status", "body", "why"), JSON_ERRORS)
async def test_answer_that_is_none_proves_nothing(
    server: servers.Server, api: client.Client, status: int, body: object, why: Ignorance
) -> None:
    server.answers(status, body)

    assert await api.read_memory("shop") == evidence.Unknown(why)
    assert await api.connect("shop") == evidence.Unknown(why)


PAGE = b"<!DOCTYPE html><html><body>Evolution Manager</body></html>"
TEXTS = [
    (200, PAGE, Ignorance.NOT_JSON),
    (200, b"", Ignorance.NOT_JSON),
    (200, b'{"instance":{"instanceName":"shop","sta', Ignorance.NOT_JSON),
    (200, b"[" * 100_000, Ignorance.NOT_JSON),
    (200, b'{"instance": ' + b"9" * 5_000 + b"}", Ignorance.NOT_JSON),
    (200, b"\xff\xfe\x00", Ignorance.NOT_JSON),
    (200, b"\x1f\x8b\x08compressed although nobody asked", Ignorance.NOT_JSON),
    (404, PAGE, Ignorance.NOT_JSON),
    (400, PAGE, Ignorance.NOT_JSON),
    (502, PAGE, Ignorance.SERVER_ERROR),
    (503, PAGE, Ignorance.SERVER_ERROR),
    (401, PAGE, Ignorance.KEY_REJECTED),
]


@pytest.mark.parametrize(("status", "content", "why"), TEXTS)
async def test_answer_that_is_not_json_proves_nothing(
    server: servers.Server, api: client.Client, status: int, content: bytes, why: Ignorance
) -> None:
    server.status, server.content, server.content_type = status, content, "text/html"

    assert await api.read_memory("shop") == evidence.Unknown(why)
    assert await api.list_database() == evidence.Unknown(why)
    assert await api.delete("shop") == evidence.Unknown(why)


METRICS_ERRORS = [
    (401, b"Authentication required", Ignorance.METRICS_REFUSED),
    (401, b"Invalid credentials", Ignorance.METRICS_REFUSED),
    (403, b"Forbidden: IP not allowed", Ignorance.METRICS_REFUSED),
    (500, b"Metrics authentication not configured", Ignorance.METRICS_REFUSED),
    (500, b"Internal Server Error", Ignorance.SERVER_ERROR),
    (404, b'{"status":404,"response":{"message":["Cannot GET /metrics"]}}', Ignorance.NO_SUCH_ROUTE),
    (404, PAGE, Ignorance.NOT_JSON),
    (200, PAGE, Ignorance.UNEXPECTED_SHAPE),
    (200, b"", Ignorance.UNEXPECTED_SHAPE),
    (200, b"\xff", Ignorance.UNEXPECTED_SHAPE),
]


@pytest.mark.parametrize(("status", "content", "why"), METRICS_ERRORS)
async def test_metrics_that_cannot_be_read_prove_nothing(
    server: servers.Server, api: client.Client, status: int, content: bytes, why: Ignorance
) -> None:
    server.status, server.content, server.content_type = status, content, "text/plain"

    assert await api.list_memory() == evidence.Unknown(why)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed_and_takes_no_key_along(server: servers.Server, status: int) -> None:
    async with servers.running() as target, servers.calling(server.url) as api:
        target.answers(200, {"instance": {"instanceName": "shop", "state": "open"}})
        server.answers(status, {})
        server.headers = {"location": f"{target.url}/instance/connectionState/shop"}

        assert await api.read_memory("shop") == evidence.Unknown(Ignorance.UNEXPECTED_SHAPE)
        assert await api.restart("shop") == evidence.Unknown(Ignorance.UNEXPECTED_SHAPE)
        assert target.seen == []


async def test_body_over_the_bound_is_not_read_to_its_end() -> None:
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        megabyte = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        while True:
            writer.write(megabyte)
            await writer.drain()
            written += 0x100000

    async with servers.conversing(flood) as url, servers.calling(url, timeout_seconds=30) as api:
        assert await api.list_database() == evidence.Unknown(Ignorance.UNEXPECTED_SHAPE)

    assert transport.MAX_BODY_BYTES <= written + 0x200000 <= transport.MAX_BODY_BYTES + 0x1000000


async def test_certificate_of_the_given_authority_is_accepted(secure: servers.Server, authority: trustme.CA) -> None:
    async with servers.calling(secure.url, ca_bundle=pem(authority)) as api:
        assert await api.verify_key() == evidence.KeyAccepted()


BUNDLES: list[Callable[[], str | None]] = [
    lambda: None,
    lambda: "",
    lambda: "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n",
    lambda: pem(trustme.CA()),
]


@pytest.mark.parametrize("bundle", BUNDLES, ids=["none", "empty", "nonsense", "another authority"])
async def test_certificate_of_no_given_authority_is_refused_before_the_key_is_sent(
    secure: servers.Server, bundle: Callable[[], str | None]
) -> None:
    async with servers.calling(secure.url, ca_bundle=bundle()) as api:
        assert await api.verify_key() == evidence.Unknown(Ignorance.TLS)
        assert secure.seen == []


async def test_certificate_for_another_name_is_refused(authority: trustme.CA) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example.com").configure_cert(context)
    async with servers.running(tls=context) as other, servers.calling(other.url, ca_bundle=pem(authority)) as api:
        assert await api.verify_key() == evidence.Unknown(Ignorance.TLS)


async def test_server_without_tls_is_not_called_as_if_it_had(server: servers.Server, authority: trustme.CA) -> None:
    url = server.url.replace("http:", "https:")
    async with servers.calling(url, ca_bundle=pem(authority)) as api:
        assert await api.verify_key() == evidence.Unknown(Ignorance.TLS)
        assert server.seen == []


@pytest.mark.parametrize("key", ["ends in a newline\n", "schlüssel", "a\r\nx-injected: 1"])
async def test_key_that_no_header_can_carry_is_not_sent(server: servers.Server, key: str) -> None:
    async with servers.calling(server.url, api_key=key) as api:
        assert await api.verify_key() == evidence.Unknown(Ignorance.KEY_REJECTED)
        assert server.seen == []


async def test_environment_decides_neither_proxy_nor_credentials(
    server: servers.Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with servers.running() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with servers.calling(server.url) as api:
            await api.read_memory("shop")
            await api.connect("shop")

        assert proxy.seen == []
    assert len(server.seen) == 2
    assert all("authorization" not in asked.headers for asked in server.seen)


NEW = evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token="a-token")  # noqa: S106 - opens nothing
ACTING: list[Callable[[client.Client], Awaitable[object]]] = [
    lambda api: api.connect("shop"),
    lambda api: api.restart("shop"),
    lambda api: api.logout("shop"),
    lambda api: api.delete("shop"),
    lambda api: api.create(NEW),
]


@pytest.mark.parametrize("act", ACTING, ids=["connect", "restart", "logout", "delete", "create"])
@pytest.mark.parametrize("end", [hang_up, reset])
async def test_call_that_acts_is_sent_once_although_the_connection_broke(
    act: Callable[[client.Client], Awaitable[object]], end: servers.Conversation
) -> None:
    requests = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await end(reader, writer)

    async with servers.conversing(count) as url, servers.calling(url) as api:
        outcome = await act(api)

    assert outcome == evidence.Unknown(Ignorance.BROKEN)
    assert requests == 1


async def test_read_outlives_a_kept_connection_that_the_server_closed() -> None:
    connections = 0

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        body = b'{"instance":{"instanceName":"shop","state":"open"}}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        await read_request(reader)

    async with servers.conversing(answer_once) as url, servers.calling(url) as api:
        first, second = await api.read_memory("shop"), await api.read_memory("shop")

    assert first == second == evidence.InMemory(evidence.ConnectionState.OPEN)
    assert connections == 2
