"""What a plugin is written with: one health state, one recovery strategy, or both. See docs/plugins.md.

A plugin is a Python package whose entry points name a `State` (group `whatsapp_operator.health_states`) or a `Strategy`
(group `whatsapp_operator.recovery_strategies`). These names are all that it needs, and all that is kept stable for it.
"""

from __future__ import annotations

from whatsapp_operator.evolution.evidence import (
    Absent,
    Accepted,
    ConnectionState,
    InMemory,
    MemoryReading,
    NotInMemory,
    Outcome,
    Refused,
    Unknown,
    Webhook,
)
from whatsapp_operator.plugins.declarations import State, Strategy
from whatsapp_operator.plugins.errors import CallNotAllowed, CallRefused, CallRepeated, StepIsOver
from whatsapp_operator.plugins.port import Instance
from whatsapp_operator.plugins.view import Evidence
from whatsapp_operator.recovery.strategies import Done
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import StepClass

__all__ = [
    "Absent",
    "Accepted",
    "CallNotAllowed",
    "CallRefused",
    "CallRepeated",
    "ConnectionState",
    "Done",
    "Evidence",
    "HealthState",
    "InMemory",
    "Instance",
    "MemoryReading",
    "NotInMemory",
    "Outcome",
    "Refused",
    "State",
    "StepClass",
    "StepIsOver",
    "Strategy",
    "Unknown",
    "Webhook",
]
