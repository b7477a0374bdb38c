"""The text of `/metrics` is read whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whatsapp_operator.evolution import evidence, metrics

patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A property is no measurement: on a busy machine an example may take its time."""

NAMES = st.text(st.characters(codec="utf-8"))
STATES = st.sampled_from(evidence.ConnectionState)


def escape(label: str) -> str:
    """As the server does it."""
    return label.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def exposition(states: Mapping[str, str], *, client_name: str = "evolution", total: int | None = None) -> str:
    """The text that a server with these instances writes."""
    lines = [
        "# HELP evolution_environment_info Environment information",
        "# TYPE evolution_environment_info gauge",
        f'evolution_environment_info{{version="2.3.7",clientName="{escape(client_name)}",serverUrl="http://e:8080"}} 1',
        f"evolution_instances_total {len(states) if total is None else total}",
    ]
    for name, state in states.items():
        labels = f'instance="{escape(name)}",integration="WHATSAPP-BAILEYS"'
        lines.append(f"evolution_instance_up{{{labels}}} {int(state == 'open')}")
        lines.append(f'evolution_instance_state{{{labels},state="{state}"}} 1')
    return "\n".join(lines) + "\n"


@patiently
@given(states=st.dictionaries(NAMES, STATES), client_name=NAMES)
def test_every_name_and_client_name_comes_back(states: dict[str, evidence.ConnectionState], client_name: str) -> None:
    text = exposition({name: state.value for name, state in states.items()}, client_name=client_name)

    assert metrics.parse(text) == evidence.MemoryList(states=states, version="2.3.7", client_name=client_name)


@patiently
@given(states=st.dictionaries(NAMES, STATES, min_size=1), data=st.data())
def test_text_that_is_cut_off_never_reads_as_fewer_instances(
    states: dict[str, evidence.ConnectionState], data: st.DataObject
) -> None:
    text = exposition({name: state.value for name, state in states.items()})
    cut = data.draw(st.integers(0, len(text) - 2))

    assert metrics.parse(text[:cut]) is None


def test_instance_without_a_running_session_is_not_in_memory() -> None:
    seen = metrics.parse(exposition({"shop": "open", "ghost": "unknown"}))

    assert seen is not None
    assert seen.states == {"shop": evidence.ConnectionState.OPEN}


@pytest.mark.parametrize("state", ["refused", "", "OPEN", "open\\n"])
def test_state_that_no_supported_version_has_proves_nothing(state: str) -> None:
    assert metrics.parse(exposition({"shop": "open", "other": state})) is None


def test_name_that_looks_like_a_line_adds_no_instance() -> None:
    trick = 'x",state="open"} 1\nevolution_instance_state{instance="fake",integration="",state="open"} 1'

    seen = metrics.parse(exposition({trick: "close"}))

    assert seen is not None
    assert seen.states == {trick: evidence.ConnectionState.CLOSE}


def test_total_that_differs_from_the_lines_proves_nothing() -> None:
    assert metrics.parse(exposition({"shop": "open"}, total=2)) is None
    assert metrics.parse(exposition({"shop": "open"}, total=0)) is None


@pytest.mark.parametrize("missing", ["evolution_environment_info{", "evolution_instances_total"])
def test_text_without_the_server_s_own_lines_proves_nothing(missing: str) -> None:
    lines = exposition({"shop": "open"}).splitlines(keepends=True)

    assert metrics.parse("".join(line for line in lines if not line.startswith(missing))) is None


def test_metrics_of_another_program_prove_nothing() -> None:
    assert metrics.parse("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1\n") is None
