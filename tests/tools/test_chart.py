"""What the chart says without helm: its versions, the schema of its values, what is generated into it."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from whatsapp_operator.cli import options

TREE = Path(__file__).resolve().parents[2]
META = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
VALUES = yaml.safe_load((chart.CHART / "values.yaml").read_text())
SCHEMA = json.loads(chart.SCHEMA.read_text())
OF_HELM = {"global"}

Schema = Mapping[str, Any]


def described(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Each value that the schema knows, with its own schema."""
    for name, one in schema.get("properties", {}).items():
        yield prefix + name, one
        yield from described(one, f"{prefix}{name}.")


def given(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Each value of `values.yaml`; a map that is not taken apart by the schema is one value."""
    known = dict(described(SCHEMA))
    for name, one in values.items():
        yield prefix + name
        if known[prefix + name].get("properties"):
            yield from given(one, f"{prefix}{name}.")


def test_version_of_the_chart_is_that_of_the_project_and_of_the_manifests() -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["version"]
    kustomization = yaml.safe_load((TREE / "manifests" / "kustomization.yaml").read_text())

    assert {META["version"], META["appVersion"], kustomization["images"][0]["newTag"]} == {project}


def test_every_value_has_a_description_that_is_a_sentence() -> None:
    descriptions = {name: one.get("description", "") for name, one in described(SCHEMA)}

    assert {name: text for name, text in descriptions.items() if not text.endswith(".")} == {}


def test_every_value_of_the_schema_has_a_default_and_the_reverse() -> None:
    known = {name for name, _ in described(SCHEMA) if not name.startswith("options.")}

    assert set(given(VALUES)) == known - OF_HELM


def test_unknown_keys_are_refused_wherever_the_schema_knows_the_keys() -> None:
    objects = {name: one for name, one in described(SCHEMA) if "properties" in one} | {"": SCHEMA}

    assert len(objects) > 5
    assert [name for name, one in objects.items() if one.get("additionalProperties") is not False] == []


def test_options_are_those_of_the_operator_but_for_what_the_chart_sets() -> None:
    known = set(SCHEMA["properties"]["options"]["properties"])
    named = {chart.camel_case(name) for name, _, _ in options.flags()}
    set_here = {chart.camel_case(name) for name in chart.SET_BY_THE_CHART}

    assert known == named - set_here
    assert set_here <= named


def test_stale_schema_is_noticed_and_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert chart.main(["--check"]) == 0
    monkeypatch.setattr(chart, "files", lambda: {chart.SCHEMA: "{}"})

    assert chart.main(["--check"]) == 1
    assert "values.schema.json differs from the options: run `make generate`" in capsys.readouterr().err
    assert json.loads(chart.SCHEMA.read_text()) == SCHEMA


def test_definitions_of_the_chart_are_those_of_the_resources() -> None:
    copies = sorted((chart.CHART / "files" / "crds").iterdir())
    originals = sorted((TREE / "crds").glob("*.yaml"))

    assert [one.name for one in copies] == [one.name for one in originals]
    assert [one.read_text() for one in copies] == [one.read_text() for one in originals]
