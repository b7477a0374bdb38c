"""What there is at the beginning of a run: servers, instances, options, all drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulation.pace import USUAL, Pace
from simulation.system import stream
from whatsapp_operator.cli import options as cli_options

HOME = "messaging"
"""The namespace of the servers."""
TENANT = "shops"
"""Another one, whose instances may live on them."""
CLIENT_NAME = "evolution"
PROXY = "proxy.example:3128"
"""Behind which people put instances."""

Spec = Mapping[str, Any]

_SAMPLES = 300
_WORKERS = 4
_SCAN_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSetup:
    """An Evolution API server and its resource."""

    name: str
    version: str
    metrics: bool
    workload: bool
    load_seconds: float
    auto_scan: float | None
    spec: Spec

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.name}.{HOME}.svc:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSetup:
    """An instance that a user creates at the beginning."""

    namespace: str
    name: str
    server: str
    at: float
    spec: Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that a run begins with."""

    servers: tuple[ServerSetup, ...]
    instances: tuple[InstanceSetup, ...]
    replicas: int
    options: cli_options.Options
    skews: tuple[float, ...] = field(default=(0.0, 0.0))


def draw(seed: object, pace: Pace = USUAL) -> Setup:
    """The beginning that belongs to a seed."""
    chance = stream(seed, "setup")
    servers = tuple(_server(chance, number, pace) for number in range(chance.choice(pace.servers)))
    instances = tuple(_instance(chance, number, servers) for number in range(chance.randint(*pace.instances)))
    return Setup(
        servers=servers,
        instances=instances,
        replicas=chance.choice(pace.replicas),
        options=_options(chance, pace),
        skews=(chance.uniform(-3, 3), chance.uniform(-60, 60)),
    )


def willing(setup: Setup) -> Setup:
    """The same, but every server recovers by itself, sessions included, and somebody scans its codes."""
    servers = tuple(
        replace(
            one,
            auto_scan=one.auto_scan or _SCAN_SECONDS,
            spec={**one.spec, "recovery": {**one.spec["recovery"], "sessionLoss": "Automatic", "mode": "Enabled"}},
        )
        for one in setup.servers
    )
    return replace(setup, servers=servers)


def _options(chance: random.Random, pace: Pace) -> cli_options.Options:
    """Leases as by default in a tenth of the runs: they are four fifths of all calls there; else slower ones."""
    usual = cli_options.Options(stable_close_samples=_SAMPLES, workers=_WORKERS)
    options = replace(usual, **{name: type(getattr(usual, name))(value) for name, value in pace.options.items()})
    if chance.random() < 0.1:
        return options
    return replace(
        options,
        lease_duration_seconds=40,
        renew_deadline_seconds=28,
        renew_period_seconds=12,
        pause_period_seconds=15,
    )


def _server(chance: random.Random, number: int, pace: Pace) -> ServerSetup:
    name, workload = f"main-{number}", chance.random() < 0.6
    spec: dict[str, Any] = {
        "url": f"http://{name}.{HOME}.svc:8080",
        "apiKeySecretRef": {"name": f"{name}-key"},
        "allowedNamespaces": [TENANT],
        "recovery": recovery(chance, pace),
        "health": health(chance, pace),
        "budget": budget(chance, pace),
    }
    if workload:
        spec["workloadRef"] = {"kind": "Deployment", "name": name, "minInstances": chance.choice((1, 2))}
        spec["workloadRef"]["maxWaitSeconds"] = chance.choice(pace.max_wait)
    return ServerSetup(
        name=name,
        version=chance.choice(("2.3.7", "2.3.7", "2.3.6")),
        metrics=chance.random() < 0.75,
        workload=workload,
        load_seconds=chance.choice((0.0, 0.5, 5.0)),
        auto_scan=chance.choice((5.0, 15.0, 15.0, None)),
        spec=spec,
    )


def recovery(chance: random.Random, pace: Pace) -> dict[str, Any]:
    """What a server says of recovery."""
    return {
        **pace.recovery,
        "lastResortDelaySeconds": chance.choice(pace.last_resort),
        "sessionLossDelaySeconds": chance.choice(pace.session_loss),
        "sessionLoss": chance.choice(("Automatic", "Automatic", "Automatic", "RequireApproval", "Never")),
        "maxAttempts": chance.choice((1, 2, 3)),
        "mode": chance.choices(("Enabled", "DryRun", "Disabled"), (90, 6, 4))[0],
    }


def health(chance: random.Random, pace: Pace) -> dict[str, Any]:
    """What a server says of health."""
    found: dict[str, Any] = {**pace.health, "minHealthySeconds": chance.choice(pace.min_healthy)}
    if chance.random() < 0.5:
        found["probe"] = {"mode": "Enabled", "periodSeconds": chance.choice(pace.probe)}
    return found


def budget(chance: random.Random, pace: Pace) -> dict[str, Any]:
    """The default, or a small one that is soon spent."""
    if chance.random() < 0.4:
        return {}
    windows = [
        {"class": "Soft", "max": chance.choice((3, 10)), "periodSeconds": pace.soft_window},
        {"class": "Recreate", "max": 2, "periodSeconds": pace.window},
        {"class": "ServerRestart", "max": 1, "periodSeconds": pace.window},
        {"class": "SessionLoss", "max": 1, "periodSeconds": pace.window},
    ]
    storm = {"percent": 40, "floor": chance.choice((1, 2)), "cooldownSeconds": pace.cooldown}
    return {"maxInFlight": chance.choice((1, 2)), "windows": windows, "storm": storm}


def _instance(chance: random.Random, number: int, servers: tuple[ServerSetup, ...]) -> InstanceSetup:
    server = chance.choice(servers)
    namespace = chance.choice((HOME, HOME, HOME, TENANT))
    spec: dict[str, Any] = {"serverRef": {"name": server.name}}
    if namespace != HOME:
        spec["serverRef"]["namespace"] = HOME
    if chance.random() < 0.15:
        spec["integration"] = "EVOLUTION"
    if chance.random() < 0.3:
        spec["pairing"] = {"mode": "Always"}
    if chance.random() < 0.3:
        spec["webhook"] = {"url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT", "REMOVE_INSTANCE"]}
    if chance.random() < 0.3:
        spec["settings"] = {"rejectCall": True}
    if chance.random() < 0.2:
        spec["deletionPolicy"] = chance.choice(("Retain", "Delete"))
    return InstanceSetup(
        namespace=namespace, name=f"i{number}", server=server.name, at=round(chance.uniform(0, 30), 3), spec=spec
    )
