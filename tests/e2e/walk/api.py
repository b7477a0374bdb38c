"""The API server and a simulated server, asked many hundred times: over `kubectl proxy` and plain HTTP."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx

from e2e import kube, proxied, stage
from e2e.walk import meaning
from evolution_simulator.control_client import Simulator

T = TypeVar("T")
R = TypeVar("R")
Object = dict[str, Any]

_AT_ONCE = 8
_GROUP = "/apis/whatsapp-operator.dev/v1alpha1"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a person is told."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Api:
    """One namespace, as an administrator."""

    http: httpx.Client
    namespace: str

    def _at(self, plural: str, name: str = "") -> str:
        group = _GROUP if plural in ("whatsappinstances", "evolutionservers") else "/api/v1"
        return f"{group}/namespaces/{self.namespace}/{plural}{'/' if name else ''}{name}"

    def list(self, plural: str) -> dict[str, Object]:
        """All of a kind, by name."""
        answer = self.http.get(self._at(plural)).raise_for_status().json()
        return {one["metadata"]["name"]: one for one in answer["items"]}

    def create(self, plural: str, body: Object) -> Object | Refusal:
        """Create one, strictly: an unknown field is refused."""
        return _answer(self.http.post(f"{self._at(plural)}?fieldValidation=Strict", json=body))

    def replace_spec(self, plural: str, name: str, spec: object) -> Object | Refusal:
        """Put a spec in place of the one that is there, with every `null` in it."""
        patch = [{"op": "replace", "path": "/spec", "value": spec}]
        return _answer(
            self.http.patch(
                f"{self._at(plural, name)}?fieldValidation=Strict",
                content=json.dumps(patch),
                headers={"Content-Type": "application/json-patch+json"},
            )
        )

    def delete(self, plural: str, name: str) -> None:
        """Ask for the deletion of one."""
        self.http.delete(self._at(plural, name)).raise_for_status()

    def everything(self) -> dict[str, Object]:
        """All that the operator writes, but Leases, by kind and name."""
        plurals = ("whatsappinstances", "evolutionservers", "secrets", "events", "configmaps")
        return {f"{plural}/{name}": body for plural in plurals for name, body in self.list(plural).items()}


def _answer(response: httpx.Response) -> Object | Refusal:
    body: Object = response.json()
    return body if response.is_success else Refusal(response.status_code, str(body.get("message")))


@contextlib.contextmanager
def opened(kubectl: kube.Kubectl) -> Iterator[Api]:
    """The API server, for as long as the block lasts."""
    with proxied.http(kubectl) as http:
        yield Api(http, str(kubectl.namespace))


def each(items: Iterable[T], deed: Callable[[T], R]) -> Sequence[R]:
    """Do it for each, some at a time."""
    with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(deed, items))


def world(api: Api, simulator: Simulator, evolution: httpx.Client, wanted: Mapping[str, Object]) -> meaning.World:
    """Everything at this moment; webhooks of those of `wanted` that have one."""
    rows = {row["name"]: row for row in evolution.get("/instance/fetchInstances").raise_for_status().json()}
    names = [body["spec"].get("instanceName", name) for name, body in wanted.items() if "webhook" in body["spec"]]
    known = [name for name in names if name in rows]
    webhooks = each(known, lambda name: evolution.get(f"/webhook/find/{name}").json())
    return meaning.World(
        url=simulator.url,
        key=stage.API_KEY,
        client_name="evolution_exchange",
        rows=rows,
        webhooks=dict(zip(known, webhooks, strict=True)),
        secrets={name: meaning.decoded(body) for name, body in api.list("secrets").items()},
    )


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)
