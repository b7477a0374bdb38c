"""What every store of records does: one suite for all of them."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.library import (
    InstanceRecord,
    MemoryRecordStore,
    Reason,
    RecordStore,
    RecordUnreadable,
    SQLiteRecordStore,
)
from whatsapp_operator.resources.status import RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight, StepRecord, StepResult

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = NOON.replace(microsecond=0)
FULL = InstanceRecord(
    name="shop",
    instance_id="id-1",
    state="stuck",
    reason=Reason.CONNECTING,
    since=NOON,
    checked_at=NOON + timedelta(seconds=45),
    last_healthy_at=NOON - timedelta(days=1),
    connection=ConnectionState.CONNECTING,
    connection_since=NOON,
    paired=True,
    baseline=NOON - timedelta(days=2),
    row_updated_at=NOON - timedelta(hours=1),
    client_name="evolution",
    recovery=RecoveryStatus(
        incident="20261123-7f3a",
        started_at=SECOND,
        attempts=2,
        reconnects=1,
        in_flight=StepInFlight(step=Step.RESTART, step_class=StepClass.SOFT, reason=Reason.CONNECTING, since=SECOND),
        history=(
            StepRecord(
                step=Step.RESTART,
                reason=Reason.CONNECTING,
                incident="20261123-7f3a",
                start_time=SECOND,
                end_time=SECOND,
                result=StepResult.FAILED,
            ),
        ),
    ),
    deletion_since=NOON,
    webhook_events=("CALL", "MESSAGES_UPSERT"),
)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RecordStore]:
    made: RecordStore = MemoryRecordStore() if request.param == "memory" else SQLiteRecordStore(tmp_path / "r.db")
    yield made
    await made.close()


async def test_a_store_knows_nothing_at_first(store: RecordStore) -> None:
    assert await store.get("shop") is None
    assert await store.names() == ()


@pytest.mark.parametrize("record", [FULL, InstanceRecord(name="shop")], ids=["full", "empty"])
async def test_what_is_put_is_what_is_got(store: RecordStore, record: InstanceRecord) -> None:
    await store.put(record)

    assert await store.get("shop") == record


async def test_a_put_replaces_the_whole_record(store: RecordStore) -> None:
    await store.put(FULL)
    await store.put(InstanceRecord(name="shop", state="healthy", reason=Reason.HEALTHY))

    assert await store.get("shop") == InstanceRecord(name="shop", state="healthy", reason=Reason.HEALTHY)
    assert await store.names() == ("shop",)


async def test_records_of_other_instances_are_left_alone(store: RecordStore) -> None:
    await store.put(FULL)
    await store.put(InstanceRecord(name="sales"))
    await store.delete("sales")

    assert await store.get("shop") == FULL
    assert await store.get("sales") is None


async def test_a_delete_tells_whether_there_was_a_record(store: RecordStore) -> None:
    await store.put(FULL)

    assert await store.delete("shop")
    assert not await store.delete("shop")
    assert await store.get("shop") is None


async def test_names_come_in_order_and_may_hold_anything(store: RecordStore) -> None:
    names = ["zebra", "ärger", "a'b\"c; --", "sales"]
    for name in names:
        await store.put(InstanceRecord(name=name))

    assert await store.names() == tuple(sorted(names))


async def test_calls_at_once_lose_nothing(store: RecordStore) -> None:
    await asyncio.gather(*(store.put(InstanceRecord(name=f"i{number:02}")) for number in range(40)))

    assert await store.names() == tuple(f"i{number:02}" for number in range(40))


async def test_a_store_may_be_closed_twice(store: RecordStore) -> None:
    await store.put(FULL)
    await store.close()
    await store.close()


async def test_sqlite_records_are_there_for_the_next_process(tmp_path: Path) -> None:
    first = SQLiteRecordStore(tmp_path / "records.db")
    await first.put(FULL)
    await first.close()
    second = SQLiteRecordStore(tmp_path / "records.db")

    assert await second.get("shop") == FULL
    await second.close()


async def test_sqlite_records_can_be_asked_by_state(tmp_path: Path) -> None:
    store = SQLiteRecordStore(tmp_path / "records.db")
    await store.put(FULL)
    with closing(sqlite3.connect(tmp_path / "records.db")) as other:
        rows = other.execute("SELECT name, reason FROM instances WHERE state = 'stuck'").fetchall()
    await store.close()

    assert rows == [("shop", "Connecting")]


async def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "records.db")) as other:
        other.execute("PRAGMA user_version = 99")
        other.commit()
    store = SQLiteRecordStore(tmp_path / "records.db")

    with pytest.raises(sqlite3.DatabaseError, match="version 99"):
        await store.get("shop")
    with closing(sqlite3.connect(tmp_path / "records.db")) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    await store.close()


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    nowhere, text = tmp_path / "no-folder" / "records.db", tmp_path / "records.txt"
    text.write_text("these are no records" * 100)

    for path in (nowhere, text):
        with pytest.raises(sqlite3.Error, match=re.escape(f"the records in {path} cannot be used")):
            await SQLiteRecordStore(path).get("one")


@pytest.mark.parametrize(
    ("column", "value"),
    [("recovery", "{"), ("recovery", None), ("recovery", "[]"), ("state", "purring"), ("checked_at", "noon")],
)
async def test_row_that_is_no_record_is_told_by_the_librarys_own_error_and_may_be_forgotten(
    tmp_path: Path, column: str, value: str | None
) -> None:
    path = tmp_path / "r.db"
    store = SQLiteRecordStore(path)
    await store.put(FULL)
    await store.put(InstanceRecord(name="other"))
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute(f"UPDATE instances SET {column} = ? WHERE name = 'shop'", (value,))  # noqa: S608 - ours

    with pytest.raises(RecordUnreadable, match=r"the record of instance 'shop' in .*r\.db cannot be read") as told:
        await store.get("shop")

    assert told.value.name == "shop"
    assert await store.get("other") == InstanceRecord(name="other")
    assert await store.delete("shop")
    assert await store.get("shop") is None
    await store.close()


async def test_file_of_an_older_version_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    new = SQLiteRecordStore(path)
    await new.put(FULL)
    await new.close()
    with closing(sqlite3.connect(path)) as opened, opened:
        for column in ("deletion_since", "webhook_events"):
            opened.execute(f"ALTER TABLE instances DROP COLUMN {column}")
        opened.execute("PRAGMA user_version = 1")

    store = SQLiteRecordStore(path)
    assert await store.get("shop") == replace(FULL, deletion_since=None, webhook_events=None)
    await store.put(FULL)
    assert await store.get("shop") == FULL
    await store.close()
