"""Logging in to the Kubernetes API: one source, for kopf's watch and for every other call.

The source is the first of: the file given by flag, KUBECONFIG, the pod's service account, `~/.kube/config`. It is read
again each minute, and at once after a 401: a service account's token is replaced within the hour, and a kubeconfig may
get its token from a program.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import os
import socket
import urllib.parse
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import kopf
import structlog
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import incluster_config

from whatsapp_operator.engine import ports

_TOKEN_SECONDS = 60.0

_log = structlog.get_logger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Load = Callable[[Configuration], Awaitable[None]]
_UNREADABLE = (OSError, config.ConfigException, yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError)
"""What reading a login may end in; the client trips over a file of another shape with whatever its code meets."""


class LoginError(Exception):
    """No login to the Kubernetes API could be found or read; the message names the cure."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the login is read from."""

    name: str
    load: Load


def find(kubeconfig: Path | None, *, environment: Mapping[str, str] = os.environ) -> Source:
    """The first source that exists. Raises `LoginError` when there is none."""
    if kubeconfig is not None:
        return _file(str(kubeconfig))
    if environment.get("KUBECONFIG"):
        return _file(environment["KUBECONFIG"])
    if environment.get("KUBERNETES_SERVICE_HOST") and Path(incluster_config.SERVICE_TOKEN_FILENAME).is_file():
        return Source("the pod's service account", _load_service_account)
    default = Path(environment.get("HOME", "/")) / ".kube" / "config"
    if default.is_file():
        return _file(str(default))
    raise LoginError("no cluster to log in to: run in a pod with a service account, or set KUBECONFIG or --kubeconfig")


def _file(path: str) -> Source:
    return Source(path, functools.partial(_load_file, path))


async def _load_file(path: str, configuration: Configuration) -> None:
    load = cast("Callable[..., Awaitable[object]]", config.load_kube_config)
    await load(config_file=path, client_configuration=configuration, persist_config=False)


async def _load_service_account(configuration: Configuration) -> None:
    # The client's own refresh is off: it goes by local wall time, and not after a 401.
    load = cast("Callable[..., None]", config.load_incluster_config)
    load(client_configuration=configuration, try_refresh_token=False)


class Login:
    """A login that is kept fresh. `configuration` is what the client takes."""

    def __init__(self, source: Source, *, clock: ports.Clock) -> None:
        self._source, self._clock = source, clock
        self._read_at = 0.0
        self.configuration = Configuration()
        setattr(self.configuration, "refresh_api_key_hook", self._refresh)  # noqa: B010 - typed as None there

    async def open(self) -> None:
        """Read the login for the first time. Raises `LoginError`."""
        try:
            await self._read()
        except _UNREADABLE as error:
            raise LoginError(f"cannot log in with {self._source.name}: {_describe(error)}") from error

    async def renew(self) -> None:
        """Read the login again; when it cannot be read, the last one stays."""
        try:
            await self._read()
        except _UNREADABLE as error:
            _log.warning("the login could not be read again", source=self._source.name, error=_describe(error))

    async def _read(self) -> None:
        self._read_at = self._clock.monotonic()
        await self._source.load(self.configuration)

    async def _refresh(self, _configuration: Configuration) -> None:
        if self._clock.monotonic() - self._read_at >= _TOKEN_SECONDS:
            await self.renew()

    async def api_server_addresses(self) -> frozenset[Address]:
        """Where the API server is, as this login and as every pod finds it."""
        known = urllib.parse.urlsplit(self.configuration.host).hostname
        return await _resolve({known or "", os.environ.get("KUBERNETES_SERVICE_HOST", "")} - {""})

    async def connection(self) -> kopf.ConnectionInfo:
        """The login as kopf takes it. kopf asks again after a 401."""
        await self.renew()
        read = self.configuration
        scheme, _, token = str(read.api_key.get("BearerToken", "")).partition(" ")
        return kopf.ConnectionInfo(
            server=read.host,
            ca_path=read.ssl_ca_cert,
            insecure=not read.verify_ssl,
            scheme=scheme or None,
            token=token.strip() or None,
            certificate_path=read.cert_file,
            private_key_path=read.key_file,
            proxy_url=read.proxy,
        )


_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace(source: Source, *, watched: Sequence[str] = (), pod: Path = _POD_NAMESPACE) -> str:
    """The operator's own: the pod's; without one the first that it watches, else the kubeconfig's, else default."""
    if pod.is_file():
        return pod.read_text().strip()
    return next(iter(watched), None) or _current_namespace(source.name) or "default"


def _current_namespace(files: str) -> str | None:
    try:
        read = yaml.safe_load(Path(files.split(os.pathsep, maxsplit=1)[0]).read_text())
        current = next(one for one in read["contexts"] if one["name"] == read["current-context"])
        return cast("str | None", current["context"].get("namespace"))
    except (*_UNREADABLE, StopIteration):
        return None


def _describe(error: Exception) -> str:
    """What went wrong, without the file's text: a parser quotes the line it stumbled over, and that may be a key."""
    return str(error) if isinstance(error, OSError | config.ConfigException) else type(error).__name__


async def _resolve(hosts: Iterable[str]) -> frozenset[Address]:
    """All addresses of these names; a name that is not known has none."""
    found: set[Address] = set()
    for host in hosts:
        with contextlib.suppress(OSError):
            answers = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found |= {ipaddress.ip_address(answer[4][0]) for answer in answers}
    return frozenset(found)
