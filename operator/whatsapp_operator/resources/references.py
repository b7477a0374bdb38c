"""References to other objects. Secrets are always those of the resource's own namespace."""

from __future__ import annotations

import enum

from pydantic import Field

from whatsapp_operator.resources import fields
from whatsapp_operator.resources.model import Model


class ServerReference(Model):
    """The EvolutionServer on which an instance lives."""

    name: fields.ObjectName = Field(description="Name of the EvolutionServer.")
    namespace: fields.NamespaceName | None = Field(
        default=None,
        description="Namespace of the EvolutionServer; the resource's own when left out. A server in another "
        "namespace must list this one in its spec.allowedNamespaces.",
    )


class SecretReference(Model):
    """A whole Secret of the same namespace."""

    name: fields.ObjectName = Field(description="Name of a Secret in the same namespace.")


class APIKeyReference(SecretReference):
    """The Secret that holds the server's key."""

    key: fields.SecretKey = Field(default="apikey", description="Key within the Secret.")


class CABundleReference(SecretReference):
    """The Secret that holds the certificates to trust."""

    key: fields.SecretKey = Field(default="ca.crt", description="Key within the Secret.")


class TokenReference(SecretReference):
    """The Secret that holds an instance's token."""

    key: fields.SecretKey = Field(default="token", description="Key within the Secret.")


class WorkloadKind(enum.StrEnum):
    """What runs a server."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class WorkloadReference(Model):
    """The workload that runs the server, in the same namespace; naming it allows the operator to restart it."""

    kind: WorkloadKind = Field(description="Deployment or StatefulSet.")
    name: fields.ObjectName = Field(description="Its name.")
    min_instances: int = Field(
        default=3,
        ge=1,
        le=100_000,
        description="Instances that only a restart of the server can heal before it is restarted at once. Where the "
        "server has fewer in all, all of them are enough.",
    )
    max_wait_seconds: fields.Seconds = Field(
        default=600, description="Seconds after which the server is restarted for fewer than minInstances, too."
    )
