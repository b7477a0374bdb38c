"""Three servers with a third of the fleet each, all paired, and the resources that declare them."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from benchmarks import plain, population, recording
from benchmarks.chaos import pods
from evolution_simulator import control_client
from whatsapp_operator.resources import names

NAMESPACE = "chaos"
SPEED = 10
"""How many times shorter everything is than in life."""
TOKEN = "CHAOS-TOKEN"  # noqa: S105 - of simulated instances
_SERVERS = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/evolutionservers"
_INSTANCES = "/" + recording.INSTANCES.format(NAMESPACE)
_SECRETS = "/" + recording.SECRETS.format(NAMESPACE)
_CONCURRENCY = 16
_LOAD_SECONDS = 0.003
"""For each row, as a server starts: three times slower in life (evolution-api.md, section 11: 33 rows in 9 s)."""

PROBE_SECONDS = 30
HEALTH = {
    "checkPeriodSeconds": 1,
    "databasePeriodSeconds": 3,
    "checkTimeoutSeconds": 2,
    "stuckTimeoutSeconds": 3,
    "minHealthySeconds": 60,
    "probe": {"mode": "Enabled", "periodSeconds": PROBE_SECONDS},
}
RECOVERY = {
    "retryDelaySeconds": 1,
    "stepTimeoutSeconds": 4,
    "sessionLossDelaySeconds": 30,
    "lastResortDelaySeconds": 2160,
}
BUDGET = {
    "windows": [
        {"class": "Soft", "max": 30, "periodSeconds": 60},
        {"class": "Recreate", "max": 30, "periodSeconds": 360},
        {"class": "ServerRestart", "max": 2, "periodSeconds": 360},
        {"class": "SessionLoss", "max": 3, "periodSeconds": 360},
    ],
    "storm": {"cooldownSeconds": 30},
}
FLAGS = (
    "--absence-seconds=3",
    "--stable-close-seconds=3",
    "--stable-close-samples=150",
    "--flapping-seconds=60",
    "--reachable-seconds=12",
    "--qr-wait-seconds=3",
    "--frozen-seconds=12",
    "--warm-up-growth-seconds=30",
    "--delete-retry-seconds=6",
    "--recreate-wait-seconds=60",
    "--recreate-wait-max-seconds=360",
    "--status-period-seconds=3",
    "--sweep-period-seconds=30",
    "--server-restart-seconds=60",
)
"""A tenth of the defaults."""


@dataclass(slots=True)
class House:
    """One server with its instances."""

    name: str
    simulator: control_client.Simulator
    pod: pods.Pod
    instances: Sequence[str]

    def sessions(self) -> dict[str, str]:
        """The id of each instance that holds a pairing; another id is another pairing."""
        inside = self.simulator.state()["instances"]
        return {name: one["id"] for name, one in inside.items() if one["session"] == "paired"}

    def opened(self) -> set[str]:
        """The instances that are open for real."""
        inside = self.simulator.state()["instances"]
        return {name for name, one in inside.items() if (one["connections"] or {}).get("open") == 1}


@dataclass(slots=True)
class Fleet:
    """All of it."""

    api: plain.Api
    houses: Sequence[House]
    ready: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return sum(len(house.instances) for house in self.houses)

    def pairings(self) -> dict[str, str]:
        """Each pairing there is."""
        return {name: one for house in self.houses for name, one in house.sessions().items()}

    def calls(self) -> Counter[str]:
        """The calls to all servers since the last reset, by route."""
        return sum((Counter(house.simulator.call_counts()) for house in self.houses), Counter())

    def changed(self, others_than: Iterable[str]) -> set[str]:
        """Instances that were called to change something, though nothing was wrong with them."""
        called = {call["instance"] for house in self.houses for call in house.simulator.calls(mutating=True)}
        return {name for name in called if name} - set(others_than)

    def reset(self) -> None:
        """Forget the calls so far."""
        for house in self.houses:
            house.simulator.reset_calls()

    async def all_ready(self, *, seconds: float) -> None:
        """Wait until every instance is Ready. Raises TimeoutError."""

        async def are_ready() -> bool:
            listed = await self.api.call("GET", f"{_INSTANCES}?resourceVersion=0")
            self.ready = {one["metadata"]["name"] for one in listed["items"] if _is_ready(one)}
            return len(self.ready) == self.size

        await plain.until(are_ready, seconds=seconds, every=1.0, message="not all were Ready again")


@asynccontextmanager
async def opened(api: plain.Api, *, size: int, servers: int = 3) -> AsyncIterator[Fleet]:
    """A fleet whose instances all exist and are declared; no operator runs yet."""
    await population.create_namespace(api, NAMESPACE)
    async with AsyncExitStack() as stack:
        await _secrets(api)
        houses = [await _house(api, stack, number, size=size, servers=servers) for number in range(servers)]
        async with asyncio.TaskGroup() as group:
            following = [group.create_task(house.pod.follow()) for house in houses]
            try:
                yield Fleet(api, houses)
            finally:
                for task in following:
                    task.cancel()


async def _secrets(api: plain.Api) -> None:
    for name, values in {"key": {"apikey": population.API_KEY}, "token": {"token": TOKEN}}.items():
        await api.call("POST", _SECRETS, {"metadata": {"name": name}, "stringData": values})


async def _house(api: plain.Api, stack: AsyncExitStack, number: int, *, size: int, servers: int) -> House:
    name, share = f"server-{number}", size // servers + (number < size % servers)
    simulator = stack.enter_context(
        control_client.launch(api_key=population.API_KEY, python=sys.executable, speed=SPEED, seed=number)
    )
    simulator.no_races()
    instances = await asyncio.to_thread(simulator.seed, share, prefix=f"number-{number}", token=TOKEN)
    pod = pods.Pod(api, NAMESPACE, name, simulator, load_seconds=_LOAD_SECONDS * SPEED)
    await pod.create()
    await api.call("POST", _SERVERS, _server(name, simulator.url))
    await plain.each(
        instances, lambda one: api.call("POST", _INSTANCES, _instance(one, name)), concurrency=_CONCURRENCY
    )
    return House(name, simulator, pod, instances)


def _server(name: str, url: str) -> plain.Json:
    spec = {
        "url": url,
        "apiKeySecretRef": {"name": "key"},
        "requests": {"perSecond": 20 * SPEED, "maxInFlight": 16},
        "health": HEALTH,
        "recovery": RECOVERY,
        "budget": BUDGET,
        "workloadRef": {"kind": "Deployment", "name": name, "maxWaitSeconds": 60},
    }
    return {"apiVersion": names.API_VERSION, "kind": "EvolutionServer", "metadata": {"name": name}, "spec": spec}


def _instance(name: str, server: str) -> plain.Json:
    spec = {"serverRef": {"name": server}, "tokenSecretRef": {"name": "token"}}
    return {"apiVersion": names.API_VERSION, "kind": "WhatsAppInstance", "metadata": {"name": name}, "spec": spec}


def _is_ready(body: plain.Json) -> bool:
    conditions = body.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
