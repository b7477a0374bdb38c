"""The workload of a server, whose pod the simulated server stands for: it is down while its pod is replaced."""

import asyncio
from dataclasses import dataclass

from benchmarks import plain
from evolution_simulator.control_client import Simulator

_DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
_PODS = "/api/v1/namespaces/{}/pods?labelSelector=app%3D{}"
_POLL_SECONDS = 0.1
NODE = "node-1"


@dataclass(slots=True)
class Pod:
    """Follows the one pod of a Deployment; `restarts` counts how often it was replaced."""

    api: plain.Api
    namespace: str
    name: str
    simulator: Simulator
    load_seconds: float
    restarts: int = 0
    _serving: str | None = None

    async def create(self) -> None:
        """Create the Deployment, and wait for its pod."""
        labels = {"app": self.name}
        pod = {"nodeName": NODE, "containers": [{"name": "api", "image": "evolution-api"}]}
        spec = {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": self.name}, "spec": spec}
        await self.api.call("POST", _DEPLOYMENTS.format(self.namespace), body)

        async def is_ready() -> bool:
            self._serving = await self._ready()
            return self._serving is not None

        await plain.until(is_ready, seconds=60, every=0.2, message="the pod did not get ready")

    async def follow(self) -> None:
        """Without end: stop the server when its pod goes, start it when the next one is ready."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            ready = await self._ready()
            if ready == self._serving:
                continue
            if self._serving is not None:
                await asyncio.to_thread(self.simulator.down)
                self._serving = None
            if ready is not None:
                await asyncio.to_thread(self.simulator.up, load_seconds=self.load_seconds)
                self._serving, self.restarts = ready, self.restarts + 1

    async def _ready(self) -> str | None:
        """The uid of the pod that is ready and stays."""
        listed = await self.api.call("GET", _PODS.format(self.namespace, self.name))
        ready = [pod["metadata"]["uid"] for pod in listed["items"] if _serves(pod)]
        return ready[0] if ready else None


def _serves(pod: plain.Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    is_ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return is_ready and "deletionTimestamp" not in pod["metadata"]
