"""EvolutionServer: one Evolution API deployment, and the defaults for the instances that live on it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whatsapp_operator.resources import budgets, overrides, references, rules, steps
from whatsapp_operator.resources.conditions import Condition, StatusReason
from whatsapp_operator.resources.metadata import ObjectMeta
from whatsapp_operator.resources.model import Model, Timestamp
from whatsapp_operator.resources.pause import Pause

KIND = "EvolutionServer"
PLURAL = "evolutionservers"

ServerURL = Annotated[
    str,
    Field(min_length=1, max_length=512),
    rules.Matches(
        r"^https?://[^/?#\s]+",
        "must be an absolute URL that begins with http:// or https://, for example http://evolution-api.messaging.svc:8080",
    ),
    rules.Matches(
        r"^[^/]*//[^/?#]*@",
        "must not carry a user or password: the server's key belongs into the Secret of spec.apiKeySecretRef",
        unless=True,
    ),
    rules.Matches(r"[?#]", "must not have a query or fragment: end it after the host, port or path", unless=True),
    rules.Matches(r"[\s\\]", "must not contain spaces or backslashes: remove them", unless=True),
]

AllowedNamespace = Annotated[
    str,
    Field(min_length=1, max_length=63),
    rules.Matches(
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?|[*])$",
        "must be the name of a namespace, or '*' for all: patterns are not possible",
    ),
]

ClientName = Annotated[str, Field(min_length=1, max_length=128)]


class RequestLimits(Model):
    """How hard the operator may work a server."""

    per_second: int = Field(default=20, ge=1, le=1000, description="Requests per second, over all instances.")
    max_in_flight: int = Field(default=8, ge=1, le=256, description="Requests that may be under way at once.")


class EvolutionServerSpec(Model):
    """How to reach the server, who may use it, and the defaults for its instances."""

    url: ServerURL = Field(
        description="Where the Evolution API answers, http or https, without user, query or fragment. Every request "
        "to it carries the server's key, and redirects are not followed."
    )
    api_key_secret_ref: references.APIKeyReference = Field(
        description="The Secret that holds the server's global API key (AUTHENTICATION_API_KEY). Read again every "
        "minute, so that the key can be rotated."
    )
    ca_bundle_secret_ref: references.CABundleReference | None = Field(
        default=None, description="A Secret with the certificates, in PEM, to trust instead of the system's."
    )
    metrics_auth_secret_ref: references.SecretReference | None = Field(
        default=None,
        description="A Secret with the keys username and password, for a server whose /metrics asks for them "
        "(METRICS_AUTH_REQUIRED).",
    )
    client_name: ClientName | None = Field(
        default=None,
        description="The server's DATABASE_CONNECTION_CLIENT_NAME. When left out, the name of the first contact is "
        "kept. A server that answers with another name is not acted on: its database is not the one that is meant.",
    )
    allowed_namespaces: tuple[AllowedNamespace, ...] = Field(
        default=(),
        max_length=256,
        description="Namespaces besides its own whose WhatsAppInstances may live on this server; '*' for all.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    requests: RequestLimits = Field(
        default_factory=RequestLimits, description="How hard the operator may work the server."
    )
    health: overrides.HealthOverrides = Field(
        default_factory=overrides.HealthOverrides,
        description="How health is judged, for instances that say nothing else.",
    )
    recovery: overrides.RecoveryOverrides = Field(
        default_factory=overrides.RecoveryOverrides,
        description="How instances that say nothing else are recovered.",
    )
    budget: budgets.Budget = Field(
        default_factory=budgets.Budget, description="How much may be done to the instances of this server."
    )
    workload_ref: references.WorkloadReference | None = Field(
        default=None,
        description="The workload that runs the server. Naming it allows RestartServer, the only step that heals some "
        "states without losing a pairing. The operator needs the role whatsapp-operator-server-restart in the "
        "server's namespace for it.",
    )
    pause: Pause | None = Field(
        default=None,
        description="While present, nothing is changed on the server, for none of its instances; health is still "
        "shown.",
    )


class InstanceCounts(Model):
    """Instances on the server, by health state."""

    managed: int = Field(default=0, ge=0, description="Instances that have a WhatsAppInstance.")
    healthy: int = Field(default=0, ge=0, description="Managed ones that are Healthy.")
    disconnected: int = Field(default=0, ge=0, description="Managed ones that are Disconnected.")
    degraded: int = Field(default=0, ge=0, description="Managed ones that are Degraded.")
    stuck: int = Field(default=0, ge=0, description="Managed ones that are Stuck.")
    corrupted: int = Field(default=0, ge=0, description="Managed ones that are Corrupted.")
    not_found: int = Field(default=0, ge=0, description="Managed ones that do not exist on the server.")
    unknown: int = Field(default=0, ge=0, description="Managed ones about which nothing is known, or that are going.")
    unmanaged: int = Field(
        default=0, ge=0, description="Instances on the server without a WhatsAppInstance; they are never changed."
    )


class StormStatus(Model):
    """So many instances are bad at once that the cause is not theirs."""

    since: Timestamp = Field(description="When it began.")
    calm_since: Timestamp | None = Field(
        default=None, description="Since when fewer are bad; it is over when that has lasted for cooldownSeconds."
    )


class ClassUse(Model):
    """How much of the budget of one class is used."""

    step_class: steps.StepClass = Field(alias="class", description="The class of steps.")
    used: int = Field(ge=0, description="Steps of the class within the window that has least left.")
    max: int = Field(ge=0, description="Steps that may begin within that window.")


class ServerRecoveryStatus(Model):
    """What is done to heal the instances of this server, and what keeps more from being done."""

    in_flight: steps.StepInFlight | None = Field(
        default=None, description="A restart of the server that was announced and has no verdict yet."
    )
    planned: steps.PlannedStep | None = Field(
        default=None, description="A restart of the server that instances wait for."
    )
    waiting: int = Field(default=0, ge=0, description="Instances that wait for a restart of the server.")
    blocked_by: tuple[StatusReason, ...] = Field(
        default=(),
        max_length=20,
        description="Everything that keeps the planned restart from being done.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    storm: StormStatus | None = Field(
        default=None, description="Present while so many instances are bad at once that the cause is not theirs."
    )
    budget: tuple[ClassUse, ...] = Field(
        default=(),
        max_length=8,
        description="How much of the budget is used, by class; classes of which nothing is used do not stand here.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["class"]},
    )
    history: tuple[steps.StepRecord, ...] = Field(
        default=(),
        max_length=10,
        description="The last ten restarts of the server, the oldest first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class ServerWarning(Model):
    """Something about the server that will lose pairings or data one day."""

    reason: StatusReason = Field(description="What it is, as one word.")
    message: str = Field(max_length=1024, description="What it does, and how to put it right.")


class EvolutionServerStatus(Model):
    """What is known about the server."""

    observed_generation: int = Field(
        default=-1,
        ge=-1,
        description="The generation of the spec that this status speaks of; -1 until the operator has seen the object.",
    )
    version: str | None = Field(default=None, max_length=64, description="Version of the Evolution API.")
    client_name: ClientName | None = Field(
        default=None,
        description="The client name of the first contact, or the last of spec.clientName that the server confirmed. "
        "The server is held to it where spec.clientName is left out.",
    )
    instances: InstanceCounts | None = Field(default=None, description="Instances on the server, by health state.")
    recovery: ServerRecoveryStatus | None = Field(
        default=None, description="What is done to heal the instances, and what keeps more from being done."
    )
    warnings: tuple[ServerWarning, ...] = Field(
        default=(),
        max_length=16,
        description="What about the server will lose pairings or data one day, as far as it can be seen.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["reason"]},
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=32,
        description="Ready, Reachable, Authenticated, Compatible, IdentityConfirmed, WarmedUp and RemediationAllowed; "
        "Paused, Reconciling and Stalled only while they are true.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )


class EvolutionServer(Model):
    """An EvolutionServer is one Evolution API deployment on which WhatsAppInstances live."""

    metadata: ObjectMeta
    spec: EvolutionServerSpec = Field(description="How to reach the server, and the defaults for its instances.")
    status: EvolutionServerStatus = Field(
        default_factory=EvolutionServerStatus, description="What is known about the server; written by the operator."
    )
