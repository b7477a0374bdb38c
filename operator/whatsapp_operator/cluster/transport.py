"""One call to the Kubernetes API: its request, its time limit, and what its answer means.

The official client supplies connections, TLS and login. Its models are not used: building them costs more than the call
itself, and would drop the fields that this version of them does not know. JSON goes in and comes out.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

from whatsapp_operator.engine import ports

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

_METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}
_UNAUTHORIZED = 401
_ERRORS: Mapping[int, type[ports.KubernetesError]] = {
    400: ports.Rejected,
    _UNAUTHORIZED: ports.Forbidden,
    403: ports.Forbidden,
    404: ports.NotFound,
    409: ports.Conflict,
    413: ports.Rejected,
    415: ports.Rejected,
    422: ports.Rejected,
}


class Observer(Protocol):
    """Counts calls."""

    def kubernetes_call(self, *, verb: str, resource: str, code: str) -> None:
        """A call ended; `code` is the HTTP status, or a word where there was none."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `verb` and `resource` are those of RBAC."""

    verb: str
    resource: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: object = field(default=None, repr=False)
    content_type: str = JSON


class Caller(Protocol):
    """Makes calls: `Transport` over HTTP, others where there is no network."""

    async def call(self, call: Call) -> Mapping[str, object]:
        """The answer's JSON object. Raises a `KubernetesError`."""

    async def text(self, call: Call) -> str:
        """The answer unparsed, for one that is long and mostly known. Raises a `KubernetesError`."""


_SEGMENT = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def path(*segments: str) -> str:
    """The path of these segments. Raises `Rejected` for one that is no name: a reference must not lead elsewhere."""
    for segment in segments:
        if _SEGMENT.fullmatch(segment) is None:
            raise ports.Rejected("a name in a path is not a Kubernetes name")
    return "/" + "/".join(segments)


class Expired(ports.Unavailable):
    """410: the page after this one is no longer to be had; the list starts again."""


class Transport:
    """Makes calls, each within `timeout_seconds`.

    `renew_login` is awaited once after a 401 that may be due to a rotated token, before the one further attempt.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        renew_login: Callable[[], Awaitable[None]],
        observer: Observer,
        timeout_seconds: float = 30,
        user_agent: str = "whatsapp-operator",
    ) -> None:
        # Asking the environment and .netrc takes a thread for each call; only a proxy is worth asking for.
        configuration.client_session_kwargs = {"trust_env": bool(urllib.request.getproxies_environment())}
        self._client = ApiClient(configuration)
        self._client.user_agent = user_agent
        self._renew_login, self._observer = renew_login, observer
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the client has no types here

    async def call(self, call: Call) -> Mapping[str, object]:
        """The answer's JSON object. Raises a `KubernetesError`."""
        status, raw = await self._answer(call)
        return judged(call, status, _parse(call, status, raw))

    async def text(self, call: Call) -> str:
        """The answer unparsed, for one that is long and mostly known. Raises a `KubernetesError`."""
        status, raw = await self._answer(call)
        if status >= 300:
            raise _error(call, status, _parse(call, status, raw))
        return raw.decode(errors="replace")

    async def _answer(self, call: Call) -> tuple[int, bytes]:
        status, raw = await self._attempt(call)
        if status == _UNAUTHORIZED:
            await self._renew_login()
            status, raw = await self._attempt(call)
        return status, raw

    async def _attempt(self, call: Call) -> tuple[int, bytes]:
        try:
            status, raw = await self._exchange(call)
        except (aiohttp.ClientError, OSError) as error:
            self._observe(call, type(error).__name__)
            raise ports.Unavailable(f"{call.verb} {call.resource}: no answer ({type(error).__name__})") from error
        except asyncio.CancelledError:
            self._observe(call, "Cancelled")
            raise
        self._observe(call, str(status))
        return status, raw

    async def _exchange(self, call: Call) -> tuple[int, bytes]:
        method, url, headers, body, _ = await self._client.param_serialize(
            _METHODS[call.verb],
            call.path,
            query_params=list(call.query),
            header_params={"Accept": JSON, "Content-Type": call.content_type},
            body=call.body,
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(method, url, headers, body, _request_timeout=self._timeout)
        raw = await response.read()  # type: ignore[no-untyped-call]  # the client has no types here
        return int(response.status), cast("bytes", raw)

    def _observe(self, call: Call, code: str) -> None:
        self._observer.kubernetes_call(verb=call.verb, resource=call.resource, code=code)


def judged(call: Call, status: int, answer: Mapping[str, object]) -> Mapping[str, object]:
    """The answer's JSON object, where the status says that it is what was asked for. Raises a `KubernetesError`."""
    if status >= 300:
        raise _error(call, status, answer)
    return answer


def _parse(call: Call, status: int, raw: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    if status >= 300:
        return {}
    raise ports.Unavailable(f"{call.verb} {call.resource}: {status} with a body that is no JSON object")


def _error(call: Call, status: int, answer: Mapping[str, object]) -> ports.KubernetesError:
    """Names the fields that the API server objects to, never their values: they may be secrets."""
    sentence = f"{call.verb} {call.resource}: {status} {answer.get('reason') or 'without a reason'}{_fields(answer)}"
    if status == 410:
        return Expired(sentence)
    return _ERRORS.get(status, ports.Unavailable)(sentence)


def _fields(answer: Mapping[str, object]) -> str:
    details = answer.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    fields = [str(cause["field"]) for cause in causes or () if isinstance(cause, dict) and cause.get("field")]
    return f" ({', '.join(fields)})" if fields else ""
