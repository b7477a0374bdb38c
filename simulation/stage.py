"""One run on its stage: both APIs, the operator processes, and the people, on one simulated time."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Mapping
from typing import Any

from evolution_simulator import version, world
from simulation import setup as setups
from simulation import system
from simulation.evolution import host
from simulation.history import History
from simulation.kubernetes import controllers, faults, kinds, server
from simulation.life import Life
from simulation.loop import SimulatedLoop
from simulation.replica import NAMESPACE, Live, Replica, Surroundings
from simulation.system import BEGIN, Clock
from simulation.telemetry import Told
from whatsapp_operator.cluster import secrets, transport
from whatsapp_operator.engine import ports, reporting

USER = "user"
KEY = "server-key"
_RESTART_SECONDS = (1.0, 20.0)


class Stage:
    """Everything that there is in one run."""

    def __init__(
        self,
        seed: object,
        setup: setups.Setup,
        loop: SimulatedLoop,
        *,
        live: Live = Life,
        stream: Callable[..., random.Random] = system.stream,
        spoilt: faults.Faults | None = None,
    ) -> None:
        """`live`, `stream` and `spoilt` stand in for life, chance and faults where those are chosen and not drawn."""
        self.seed, self.setup, self.loop, self._stream = seed, setup, loop, stream
        self.history = History(loop)
        self.chance = stream(seed, "stage")
        self.clock = Clock(loop)
        self.api = server.ApiServer(now=self.clock.now, chance=stream(seed, "uids"))
        self.spoilt = spoilt or faults.Faults()
        self.hosts = {one.name: self._host(one) for one in setup.servers}
        self.controllers = controllers.Controllers(
            self.api, loop=loop, chance=stream(seed, "controllers"), roll_out=self._roll_out
        )
        self.clocks = [Clock(loop, skew) for skew in setup.skews]
        self.replicas: list[Replica] = []
        self.fault_times: dict[str, float] = {}
        self.on_audit: list[Callable[[reporting.Audit], None]] = []
        self.on_said: list[Callable[[str], None]] = []
        """Told what a process logs."""
        self.on_hit: list[Callable[[str], None]] = []
        """Told who made a call to the API server that is spoilt."""
        self.on_strike: Callable[[str], None] = lambda _: None
        self.stops: list[asyncio.Task[None]] = []
        self._around = Surroundings(
            loop=loop,
            api=self.api,
            spoilt=self.spoilt,
            find=self._find,
            options=setup.options,
            on_hit=self._on_hit,
            on_trouble=self._on_trouble,
            on_failure=self._on_failure,
            live=live,
            stream=stream,
        )
        self._processes = 0
        self._graves: list[Replica] = []
        """The dead, whose tasks wait for ever and must not be collected meanwhile."""
        self.broken: dict[tuple[str, str], list[tuple[float, str]]] = {}
        """Broken states that instances were brought into, and when."""
        self.hand_webhooks: dict[tuple[str, str], tuple[float, str]] = {}
        """Webhooks that people have set on the servers, when, and with which URL."""
        self.outsiders: set[str] = set()
        """Ids of rows that others have made."""
        self.crash_after_announcement: list[int] = []
        self.slow_rollouts: dict[str, float] = {}
        """Seconds that the next pod of a server takes."""
        self.roll_outs_in_restart: list[float] = []
        self.stalls_in_restart: list[float] = []
        self.calm_since = float("inf")
        """When all faults stopped."""
        self.jumped = 0.0
        """Seconds that wall clocks have jumped, in all."""
        self.loading_until: dict[str, tuple[float, float]] = {}
        """Of each server that was started: when, and when its last row is loaded."""

    # The Evolution API

    def _host(self, one: setups.ServerSetup) -> host.Host:
        model = world.World(
            scheduler=host.LoopScheduler(self.loop, begin=BEGIN.timestamp()),
            rng=self._stream(self.seed, "model", one.name),
            release=version.VERSIONS[one.version],
            settings=world.Settings(api_key=KEY, metrics=one.metrics, auto_scan=one.auto_scan, server_url=one.url),
            client_name=setups.CLIENT_NAME,
        )
        found = host.Host(model, loop=self.loop, name=one.name)
        found.on_fault = lambda _, fault, name: self.note_fault(f"evolution {fault.kind}", name or "")
        return found

    def _find(self, url: str) -> host.Host | None:
        return next((self.hosts[one.name] for one in self.setup.servers if one.url == url), None)

    def _roll_out(self, namespace: str, name: str) -> float:
        found = self.hosts.get(name) if namespace == setups.HOME else None
        if found is None:
            return 1.0
        down = self.slow_rollouts.pop(name, 0.0) or self.chance.uniform(1.0, 8.0)
        self.history.note(f"{name}: its pod is replaced")
        found.model.stop()
        self.loop.call_later(down, functools.partial(self.begin_server, name))
        return down

    def roll_out_by_hand(self, name: str) -> None:
        """What `kubectl rollout restart` does."""
        at = f"by hand at {self.loop.time():.3f}"
        template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": at}}}
        self.user("patch", kinds.DEPLOYMENTS, setups.HOME, name, {"spec": {"template": template}})

    def begin_server(self, name: str) -> None:
        """The process of a server starts, and loads its rows one after another."""
        model, load = self.hosts[name].model, self.server_setup(name).load_seconds
        if model.running:
            return
        began = self.loop.time()
        self.loading_until[name] = began, began + load * len(model.database.rows)
        model.start(load_seconds=load)

    def server_setup(self, name: str) -> setups.ServerSetup:
        """How a server was set up."""
        return next(one for one in self.setup.servers if one.name == name)

    # Kubernetes

    def user(self, verb: str, kind: kinds.Kind, namespace: str, name: str = "", body: Any = None) -> int:
        """What a person does with kubectl; the HTTP status."""
        content = transport.MERGE_PATCH if verb == "patch" else transport.JSON
        path = controllers.path(kind, namespace, name)
        call = transport.Call(verb, kind.plural, path, body=body, content_type=content)
        return self.api.handle(call, writer=USER).status

    def create(self, kind: kinds.Kind, namespace: str, name: str, **content: Any) -> int:
        """Create an object."""
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, "namespace": namespace}}
        return self.user("create", kind, namespace, body=body | content)

    def furnish(self) -> None:
        """Namespaces, keys, workloads and servers are there before the operator starts."""
        for namespace in (setups.HOME, setups.TENANT, NAMESPACE):
            self.user("create", kinds.NAMESPACES, "", body={"metadata": {"name": namespace}})
        for one in self.setup.servers:
            self.give_key(one.name, KEY)
            if one.workload:
                spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "template": {"metadata": {}, "spec": {}}}
                self.create(kinds.DEPLOYMENTS, setups.HOME, one.name, spec=spec)
            self.create(kinds.SERVERS, setups.HOME, one.name, spec=one.spec)

    def give_key(self, name: str, key: str) -> None:
        """Put a server's key into its Secret, whether or not there is one."""
        data = secrets.encode({"apikey": key.encode(), "key": key.encode(), "api-key": key.encode()})
        if self.create(kinds.SECRETS, setups.HOME, f"{name}-key", data=data) == 409:
            self.user("patch", kinds.SECRETS, setups.HOME, f"{name}-key", {"data": data})

    # The operator

    def start_replica(self, slot: int) -> Replica:
        """Start a process in a slot."""
        self._processes += 1
        one = Replica(
            self._around,
            slot=slot,
            number=self._processes,
            seed=self.seed,
            clock=self.clocks[slot],
            told=self._told,
            on_death=self._died,
        )
        self.replicas = [each for each in self.replicas if each.slot != slot or not each.life.dead] + [one]
        self.history.note(f"operator {slot} starts as {one.identity[-8:]}")
        self.begin(one)
        return one

    def begin(self, one: Replica) -> None:
        """A process begins to work."""
        one.start()

    def replica(self, slot: int) -> Replica | None:
        """The process that is alive in a slot."""
        return next((one for one in self.replicas if one.slot == slot and not one.life.dead), None)

    def stop_replica(self, one: Replica) -> None:
        """SIGTERM."""
        one.stopping = True
        self.history.note(f"operator {one.slot} is told to end")
        self.stops.append(self.loop.create_task(one.stop(), name=f"stop-{one.identity}"))

    def _died(self, one: Replica) -> None:
        one.watch.stop()
        self._graves.append(one)
        self.history.note(f"operator {one.slot} is dead")
        self.loop.call_later(self.chance.uniform(*_RESTART_SECONDS), self._restart, one.slot)

    def _restart(self, slot: int) -> None:
        if self.replica(slot) is None:
            self.start_replica(slot)

    def _told(self, identity: str) -> Told:
        short = identity[-8:]

        def crashed(where: str, error: Exception) -> None:
            self.history.violate("NoLookFails", f"{short}: {where}: {error!r}")

        def said(line: str) -> None:
            self.history.note(f"{short} {line}")
            for listener in self.on_said:
                listener(line)

        return Told(note=said, on_audit=self._audited, on_crash=crashed)

    def _audited(self, entry: reporting.Audit) -> None:
        for listener in self.on_audit:
            listener(entry)

    # Faults

    def note_fault(self, kind: str, where: str = "") -> None:
        """A fault has struck."""
        self.fault_times[kind] = self.loop.time()
        self.on_strike(kind)
        self.history.note(f"fault: {kind} {where}".rstrip())

    def _on_hit(self, writer: str, call: transport.Call, fault: faults.Fault) -> None:
        self.note_fault(f"kubernetes {fault}", f"{writer[-8:]} {call.verb} {call.resource}")
        for listener in self.on_hit:
            listener(writer)

    def _on_trouble(self, identity: str, what: str, name: str) -> None:
        self.note_fault(f"watch {what}", f"{identity[-8:]} {name}")

    def _on_failure(self, identity: str, task: str, error: BaseException) -> None:
        self.history.violate("NoTaskFails", f"{identity[-8:]}: {task}: {error!r}")

    def end(self) -> None:
        """Nothing goes on after this."""
        for one in (*self.replicas, *self._graves):
            one.life.end()


def status_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of an object."""
    found: Mapping[str, Any] = body.get("status") or {}
    return found


def ready(body: Mapping[str, Any]) -> tuple[str, str]:
    """Status and reason of the condition `Ready`."""
    return condition(body, "Ready")


def condition(body: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """Status and reason of a condition."""
    for one in status_of(body).get("conditions", ()):
        if one["type"] == kind:
            return str(one["status"]), str(one["reason"])
    return "Unknown", ""


def key_of(body: Mapping[str, Any]) -> ports.Key:
    """Namespace and name."""
    return ports.Key(body["metadata"].get("namespace", ""), body["metadata"]["name"])
