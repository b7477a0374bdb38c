"""Everything the engine touches that is not the engine: time, chance, tasks, and the two APIs.

The engine is given these and imports none of what is behind them, so that the whole controller also runs on simulated
time against simulated servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from whatsapp_operator.evolution import evidence
from whatsapp_operator.resources import reasons


class Key(NamedTuple):
    """Namespace and name of a resource."""

    namespace: str
    name: str


class Clock(Protocol):
    """Wall time for what is written down, monotonic seconds for what is measured."""

    def now(self) -> datetime:
        """The wall time, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


class Sleep(Protocol):
    """Waits a number of seconds."""

    async def __call__(self, seconds: float, /) -> None: ...


class Timers(Protocol):
    """Calls back later."""

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Callable[[], None]:
        """Call `callback` once after `seconds`; the returned function cancels it."""


class Random(Protocol):
    """Chance, for jitter and names."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def getrandbits(self, bits: int, /) -> int:
        """A number of that many bits; the production port draws it from the system's secure source."""


class Tasks(Protocol):
    """Starts tasks, and owns them."""

    def spawn(self, name: str, work: Coroutine[object, object, None], /) -> asyncio.Task[None]:
        """Start `work`; when it raises, the whole operator stops."""


@dataclass(frozen=True, slots=True)
class SecretData:
    """A Secret's values, decoded, and whom it belongs to."""

    values: Mapping[str, bytes] = field(repr=False)
    resource_version: str
    owner_uids: frozenset[str] = frozenset()
    owner_names: frozenset[str] = frozenset()
    """Of those of its owners that are resources of ours."""
    managed: bool = False
    """Carries our label `app.kubernetes.io/managed-by: whatsapp-operator`."""

    def goes_with_another(self, uid: str) -> bool:
        """Whether it was made for another resource, and is collected with it."""
        return self.managed and bool(self.owner_uids) and uid not in self.owner_uids

    def goes_at_once(self, uid: str, *, name: str) -> bool:
        """Whether that other resource is one of this name before this one, which has just gone."""
        return self.goes_with_another(uid) and name in self.owner_names

    def text(self, key: str) -> str | None:
        """A value as text; None where there is none, or where it is not UTF-8, as what some shells write to files."""
        try:
            return self.values[key].decode()
        except (KeyError, UnicodeDecodeError):
            return None


@dataclass(frozen=True, slots=True)
class Owner:
    """The resource that a Secret is garbage-collected with."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet, as far as a restart of it is concerned."""

    resource_version: str
    replicas: int
    one_at_a_time: bool
    """The old pod is gone before the new one starts: `Recreate`, or a StatefulSet that is updated by its controller."""
    paused: bool
    restarted_at: str | None
    """The annotation that `kubectl rollout restart` sets."""
    rolled_out: bool
    """All of its pods are of the present template, and available."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of its containers that are given as plain values; what comes from elsewhere cannot be seen."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something noticed or done, as `kubectl describe` shows it. The message carries no secret."""

    kind: str
    key: Key
    uid: str
    type: str
    """`Normal` or `Warning`."""
    reason: reasons.Reason
    message: str


class KubernetesError(Exception):
    """The root of what a call to the Kubernetes API may end in.

    KubernetesError
    ├── Conflict      the resource changed since it was read, or exists already
    ├── NotFound      the resource, its namespace or its kind is gone
    ├── Forbidden     RBAC, or a terminating namespace, says no
    ├── Rejected      the API server finds the request invalid
    └── Unavailable   no answer, or one that proves nothing; the call may have had its effect
    """


class Conflict(KubernetesError):  # noqa: N818 - the answer is the name, and the root says error
    """The resource changed since it was read, or exists already."""


class NotFound(KubernetesError):  # noqa: N818 - the answer is the name, and the root says error
    """The resource, its namespace or its kind is gone."""


class Forbidden(KubernetesError):  # noqa: N818 - the answer is the name, and the root says error
    """RBAC, or a terminating namespace, says no."""


class Rejected(KubernetesError):  # noqa: N818 - the answer is the name, and the root says error
    """The API server finds the request invalid."""


class Unavailable(KubernetesError):  # noqa: N818 - the answer is the name, and the root says error
    """No answer, or one that proves nothing; the call may have had its effect."""


Body = Mapping[str, object]
"""A resource as the API server has it: parsed JSON, not yet ours."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A resource of a LIST, parsed only where its body is asked for, while the page that it came with is there."""

    key: Key
    version: int
    body: Callable[[], Body]


def key_of(body: Mapping[str, Any]) -> Key:
    """Namespace and name."""
    metadata = body.get("metadata", {})
    return Key(metadata.get("namespace", ""), metadata.get("name", ""))


def version_of(body: Mapping[str, Any]) -> int:
    """Resource versions of one resource are ordered numbers (KEP-5504, Kubernetes 1.35; in etcd they always were)."""
    version = str(body.get("metadata", {}).get("resourceVersion", ""))
    return int(version) if version.isdigit() else 0


def is_told(body: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether a watch has told what was written before the store has answered with it.

    Raises:
        Conflict: it has told of a later version, too: somebody has changed what the write was concluded from.
    """
    version, latest = version_of(body), version_of(known)
    if 0 < version < latest:
        raise Conflict
    return 0 < version == latest


class Kubernetes(Protocol):
    """The calls to the Kubernetes API. Each raises a `KubernetesError`; `kind` is the resource's kind, in full."""

    def list(self, kind: str) -> AsyncIterator[Sequence[Listed]]:
        """All resources of a kind in the watched namespaces, page by page, so that never all are in memory at once.

        A resource may come twice, and one that is deleted meanwhile may come all the same.
        """

    async def read(self, kind: str, key: Key) -> Body:
        """One resource."""

    async def write_status(self, kind: str, key: Key, *, before: Body, after: Body, resource_version: str) -> Body:
        """Change `status` from `before` to `after`, unless the resource is no longer at `resource_version`."""

    async def write_finalizers(self, kind: str, key: Key, finalizers: Sequence[str], *, resource_version: str) -> Body:
        """Replace the finalizers, unless the resource is no longer at `resource_version`."""

    async def read_secret(self, key: Key) -> SecretData:
        """A Secret by name."""

    async def create_secret(self, key: Key, values: Mapping[str, bytes], *, owner: Owner | None) -> None:
        """Create a labelled Secret; `Conflict` when the name is taken."""

    async def replace_secret(self, key: Key, values: Mapping[str, bytes], *, resource_version: str) -> None:
        """Replace the values of a Secret that is at `resource_version`."""

    async def disown_secret(self, key: Key, *, resource_version: str) -> None:
        """Drop the owner of a Secret that is at `resource_version`, so that it outlives it."""

    async def delete_secret(self, key: Key, *, resource_version: str) -> None:
        """Delete a Secret that is at `resource_version`; one that is gone already is no error."""

    async def read_workload(self, kind: str, key: Key) -> Workload:
        """A Deployment or StatefulSet by name."""

    async def restart_workload(self, kind: str, key: Key, *, at: str, resource_version: str) -> None:
        """Set the annotation that `kubectl rollout restart` sets, unless it is no longer at `resource_version`."""

    async def read_config(self, key: Key) -> Mapping[str, str]:
        """The data of a ConfigMap by name."""

    async def emit(self, event: Event) -> None:
        """Record an Event on a resource."""

    async def namespace_is_terminating(self, name: str) -> bool:
        """Whether a namespace is being deleted, or gone."""


class LeaseRole(enum.Enum):
    """What a Lease of ours stands for."""

    MEMBER = "member"
    """A replica that is alive: it renews this one, and only this one."""
    CLAIM = "claim"
    """A server, or all that has none: it names the member that works on it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One `coordination.k8s.io/v1` Lease of the operator."""

    name: str
    role: LeaseRole
    subject: str
    """A member's namespaces, as they were given; a claim's `namespace/name`."""
    holder: str | None = None
    """The name of the member Lease of whoever has it. A member that is leaving has given up its own."""
    renewed: str | None = None
    """A text that is another one after each renewal, and tells nothing else: the writer's clock may be wrong."""
    ledger: str | None = None
    resource_version: str = ""


class Leases(Protocol):
    """The operator's own Leases. Each call raises a `KubernetesError`, also when it took too long to be of use."""

    async def list(self) -> Sequence[Lease]:
        """All of them, as of now."""

    async def create(self, lease: Lease, /) -> Lease:
        """Create one; `Conflict` when there is one of the name."""

    async def update(self, lease: Lease, /) -> Lease:
        """Write holder and ledger; `Conflict` when it is no longer at `resource_version`, if one is given."""

    async def delete(self, lease: Lease, /) -> None:
        """Delete it; `Conflict` when it is no longer at `resource_version`, if one is given."""


REST = Key("", "")
"""Stands for all resources whose server does not exist, where claims are concerned."""


class Claims(Protocol):
    """Which servers are this replica's to work on. A server is held by one replica at most."""

    def holds(self, server: Key, /) -> bool:
        """Whether the server is this replica's at this very moment: asked before every step and every change."""

    def work(self, server: Key, /) -> contextlib.AbstractContextManager[bool]:
        """Whether work on the server may begin; while it lasts, the server is not handed over to another replica."""

    def ledger(self, server: Key, /) -> str | None:
        """The server's ledger as of when the claim was taken, or the last save; None where there is none."""

    async def save_ledger(self, server: Key, text: str, /) -> None:
        """Replace the server's ledger, if the claim is still this replica's.

        Raises:
            Conflict: the claim is another's, and was dropped.
            KubernetesError: it is not known whether it was saved.
        """


class Evolution(Protocol):
    """The calls to one Evolution API server. None raises: what could not be read or done is `Unknown`."""

    async def list_memory(self) -> evidence.MemoryList | evidence.Unknown:
        """`GET /metrics`."""

    async def list_database(self) -> evidence.DatabaseList | evidence.Unknown:
        """`GET /instance/fetchInstances`, unfiltered."""

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        """`GET /instance/connectionState/{name}`."""

    async def identify(self) -> evidence.ServerIdentity | evidence.Unknown:
        """`GET /`: slow, and its failure proves nothing."""

    async def verify_key(self) -> evidence.KeyAccepted | evidence.Unknown:
        """`POST /verify-creds`."""

    async def create(self, wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        """`POST /instance/create`. Not repeated after a timeout: it may have had its effect."""

    async def connect(
        self, name: str
    ) -> evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused | evidence.Unknown:
        """`GET /instance/connect/{name}`: starts a socket in `close`; in `connecting` only reads the QR code."""

    async def restart(self, name: str) -> evidence.Outcome:
        """`POST /instance/restart/{name}`."""

    async def logout(self, name: str) -> evidence.Outcome:
        """`DELETE /instance/logout/{name}`: destroys the pairing."""

    async def delete(self, name: str) -> evidence.Outcome:
        """`DELETE /instance/delete/{name}`: destroys everything, some time later."""

    async def find_settings(self, name: str) -> Mapping[str, object] | evidence.Unknown | None:
        """`GET /settings/find/{name}`; None is the server's `null`."""

    async def set_settings(self, name: str, settings: Mapping[str, object]) -> evidence.Outcome:
        """`POST /settings/set/{name}`: a full replace."""

    async def find_webhook(self, name: str) -> evidence.Webhook | evidence.Unknown | None:
        """`GET /webhook/find/{name}`; None is the server's `null`."""

    async def set_webhook(self, name: str, webhook: evidence.Webhook) -> evidence.Outcome:
        """`POST /webhook/set/{name}`."""

    async def probe(self, name: str, *, number: str) -> evidence.ProbeResult | evidence.Unknown:
        """`POST /chat/fetchBusinessProfile/{name}`: a round trip to WhatsApp through the instance's own socket."""

    @property
    def circuit(self) -> evidence.Circuit:
        """Whether calls for single instances are sent; while they are not, they are `BREAKER_OPEN`."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How to reach one server. Two that are equal may share a client."""

    url: str
    api_key: str = field(repr=False)
    ca_bundle: str | None = field(default=None, repr=False)
    metrics_auth: tuple[str, str] | None = field(default=None, repr=False)
    per_second: int = 20
    max_in_flight: int = 8
    timeout_seconds: float = 10
    check_period_seconds: float = 10


class EvolutionFactory(Protocol):
    """Makes the client of a server."""

    def __call__(self, endpoint: Endpoint, /, *, may_change: Callable[[], bool]) -> Evolution:
        """`may_change` is asked right before a call that changes something leaves."""
