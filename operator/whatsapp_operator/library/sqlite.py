"""Records in an SQLite file: attempts, waits and what is known of a pairing survive a restart of the process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from whatsapp_operator.library import errors
from whatsapp_operator.library.store import InstanceRecord

_T = TypeVar("_T")
_VERSION = 2
_COLUMNS = tuple(one.name for one in fields(InstanceRecord))
_TABLE = f"CREATE TABLE IF NOT EXISTS instances ({', '.join(_COLUMNS)}, PRIMARY KEY (name)) WITHOUT ROWID"
_GET = f"SELECT {', '.join(_COLUMNS)} FROM instances WHERE name = ?"  # noqa: S608 - made of our own field names
_PUT = f"INSERT OR REPLACE INTO instances ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - as above
_AS_JSON = ("recovery", "webhook_events")
_ADAPTER: pydantic.TypeAdapter[InstanceRecord] = pydantic.TypeAdapter(InstanceRecord)


class SQLiteRecordStore:
    """Keeps records in a table `instances`, one column for each field of `InstanceRecord`.

    Each call runs in a thread, one at a time. A `put` that has returned is on disk. Other processes may read the file
    meanwhile.

    Raises:
        sqlite3.Error: from every call, when the file cannot be read or written, or is of a newer version.
        RecordUnreadable: from `get`, when the row of an instance is none of this store's.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def get(self, name: str) -> InstanceRecord | None:
        """The record of an instance, None without one."""
        row = await self._in_thread(lambda opened: opened.execute(_GET, (name,)).fetchone())
        try:
            return _record(row) if row is not None else None
        except (TypeError, ValueError) as error:
            # Both JSON and pydantic say so of what they cannot read.
            raise errors.RecordUnreadable(name, where=str(self._path)) from error

    async def put(self, record: InstanceRecord) -> None:
        """Keep a record in place of the one before; it is on disk when this returns."""
        await self._in_thread(lambda opened: opened.execute(_PUT, _row(record)))

    async def delete(self, name: str) -> bool:
        """Forget an instance; whether there was a record."""
        delete = "DELETE FROM instances WHERE name = ?"
        return await self._in_thread(lambda opened: opened.execute(delete, (name,)).rowcount > 0)

    async def names(self) -> tuple[str, ...]:
        """The names of all that have a record, in order."""
        select = "SELECT name FROM instances ORDER BY name"
        return await self._in_thread(lambda opened: tuple(name for (name,) in opened.execute(select).fetchall()))

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._close)

    async def _in_thread(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return await asyncio.to_thread(self._locked, work)

    def _locked(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        # Calls come from any thread of the pool; the lock lets one at a time use the connection.
        with self._lock:
            if self._connection is None:
                self._connection = _opened(self._path)
            with self._connection:
                return work(self._connection)

    def _close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _opened(path: str | Path) -> sqlite3.Connection:
    try:
        return _connected(path)
    except sqlite3.Error as error:
        # SQLite says what it cannot do, and not with which file.
        raise type(error)(f"the records in {path} cannot be used: {error}") from error


def _connected(path: str | Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise sqlite3.DatabaseError(f"the records are of version {version}, newer than this library's {_VERSION}")
    with connection:
        connection.execute(_TABLE)
        known = {column for _, column, *_ in connection.execute("PRAGMA table_info(instances)").fetchall()}
        for column in _COLUMNS:
            if column not in known:
                connection.execute(f"ALTER TABLE instances ADD COLUMN {column}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _row(record: InstanceRecord) -> tuple[Any, ...]:
    values = _ADAPTER.dump_python(record, mode="json")
    values |= {column: json.dumps(values[column]) for column in _AS_JSON if values[column] is not None}
    return tuple(values[column] for column in _COLUMNS)


def _record(row: tuple[Any, ...]) -> InstanceRecord:
    values = dict(zip(_COLUMNS, row, strict=True))
    values |= {column: json.loads(values[column]) for column in _AS_JSON if values[column] is not None}
    return _ADAPTER.validate_python(values)
