"""The stage of a scenario: a namespace, a simulated server, an operator that works in that namespace only.

The operator is the installed program, run as its own ServiceAccount with the shipped Roles and nothing else. Every span
that it can be told is short, so that a scenario takes seconds; what it does is asserted at the simulator, which keeps a
journal of all calls.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from e2e import kube, rights
from evolution_simulator.control_client import Simulator, launch

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / ".venv" / "bin"
API_KEY = "canary-api-key-4f1d"  # a canary: looked for in all logs, Events, status and metrics
SERVER = "main"

QUICK = (
    "--sweep-period-seconds=5",
    "--status-period-seconds=1",
    "--key-refresh-seconds=1",
    "--absence-seconds=2",
    "--stable-close-seconds=1",
    "--stable-close-samples=60",
    "--reachable-seconds=1",
    "--probe-again-seconds=1",
    "--qr-wait-seconds=3",
    "--frozen-seconds=60",
    "--flapping-seconds=600",
    "--warm-up-growth-seconds=3",
    "--orphan-release-seconds=4",
    "--delete-retry-seconds=2",
    "--recreate-wait-seconds=5",
    "--lease-duration-seconds=6",
    "--renew-deadline-seconds=4",
    "--renew-period-seconds=1",
    "--allow-server-address=127.0.0.0/8",
)
"""Flags that make hours seconds."""

OWN_PORT = ("--telemetry-host=127.0.0.1", "--telemetry-port=0")

QUICK_HEALTH = {
    "checkPeriodSeconds": 1,
    "databasePeriodSeconds": 1,
    "checkTimeoutSeconds": 2,
    "stuckTimeoutSeconds": 3,
    "minHealthySeconds": 5,
}
QUICK_RECOVERY = {"retryDelaySeconds": 1, "stepTimeoutSeconds": 6}


@dataclass
class Operator:
    """The operator as a process; its log is kept, and shown when a test fails."""

    kubeconfig: Path
    log_file: Path
    flags: Sequence[str] = ()
    program: Sequence[str] = (str(PROGRAMS / "whatsapp-operator"),)
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0

    def start(self) -> None:
        """Start it, and wait until it serves its telemetry."""
        with self.log_file.open("ab") as log:
            began = self.log_file.stat().st_size
            self.process = subprocess.Popen(
                [*self.program, "run", *OWN_PORT, f"--kubeconfig={self.kubeconfig}", *self.flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if not name.startswith("WHATSAPP_OPERATOR_")},
            )
        self.port = (
            kube.wait_until(lambda: self._served_port(began), timeout=90, message="no telemetry was served") or 0
        )

    def _served_port(self, began: int) -> int | None:
        for line in self.log_file.read_bytes()[began:].decode(errors="replace").splitlines():
            if "telemetry is served" in line:
                return int(yaml.safe_load(line)["port"])
        return None

    def kill(self) -> None:
        """SIGKILL: no word of farewell."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=40)

    def log(self) -> str:
        """Everything it has logged, over all its starts."""
        return self.log_file.read_text(errors="replace")

    def metrics(self) -> str:
        """What Prometheus would scrape."""
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False).text

    def ready(self) -> tuple[int, str]:
        """Status and text of /readyz."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False)
        return answer.status_code, answer.text


@dataclass
class Stage:
    """Everything that a scenario plays with."""

    namespace: str
    kubectl: kube.Kubectl
    simulator: Simulator
    operator: Operator
    applied: list[str] = field(default_factory=list)
    server_url: str | None = None
    """Where the server is reached, if not where it listens itself."""

    def server(self, name: str = SERVER, *, url: str | None = None, **spec: Any) -> None:
        """Apply an EvolutionServer with its Secret, quick in all that it can be."""
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-key"},
            "stringData": {"apikey": API_KEY},
        }
        wanted = {
            "url": url or self.server_url or self.simulator.url,
            "apiKeySecretRef": {"name": f"{name}-key"},
            "health": QUICK_HEALTH,
            "recovery": QUICK_RECOVERY,
        } | spec
        self.kubectl.apply(yaml.safe_dump_all([secret, _resource("EvolutionServer", name, wanted)]))

    def instance(self, name: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        """Apply a WhatsAppInstance."""
        wanted = {"serverRef": {"name": SERVER}} | spec
        self.kubectl.apply(yaml.safe_dump(_resource("WhatsAppInstance", name, wanted, annotations=annotations)))

    def status(self, name: str) -> dict[str, Any]:
        """The status of a WhatsAppInstance."""
        found: dict[str, Any] = self.kubectl.json("get", "wai", name).get("status", {})
        return found

    def reason(self, name: str) -> str:
        """Its reason, as one word."""
        return str(self.status(name).get("reason", ""))

    def wait_for_reason(self, name: str, reason: str, *, timeout: float = 60) -> None:
        """Wait until it shows a reason."""
        kube.wait_until(lambda: self.reason(name) == reason, timeout=timeout, message=f"{name} never became {reason}")

    def wait_ready(self, name: str, *, timeout: float = 60) -> None:
        """`kubectl wait --for=condition=Ready`."""
        self.kubectl("wait", f"wai/{name}", "--for=condition=Ready", f"--timeout={timeout}s", timeout=timeout + 10)

    def pair(self, name: str) -> None:
        """Wait for the QR code of a new instance, and scan it as the phone would."""
        self.wait_for_reason(name, "AwaitingScan")
        self.simulator.scan(name)
        self.wait_ready(name)

    def paired_instance(self, name: str, **spec: Any) -> None:
        """An instance that is paired and Ready, with a journal that begins now."""
        self.instance(name, **spec)
        self.pair(name)
        self.simulator.reset_calls()

    def delete(self, name: str, kind: str = "wai") -> None:
        """Ask for the deletion of a resource, without waiting for its end."""
        self.kubectl("delete", kind, name, "--wait=false")

    def wait_gone(self, name: str, kind: str = "wai", *, timeout: float = 60) -> None:
        """Wait until a resource is gone."""
        kube.wait_until(
            lambda: not self.kubectl.exists(kind, name), timeout=timeout, message=f"{kind}/{name} did not go"
        )

    def told(self, name: str, condition: str, reason: str, *, kind: str = "wai", timeout: float = 60) -> str:
        """Wait until a condition of a resource has a reason; returns the sentence that goes with it."""

        def message() -> str:
            seen = self.kubectl.condition(kind, name, condition)
            return str(seen["message"]) if seen.get("reason") == reason else ""

        return kube.wait_until(message, timeout=timeout, message=f"{condition} of {kind}/{name} never became {reason}")

    def lives(self, name: str) -> bool:
        """Whether the simulated server has an instance, in memory or in its database."""
        inside = self.simulator.instance(name)
        return inside["memory"] is not None or inside["id"] is not None

    def resource_version(self, kind: str, name: str) -> str:
        """The version of an object: another one after each write."""
        return str(self.kubectl.json("get", kind, name)["metadata"]["resourceVersion"])

    def log_lines(self) -> list[dict[str, Any]]:
        """The operator's log, parsed."""
        return [json.loads(line) for line in self.operator.log().splitlines() if line.startswith("{")]

    def paired_instances(self, *names: str, **spec: Any) -> None:
        """Instances that are paired and Ready, without a phone and a QR code, with a journal that begins now."""
        for name in names:
            self.instance(name, **spec)
        for name in names:
            self.simulator.wait_for(name, lambda one: one["memory"] is not None, timeout=60)
            self.simulator.pair(name)
        for name in names:
            self.wait_ready(name)
        self.simulator.reset_calls()

    def unpaired_instance(self, name: str, **spec: Any) -> None:
        """An instance that waits for a scan, with a journal that begins now."""
        self.instance(name, **spec)
        self.wait_for_reason(name, "AwaitingScan")
        self.simulator.reset_calls()

    def update(self, name: str, **spec: Any) -> None:
        """Change parts of a WhatsAppInstance's spec; None removes one."""
        self.kubectl("patch", "wai", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def request(self, name: str, what: str, token: str) -> None:
        """Ask for something by annotation."""
        self.kubectl("annotate", "--overwrite", "wai", name, f"whatsapp-operator.dev/{what}-requested-at={token}")

    def restart_operator(self, *flags: str) -> None:
        """Stop the operator and start it again, with other flags where some are given."""
        self.operator.stop()
        given = {flag.partition("=")[0]: flag for flag in (*self.operator.flags, *flags)}
        self.operator.flags = tuple(given.values())
        self.operator.start()

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason of one condition of a WhatsAppInstance."""
        found = self.kubectl.condition("wai", name, kind)
        return found.get("status", ""), found.get("reason", "")

    def wait_for_condition(self, name: str, kind: str, status: str, reason: str, *, timeout: float = 60) -> None:
        """Wait until a condition of a WhatsAppInstance has a status and a reason."""
        kube.wait_until(
            lambda: self.condition(name, kind) == (status, reason),
            timeout=timeout,
            message=f"{kind} of {name} never became {status} with {reason}",
        )

    def steps(self, name: str) -> list[tuple[str, str, str]]:
        """Step, reason and result of all steps that are over, the oldest first."""
        recovery = self.status(name).get("recovery", {})
        return [(one["step"], one["reason"], one["result"]) for one in recovery.get("history", [])]

    def wait_for_steps(self, name: str, *steps: tuple[str, str, str], timeout: float = 60) -> None:
        """Wait until exactly these steps, as step, reason and result, are over."""
        kube.wait_until(
            lambda: self.steps(name) == list(steps), timeout=timeout, message=f"{name} did not take {steps}"
        )

    def mutating_calls(self, name: str) -> list[str]:
        """The routes of all calls to an instance that could have changed something, in order."""
        return self.simulator.routes_called(name)

    def steps_called(self, name: str) -> list[str]:
        """As `mutating_calls`, but for `connect`, which only reads the QR code of an instance that shows one."""
        return [route for route in self.mutating_calls(name) if route != "connect"]

    def quiet_for(self, seconds: float) -> None:
        """Let time pass in which nothing may happen: the one place in which a test waits for the clock."""
        time.sleep(seconds)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The Events on an object."""
        found = self.kubectl.json("get", "events", f"--field-selector=involvedObject.name={name}")["items"]
        return list(found)


def quick(*more: str, without: Collection[str] = ()) -> tuple[str, ...]:
    """The quick flags, some of them left out or replaced by others, such as `--frozen-seconds=120`."""
    dropped = {*without, *(flag.partition("=")[0] for flag in more)}
    return (*(flag for flag in QUICK if flag.partition("=")[0] not in dropped), *more)


@contextlib.contextmanager
def opened(
    *,
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig: Path,
    log_file: Path,
    flags: Sequence[str],
) -> Iterator[Stage]:
    """A stage on which the operator was started with these flags; nothing is applied yet."""
    operator = Operator(kubeconfig=kubeconfig, log_file=log_file, flags=flags)
    operator.start()
    try:
        yield Stage(namespace=namespace, kubectl=kubectl, simulator=simulator, operator=operator)
    finally:
        operator.stop()
        show_log(operator)


def _resource(kind: str, name: str, spec: dict[str, Any], *, annotations: dict[str, str] | None = None) -> Any:
    metadata: dict[str, Any] = {"name": name}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "whatsapp-operator.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def install_roles(kubectl: kube.Kubectl, namespace: str) -> None:
    """The shipped ServiceAccount and Roles for one namespace, without the Deployment that nothing here could run."""
    kubectl.apply(yaml.safe_dump_all(rights.for_namespace(namespace)))


@contextlib.contextmanager
def cluster_role(kubectl: kube.Kubectl, namespace: str) -> Iterator[None]:
    """The shipped ServiceAccount in a namespace, with the shipped ClusterRole under a name of its own."""
    granted = rights.for_all(namespace)
    kubectl.apply(yaml.safe_dump_all(granted))
    try:
        yield
    finally:
        (name,) = {one["metadata"]["name"] for one in granted if one["kind"].startswith("Cluster")}
        kubectl("delete", "clusterrole,clusterrolebinding", name)


def free(kubectl: kube.Kubectl) -> None:
    """Take the finalizers from all our resources of a namespace, which no operator looks after any more."""
    listed = kubectl.run("get", "wai,evs", "-o", "name")  # fails where a test took the definitions away
    if found := listed.stdout.split():
        kubectl.run("patch", *found, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')


def open_simulator(**options: object) -> Iterator[Simulator]:
    """A simulated server of its own."""
    with launch(api_key=API_KEY, python=str(PROGRAMS / "python"), **options) as running:
        running.no_races()
        yield running


def show_log(operator: Operator) -> None:
    """For the report of a failed test."""
    sys.stdout.write(operator.log()[-20_000:])
