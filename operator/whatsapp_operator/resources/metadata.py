"""The part of an object's metadata that the operator reads."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from whatsapp_operator.resources.model import Model, Timestamp


class ObjectMeta(Model):
    """Standard Kubernetes metadata, as far as it is used here."""

    name: str = Field(description="Name, unique within the namespace.")
    namespace: str = Field(description="Namespace.")
    uid: str = Field(default="", description="Unique over time: an object created again has another one.")
    generation: int = Field(default=0, description="Counts changes of the spec.")
    resource_version: str = Field(default="", description="Version of the stored object, for preconditions.")
    creation_timestamp: Timestamp | None = Field(default=None, description="When the object was created.")
    deletion_timestamp: Timestamp | None = Field(default=None, description="When its deletion was asked for.")
    finalizers: tuple[str, ...] = Field(default=(), description="What must be done before it may go.")
    annotations: Mapping[str, str] = Field(default_factory=dict, description="Annotations.")

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name
