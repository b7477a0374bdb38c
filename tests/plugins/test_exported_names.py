"""What plugins are written with stays: its names, their fields, and what the document says of them."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest

from whatsapp_operator import plugins
from whatsapp_operator.plugins import loading, port
from whatsapp_operator.resources.steps import StepClass

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text()


def test_names_are_those_that_plugins_rely_on() -> None:
    assert set(plugins.__all__) == {
        *("Absent", "Accepted", "CallNotAllowed", "CallRefused", "CallRepeated", "ConnectionState", "Done", "Evidence"),
        *("HealthState", "InMemory", "Instance", "MemoryReading", "NotInMemory", "Outcome", "Refused", "State"),
        *("StepClass", "StepIsOver", "Strategy", "Unknown", "Webhook"),
    }


@pytest.mark.parametrize("name", plugins.__all__)
def test_each_name_is_there_and_documented(name: str) -> None:
    assert getattr(plugins, name) is not None
    assert f"`{name}" in DOCUMENT


@pytest.mark.parametrize("kind", [plugins.State, plugins.Strategy, plugins.Evidence])
def test_each_field_is_documented(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    for one in dataclasses.fields(kind):
        assert f"| `{one.name}` |" in DOCUMENT


def test_each_call_is_documented_with_the_classes_that_have_it() -> None:
    calls = {name for name, _ in inspect.getmembers(plugins.Instance, inspect.iscoroutinefunction)}
    of_the_engine = {"end", "lull"}
    documented = [name for name in calls - of_the_engine if not name.startswith("_")]

    assert {call.value for call in port.Call} | {"sleep"} == set(documented)
    for name in documented:
        (row,) = [line for line in DOCUMENT.splitlines() if line.startswith(f"| `{name}(")]
        costly = name in {"relogin", "recreate"}
        assert ("Recreate, SessionLoss" in row) is costly
        assert port.ALLOWED[StepClass.SOFT].isdisjoint({port.Call(name)} if costly else set())


@pytest.mark.parametrize("group", [loading.STATES, loading.STRATEGIES])
def test_each_group_is_documented(group: str) -> None:
    assert f"`{group}`" in DOCUMENT
