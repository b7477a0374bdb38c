"""HTTP to one Evolution API server: one request out, one whole reply or one error back.

Three things that aiohttp would do unasked are kept from happening: following a redirect (it would carry the key
elsewhere), reading proxies or credentials from the environment, and sending a request again. It repeats a GET or DELETE
whose connection broke, but `connect` starts one more socket per call and `logout` destroys a pairing, so calls that act
go over a connection of their own and are sent at most once. Reads may be repeated: a kept connection that the server
closed meanwhile (Node closes after 5 s) proves nothing about the server.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import httpx

from whatsapp_operator.evolution import errors, routes, urls

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""About eight times the list of 10,000 instances."""

_KEEPALIVE_SECONDS: Final = 4.0
"""Less than the 5 s after which Node closes an idle connection."""

_BUFFER_BYTES: Final = 1024 * 1024
"""The list of 500 instances comes without a pause."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; the content can hold keys, QR codes and phone numbers, so no repr shows it."""

    request: errors.Request
    status: int
    content: bytes = field(repr=False)


class Transport:
    """The connections to one server."""

    def __init__(
        self,
        *,
        url: str,
        api_key: str,
        ca_bundle: str | None,
        metrics_auth: tuple[str, str] | None,
        timeout_seconds: float,
        rules: urls.Rules,
    ) -> None:
        """Never raise: with a URL, key or CA bundle that cannot be used, every call ends in the error that says so."""
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._headers = _headers(api_key, metrics_auth)
        self._fault: type[errors.EvolutionError] | None = None
        if rules.flaw(url) is not None:
            self._fault = errors.PolicyRefused
        elif not (api_key.isascii() and api_key.isprintable()):
            self._fault = errors.KeyRejected
        context = self._trust(ca_bundle)
        connect = functools.partial(_open_socket, rules)
        self._reads = _Connections(context, connect=connect, keep=True)
        self._acts = _Connections(context, connect=connect, keep=False)
        self._base = "" if self._fault is errors.PolicyRefused else str(httpx.URL(url)).rstrip("/")

    def _trust(self, ca_bundle: str | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self._url.lower().startswith("https:"):
            return context
        if ca_bundle is None:
            context.load_default_certs()
            return context
        try:
            context.load_verify_locations(cadata=ca_bundle)
        except (ssl.SSLError, ValueError):
            self._fault = self._fault or errors.TLSFailed
        return context

    async def send(self, route: routes.Route, *, path: str, body: Mapping[str, object] | None = None) -> Reply:
        """Send one request and read the whole reply; raise `errors.PolicyRefused`, `Unreachable` or `Misanswered`."""
        if self._fault is not None:
            raise self._fault(route.request)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._exchange(route, path=path, body=body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(error)(route.request) from error

    async def _exchange(self, route: routes.Route, *, path: str, body: Mapping[str, object] | None) -> Reply:
        session = (self._acts if route.acts else self._reads).session()
        if session is None:
            raise errors.Broken(route.request)
        headers = self._headers[route.credential]
        content = None
        if body is not None:
            headers, content = {**headers, "content-type": "application/json"}, json.dumps(body).encode()
        async with session.request(
            route.method, self._base + path, headers=headers, data=content, allow_redirects=False
        ) as response:
            return Reply(route.request, response.status, await _read(response, route.request))

    async def close(self) -> None:
        """Close all connections; a call after that ends in `errors.Broken`."""
        await self._reads.close()
        await self._acts.close()


class _AddressRefused(OSError):  # noqa: N818 - the answer is the name, and it never leaves this module
    """A name led to an address that the operator does not call.

    An OSError, because only after one does aiohttp try the next address; with a constant text, because it merges errors
    that differ into a new one.
    """

    def __init__(self) -> None:
        super().__init__("address refused by policy")


class _ConnectionLost(aiohttp.ClientError):
    """A connection broke under a request that may not be sent again."""


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Hide a broken connection from aiohttp's own retry of GET and DELETE."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _ConnectionLost from error


def _open_socket(rules: urls.Rules, address: aiohttp.AddrInfoType) -> socket.socket:
    """The last moment before a connection: what is checked here is the address that is connected to."""
    family, kind, protocol, _, place = address
    if rules.refuses(str(place[0])):
        raise _AddressRefused
    return socket.socket(family=family, type=kind, proto=protocol)


class _Connections:
    """aiohttp's session, which belongs to the loop that it is made in: so it is made with the first call."""

    def __init__(self, context: ssl.SSLContext, *, connect: aiohttp.SocketFactoryType, keep: bool) -> None:
        self._context, self._connect, self._keep = context, connect, keep
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def session(self) -> aiohttp.ClientSession | None:
        """The session; None after `close`."""
        if self._session is None and not self._closed:
            self._session = self._open()
        return None if self._closed else self._session

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=self._context,
            limit=0,
            socket_factory=self._connect,
            force_close=not self._keep,
            keepalive_timeout=_KEEPALIVE_SECONDS if self._keep else None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("content-type",),
            middlewares=() if self._keep else (_send_once,),
            auto_decompress=False,
            read_bufsize=_BUFFER_BYTES,
            timeout=aiohttp.ClientTimeout(),  # `send` bounds the whole call
            trust_env=False,
        )

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()


def _headers(api_key: str, metrics_auth: tuple[str, str] | None) -> Mapping[routes.Credential, Mapping[str, str]]:
    common = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "whatsapp-operator"}
    metrics = dict(common)
    if metrics_auth is not None:
        pair = base64.b64encode(":".join(metrics_auth).encode()).decode()
        metrics["authorization"] = f"Basic {pair}"
    return {
        routes.Credential.NONE: common,
        routes.Credential.METRICS: metrics,
        routes.Credential.KEY: {**common, "apikey": api_key},
    }


async def _read(response: aiohttp.ClientResponse, request: errors.Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise errors.UnexpectedShape(request)
        chunks.append(chunk)
    return b"".join(chunks)


_FAILURES: Final[tuple[tuple[type[BaseException], type[errors.EvolutionError]], ...]] = (
    (_AddressRefused, errors.PolicyRefused),
    (aiohttp.InvalidURL, errors.PolicyRefused),
    (ssl.SSLError, errors.TLSFailed),
    (aiohttp.ClientConnectorDNSError, errors.NotResolved),
    (UnicodeError, errors.NotResolved),
    (ConnectionResetError, errors.Broken),
    (TimeoutError, errors.TimedOut),
    (aiohttp.ClientConnectorError, errors.ConnectionRefused),
)
"""First match wins, causes included."""


def _failure(error: BaseException) -> type[errors.EvolutionError]:
    links = _chain(error)
    for kind, failure in _FAILURES:
        if any(isinstance(link, kind) for link in links):
            return failure
    return errors.Broken


def _chain(error: BaseException | None) -> list[BaseException]:
    links = []
    while error is not None:
        links.append(error)
        error = error.__cause__
    return links
