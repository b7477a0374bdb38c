"""An API server that says what it is told to, and what stands beside one."""

from __future__ import annotations

import asyncio
import enum
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from whatsapp_operator.cluster import api
from whatsapp_operator.engine import ports

KUBECTL = Path(sys.executable).with_name("kubectl")


class Fault(enum.Enum):
    """What a server does instead of answering."""

    SILENCE = enum.auto()
    HANG_UP = enum.auto()


@dataclass
class Counted:
    """Every call that was observed, as verb, resource and code."""

    calls: list[tuple[str, str, str]] = field(default_factory=list)

    def kubernetes_call(self, *, verb: str, resource: str, code: str) -> None:
        self.calls.append((verb, resource, code))


@dataclass
class Scripted:
    """An API server that answers what it is told to, and remembers what it was asked."""

    url: str = ""
    answers: list[web.Response | Fault] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.requests.append((request.method, request.path_qs, dict(request.headers), body))
        answer = self.answers.pop(0)
        if isinstance(answer, web.Response):
            return answer
        if answer is Fault.SILENCE:
            await asyncio.sleep(30)
        assert request.transport is not None
        request.transport.close()
        return web.Response()


@dataclass
class Kubectl:
    """kubectl as administrator of the real API server."""

    kubeconfig: Path

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        command = [str(KUBECTL), "--kubeconfig", str(self.kubeconfig), *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


async def everything(port: api.KubernetesApi, kind: str = "WhatsAppInstance") -> list[ports.Body]:
    """All pages of a list."""
    return [one.body() async for page in port.list(kind) for one in page]
