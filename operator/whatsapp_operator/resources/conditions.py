"""Conditions: what is known about a resource, one sentence each.

`Reconciling`, `Stalled` and `Paused` are abnormal-true: they are present only while they hold. All others are always
present and are `Unknown` until something proves them.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import pydantic
from pydantic import Field

from whatsapp_operator.resources import words
from whatsapp_operator.resources.model import Model, Timestamp
from whatsapp_operator.resources.reasons import Reason


class ConditionStatus(enum.StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(enum.StrEnum):
    """The conditions of both resources."""

    READY = "Ready"
    SYNCED = "Synced"
    EXISTS = "Exists"
    CONNECTED = "Connected"
    SETTLED = "Settled"
    CONSISTENT = "Consistent"
    FUNCTIONAL = "Functional"
    REMEDIATION_ALLOWED = "RemediationAllowed"
    REACHABLE = "Reachable"
    AUTHENTICATED = "Authenticated"
    COMPATIBLE = "Compatible"
    IDENTITY_CONFIRMED = "IdentityConfirmed"
    WARMED_UP = "WarmedUp"
    PAUSED = "Paused"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


StatusReason = Annotated[Reason, pydantic.WithJsonSchema(words.SCHEMA)]
"""A reason in a status: one of ours, or any other word."""


class Condition(Model):
    """One condition, as `metav1.Condition` has it."""

    model_config = pydantic.ConfigDict(
        json_schema_extra={"required": ["type", "status", "reason", "message", "lastTransitionTime"]}
    )

    type: Annotated[ConditionType, pydantic.WithJsonSchema(words.SCHEMA)] = Field(
        description="What the condition is about."
    )
    status: ConditionStatus = Field(description="Whether it holds; Unknown where nothing proves either.")
    reason: StatusReason = Field(description="Why, as one word that scripts can match on.")
    message: str = Field(max_length=32_768, description="Why, as a sentence that says what to do next.")
    last_transition_time: Timestamp | None = Field(
        default=None, description="When the status last changed. Empty only until `merge` has filled it."
    )
    observed_generation: int | None = Field(
        default=None, ge=0, description="The generation of the resource that the condition was concluded from."
    )


def merge(previous: Sequence[Condition], wanted: Sequence[Condition], *, now: datetime) -> tuple[Condition, ...]:
    """Give the wanted conditions their transition times, and leave out the previous ones that are not wanted."""
    before = {condition.type: condition for condition in previous}
    return tuple(_since(before.get(condition.type), condition, now=now) for condition in wanted)


def _since(before: Condition | None, condition: Condition, *, now: datetime) -> Condition:
    if before is None or before.status is not condition.status:
        return condition.replace(last_transition_time=now)
    if _says_the_same(before, condition):
        return before
    return condition.replace(last_transition_time=before.last_transition_time or now)


def _says_the_same(before: Condition, condition: Condition) -> bool:
    """Nearly all conditions do at nearly every look: what was read then need not be built, and checked, once more."""
    return (
        before.last_transition_time is not None
        and before.reason == condition.reason
        and before.message == condition.message
        and before.observed_generation == condition.observed_generation
    )
