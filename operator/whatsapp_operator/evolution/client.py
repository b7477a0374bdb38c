"""The Evolution API of one server, as evidence.

No method raises: each returns what its reply proved, and `evidence.Unknown` where that is nothing. Nor does any method
try again, since whether to is a decision of recovery: a call that acts may have had its effect although its outcome is
Unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from whatsapp_operator.evolution import breaker, errors, evidence, limits, replies, routes, transport, urls

_Evidence = TypeVar("_Evidence")

_LONG_BYTES: Final = 256 * 1024
"""Read in about 5 ms."""

_LONG_TO_COMPARE_BYTES: Final = 4 * 1024 * 1024
"""Compared in about 5 ms."""


@dataclass(frozen=True, slots=True)
class Call:
    """One finished call, for metrics: no name, key or body.

    `outcome` is `Answered`, `Refused`, or the value of an `evidence.Ignorance`; `seconds` begin after the wait for the
    limits.
    """

    method: str
    route: str
    outcome: str
    seconds: float


class Wire(Protocol):
    """What carries requests to a server; `transport.Transport` does so over HTTP."""

    async def send(
        self, route: routes.Route, *, path: str, body: Mapping[str, object] | None = None
    ) -> transport.Reply:
        """Send one request and read the whole reply, or raise an `errors.EvolutionError`."""

    async def close(self) -> None:
        """Close all connections."""


class Client:
    """The calls to one server; it keeps its connections until `close`.

    Calls for single instances are limited in rate and number, and not sent at all while the server does not answer
    (`evidence.Ignorance.BREAKER_OPEN`). The few bulk reads are not limited: were they to wait behind a thousand
    creates, nothing would be known of the server meanwhile. They are also what tries whether it answers again.
    """

    def __init__(
        self,
        *,
        url: str,
        api_key: str,
        ca_bundle: str | None = None,
        metrics_auth: tuple[str, str] | None = None,
        per_second: float = 20,
        max_in_flight: int = 8,
        timeout_seconds: float = 10,
        check_period_seconds: float = 10,
        rules: urls.Rules,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        observe: Callable[[Call], None],
        may_change: Callable[[], bool] = lambda: True,
        wire: Wire | None = None,
    ) -> None:
        """Never raise: a URL, key or CA bundle that cannot be used makes every call Unknown, saying why.

        `ca_bundle` is PEM and replaces the system's authorities; `metrics_auth` is a user name and a password.
        `check_period_seconds` is how often the server is read; one that does not answer is tried no more often.
        `may_change` is asked right before a call that changes something leaves, after its wait for the limits.
        `wire` stands in for HTTP where there is no network, as on simulated time.
        """
        self._monotonic, self._observe, self._may_change = monotonic, observe, may_change
        self._gate = limits.Gate(per_second=per_second, max_in_flight=max_in_flight, monotonic=monotonic, sleep=sleep)
        self._breaker: Final = breaker.Breaker(period=check_period_seconds, monotonic=monotonic, random=random)
        self._is_of_a_token, self._key_verified = _looks_filtered_by(api_key), False
        self._read_memory_list: Final = replies.Unchanged(replies.memory_list)
        self._read_database_list: Final = replies.database_lists()
        self._wire: Final[Wire] = wire or transport.Transport(
            url=url,
            api_key=api_key,
            ca_bundle=ca_bundle,
            metrics_auth=metrics_auth,
            timeout_seconds=timeout_seconds,
            rules=rules,
        )

    async def list_memory(self) -> evidence.MemoryList | evidence.Unknown:
        """`GET /metrics`: the memory state of every instance in one read, without the database."""
        return await self._call(routes.METRICS, self._read_memory_list)

    async def list_database(self) -> evidence.DatabaseList | evidence.Unknown:
        """`GET /instance/fetchInstances`, unfiltered: the server counts whole message tables for it.

        The server takes an instance's token there, too, and shows the rows that have it and no others (Evolution API
        2.3.7, instance.controller.ts), which would prove that all others are gone. So the key is verified where a list
        looks like that.
        """
        listed = await self._call(routes.FETCH_INSTANCES, self._read_database_list)
        if isinstance(listed, evidence.DatabaseList) and not self._key_verified and self._is_of_a_token(listed):
            accepted = await self.verify_key()
            if isinstance(accepted, evidence.Unknown):
                return accepted
            self._key_verified = True
        return listed

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        """`GET /instance/connectionState/{name}`."""
        return await self._call_on(name, routes.CONNECTION_STATE, functools.partial(replies.memory, name=name))

    async def identify(self) -> evidence.ServerIdentity | evidence.Unknown:
        """`GET /`: the server asks the internet before it answers, so a failure proves nothing."""
        return await self._call(routes.IDENTIFY, replies.identity)

    async def verify_key(self) -> evidence.KeyAccepted | evidence.Unknown:
        """`POST /verify-creds`: neither network nor database behind it."""
        return await self._call(routes.VERIFY_KEY, replies.key)

    async def create(self, wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        """`POST /instance/create`."""
        read = functools.partial(replies.created, name=wanted.name)
        return await self._call(routes.CREATE, read, instance=wanted.name, body=_new_instance(wanted))

    async def connect(
        self, name: str
    ) -> evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused | evidence.Unknown:
        """`GET /instance/connect/{name}`: starts a socket in `close`; in `connecting` only reads the QR code."""
        return await self._call_on(name, routes.CONNECT, functools.partial(replies.connected, name=name))

    async def restart(self, name: str) -> evidence.Outcome:
        """`POST /instance/restart/{name}`: keeps the pairing."""
        return await self._call_on(name, routes.RESTART, functools.partial(replies.restarted, name=name))

    async def logout(self, name: str) -> evidence.Outcome:
        """`DELETE /instance/logout/{name}`: destroys the pairing."""
        return await self._call_on(name, routes.LOGOUT, functools.partial(replies.logged_out, name=name))

    async def delete(self, name: str) -> evidence.Outcome:
        """`DELETE /instance/delete/{name}`: destroys everything, some time later."""
        return await self._call_on(name, routes.DELETE, functools.partial(replies.deleted, name=name))

    async def find_settings(self, name: str) -> Mapping[str, object] | evidence.Unknown | None:
        """`GET /settings/find/{name}`: the settings of `replies.SETTINGS`; None is the server's `null`."""
        return await self._call_on(name, routes.FIND_SETTINGS, replies.settings)

    async def set_settings(self, name: str, settings: Mapping[str, object]) -> evidence.Outcome:
        """`POST /settings/set/{name}`: a full replace. A `wavoipToken` closes the live socket each time."""
        read = functools.partial(replies.settings_set, name=name)
        return await self._call_on(name, routes.SET_SETTINGS, read, body=_said(settings))

    async def find_webhook(self, name: str) -> evidence.Webhook | evidence.Unknown | None:
        """`GET /webhook/find/{name}`; None is the server's `null`."""
        return await self._call_on(name, routes.FIND_WEBHOOK, replies.webhook)

    async def set_webhook(self, name: str, webhook: evidence.Webhook) -> evidence.Outcome:
        """`POST /webhook/set/{name}`: a full replace."""
        read = functools.partial(replies.webhook_set, name=name)
        return await self._call_on(name, routes.SET_WEBHOOK, read, body={"webhook": _webhook(webhook)})

    async def probe(self, name: str, *, number: str) -> evidence.ProbeResult | evidence.Unknown:
        """`POST /chat/fetchBusinessProfile/{name}`: a round trip to WhatsApp through the instance's own socket."""
        return await self._call_on(name, routes.FETCH_BUSINESS_PROFILE, replies.probed, body={"number": number})

    @property
    def circuit(self) -> evidence.Circuit:
        """Whether calls are sent, and when the next bulk read is where they are not."""
        return self._breaker.circuit

    async def close(self) -> None:
        """Close the connections; calls after that are Unknown."""
        await self._wire.close()

    async def _call_on(
        self,
        name: str,
        route: routes.Route,
        read: Callable[[transport.Reply], _Evidence],
        *,
        body: Mapping[str, object] | None = None,
    ) -> _Evidence | evidence.Unknown:
        try:
            path = route.fill(name)
        except errors.PolicyRefused as error:
            return evidence.Unknown(error.why)
        return await self._call(route, read, instance=name, path=path, body=body)

    async def _call(
        self,
        route: routes.Route,
        read: Callable[[transport.Reply], _Evidence],
        *,
        instance: str | None = None,
        path: str | None = None,
        body: Mapping[str, object] | None = None,
    ) -> _Evidence | evidence.Unknown:
        if not self._breaker.admits(route):
            return evidence.Unknown(evidence.Ignorance.BREAKER_OPEN)
        async with contextlib.nullcontext() if route.bulk else self._gate.passage():
            if not self._breaker.admits(route):
                # It opened while this call waited for its turn.
                return evidence.Unknown(evidence.Ignorance.BREAKER_OPEN)
            if route.acts and not self._may_change():
                return evidence.Unknown(evidence.Ignorance.NOT_HELD)
            started = self._monotonic()
            try:
                reply = await self._wire.send(route, path=path or route.path, body=body)
                proved = await _understand(read, reply)
            except errors.EvolutionError as error:
                self._report(route, error.why.value, started)
                self._breaker.failed(route, error, instance=instance)
                return evidence.Unknown(error.why)
        self._breaker.answered(route)
        self._report(route, "Refused" if isinstance(proved, evidence.Refused) else "Answered", started)
        return proved

    def _report(self, route: routes.Route, outcome: str, started: float) -> None:
        seconds = self._monotonic() - started
        self._observe(Call(method=route.method, route=route.path, outcome=outcome, seconds=seconds))


async def _understand(read: Callable[[transport.Reply], _Evidence], reply: transport.Reply) -> _Evidence:
    """Read a long reply in a thread: in the event loop it would hold up everything else for tenths of a second.

    A list that says the same again, as nearly all do, is known without that, unless it is so long that even to compare
    it takes a while.
    """
    if len(reply.content) < _LONG_BYTES:
        return read(reply)
    if isinstance(read, replies.Unchanged) and len(reply.content) < _LONG_TO_COMPARE_BYTES:
        known: _Evidence | None = read.known(reply)
        if known is not None:
            return known
    return await asyncio.to_thread(read, reply)


def _looks_filtered_by(api_key: str) -> Callable[[evidence.DatabaseList], bool]:
    """Whether all rows of a list have the key for their token. A closure, so that the client shows no key."""

    def looks_filtered(listed: evidence.DatabaseList) -> bool:
        return bool(listed.rows) and all(row.token == api_key for row in listed.rows.values())

    return looks_filtered


def _said(settings: Mapping[str, object]) -> Mapping[str, object]:
    """Without what is null: a row of before 2.2.1 has no `wavoipToken`, and null is refused where a string may be."""
    return {name: value for name, value in settings.items() if value is not None}


def _new_instance(wanted: evidence.NewInstance) -> Mapping[str, object]:
    body: dict[str, object] = {
        **_said(wanted.settings),
        "instanceName": wanted.name,
        "integration": wanted.integration,
        "token": wanted.token,
        "qrcode": False,
    }
    if wanted.number is not None:
        body["number"] = wanted.number
    if wanted.business_id is not None:
        body["businessId"] = wanted.business_id
    # `create` stores every webhook as enabled (Evolution API 2.3.7, event.manager.ts:136), so a disabled one stays out.
    if wanted.webhook is not None and wanted.webhook.enabled:
        body["webhook"] = _webhook(wanted.webhook)
    return body if wanted.proxy is None else {**body, **_proxy(wanted.proxy)}


def _proxy(proxy: evidence.Proxy) -> Mapping[str, object]:
    """User name and password also where there is none: the database takes no null (Evolution API 2.3.7, schema)."""
    return {
        "proxyHost": proxy.host,
        "proxyPort": proxy.port,
        "proxyProtocol": proxy.protocol,
        "proxyUsername": proxy.username,
        "proxyPassword": proxy.password,
    }


def _webhook(webhook: evidence.Webhook) -> Mapping[str, object]:
    return {
        "enabled": webhook.enabled,
        "url": webhook.url,
        "events": sorted(webhook.events),
        "headers": dict(webhook.headers),
        "byEvents": webhook.by_events,
        "base64": webhook.base64,
    }
