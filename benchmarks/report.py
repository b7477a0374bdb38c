"""The numbers as a table for people, and as JSON."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import changes, environment, rest, restart, scale, scenarios

Row = tuple[str, str]
_LABEL_WIDTH = 44


@dataclasses.dataclass(slots=True)
class Results:
    """Everything of one run."""

    machine: environment.Machine
    instances: int
    servers: int = 1
    created: dict[str, scenarios.Created] = dataclasses.field(default_factory=dict)
    lived: scenarios.Lived | None = None
    scaled: scale.Scaled | None = None

    def as_json(self) -> str:
        """All of it, in seconds, mebibytes and calls as the classes say."""
        body: dict[str, Any] = dataclasses.asdict(self)
        for name, made in self.created.items():
            body["created"][name]["ratio"] = made.ratio
        return json.dumps(body, indent=2)


def machine(found: environment.Machine, instances: int, *, servers: int = 1) -> str:
    """What the numbers were measured on, in one line."""
    shared = "API server, etcd, operator and simulators on the same cores"
    apart = "API server and etcd on one half of the cores, operator, simulators and this program on the other"
    return (
        f"{instances} instances on {servers} server(s); {found.cores} cores ({found.processor}), "
        f"{found.memory_gib} GiB, {found.system}, Python {found.python}, "
        f"Kubernetes {found.kubernetes} ({found.control_plane}), {apart if found.apart else shared}"
    )


def created(name: str, made: scenarios.Created) -> str:
    """The rows of one creation."""
    told, reference = made.told, made.reference
    limits = f"{made.limits['perSecond']} a second" if made.limits else "default"
    written = sum(reference.writes.values())
    rows = [
        ("until all are Ready", f"{told.ready_seconds:.1f} s"),
        ("reference: the same writes, no operator", f"{reference.seconds:.1f} s"),
        ("ratio", f"{made.ratio:.2f}"),
        ("until the last was created by its user", f"{told.created_seconds:.1f} s"),
        ("operator's CPU", f"{told.cpu_seconds:.1f} s"),
        ("operator's resident memory", f"{told.resident_mebibytes:.0f} MiB"),
        ("writes per instance, seen by a watch", f"{written:.2f}: {_list(reference.writes)}"),
        ("operator's writes per instance", f"{_total(told.kubernetes_writes)}"),
        ("operator's reads per instance", f"{_total(told.kubernetes_reads)}"),
        ("Evolution API calls per instance", f"{_total(told.evolution_calls)}"),
    ]
    return _table(f"Creation, {name} ({made.integration}, request limit {limits})", rows)


def scaled(told: scale.Scaled) -> str:
    """The rows of a run at scale."""
    settle: Row = ("from all Ready until the last write", f"{told.settle_seconds:.0f} s")
    tables = [
        created(f"open at once, over {told.servers} server(s)", told.created),
        _table("At rest", [settle, *_rest_rows(told.rest)]),
        _table("Restart of the operator", _restart_rows(told.restart)),
    ]
    rows = [
        ("instances of the one that was killed", str(told.failover.shared)),
        ("until the other has seen all Healthy", f"{told.failover.taken_over_seconds:.1f} s"),
    ]
    tables.append(_table("One of two operators is killed", rows))
    if told.changes is not None:
        tables.append(_table("A change at the server until it is in the status", _change_rows(told.changes)))
    return "\n\n".join(tables)


def lived(told: scenarios.Lived) -> str:
    """The rows of what follows a creation."""
    settle: Row = ("from all Ready until the last write", f"{told.settle_seconds:.0f} s")
    return "\n\n".join(
        (
            _table("At rest", [settle, *_rest_rows(told.rest)]),
            _table("Restart of the operator", _restart_rows(told.restart)),
            _table("A change at the server until it is in the status", _change_rows(told.changes)),
        )
    )


def _rest_rows(told: rest.Rest) -> list[Row]:
    return [
        ("measured over", f"{told.seconds:.0f} s"),
        ("Evolution API calls per minute", _total(told.evolution_calls)),
        ("writes to the API server per minute", _total(told.kubernetes_writes)),
        ("reads from the API server per minute", _total(told.kubernetes_reads)),
        ("operator's CPU", f"{told.cpu_share:.2%} of a core"),
        ("operator's resident memory", f"{told.resident_mebibytes:.0f} MiB"),
    ]


def _restart_rows(told: restart.Restart) -> list[Row]:
    return [
        ("to stop", f"{told.stop_seconds:.1f} s"),
        ("until it is ready", f"{told.ready_seconds:.1f} s"),
        ("until all were seen Healthy again", f"{told.healthy_seconds:.1f} s"),
        ("operator's CPU until then", f"{told.cpu_seconds:.1f} s"),
        ("writes to the API server", _total(told.kubernetes_writes)),
        ("reads from the API server", _total(told.kubernetes_reads)),
        ("Evolution API calls", _total(told.evolution_calls)),
    ]


def _change_rows(told: changes.Changes) -> list[Row]:
    bad = f"two check periods of {changes.CHECK_PERIOD:.0f} s"
    good = f"a database period of {changes.DATABASE_PERIOD:.0f} s"
    return [
        ("least / median / most of", f"{told.bad_news.samples} samples each"),
        *_latency_rows("bad news", told.bad_news, reference=bad),
        *_latency_rows("good news", told.good_news, reference=good),
    ]


def _latency_rows(name: str, told: changes.Latency, *, reference: str) -> Iterable[Row]:
    yield f"{name}: from change to status", _spread(told.total)
    yield f"{name}: until the poll that decides", f"{_spread(told.polling)}; reference: {reference}"
    yield f"{name}: from that poll to the status", _spread(told.processing)


def _spread(told: changes.Spread) -> str:
    return f"{told.least:.2f} / {told.median:.2f} / {told.most:.2f} s"


def _total(counts: Mapping[str, float]) -> str:
    return f"{sum(counts.values()):g}" + (f": {_list(counts)}" if counts else "")


def _list(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count:g}" for name, count in counts.items())


def _table(title: str, rows: Iterable[Row]) -> str:
    return "\n".join([title, *(f"  {label:{_LABEL_WIDTH}}  {value}" for label, value in rows)])
