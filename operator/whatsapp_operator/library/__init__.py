"""The operator's judgement and steps as calls, for programs without Kubernetes. docs/library.md describes them."""

from whatsapp_operator.health.spans import Spans
from whatsapp_operator.library.blocking import InstanceManager
from whatsapp_operator.library.errors import (
    CleanupRefused,
    CleanupUnfinished,
    InstanceError,
    InvalidArgument,
    LibraryError,
    ManagerClosed,
    RecordUnreadable,
    ServerUnknown,
    SessionLossNotAllowed,
)
from whatsapp_operator.library.manager import AsyncInstanceManager
from whatsapp_operator.library.results import EnsureResult, HealthCheck, State
from whatsapp_operator.library.settings import Settings, Surroundings
from whatsapp_operator.library.sqlite import SQLiteRecordStore
from whatsapp_operator.library.store import InstanceRecord, MemoryRecordStore, RecordStore
from whatsapp_operator.resources.reasons import Reason

__all__ = [
    "AsyncInstanceManager",
    "CleanupRefused",
    "CleanupUnfinished",
    "EnsureResult",
    "HealthCheck",
    "InstanceError",
    "InstanceManager",
    "InstanceRecord",
    "InvalidArgument",
    "LibraryError",
    "ManagerClosed",
    "MemoryRecordStore",
    "Reason",
    "RecordStore",
    "RecordUnreadable",
    "SQLiteRecordStore",
    "ServerUnknown",
    "SessionLossNotAllowed",
    "Settings",
    "Spans",
    "State",
    "Surroundings",
]
