"""What holds for one instance: its own overrides, else its server's, else the defaults here."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whatsapp_operator.resources.overrides import ProbeMode, RecoveryMode, SessionLoss

if TYPE_CHECKING:
    from whatsapp_operator.resources.instance import WhatsAppInstanceSpec
    from whatsapp_operator.resources.model import Model
    from whatsapp_operator.resources.overrides import HealthOverrides, RecoveryOverrides
    from whatsapp_operator.resources.server import EvolutionServerSpec

_KEPT = 1024
"""Pairs of overrides of which the outcome is kept: thousands of instances say the same, at look after look."""


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """Whether, and how often, an open instance is probed; the period in seconds."""

    mode: ProbeMode = ProbeMode.DISABLED
    period_seconds: int = 300


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """How health is judged; all spans in seconds."""

    check_period_seconds: int = 10
    database_period_seconds: int = 30
    check_timeout_seconds: int = 10
    stuck_timeout_seconds: int = 30
    min_healthy_seconds: int = 600
    probe: ProbePolicy = ProbePolicy()


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """How an instance is recovered; all spans in seconds."""

    mode: RecoveryMode = RecoveryMode.ENABLED
    max_attempts: int = 3
    retry_delay_seconds: int = 2
    step_timeout_seconds: int = 30
    session_loss: SessionLoss = SessionLoss.AUTOMATIC
    session_loss_delay_seconds: int = 300
    last_resort_delay_seconds: int = 21_600


@dataclass(frozen=True, slots=True)
class Policy:
    """Both, for one instance."""

    health: HealthPolicy = HealthPolicy()
    recovery: RecoveryPolicy = RecoveryPolicy()


def resolve(instance_spec: WhatsAppInstanceSpec, server_spec: EvolutionServerSpec) -> Policy:
    """Instance over server over defaults, field by field."""
    return Policy(
        health=_health(server_spec.health, instance_spec.health),
        recovery=_recovery(server_spec.recovery, instance_spec.recovery),
    )


def server_health(server_spec: EvolutionServerSpec) -> HealthPolicy:
    """What holds for reads that serve all instances of a server."""
    return _health(server_spec.health)


@functools.lru_cache(maxsize=_KEPT)
def _recovery(*overrides: RecoveryOverrides) -> RecoveryPolicy:
    """The last one that says something of a field counts."""
    recovery: dict[str, Any] = {}
    for one in overrides:
        recovery |= _given(one)
    return RecoveryPolicy(**recovery)


@functools.lru_cache(maxsize=_KEPT)
def _health(*overrides: HealthOverrides) -> HealthPolicy:
    """The last one that says something of a field counts, also within the fields of the probe."""
    health: dict[str, Any] = {}
    probe: dict[str, Any] = {}
    for one in overrides:
        given = _given(one)
        probe |= given.pop("probe", {})
        health |= given
    return HealthPolicy(**health, probe=ProbePolicy(**probe))


def _given(overrides: Model) -> dict[str, Any]:
    return overrides.model_dump(exclude_none=True)
