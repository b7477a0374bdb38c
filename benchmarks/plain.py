"""A plain client of the API server: requests, lists and watches, and nothing in between.

It creates what the operator then works on, and replays the operator's writes for the reference; so it does as little
as a client can do.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

T = TypeVar("T")
Json = dict[str, Any]

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
_WATCH_SECONDS = 7200
_LINE_BYTES = 2**22
_CALL_SECONDS = 60.0


class ApiError(Exception):
    """The API server refused a request, with its own words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


class Api:
    """Calls to one API server."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(self, method: str, path: str, body: object = None, *, content_type: str = JSON) -> Json:
        """One request and its answer. Raises ApiError where the API server refuses it."""
        data = None if body is None else json.dumps(body).encode()
        timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
        headers = {"Content-Type": content_type}
        async with self._session.request(method, path, data=data, headers=headers, timeout=timeout) as answer:
            raw = await answer.read()
            if answer.status >= 300:
                raise ApiError(answer.status, raw.decode(errors="replace"))
            found: Json = json.loads(raw)
            return found

    async def patch(self, path: str, body: object) -> Json:
        """A merge patch."""
        return await self.call("PATCH", path, body, content_type=MERGE_PATCH)

    async def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        try:
            await self.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def watch(self, path: str, *, since: str) -> AsyncIterator[bytes]:
        """Everything that happens to a collection after a resource version, one event of JSON each."""
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": str(_WATCH_SECONDS)}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(path, params=query, timeout=timeout, read_bufsize=_LINE_BYTES) as answer:
            if answer.status >= 300:
                raise ApiError(answer.status, await answer.text())
            async for line in answer.content:
                yield line


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """A client as a kubeconfig's user, with the server's certificate verified."""
    login = Configuration()
    await config.load_kube_config(config_file=str(kubeconfig), client_configuration=login, persist_config=False)  # type: ignore[no-untyped-call]  # the client has no types here
    trusted = ssl.create_default_context(cafile=login.ssl_ca_cert)
    if login.cert_file:
        trusted.load_cert_chain(login.cert_file, login.key_file)
    token = login.api_key.get("BearerToken")
    headers = {"Authorization": token} if token else {}
    connector = aiohttp.TCPConnector(ssl=trusted, limit=0)
    async with aiohttp.ClientSession(login.host, connector=connector, headers=headers) as session:
        yield Api(session)


async def each(items: Iterable[T], work: Callable[[T], Awaitable[object]], *, concurrency: int) -> None:
    """Do the work for each item, so many at once; the first failure ends it."""
    waiting = iter(items)

    async def labour() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(labour())


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float, every: float, message: str) -> None:
    """Ask again and again. Raises TimeoutError with the message."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{message} within {seconds:.0f} s")
        await asyncio.sleep(every)
