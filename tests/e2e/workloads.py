"""Workloads that are rolled out for real, and a simulated server that lives and dies with the pod of one.

Deployments, ReplicaSets and StatefulSets are the business of the real controllers; kwok plays the kubelet of the node
that the pods name, so that they run, get ready and go. No container runs: what a client would reach in the pod is the
simulator of the test, which a `PodFollower` stops and starts as the pods do.
"""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import yaml

from e2e import kube
from evolution_simulator.control_client import Simulator

NODE = "node-1"
READY_AFTER = "whatsapp-operator.dev/test-ready-after"
GONE_AFTER = "whatsapp-operator.dev/test-gone-after"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
WATCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet called `name`, whose pods name a node that kwok plays."""

    kubectl: kube.Kubectl
    kind: str
    name: str

    def apply(self, *, replicas: int = 1, ready_after: str = "0s", gone_after: str = "0s", **spec: Any) -> None:
        """Apply it; `spec` replaces what else its spec would be, such as `strategy`.

        A pod needs `ready_after` to become ready, and `gone_after` to end: durations such as `3s`.
        """
        metadata = {"labels": {"app": self.name}, "annotations": {READY_AFTER: ready_after, GONE_AFTER: gone_after}}
        wanted = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": self.name}},
            "template": {
                "metadata": metadata,
                "spec": {"nodeName": NODE, "containers": [{"name": "api", "image": "evolution-api"}]},
            },
        }
        more = {"serviceName": self.name} if self.kind == "StatefulSet" else {"strategy": {"type": "Recreate"}}
        resource = {"apiVersion": "apps/v1", "kind": self.kind, "metadata": {"name": self.name}}
        self.kubectl.apply(yaml.safe_dump(resource | {"spec": wanted | more | spec}))

    def restart(self, at: str) -> None:
        """Patch the pod template as `kubectl rollout restart` does, with any text as the time."""
        template = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: at}}}}}
        self.kubectl("patch", self.kind.lower(), self.name, "--type=merge", "-p", json.dumps(template))

    def wait_rolled_out(self, *, timeout: float = 60) -> None:
        """Wait until the rollout is complete, as `kubectl rollout status` tells."""
        target = f"{self.kind.lower()}/{self.name}"
        self.kubectl("rollout", "status", target, f"--timeout={timeout:.0f}s", timeout=timeout + 10)

    def pods(self) -> list[dict[str, Any]]:
        """Its pods, those that are ending included."""
        found: list[dict[str, Any]] = self.kubectl.json("get", "pods", f"--selector=app={self.name}")["items"]
        return found

    def pod_uids(self) -> set[str]:
        """Which pods it has now."""
        return {pod["metadata"]["uid"] for pod in self.pods()}


@dataclass(frozen=True, slots=True)
class Step:
    """A thing that happened to a pod, by its uid, in the order of the watch."""

    what: str
    uid: str


@dataclass
class PodFollower:
    """Follows a workload's pods by a watch, and lets the simulated server live and die with them.

    The server is down from the moment that its pod begins to end, or is gone. It starts as the real one does once a new
    pod is ready: it listens after `down_seconds` more, then its rows load one after another, one each `load_seconds`.
    It knows one pod at a time: two that overlap, as in a rolling update of a Deployment, are two servers.
    """

    workload: Workload
    simulator: Simulator
    load_seconds: float = 0.0
    down_seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    stops: int = 0
    starts: int = 0
    failure: Exception | None = None
    _serving: str | None = None
    _known: set[tuple[str, str]] = field(default_factory=set)
    _settled: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def following(self) -> Iterator["PodFollower"]:
        """Follow for as long as the block lasts; it begins once the pod that is ready now is known.

        Raises what went wrong while following, at the end of the block.
        """
        command = self._command()
        environment = self.workload.kubectl.environment()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            thread = threading.Thread(target=self._follow, args=(process.stdout,), daemon=True)
            thread.start()
            try:
                assert self._settled.wait(WATCH_SECONDS), "no pod of the workload is ready"
                yield self
            finally:
                process.terminate()
                thread.join()
        if self.failure is not None:
            raise self.failure

    def happened(self, what: str) -> list[str]:
        """The uids of the pods that something happened to, in order: `created`, `ready`, `ending`, `deleted`."""
        return [step.uid for step in self.steps if step.what == what]

    def _command(self) -> list[str]:
        selector = f"--selector=app={self.workload.name}"
        output = ("--watch", "--output-watch-events", "-o", "json")
        return self.workload.kubectl.command("get", "pods", selector, *output)

    def _follow(self, output: IO[str]) -> None:
        try:
            for event in _documents(output):
                self._see(event["type"], event["object"])
        except Exception as error:  # noqa: BLE001 - raised again where the block ends
            self.failure = error

    def _see(self, kind: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        self._note("created", uid)
        if kind == "DELETED":
            self._note("deleted", uid)
            self._stop(uid)
        elif "deletionTimestamp" in pod["metadata"]:
            self._note("ending", uid)
            self._stop(uid)
        elif _is_ready(pod):
            self._note("ready", uid)
            self._start(uid)

    def _note(self, what: str, uid: str) -> None:
        if (what, uid) not in self._known:
            self._known.add((what, uid))
            self.steps.append(Step(what, uid))

    def _stop(self, uid: str) -> None:
        if self._serving == uid:
            self._serving = None
            self.simulator.down()
            self.stops += 1

    def _start(self, uid: str) -> None:
        if not self._settled.is_set():
            self._serving = uid  # the simulator runs already, as the server of this pod
            self._settled.set()
        elif self._serving is None:
            self._serving = uid
            time.sleep(self.down_seconds)
            self.simulator.up(load_seconds=self.load_seconds)
            self.starts += 1


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _documents(output: IO[str]) -> Iterator[Any]:
    """JSON documents from a stream, each as soon as its last line is there: kubectl writes them indented or not."""
    held = ""
    for line in output:
        held += line
        try:
            document = json.loads(held)
        except json.JSONDecodeError:
            continue
        held = ""
        yield document
