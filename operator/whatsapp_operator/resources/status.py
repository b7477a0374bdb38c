"""What the operator writes about an instance.

Much of it is memory: the operator keeps nothing of its own, so what must survive its restart (how long a state has
lasted, whether the instance was paired, how often recovery was tried) stands here.
"""

from __future__ import annotations

import enum
from typing import Final, Literal

from pydantic import Field

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.resources import fields, steps
from whatsapp_operator.resources.conditions import Condition, StatusReason
from whatsapp_operator.resources.model import Model, PreciseTimestamp, Timestamp

HISTORY_LENGTH = 10
MOST_PLUGIN_STEPS = 32


class HealthState(enum.StrEnum):
    """What the evidence about an instance amounts to; the contract for scripts is the conditions."""

    HEALTHY = "Healthy"
    DISCONNECTED = "Disconnected"
    DEGRADED = "Degraded"
    STUCK = "Stuck"
    CORRUPTED = "Corrupted"
    NOT_FOUND = "NotFound"
    TERMINATING = "Terminating"
    UNKNOWN = "Unknown"


class TurningStatus(Model):
    """How long close and connecting have taken turns; it holds over restarts while the row is not written."""

    since: Timestamp = Field(description="Since when they take turns.")
    row_updated_at: PreciseTimestamp = Field(
        description="The updatedAt of the instance's row meanwhile: a login would have written it."
    )


class ConnectionStatus(Model):
    """The connection as it was confirmed, not as it was last polled."""

    state: ConnectionState | None = Field(default=None, description="open, connecting or close.")
    since: Timestamp | None = Field(default=None, description="When this state, or this kind of trouble, began.")
    code: Literal[401, 402, 403, 406] | None = Field(
        default=None,
        description="The code with which WhatsApp ended the pairing: 401 logged out, 402, 403 or 406 account refused.",
    )
    disconnection_at: PreciseTimestamp | None = Field(
        default=None,
        description="The server's disconnectionAt when this instance was last seen open; only a later one ends the "
        "pairing.",
    )
    turning: TurningStatus | None = Field(
        default=None,
        description="Present while close and connecting take turns; the wait for the last resort counts from here.",
    )


class PairingStatus(Model):
    """The code that can be scanned now."""

    secret_name: str = Field(max_length=253, description="The Secret that holds the QR code as text, PNG and SVG.")
    expires: Timestamp | None = Field(default=None, description="When the code stops being of use.")


class Approval(Model):
    """A step that a person may approve."""

    token: str = Field(
        max_length=128,
        description="The value of the annotation whatsapp-operator.dev/approve that approves the step: once, in this "
        "incident, for this incarnation.",
    )
    expires: Timestamp | None = Field(
        default=None, description="When the approval ends unused; empty until the step is approved."
    )


class RecoveryStatus(Model):
    """The present incident, and what was done in it."""

    incident: str | None = Field(
        default=None,
        max_length=64,
        description="Id of the present incident; the same in logs, Events and metrics. Empty without one.",
    )
    started_at: Timestamp | None = Field(default=None, description="When the incident began.")
    attempts: int = Field(default=0, ge=0, description="Restarts of the instance in this incident.")
    reconnects: int = Field(default=0, ge=0, description="Reconnects in this incident.")
    relogins: int = Field(default=0, ge=0, description="Relogins in this incident.")
    recreates: int = Field(default=0, ge=0, description="Recreations in this incident.")
    plugin_steps: tuple[steps.StepCount, ...] | None = Field(
        default=None,
        max_length=MOST_PLUGIN_STEPS,
        description="Steps of plugins in this incident, each with how often it was taken.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["step"]},
    )
    last_resort_since: Timestamp | None = Field(
        default=None,
        description="Since when no gentle step is left in this incident; lastResortDelaySeconds count from here.",
    )
    deaf_since: Timestamp | None = Field(
        default=None,
        description="When a Relogin left the instance deaf to incoming messages (Evolution API 2.3.6 and earlier); "
        "a restart of the server ends it. One that was not seen can be told by the annotation "
        "whatsapp-operator.dev/reset-requested-at.",
    )
    approval: Approval | None = Field(
        default=None, description="Present while a step waits that a person may approve, or is approved."
    )
    approvals: int = Field(default=0, ge=0, description="Approvals used or expired in this incident.")
    healthy_since: Timestamp | None = Field(
        default=None, description="Since when the instance is well again; lasting health ends the incident."
    )
    in_flight: steps.StepInFlight | None = Field(
        default=None, description="The step that was announced and has no verdict yet."
    )
    planned: steps.PlannedStep | None = Field(
        default=None, description="The next step if nothing changes; also shown where none may be taken."
    )
    blocked_by: tuple[StatusReason, ...] = Field(
        default=(),
        max_length=20,
        description="Everything that keeps the planned step from being taken.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    history: tuple[steps.StepRecord, ...] = Field(
        default=(),
        max_length=HISTORY_LENGTH,
        description="The last ten steps, the oldest first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class LastHandled(Model):
    """The request annotations that were carried out, by the value they had."""

    reconcile: fields.RequestToken | None = Field(
        default=None, description="Last handled whatsapp-operator.dev/reconcile-requested-at."
    )
    restart: fields.RequestToken | None = Field(
        default=None, description="Last handled whatsapp-operator.dev/restart-requested-at."
    )
    pairing: fields.RequestToken | None = Field(
        default=None, description="Last handled whatsapp-operator.dev/pairing-requested-at."
    )
    reset: fields.RequestToken | None = Field(
        default=None, description="Last handled whatsapp-operator.dev/reset-requested-at."
    )
    approve: fields.RequestToken | None = Field(
        default=None, description="Last approval that was used, by the value of whatsapp-operator.dev/approve."
    )


NO_RECOVERY: Final = RecoveryStatus()
"""Of an instance that was always well."""
NOTHING_HANDLED: Final = LastHandled()
"""Of an instance of which nobody has asked for anything."""


class WhatsAppInstanceStatus(Model):
    """What is known about an instance."""

    observed_generation: int = Field(
        default=-1,
        ge=-1,
        description="The generation of the spec that this status speaks of; -1 until the operator has seen the object.",
    )
    health_state: HealthState | None = Field(
        default=None, description="The state that the evidence amounts to. Scripts should use the conditions."
    )
    reason: StatusReason | None = Field(default=None, description="Why, as one word.")
    connection: ConnectionStatus | None = Field(default=None, description="The connection, confirmed.")
    instance_id: str | None = Field(
        default=None,
        alias="instanceID",
        max_length=255,
        description="Id of the instance on the server; another id means that it was recreated.",
    )
    paired: bool | None = Field(
        default=None,
        description="Whether a phone is linked: true from the first open connection until the pairing ends.",
    )
    pairing: PairingStatus | None = Field(default=None, description="Present only while a code can be scanned.")
    pairing_window_opened_at: Timestamp | None = Field(
        default=None, description="When the present window in which a QR code is wanted opened."
    )
    configured_generation: int | None = Field(
        default=None,
        ge=0,
        description="The generation whose settings and webhook were last verified on the server.",
    )
    adopted: bool | None = Field(
        default=None, description="True when the instance existed on the server before this resource."
    )
    deletion_asked_at: Timestamp | None = Field(
        default=None,
        description="When, once this resource was deleted, the server was first asked to delete the instance.",
    )
    keepsake: str | None = Field(
        default=None,
        max_length=253,
        description="The Secret that holds the instance's webhook and settings as they were, present from a Relogin or "
        "Recreate until they are put back. What the spec says is put back from the spec.",
    )
    keepsake_digest: str | None = Field(
        default=None,
        max_length=64,
        description="SHA-256 of what was stored in that Secret, in hexadecimal; other contents are not put back.",
    )
    recovery: RecoveryStatus | None = Field(default=None, description="The present incident and its steps.")
    last_handled: LastHandled | None = Field(
        default=None, description="The requests by annotation that were carried out."
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=32,
        description="Ready, Synced, Exists, Connected, Settled, Consistent, Functional and RemediationAllowed; "
        "Paused, Reconciling and Stalled only while they are true.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
