"""WhatsAppInstance: one WhatsApp session on an Evolution API server."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar

from pydantic import Field

from whatsapp_operator.resources import fields, overrides, references, rules
from whatsapp_operator.resources.metadata import ObjectMeta
from whatsapp_operator.resources.model import Model
from whatsapp_operator.resources.pause import Pause
from whatsapp_operator.resources.status import WhatsAppInstanceStatus
from whatsapp_operator.resources.webhook import Webhook

KIND = "WhatsAppInstance"
PLURAL = "whatsappinstances"
LONGEST_NAME = 240

_NEW_RESOURCE = "delete this resource and create another one"


class Integration(enum.StrEnum):
    """How the server speaks to WhatsApp."""

    BAILEYS = "WHATSAPP-BAILEYS"
    BUSINESS = "WHATSAPP-BUSINESS"
    EVOLUTION = "EVOLUTION"


class PairingMode(enum.StrEnum):
    """When a QR code is wanted."""

    ON_DEMAND = "OnDemand"
    ALWAYS = "Always"
    NEVER = "Never"


class DeletionPolicy(enum.StrEnum):
    """What becomes of the instance on the server when its resource is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Pairing(Model):
    """When QR codes are offered."""

    mode: PairingMode = Field(
        default=PairingMode.ON_DEMAND,
        description="OnDemand: a QR code is offered for windowSeconds after creation, after the end of a pairing, and "
        "on request by the annotation whatsapp-operator.dev/pairing-requested-at. Always: whenever the instance is "
        "not paired. Never: none.",
    )
    window_seconds: fields.Seconds = Field(
        default=600, description="Seconds for which a QR code is offered in mode OnDemand."
    )


class InstanceSettings(Model):
    """The instance's settings on the server, as Evolution API names them. They are kept as they stand here."""

    reject_call: bool = Field(default=False, description="Reject incoming calls.")
    groups_ignore: bool = Field(default=False, description="Ignore messages of groups.")
    always_online: bool = Field(default=False, description="Appear online at all times.")
    read_messages: bool = Field(default=False, description="Mark incoming messages as read.")
    read_status: bool = Field(default=False, description="Mark status posts as seen.")
    sync_full_history: bool = Field(
        default=False, description="Fetch the whole history when a phone is paired; takes long and much memory."
    )
    msg_call: str = Field(default="", max_length=100, description="Text sent to those whose call was rejected.")


InstanceName = Annotated[
    str,
    Field(min_length=1, max_length=100),
    rules.Matches(
        r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        "must begin with a letter or digit and hold letters, digits, '_' and '-' only: it is part of the server's URLs",
    ),
    rules.Matches(
        r"^(constructor|hasOwnProperty|isPrototypeOf|propertyIsEnumerable|toLocaleString|toString|valueOf)$",
        "must be no name that every JavaScript object has: the Evolution API takes it for one in use; choose another",
        unless=True,
    ),
]

PhoneNumber = Annotated[
    str,
    Field(min_length=1, max_length=32),
    rules.Matches(r"^[0-9]+$", "must be digits only: write the phone number id without '+', spaces or dashes"),
]


class WhatsAppInstanceSpec(Model):
    """The instance that is wanted."""

    validations: ClassVar[tuple[rules.Rule, ...]] = (
        rules.Rule(
            cel="self.serverRef == oldSelf.serverRef",
            message=f"cannot be changed after creation: {_NEW_RESOURCE} to move to another server",
            field_path=".serverRef",
            reason="FieldValueForbidden",
        ),
        rules.Rule(
            cel="self.integration == oldSelf.integration",
            message=f"cannot be changed after creation: {_NEW_RESOURCE}",
            field_path=".integration",
            reason="FieldValueForbidden",
        ),
        rules.immutable("instanceName", _NEW_RESOURCE),
        rules.immutable("number", _NEW_RESOURCE),
        rules.immutable("businessId", _NEW_RESOURCE),
        rules.Rule(
            cel="self.integration != 'WHATSAPP-BUSINESS' || has(self.number)",
            message="is required for the integration WHATSAPP-BUSINESS: set it to the phone number id of Meta",
            field_path=".number",
            reason="FieldValueRequired",
            holds=lambda spec: spec.integration is not Integration.BUSINESS or spec.number is not None,
        ),
        rules.Rule(
            cel="self.integration != 'WHATSAPP-BUSINESS' || has(self.tokenSecretRef)",
            message="is required for the integration WHATSAPP-BUSINESS: put the token of Meta into a "
            "Secret and name it there",
            field_path=".tokenSecretRef",
            reason="FieldValueRequired",
            holds=lambda spec: spec.integration is not Integration.BUSINESS or spec.token_secret_ref is not None,
        ),
        rules.Rule(
            cel="self.integration != 'WHATSAPP-BAILEYS' || !has(self.number)",
            message="has no effect with the integration WHATSAPP-BAILEYS: remove it, the phone that scans the "
            "QR code decides",
            field_path=".number",
            reason="FieldValueForbidden",
            holds=lambda spec: spec.integration is not Integration.BAILEYS or spec.number is None,
        ),
        rules.Rule(
            cel="self.integration == 'WHATSAPP-BUSINESS' || !has(self.businessId)",
            message="has an effect with the integration WHATSAPP-BUSINESS only: remove it",
            field_path=".businessId",
            reason="FieldValueForbidden",
            holds=lambda spec: spec.integration is Integration.BUSINESS or spec.business_id is None,
        ),
    )

    server_ref: references.ServerReference = Field(
        description="The EvolutionServer on which the instance lives. Cannot be changed."
    )
    instance_name: InstanceName | None = Field(
        default=None, description="Name of the instance on the server; metadata.name when left out. Cannot be changed."
    )
    integration: Integration = Field(
        default=Integration.BAILEYS,
        description="WHATSAPP-BAILEYS: WhatsApp Web, paired by a QR code. WHATSAPP-BUSINESS: Meta's Cloud API. "
        "EVOLUTION: Evolution's own channel. Cannot be changed.",
    )
    number: PhoneNumber | None = Field(
        default=None,
        description="WHATSAPP-BUSINESS: the phone number id of Meta. EVOLUTION: the number that incoming messages are "
        "routed by, optional. Cannot be changed.",
    )
    business_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="WHATSAPP-BUSINESS: the business account id of Meta, needed for message templates. Cannot be "
        "changed.",
    )
    token_secret_ref: references.TokenReference | None = Field(
        default=None,
        description="The Secret that holds the instance's token, with which its clients authenticate: the Secret "
        "<metadata.name>-token when left out, generated when absent. To adopt an instance that exists already, put its "
        "token there. For WHATSAPP-BUSINESS it is the token of Meta, which is waited for. An instance keeps the token "
        "that it was created with; where the Secret named here holds another one, Synced is False and says so.",
    )
    pairing: Pairing = Field(default_factory=Pairing, description="When QR codes are offered.")
    settings: InstanceSettings | None = Field(
        default=None, description="Settings of the instance. When left out, those on the server are left alone."
    )
    webhook: Webhook | None = Field(
        default=None,
        description="Where the instance's events are sent. When left out, the webhook on the server is left alone.",
    )
    health: overrides.HealthOverrides = Field(
        default_factory=overrides.HealthOverrides,
        description="How health is judged; what is left out is taken from the EvolutionServer.",
    )
    recovery: overrides.RecoveryOverrides = Field(
        default_factory=overrides.RecoveryOverrides,
        description="How the instance is recovered; what is left out is taken from the EvolutionServer.",
    )
    deletion_policy: DeletionPolicy | None = Field(
        default=None,
        description="Delete: the instance is deleted on the server before this resource goes. Retain: it stays there, "
        "untouched. When left out: Retain for an instance that existed before this resource, Delete for others.",
    )
    pause: Pause | None = Field(
        default=None, description="While present, nothing is changed on the server; health is still shown."
    )


class WhatsAppInstance(Model):
    """A WhatsAppInstance keeps one WhatsApp session alive on an Evolution API server."""

    validations: ClassVar[tuple[rules.Rule, ...]] = (
        rules.Rule(
            cel="has(self.spec.instanceName) || self.metadata.name.matches('^[a-z0-9][a-z0-9-]{0,99}$')",
            message="metadata.name becomes the instance's name on the server, which must be at most 100 letters, "
            "digits and '-': set spec.instanceName or choose another metadata.name",
            holds=lambda one: one.spec.instance_name is not None or _names_instance(one.metadata.name),
        ),
        rules.Rule(
            cel="has(self.spec.instanceName) || self.metadata.name != 'constructor'",
            message="metadata.name becomes the instance's name on the server, and the Evolution API takes "
            "'constructor' for one in use: set spec.instanceName or choose another metadata.name",
            holds=lambda one: one.spec.instance_name is not None or one.metadata.name != "constructor",
        ),
        rules.Rule(
            cel=f"size(self.metadata.name) <= {LONGEST_NAME}",
            message=f"metadata.name must be at most {LONGEST_NAME} characters: the names of its Secrets are built from "
            "it; choose a shorter one",
            holds=lambda one: len(one.metadata.name) <= LONGEST_NAME,
        ),
    )

    metadata: ObjectMeta
    spec: WhatsAppInstanceSpec = Field(description="The instance that is wanted.")
    status: WhatsAppInstanceStatus = Field(
        default_factory=WhatsAppInstanceStatus, description="What is known about the instance; written by the operator."
    )

    @property
    def remote_name(self) -> str:
        """The instance's name on the server."""
        return self.spec.instance_name or self.metadata.name

    @property
    def server_key(self) -> tuple[str, str]:
        """Namespace and name of the EvolutionServer."""
        return self.spec.server_ref.namespace or self.metadata.namespace, self.spec.server_ref.name

    @property
    def token_secret(self) -> references.TokenReference:
        """Name and key of the Secret that holds the token."""
        return self.spec.token_secret_ref or references.TokenReference(name=f"{self.metadata.name}-token")

    @property
    def pairing_secret_name(self) -> str:
        """Name of the Secret that holds the QR code."""
        return f"{self.metadata.name}-pairing"

    @property
    def keepsake_secret_name(self) -> str:
        """Name of the Secret that holds what a step took from the instance."""
        return f"{self.metadata.name}-keepsake"


def _names_instance(name: str) -> bool:
    return "." not in name and len(name) <= 100
