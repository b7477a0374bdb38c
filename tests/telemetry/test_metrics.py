"""Each fact moves its own metric, no metric grows with the number of instances, and each is documented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from whatsapp_operator.telemetry import metrics

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


@pytest.fixture
def told() -> metrics.Metrics:
    return metrics.Metrics()


def value(told: metrics.Metrics, name: str, **labels: str) -> float | None:
    return told.registry.get_sample_value(f"whatsapp_operator_{name}", labels)


def test_states_of_a_server_replace_those_before(told: metrics.Metrics) -> None:
    told.instances_counted("shop/main", states={"Healthy": 3, "Stuck": 1}, reasons={"Connecting": 1})
    told.instances_counted("bank/main", states={"Healthy": 7}, reasons={})
    told.instances_counted("shop/main", states={"Healthy": 4}, reasons={})
    assert value(told, "instances", server="shop/main", state="Healthy") == 4
    assert value(told, "instances", server="shop/main", state="Stuck") is None
    assert value(told, "instances_not_healthy", server="shop/main", reason="Connecting") is None
    assert value(told, "instances", server="bank/main", state="Healthy") == 7


def test_server_that_is_gone_has_no_instances(told: metrics.Metrics) -> None:
    told.instances_counted("shop/main", states={"Healthy": 3, "Stuck": 1}, reasons={"Connecting": 1})
    assert value(told, "instances_not_healthy", server="shop/main", reason="Connecting") == 1
    told.instances_counted("shop/main", states={}, reasons={})
    assert value(told, "instances", server="shop/main", state="Healthy") is None
    assert value(told, "instances_not_healthy", server="shop/main", reason="Connecting") is None


def test_steps_are_counted_by_verdict(told: metrics.Metrics) -> None:
    told.step_ended(step="Restart", step_class="Soft", result="Succeeded")
    told.step_ended(step="Restart", step_class="Soft", result="Failed")
    labels = {"step": "Restart", "class": "Soft", "result": "Succeeded"}
    assert value(told, "recoveries_total", **labels) == 1


def test_sweep_counts_drift(told: metrics.Metrics) -> None:
    told.swept(drift=0)
    told.swept(drift=2)
    assert value(told, "sweeps_total") == 2
    assert value(told, "sweep_drift_total") == 2


def test_two_operators_in_one_process_do_not_share_metrics() -> None:
    one, other = metrics.Metrics(), metrics.Metrics()
    one.problem_met()
    assert value(other, "problems_total") == 0


def ours(told: metrics.Metrics) -> Iterator[Metric]:
    return (family for family in told.registry.collect() if family.name.startswith(metrics.PREFIX))


def labels(told: metrics.Metrics, family: Metric) -> tuple[str, ...]:
    collector = told.registry._names_to_collectors[family.name]  # noqa: SLF001 - the registry lists them nowhere else
    return tuple(collector._labelnames)  # type: ignore[attr-defined]  # noqa: SLF001 - as above


def test_no_metric_is_labelled_by_instance(told: metrics.Metrics) -> None:
    used = {label for family in ours(told) for label in labels(told, family)}
    assert used.isdisjoint({"instance", "name", "uid", "namespace", "incident"})


def row(told: metrics.Metrics, family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    named = ", ".join(f"`{label}`" for label in labels(told, family))
    return f"| `{name}` | {family.type} | {named} | {family.documentation} |"


def test_documented_table_is_that_of_the_code(told: metrics.Metrics) -> None:
    table = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert table == [row(told, family) for family in ours(told)]
