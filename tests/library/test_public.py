"""What programs rely on: the names of the library, their signatures and their fields. They only grow."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from whatsapp_operator import library

NAMES = {
    "AsyncInstanceManager", "CleanupRefused", "CleanupUnfinished", "EnsureResult", "HealthCheck", "InstanceError",
    "InstanceManager", "InstanceRecord", "MemoryRecordStore", "Reason", "RecordStore", "SQLiteRecordStore",
    "ServerUnknown", "SessionLossNotAllowed", "Settings", "Spans", "State", "Surroundings",
}  # fmt: skip

CALLS = {
    "check_instance_health": "(self, name: 'str') -> 'HealthCheck'",
    "try_recover_instance": "(self, name: 'str') -> 'bool'",
    "cleanup_corrupted_instance": "(self, name: 'str', *, allow_session_loss: 'bool' = False) -> 'bool'",
    "ensure_healthy_instance": "(self, name: 'str', *, allow_session_loss: 'bool' = False) -> 'EnsureResult'",
    "close": "(self) -> 'None'",
    "__init__": (
        "(self, *, url: 'str', api_key: 'str', store: 'RecordStore | None' = None, "
        "settings: 'Settings | None' = None, ca_bundle: 'str | None' = None, "
        "metrics_auth: 'tuple[str, str] | None' = None, client_name: 'str | None' = None, "
        "surroundings: 'Surroundings | None' = None) -> 'None'"
    ),
}

STORE = {
    "get": "(self, name: 'str') -> 'InstanceRecord | None'",
    "put": "(self, record: 'InstanceRecord') -> 'None'",
    "delete": "(self, name: 'str') -> 'bool'",
    "names": "(self) -> 'tuple[str, ...]'",
    "close": "(self) -> 'None'",
}

FIELDS = {
    library.HealthCheck: (
        "name", "healthy", "state", "reason", "seconds", "detail", "should_cleanup", "protected",
    ),
    library.EnsureResult: ("name", "healthy", "cleaned", "recovered", "state", "reason", "detail"),
    library.InstanceRecord: (
        "name", "instance_id", "state", "reason", "since", "checked_at", "last_healthy_at", "connection",
        "connection_since", "paired", "baseline", "row_updated_at", "client_name", "recovery",
    ),
    library.Settings: (
        "max_attempts", "retry_delay_seconds", "check_timeout_seconds", "stuck_timeout_seconds",
        "step_timeout_seconds", "min_healthy_seconds", "poll_seconds", "database_poll_seconds", "pairing_wanted",
        "probe", "spans",
    ),
    library.Surroundings: ("now", "monotonic", "sleep", "random"),
}  # fmt: skip


def test_the_library_offers_these_names_and_no_others() -> None:
    assert set(library.__all__) == NAMES
    assert all(hasattr(library, name) for name in NAMES)


@pytest.mark.parametrize("manager", [library.AsyncInstanceManager, library.InstanceManager])
def test_both_managers_have_the_same_calls(manager: type) -> None:
    assert {name: str(inspect.signature(getattr(manager, name))) for name in CALLS} == CALLS
    offered = {name for name, _ in inspect.getmembers(manager, inspect.isfunction) if not name.startswith("_")}
    assert offered == CALLS.keys() - {"__init__"}


@pytest.mark.parametrize("store", [library.RecordStore, library.MemoryRecordStore, library.SQLiteRecordStore])
def test_every_store_has_the_same_calls(store: type) -> None:
    assert {name: str(inspect.signature(getattr(store, name))) for name in STORE} == STORE


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_data_has_these_fields(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert tuple(one.name for one in dataclasses.fields(kind)) == FIELDS[kind]


def test_every_name_argument_field_and_call_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "library.md").read_text()
    arguments = set(inspect.signature(library.AsyncInstanceManager).parameters)
    fields = {one.name for kind in FIELDS for one in dataclasses.fields(kind)}

    assert not {name for name in arguments | fields if f"`{name}`" not in text}
    assert not {name for name in NAMES | (CALLS.keys() - {"__init__"}) if name not in text}


def test_states_are_lower_case_words() -> None:
    assert set(typing.get_args(library.State)) == {
        "healthy", "disconnected", "degraded", "stuck", "corrupted", "not_found", "terminating", "unknown",
    }  # fmt: skip


def test_every_error_is_an_instance_error() -> None:
    errors = (library.ServerUnknown, library.CleanupRefused, library.CleanupUnfinished, library.SessionLossNotAllowed)
    assert all(issubclass(error, library.InstanceError) for error in errors)
    assert issubclass(library.SessionLossNotAllowed, library.CleanupRefused)


@pytest.mark.parametrize("given", [{"max_attempts": 0}, {"stuck_timeout_seconds": -1}, {"poll_seconds": 0}])
def test_settings_refuse_numbers_that_are_not_above_zero(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        library.Settings(**given)  # type: ignore[arg-type] # the fields' names are the words


def test_the_library_is_used_without_loading_anything_of_kubernetes() -> None:
    seen = "{'kopf', 'kubernetes', 'whatsapp_operator.cluster'} & set(sys.modules)"
    program = f"import sys, whatsapp_operator.library; sys.exit(bool({seen}))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
