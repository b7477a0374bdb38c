"""What an entry point of a plugin names. Nothing is checked here: `loading` does, and names the entry point."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from whatsapp_operator.plugins.port import Instance
from whatsapp_operator.plugins.view import Evidence
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import StepClass


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One health state: a reason, what it amounts to, and the rule that finds it."""

    reason: str
    """CamelCase, 2 to 40 characters; as it stands in status, Events and metrics."""
    state: HealthState
    """Disconnected, Degraded, Stuck or Corrupted."""
    sentence: str
    """One line of at most 500 characters: what it means, and what to do next.

    `{name}`, `{namespace}`, `{server}` and `{instance}` are filled in; a brace of its own is written twice.
    """
    matches: Callable[[Evidence], bool]
    """Whether the evidence amounts to it. Asked at each look where the operator's own rules find nothing wrong, so it
    must be quick, and depend on nothing but the evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One recovery strategy: a step, what it costs, what it is for, and how it is done."""

    step: str
    """CamelCase, 2 to 40 characters; as it stands in status, audit trail and metrics."""
    step_class: StepClass
    """What it costs at the least. It decides which gates and which budget the step meets, and which calls it has."""
    reasons: tuple[str, ...]
    """Reasons for which it is offered: of plugins, or of the operator where the operator has steps for them."""
    run: Callable[[Instance], Awaitable[None]]
    """An async function that takes the step. It returns nothing: whether it healed is observed afterwards."""
    times: int = 1
    """How often it is tried in an incident before the next step, 1 to 10; the last step there is goes on, ever more
    rarely."""
