"""What programs rely on: the names of the library, their signatures and their fields. They only grow."""

from __future__ import annotations

import dataclasses
import inspect
import math
import subprocess
import sys
import threading
import typing
from pathlib import Path
from typing import Any

import pytest

from whatsapp_operator import library

NAMES = {
    "AsyncInstanceManager", "CleanupRefused", "CleanupUnfinished", "EnsureResult", "HealthCheck", "InstanceError",
    "InstanceManager", "InstanceRecord", "InvalidArgument", "LibraryError", "ManagerClosed", "MemoryRecordStore",
    "Reason", "RecordStore", "RecordUnreadable", "SQLiteRecordStore", "ServerUnknown", "SessionLossNotAllowed",
    "Settings", "Spans", "State", "Surroundings",
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
        "connection_since", "paired", "baseline", "row_updated_at", "client_name", "recovery", "deletion_since",
        "webhook_events",
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


def test_every_error_has_its_place_in_the_tree() -> None:
    kinds = (library.InstanceError, library.InvalidArgument, library.ManagerClosed, library.RecordUnreadable)
    assert all(issubclass(error, library.LibraryError) for error in kinds)
    assert issubclass(library.InvalidArgument, ValueError)
    assert issubclass(library.ManagerClosed, RuntimeError)


def test_every_error_of_a_cleanup_is_an_instance_error() -> None:
    errors = (library.ServerUnknown, library.CleanupRefused, library.CleanupUnfinished, library.SessionLossNotAllowed)
    assert all(issubclass(error, library.InstanceError) for error in errors)
    assert issubclass(library.SessionLossNotAllowed, library.CleanupRefused)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_attempts": 0}, "max_attempts must be above 0"),
        ({"stuck_timeout_seconds": -1}, "stuck_timeout_seconds must be above 0"),
        ({"poll_seconds": 0}, "poll_seconds must be above 0"),
        ({"poll_seconds": math.nan}, "poll_seconds must be above 0, and finite"),
        ({"poll_seconds": math.inf}, "poll_seconds must be above 0, and finite"),
        ({"max_attempts": "3"}, "max_attempts must be a whole number, and is str"),
        ({"max_attempts": 2.5}, "max_attempts must be a whole number, and is float"),
        ({"max_attempts": True}, "max_attempts must be a whole number, and is bool"),
        ({"poll_seconds": None}, "poll_seconds must be a number, and is NoneType"),
        ({"probe": 1}, "probe must be True or False, and is int"),
        ({"spans": {"stable": 30}}, "spans must be Spans, and is dict"),
        ({"spans": library.Spans(stable=0)}, r"spans\.stable must be above 0"),
        ({"spans": library.Spans(stable_samples=1.5)}, r"spans\.stable_samples must be a whole number"),  # type: ignore[arg-type] # so is meant
    ],
)
def test_settings_refuse_what_cannot_be_meant_and_name_it(given: dict[str, Any], told: str) -> None:
    with pytest.raises(library.InvalidArgument, match=told):
        library.Settings(**given)


@pytest.mark.parametrize("manager", [library.AsyncInstanceManager, library.InstanceManager])
@pytest.mark.parametrize("argument", ["url", "api_key"])
def test_manager_refuses_what_is_no_text_and_leaves_nothing_running(manager: type, argument: str) -> None:
    before = threading.active_count()

    with pytest.raises(library.InvalidArgument, match=f"{argument} must be a text, and is NoneType: is it set at all"):
        manager(**{"url": "http://evolution-api:8080", "api_key": "key", argument: None})

    assert threading.active_count() == before


def test_the_library_is_used_without_loading_anything_of_kubernetes() -> None:
    seen = "{'kopf', 'kubernetes', 'whatsapp_operator.cluster'} & set(sys.modules)"
    program = f"import sys, whatsapp_operator.library; sys.exit(bool({seen}))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
