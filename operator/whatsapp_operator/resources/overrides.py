"""Health and recovery settings that a server can give as defaults and an instance can override.

None of these fields has a default in the schema: one filled in by the API server could not be told from one that a
user wrote, and a server's default would never apply. The operator's own defaults are in `policy`.
"""

from __future__ import annotations

import enum

from pydantic import Field

from whatsapp_operator.resources import fields
from whatsapp_operator.resources.model import Model


class RecoveryMode(enum.StrEnum):
    """Whether recovery steps are taken, only reported, or not even planned."""

    ENABLED = "Enabled"
    DRY_RUN = "DryRun"
    DISABLED = "Disabled"


class SessionLoss(enum.StrEnum):
    """Whether steps may be taken that lose a pairing or data, when nothing gentler heals."""

    AUTOMATIC = "Automatic"
    REQUIRE_APPROVAL = "RequireApproval"
    NEVER = "Never"


class ProbeMode(enum.StrEnum):
    """Whether open instances are probed."""

    DISABLED = "Disabled"
    ENABLED = "Enabled"


class ProbeOverrides(Model):
    """A round trip to WhatsApp through the instance's own connection: it asks for the business profile of its own
    number, which changes nothing.
    """

    mode: ProbeMode | None = Field(
        default=None,
        description="Enabled: an open instance is probed, which finds a connection that is dead though the server "
        "calls it open. Disabled: never; what is open counts as well. Disabled when nothing is set.",
    )
    period_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds between two probes of one instance; the instances of a server are spread over them. 300 "
        "when nothing is set.",
    )


class HealthOverrides(Model):
    """How health is judged."""

    check_period_seconds: fields.Seconds | None = Field(
        default=None, description="Seconds between two reads of the running state. 10 when nothing is set."
    )
    database_period_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds between two reads of the server's database, which are expensive there. 30 when nothing "
        "is set.",
    )
    check_timeout_seconds: fields.Seconds | None = Field(
        default=None, description="Seconds after which a read counts as unanswered. 10 when nothing is set."
    )
    stuck_timeout_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds that an instance may take to connect, or to offer a QR code, before it counts as stuck. "
        "30 when nothing is set.",
    )
    min_healthy_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds of lasting health after which an incident is over and attempts count from zero again. "
        "600 when nothing is set.",
    )
    probe: ProbeOverrides | None = Field(default=None, description="Probes of open instances.")


class RecoveryOverrides(Model):
    """How instances are recovered."""

    mode: RecoveryMode | None = Field(
        default=None,
        description="Enabled: recovery steps are taken. DryRun: they are planned and shown in status, none is taken, "
        "also none that is asked for. Disabled: none is taken but those that are asked for. Enabled when nothing "
        "is set.",
    )
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Gentle steps in an incident before those that lose something are considered. 3 when nothing is "
        "set.",
    )
    retry_delay_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds to wait after the verdict on a step before the next one; doubled each time, with "
        "jitter. 2 when nothing is set.",
    )
    step_timeout_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds after which a step whose effect was not observed counts as failed. 30 when nothing is "
        "set.",
    )
    session_loss: SessionLoss | None = Field(
        default=None,
        description="Whether Relogin and Recreate may be taken on an instance that holds a pairing or data, when "
        "nothing gentler heals. Automatic: after sessionLossDelaySeconds, never while many are bad at once. "
        "RequireApproval: each one only after someone with the verb approve has approved it. Never: not at all. "
        "Automatic when nothing is set.",
    )
    session_loss_delay_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds from the beginning of an incident before a pairing or data may be lost in it. 300 when "
        "nothing is set.",
    )
    last_resort_delay_seconds: fields.Seconds | None = Field(
        default=None,
        description="Seconds to wait, after the gentle steps have failed, for WhatsApp or the network to come back, "
        "where no other instance of the server proves that WhatsApp can be reached; only then a pairing may be lost. "
        "21600 when nothing is set.",
    )
