"""How much may be done to the instances of one server: steps at once, steps in a time, and when to stop altogether."""

from __future__ import annotations

import enum
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

import cronsim
from pydantic import Field

from whatsapp_operator.resources import fields, rules
from whatsapp_operator.resources.model import Model
from whatsapp_operator.resources.steps import StepClass

_LONGEST_MAINTENANCE = 7 * 86_400


class MaintenanceKind(enum.StrEnum):
    """What a maintenance window means for recovery."""

    ALLOW = "Allow"
    DENY = "Deny"


class Window(Model):
    """How many steps of a class may begin within a time."""

    step_class: StepClass = Field(
        alias="class",
        description="Soft: Create, Reconnect, Restart. Recreate: Relogin and Recreate of instances that hold neither a "
        "pairing nor data. SessionLoss: the same of instances that do. ServerRestart: restarts of the server.",
    )
    max: int = Field(ge=0, le=1000, description="Steps of this class that may begin within periodSeconds; 0 for none.")
    period_seconds: fields.Seconds = Field(description="The time that is looked back on, in seconds.")


DEFAULT_WINDOWS = (
    Window(step_class=StepClass.SOFT, max=30, period_seconds=600),
    Window(step_class=StepClass.RECREATE, max=30, period_seconds=3600),
    Window(step_class=StepClass.SERVER_RESTART, max=2, period_seconds=3600),
    Window(step_class=StepClass.SESSION_LOSS, max=3, period_seconds=3600),
)


class StormLimits(Model):
    """When so many are bad at once that the cause is not theirs."""

    percent: int = Field(
        default=30,
        ge=1,
        le=100,
        description="Share of the paired instances, in percent. When more are bad at once, and more than floor, "
        "nothing that would lose a pairing or data is done, and gentler steps are taken one at a time.",
    )
    floor: int = Field(default=3, ge=0, le=100_000, description="So many bad ones are no storm, whatever their share.")
    cooldown_seconds: fields.Seconds = Field(
        default=300, description="Seconds for which fewer must be bad before the storm counts as over."
    )


class MaintenanceWindow(Model):
    """A time that repeats, in which recovery steps may, or may not, begin."""

    validations: ClassVar[tuple[rules.Rule, ...]] = (
        rules.Rule(
            cel=r"self.schedule.matches('^\\s*\\S+(\\s+\\S+){4}\\s*$')",
            message="must be a cron schedule of five fields (minute hour day month weekday), each within its bounds, "
            "for example '0 3 * * *'",
            field_path=".schedule",
            holds=lambda window: _is_schedule(window.schedule),
        ),
        rules.Rule(
            cel="self.timeZone.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')",
            message="must be the name of a time zone, for example Europe/Berlin",
            field_path=".timeZone",
            holds=lambda window: _is_zone(window.time_zone),
        ),
    )

    schedule: Annotated[str, Field(min_length=9, max_length=128)] = Field(
        description="When it begins: a cron schedule of five fields, minute hour day month weekday."
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        default="UTC", description="The time zone of the schedule, for example Europe/Berlin."
    )
    duration_seconds: int = Field(ge=60, le=_LONGEST_MAINTENANCE, description="How long it lasts, in seconds.")
    kind: MaintenanceKind = Field(
        description="Deny: no recovery step begins within it. Allow: where there is one, steps that disturb more than "
        "they heal (ServerRestart, SessionLoss, Recreate) begin only within such windows; Soft ones at any time."
    )

    def is_open(self, now: datetime) -> bool:
        """Whether `now` is within it."""
        began = self.opens_at(now - timedelta(seconds=self.duration_seconds))
        return began is not None and began <= now

    def opens_at(self, now: datetime) -> datetime | None:
        """When it begins next."""
        local = now.astimezone(zoneinfo.ZoneInfo(self.time_zone))
        begins = (moment.astimezone(UTC) for moment in cronsim.CronSim(self.schedule, local))
        # In the hour that the end of summer time repeats the schedule first gives moments of the hour before.
        return next((moment for moment in begins if moment > now.astimezone(UTC)), None)


class Budget(Model):
    """How much may be done to the instances of a server."""

    max_in_flight: int = Field(
        default=2, ge=1, le=100, description="Recovery steps that may be under way at once on this server."
    )
    windows: tuple[Window, ...] = Field(
        default=(),
        max_length=16,
        description="How many steps of a class may begin within a time; a class may stand here more than once, and all "
        "its windows hold. A class that does not stand here has: Soft 30 in 600 s, Recreate 30 in 3600 s, "
        "ServerRestart 2 in 3600 s, SessionLoss 3 in 3600 s.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    storm: StormLimits = Field(
        default_factory=StormLimits, description="When so many are bad at once that the cause is not theirs."
    )
    maintenance: tuple[MaintenanceWindow, ...] = Field(
        default=(),
        max_length=16,
        description="Times that repeat, in which recovery steps may, or may not, begin.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )

    def windows_of(self, step_class: StepClass) -> tuple[Window, ...]:
        """The windows that hold for a class: those given, else the default."""
        given = tuple(window for window in self.windows if window.step_class is step_class)
        return given or tuple(window for window in DEFAULT_WINDOWS if window.step_class is step_class)


def _is_schedule(text: str) -> bool:
    try:
        cronsim.CronSim(text, datetime(2026, 1, 1))  # noqa: DTZ001 - parsed only; no moment is asked for
    except cronsim.CronSimError:
        return False
    return len(text.split()) == 5


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
