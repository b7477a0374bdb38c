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


class RecoveryOverrides(Model):
    """How instances are recovered."""

    mode: RecoveryMode | None = Field(
        default=None,
        description="Enabled: recovery steps are taken. DryRun: they are planned and shown in status, none is taken. "
        "Disabled: none is taken but those that are asked for. Enabled when nothing is set.",
    )
    max_attempts: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Gentle steps in an incident before an instance that holds neither a pairing nor data is "
        "recreated. 3 when nothing is set.",
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
