"""What there is at the beginning of a run: servers, instances, options, all drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulation.system import stream
from whatsapp_operator.cli import options as cli_options

HOME = "messaging"
"""The namespace of the servers."""
TENANT = "shops"
"""Another one, whose instances may live on them."""
CLIENT_NAME = "evolution"

Spec = Mapping[str, Any]

_SAMPLES = 300
_WORKERS = 4


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


def draw(seed: object) -> Setup:
    """The beginning that belongs to a seed."""
    chance = stream(seed, "setup")
    servers = tuple(_server(chance, number) for number in range(chance.choice((1, 1, 2))))
    instances = tuple(_instance(chance, number, servers) for number in range(chance.randint(2, 5)))
    return Setup(
        servers=servers,
        instances=instances,
        replicas=chance.choice((1, 2)),
        options=_options(chance),
        skews=(chance.uniform(-3, 3), chance.uniform(-60, 60)),
    )


def _options(chance: random.Random) -> cli_options.Options:
    """Leases as by default in a tenth of the runs: they are four fifths of all calls there; else slower ones."""
    if chance.random() < 0.1:
        return cli_options.Options(stable_close_samples=_SAMPLES, workers=_WORKERS)
    return cli_options.Options(
        stable_close_samples=_SAMPLES,
        workers=_WORKERS,
        lease_duration_seconds=40,
        renew_deadline_seconds=28,
        renew_period_seconds=12,
        pause_period_seconds=15,
    )


def _server(chance: random.Random, number: int) -> ServerSetup:
    name, workload = f"main-{number}", chance.random() < 0.6
    spec: dict[str, Any] = {
        "url": f"http://{name}.{HOME}.svc:8080",
        "apiKeySecretRef": {"name": f"{name}-key"},
        "allowedNamespaces": [TENANT],
        "recovery": _recovery(chance),
        "health": _health(chance),
        "budget": _budget(chance),
    }
    if workload:
        spec["workloadRef"] = {"kind": "Deployment", "name": name, "minInstances": chance.choice((1, 2))}
        spec["workloadRef"]["maxWaitSeconds"] = chance.choice((60, 300))
    return ServerSetup(
        name=name,
        version=chance.choice(("2.3.7", "2.3.7", "2.3.6")),
        metrics=chance.random() < 0.75,
        workload=workload,
        load_seconds=chance.choice((0.0, 0.5, 5.0)),
        auto_scan=chance.choice((5.0, 15.0, 15.0, None)),
        spec=spec,
    )


def _recovery(chance: random.Random) -> dict[str, Any]:
    return {
        "lastResortDelaySeconds": chance.choice((600, 900, 1800)),
        "sessionLossDelaySeconds": chance.choice((60, 300)),
        "sessionLoss": chance.choice(("Automatic", "Automatic", "Automatic", "RequireApproval", "Never")),
        "maxAttempts": chance.choice((1, 2, 3)),
        "mode": chance.choices(("Enabled", "DryRun", "Disabled"), (90, 6, 4))[0],
    }


def _health(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"minHealthySeconds": chance.choice((60, 300))}
    if chance.random() < 0.5:
        found["probe"] = {"mode": "Enabled", "periodSeconds": chance.choice((30, 120))}
    return found


def _budget(chance: random.Random) -> dict[str, Any]:
    """The default, or a small one that is soon spent."""
    if chance.random() < 0.4:
        return {}
    windows = [
        {"class": "Soft", "max": chance.choice((3, 10)), "periodSeconds": 300},
        {"class": "Recreate", "max": 2, "periodSeconds": 600},
        {"class": "ServerRestart", "max": 1, "periodSeconds": 600},
        {"class": "SessionLoss", "max": 1, "periodSeconds": 600},
    ]
    storm = {"percent": 40, "floor": chance.choice((1, 2)), "cooldownSeconds": 60}
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
