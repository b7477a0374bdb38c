"""kubectl whose reads go over one `kubectl proxy`: a process for each read costs more than what a test looks at."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from e2e import kube

_OURS = "/apis/whatsapp-operator.dev/v1alpha1"
_PLURALS = {
    "wai": (_OURS, "whatsappinstances"),
    "evs": (_OURS, "evolutionservers"),
    "secret": ("/api/v1", "secrets"),
    "secrets": ("/api/v1", "secrets"),
}


@contextlib.contextmanager
def http(kubectl: kube.Kubectl) -> Iterator[httpx.Client]:
    """The API server by plain HTTP, with the rights of `kubectl`, for as long as the block lasts."""
    command = kubectl.command("proxy", "--port=0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=kubectl.environment()) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            where = re.search(r"[\d.]+:\d+", said)
            assert where, said
            with httpx.Client(base_url=f"http://{where[0]}", trust_env=False, timeout=60) as client:
                yield client
        finally:
            process.terminate()


@contextlib.contextmanager
def opened(kubectl: kube.Kubectl) -> Iterator["Proxied"]:
    """The same kubectl in the same namespace, with quick reads, for as long as the block lasts."""
    with http(kubectl) as client:
        yield Proxied(kubectl.kubeconfig, kubectl.namespace, client)


@dataclass(frozen=True, slots=True)
class Proxied(kube.Kubectl):
    """What it cannot read over the proxy it does as any kubectl."""

    client: httpx.Client | None = None

    def json(self, *arguments: str) -> Any:
        """`json("get", "wai", "a")` or `json("get", "wai")`; anything else by the program."""
        match arguments:
            case ("get", kind, *names) if kind in _PLURALS and len(names) < 2 and not "".join(names).startswith("-"):
                answer = self._read(kind, *names)
                if not answer.is_success:
                    raise kube.KubectlError(arguments, 1, answer.text)
                return answer.json()
        return kube.Kubectl.json(self, *arguments)

    def exists(self, kind: str, name: str) -> bool:
        """Whether there is such an object. Raises KubectlError when that cannot be told."""
        if kind not in _PLURALS:
            return kube.Kubectl.exists(self, kind, name)
        answer = self._read(kind, name)
        if answer.status_code != httpx.codes.NOT_FOUND and not answer.is_success:
            raise kube.KubectlError(("get", kind, name), 1, answer.text)
        return answer.is_success

    def _read(self, kind: str, *name: str) -> httpx.Response:
        assert self.client is not None
        group, plural = _PLURALS[kind]
        try:
            return self.client.get("/".join((group, "namespaces", str(self.namespace), plural, *name)))
        except httpx.HTTPError as error:
            raise kube.KubectlError(("get", kind, *name), 1, repr(error)) from error
