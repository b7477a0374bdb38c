"""The alerts that are shipped, and how Argo CD reads our conditions, go by what there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

TREE = Path(__file__).resolve().parents[2]
ALERTS = TREE / "examples" / "monitoring" / "alerts.yaml"
HEALTH = TREE / "examples" / "gitops" / "argocd" / "health.yaml"
DOCUMENT = TREE / "docs" / "metrics.md"
ASKED = re.compile(r"(whatsapp_operator_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')
WORDS = {"reason": {str(word) for word in Reason}, "state": {str(word) for word in HealthState}}


def rules() -> Iterator[Any]:
    for group in yaml.safe_load(ALERTS.read_text())["spec"]["groups"]:
        for rule in group["rules"]:
            yield pytest.param(rule, id=rule["alert"])


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """The labels of every metric, as the documentation has them, which another test compares with the metrics."""
    rows = (line.split("|")[1:4] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `"))
    return {name.strip(" `"): set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}


@pytest.mark.parametrize("rule", list(rules()))
def test_alert_asks_for_what_there_is(rule: dict[str, Any], told: dict[str, set[str]]) -> None:
    asked = ASKED.findall(rule["expr"])
    assert asked
    for name, matchers in asked:
        for label, words in MATCHER.findall(matchers):
            assert label in told[name]
            assert set(words.split("|")) <= WORDS[label]
        assert name in told


@pytest.mark.parametrize("rule", list(rules()))
def test_alert_groups_and_speaks_by_labels_that_there_are(rule: dict[str, Any], told: dict[str, set[str]]) -> None:
    labels = set.intersection(*(told[name] for name, _ in ASKED.findall(rule["expr"])))
    grouped = {label for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(", ")}
    spoken = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert grouped <= labels
    assert spoken <= grouped


def test_argo_cd_goes_by_reasons_that_there_are() -> None:
    named = re.findall(r"(\w+) = true", HEALTH.read_text())
    assert named
    assert set(named) <= WORDS["reason"]
