"""A namespace with EvolutionServers and many WhatsAppInstances, and what becomes of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks import plain, recording
from whatsapp_operator.resources import names

API_KEY = "benchmark-key"
SERVER = "server"
CONCURRENCY = 16
"""As many as the operator's workers by default."""

_SERVERS = f"apis/{names.API_VERSION}/namespaces/{{}}/evolutionservers"
_GONE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the population is made of."""

    namespace: str
    size: int
    integration: str
    requests: dict[str, int] | None
    """The servers' request limits; None leaves the defaults."""
    urls: Sequence[str]
    """Of the servers; the instances are dealt out to them in turn."""
    removed: bool = True
    """Whether everything is removed at the end; where the cluster goes too, it need not be."""


@dataclass(frozen=True, slots=True)
class Turn:
    """`Ready` of an instance became another value; `at` is the wall time at which a watch told it."""

    name: str
    ready: bool
    at: float


@dataclass(slots=True)
class Population:
    """The resources in one namespace, watched from before the first was created."""

    api: plain.Api
    wanted: Wanted
    turns: list[Turn] = field(default_factory=list)
    _ready: set[str] = field(default_factory=set)
    _recordings: list[recording.Recording] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the instances, on the server too."""
        return [f"i{number:05d}" for number in range(self.wanted.size)]

    async def open(self) -> None:
        """Create the namespace and the servers, and begin to watch."""
        await create_namespace(self.api, self.wanted.namespace)
        secret = {"metadata": {"name": "key"}, "stringData": {"apikey": API_KEY}}
        await self.api.call("POST", "/" + recording.SECRETS.format(self.wanted.namespace), secret)
        for number, url in enumerate(self.wanted.urls):
            await self._create_server(f"{SERVER}-{number}", url)
        self._recordings = recording.watches(self.api, listener=self._saw_instance)
        for each in self._recordings:
            await each.start(self.wanted.namespace)

    async def _create_server(self, name: str, url: str) -> None:
        spec = {"url": url, "apiKeySecretRef": {"name": "key"}}
        spec |= {"requests": self.wanted.requests} if self.wanted.requests else {}
        body = {"apiVersion": names.API_VERSION, "kind": "EvolutionServer", "metadata": {"name": name}, "spec": spec}
        await self.api.call("POST", "/" + _SERVERS.format(self.wanted.namespace), body)

    async def servers_are_ready(self, *, seconds: float) -> None:
        """Wait until each EvolutionServer is Ready. Raises TimeoutError."""
        path = f"/{_SERVERS.format(self.wanted.namespace)}"

        async def are_ready() -> bool:
            return all(is_ready(one) for one in (await self.api.call("GET", path))["items"])

        await plain.until(are_ready, seconds=seconds, every=0.2, message="the EvolutionServers were not Ready")

    async def create_all(self) -> None:
        """Create every instance."""
        servers = len(self.wanted.urls)
        turns = [(name, number % servers) for number, name in enumerate(self.names)]
        await plain.each(turns, lambda turn: self.create(*turn), concurrency=CONCURRENCY)

    async def create(self, name: str, server: int, *, integration: str | None = None) -> None:
        """Create one instance on the server of that number."""
        spec = {"serverRef": {"name": f"{SERVER}-{server}"}, "integration": integration or self.wanted.integration}
        body = {"apiVersion": names.API_VERSION, "kind": "WhatsAppInstance", "metadata": {"name": name}, "spec": spec}
        await self.api.call("POST", "/" + recording.INSTANCES.format(self.wanted.namespace), body)

    def _saw_instance(self, at: float, event: plain.Json) -> None:
        body = event["object"]
        name, ready = body["metadata"]["name"], is_ready(body)
        if ready is not (name in self._ready):
            self.turns.append(Turn(name, ready, at))
            (self._ready.add if ready else self._ready.discard)(name)

    async def all_are_ready(self, *, seconds: float) -> float:
        """Wait until all are Ready; the wall time at which the last one became so. Raises TimeoutError."""

        async def are_ready() -> bool:
            return len(self._ready) == self.wanted.size

        await plain.until(are_ready, seconds=seconds, every=0.1, message="not all instances were Ready")
        return self.turns[-1].at

    def are_ready(self, names: Sequence[str]) -> bool:
        """Whether these are Ready now."""
        return self._ready.issuperset(names)

    def histories(self) -> dict[str, list[recording.Write]]:
        """What was written for each instance so far, the creation by its user included."""
        return {name: [*each] for name, each in recording.writes(self._recordings).items()}

    async def stop_watching(self) -> None:
        """See nothing more."""
        for each in self._recordings:
            await each.stop()

    async def close(self) -> None:
        """Stop watching and remove everything, without the operator."""
        await self.stop_watching()
        if self.wanted.removed:
            await remove_namespace(self.api, self.wanted.namespace)


@asynccontextmanager
async def opened(api: plain.Api, wanted: Wanted) -> AsyncIterator[Population]:
    """A population, without instances yet; its namespace is removed at the end, after the operator has stopped."""
    population = Population(api, wanted)
    try:
        await population.open()
        yield population
    finally:
        await population.close()


async def create_namespace(api: plain.Api, name: str) -> None:
    """Create a namespace."""
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})


async def remove_namespace(api: plain.Api, name: str) -> None:
    """Remove a namespace with all that is in it, and wait until it is gone. Nothing of ours holds it."""
    for path in (recording.INSTANCES, _SERVERS):
        where = "/" + path.format(name)
        held = [one["metadata"]["name"] for one in (await api.call("GET", where))["items"]]
        await plain.each(held, lambda one, at=where: _free(api, f"{at}/{one}"), concurrency=CONCURRENCY)  # type: ignore[misc]  # the default binds the loop's value
    await api.call("DELETE", f"/api/v1/namespaces/{name}")

    async def is_gone() -> bool:
        return not await api.exists(f"/api/v1/namespaces/{name}")

    await plain.until(is_gone, seconds=_GONE_SECONDS, every=0.5, message=f"the namespace {name} did not go")


async def _free(api: plain.Api, path: str) -> None:
    await api.patch(path, {"metadata": {"finalizers": None}})


def is_ready(body: plain.Json) -> bool:
    """Whether a resource says that it is Ready."""
    conditions = body.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
