"""Recovery actions as they stand in the status of an instance: planned, in flight, and done."""

from __future__ import annotations

import enum
from typing import Annotated

import pydantic
from pydantic import Field

from whatsapp_operator.resources import words
from whatsapp_operator.resources.conditions import StatusReason
from whatsapp_operator.resources.model import Model, Timestamp


class Step(words.Vocabulary):
    """One action on an instance; plugins add theirs."""

    CREATE = "Create"
    RECONNECT = "Reconnect"
    RESTART = "Restart"
    RESTART_SERVER = "RestartServer"
    RELOGIN = "Relogin"
    RECREATE = "Recreate"
    DELETE = "Delete"

    @property
    def may_restart(self) -> bool:
        """Whether the instance's socket may have been replaced by it: what a plugin's step did is not known."""
        return self is Step.RESTART or self.foreign


StatusStep = Annotated[Step, pydantic.WithJsonSchema(words.SCHEMA)]
"""A step in a status: one of ours, or any other word."""

_STEP = f"The step: {', '.join(Step)}, or that of a plugin."


class StepClass(enum.StrEnum):
    """What a step costs, and so which gates and which budget it meets.

    `Soft` ones cost nothing or seconds, `ServerRestart` seconds for all instances of the server, `SessionLoss` a
    pairing or data; `Recreate` is the same step on an instance that has neither.
    """

    SOFT = "Soft"
    SERVER_RESTART = "ServerRestart"
    RECREATE = "Recreate"
    SESSION_LOSS = "SessionLoss"


class StepResult(enum.StrEnum):
    """How a step ended, by later observation and never by the server's reply."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"
    UNVERIFIED = "Unverified"


class StepInFlight(Model):
    """A step that was announced and has no verdict yet."""

    step: StatusStep = Field(description=_STEP)
    step_class: StepClass = Field(
        alias="class", description="What it costs: Soft, ServerRestart, Recreate or SessionLoss."
    )
    reason: StatusReason | None = Field(default=None, description="Why it is taken.")
    since: Timestamp = Field(description="When it was announced, which is before it was taken.")


class PlannedStep(Model):
    """The step that comes next if nothing changes."""

    step: StatusStep = Field(description=_STEP)
    at: Timestamp | None = Field(default=None, description="Not before this moment; at once when empty.")


class StepRecord(Model):
    """A step that is over."""

    step: StatusStep = Field(description=_STEP)
    reason: StatusReason = Field(description="Why it was taken.")
    incident: str = Field(max_length=64, description="The incident it belonged to.")
    start_time: Timestamp = Field(description="When it was announced.")
    end_time: Timestamp | None = Field(default=None, description="When its verdict was known.")
    result: StepResult = Field(description="The verdict, by a later observation.")


class StepCount(Model):
    """How often a step was announced."""

    step: StatusStep = Field(description=_STEP)
    times: int = Field(ge=1, description="How often.")
