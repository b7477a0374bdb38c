"""The text of `/metrics`, the cheapest view of a whole server: one line per instance that memory holds.

Only the form that the server writes is understood (Evolution API 2.3.7, index.router.ts): the labels stand in a fixed
order, and a backslash, a quote and a newline in them are escaped. The number of instances it announces must be the
number of lines it sends, so that a text cut off in between never reads as instances that are gone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from whatsapp_operator.evolution import evidence

_LABEL: Final = r'"([^"\\\n]*(?:\\.[^"\\\n]*)*)"'
_INFO: Final = re.compile(
    rf"^evolution_environment_info\{{version={_LABEL},clientName={_LABEL},serverUrl={_LABEL}\}} 1$", re.MULTILINE
)
_TOTAL: Final = re.compile(r"^evolution_instances_total ([0-9]{1,9})$", re.MULTILINE)
_STATE: Final = re.compile(
    rf"^evolution_instance_state\{{instance={_LABEL},integration={_LABEL},state={_LABEL}\}} 1$", re.MULTILINE
)
_ESCAPE: Final = re.compile(r"\\(.)")

_NO_STATE: Final = "unknown"
"""Written where `connectionState` answers without `state`: the server does not hold a running session."""

_STATES: Final[Mapping[str, evidence.ConnectionState]] = {state.value: state for state in evidence.ConnectionState}


def parse(text: str) -> evidence.MemoryList | None:
    """Read the whole text; None when any part of it is not what the server writes."""
    info, total = _INFO.search(text), _TOTAL.search(text)
    states = _states(text)
    if info is None or total is None or states is None or len(states) != int(total[1]):
        return None
    running = {name: _STATES[state] for name, state in states.items() if state != _NO_STATE}
    return evidence.MemoryList(states=running, version=_unescape(info[1]), client_name=_unescape(info[2]))


def _states(text: str) -> dict[str, str] | None:
    states = {_unescape(line[1]): line[3] for line in _STATE.finditer(text)}
    understood = all(state in _STATES or state == _NO_STATE for state in set(states.values()))
    return states if understood else None


def _unescape(label: str) -> str:
    if "\\" not in label:
        return label
    return _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], label)
