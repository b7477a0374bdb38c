"""What the engine tells moves the metrics that follow from it, and leaves its audit record."""

from __future__ import annotations

import dataclasses

import pytest
import structlog

from whatsapp_operator.cli import telling
from whatsapp_operator.engine import ports, reporting
from whatsapp_operator.evolution import client
from whatsapp_operator.telemetry import audit, metrics

ENTRY = reporting.Audit(
    phase=reporting.Phase.RESULT,
    key=ports.Key("shop", "one"),
    uid="u1",
    server=ports.Key("bank", "main"),
    instance="one_whatsapp",
    step="Restart",
    step_class="Soft",
    reason="Connecting",
    evidence="connecting/connecting",
    incident="20261123-7f3a",
    result="Succeeded",
)


@pytest.fixture
def told() -> metrics.Metrics:
    return metrics.Metrics()


@pytest.fixture
def port(told: metrics.Metrics) -> telling.Telling:
    return telling.Telling(told, audit.AuditTrail())


def moved(told: metrics.Metrics) -> dict[str, float]:
    """The counters that are not at 0, without their labels."""
    samples = (sample for family in told.registry.collect() for sample in family.samples)
    prefix = metrics.PREFIX
    return {
        sample.name.removeprefix(prefix): sample.value
        for sample in samples
        if sample.name.startswith(prefix) and sample.name.endswith("_total") and sample.value
    }


def test_verdict_on_a_step_is_recorded_and_counted(port: telling.Telling, told: metrics.Metrics) -> None:
    with structlog.testing.capture_logs() as lines:
        port.audit(ENTRY)
    assert moved(told) == {"recoveries_total": 1}
    (line,) = lines
    assert (line["server"], line["namespace"], line["name"]) == ("bank/main", "shop", "one")
    assert (line["phase"], line["step"], line["result"]) == ("result", "Restart", "Succeeded")


def test_verdict_on_a_deletion_is_a_cleanup(port: telling.Telling, told: metrics.Metrics) -> None:
    port.audit(dataclasses.replace(ENTRY, step="Delete"))
    assert moved(told) == {"cleanups_total": 1}


def test_intent_is_recorded_and_not_counted(port: telling.Telling, told: metrics.Metrics) -> None:
    with structlog.testing.capture_logs() as lines:
        port.audit(dataclasses.replace(ENTRY, phase=reporting.Phase.INTENT, result=None))
    assert moved(told) == {}
    assert [line["phase"] for line in lines] == ["intent"]


def test_refusal_counts_each_reason(port: telling.Telling, told: metrics.Metrics) -> None:
    port.audit(dataclasses.replace(ENTRY, phase=reporting.Phase.REFUSED, blocked_by=("Paused", "WarmingUp")))
    for reason in ("Paused", "WarmingUp"):
        labels = {"step": "Restart", "reason": reason}
        assert told.registry.get_sample_value("whatsapp_operator_recoveries_refused_total", labels) == 1


def test_orphan_is_counted(port: telling.Telling, told: metrics.Metrics) -> None:
    port.audit(dataclasses.replace(ENTRY, phase=reporting.Phase.ORPHANED))
    assert moved(told) == {"orphaned_total": 1}


def test_sweep_without_drift_is_silent(port: telling.Telling, told: metrics.Metrics) -> None:
    with structlog.testing.capture_logs() as lines:
        port.sweep(0)
    assert moved(told) == {"sweeps_total": 1}
    assert not lines


def test_sweep_with_drift_is_told(port: telling.Telling, told: metrics.Metrics) -> None:
    with structlog.testing.capture_logs() as lines:
        port.sweep(2)
    assert moved(told) == {"sweeps_total": 1, "sweep_drift_total": 2}
    assert [line["log_level"] for line in lines] == ["warning"]


def test_problem_and_crash_are_told_and_counted(port: telling.Telling, told: metrics.Metrics) -> None:
    with structlog.testing.capture_logs() as lines:
        port.problem("Listing the resources failed", error="Unavailable")
        port.crashed("A look at a resource failed", LookupError("x"), kind="WhatsAppInstance", name="one")
    assert moved(told) == {"problems_total": 2}
    assert [line["event"] for line in lines] == ["Listing the resources failed", "A look at a resource failed"]


def test_call_to_a_server_is_counted(port: telling.Telling, told: metrics.Metrics) -> None:
    port.evolution_call(client.Call(method="GET", route="/metrics", outcome="Answered", seconds=0.1))
    labels = {"method": "GET", "route": "/metrics", "outcome": "Answered"}
    assert told.registry.get_sample_value("whatsapp_operator_evolution_calls_total", labels) == 1


def test_failure_of_a_plugin_is_counted_each_time_and_logged_once_without_its_text(
    port: telling.Telling, told: metrics.Metrics
) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            port.plugin_failed("rule", "TooLoud", "loud (group, package 1.0)", LookupError("4915112345678"))
        port.plugin_failed("rule", "TooLoud", "loud (group, package 1.0)", TypeError())
        port.plugin_failed("strategy", "Hush", "hush (group, package 1.0)", LookupError())
    labels = {"part": "rule", "word": "TooLoud"}
    assert told.registry.get_sample_value("whatsapp_operator_plugin_failures_total", labels) == 4
    assert [(line["word"], type(line["exc_info"]).__name__) for line in lines] == [
        ("TooLoud", "LookupError"),
        ("TooLoud", "TypeError"),
        ("Hush", "LookupError"),
    ]
    assert {line["plugin"] for line in lines} == {"loud (group, package 1.0)", "hush (group, package 1.0)"}
