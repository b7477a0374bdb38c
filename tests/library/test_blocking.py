"""The calls without asyncio, against a simulator in a process of its own, on real time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from evolution_simulator import control_client
from whatsapp_operator.library import (
    CleanupRefused,
    InstanceManager,
    InstanceRecord,
    ManagerClosed,
    MemoryRecordStore,
    Settings,
    SQLiteRecordStore,
)

KEY = "the-global-key"
QUICK = Settings(poll_seconds=0.05)


@pytest.fixture(scope="module")
def simulator() -> Iterator[control_client.Simulator]:
    with control_client.launch(api_key=KEY, version="2.3.7", instances=3) as running:
        yield running


@pytest.fixture
def manager(simulator: control_client.Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstanceManager]:
    path = tmp_path_factory.mktemp("records") / "records.db"
    with InstanceManager(url=simulator.url, api_key=KEY, store=SQLiteRecordStore(path), settings=QUICK) as made:
        yield made


def test_each_call_answers_as_it_does_with_asyncio(
    manager: InstanceManager, simulator: control_client.Simulator
) -> None:
    simulator.reset_calls()

    found = manager.check_instance_health("instance-00000")
    ensured = manager.ensure_healthy_instance("instance-00000")

    assert (found.healthy, found.state) == (True, "healthy")
    assert (ensured.healthy, ensured.cleaned, ensured.recovered) == (True, False, False)
    assert manager.try_recover_instance("instance-00000")
    with pytest.raises(CleanupRefused):
        manager.cleanup_corrupted_instance("instance-00000", allow_session_loss=True)
    assert not manager.cleanup_corrupted_instance("nobody")
    assert simulator.calls(mutating=True) == []


def test_what_the_phone_ended_is_told(manager: InstanceManager, simulator: control_client.Simulator) -> None:
    body = {"instanceName": "new", "integration": "WHATSAPP-BAILEYS"}
    httpx.post(f"{simulator.url}/instance/create", json=body, headers={"apikey": KEY}).raise_for_status()
    simulator.pair("new")
    assert manager.check_instance_health("new").healthy
    simulator.log_out("new")
    simulator.wait_for("new", lambda seen: seen["memory"] == "close")

    found = manager.check_instance_health("new")

    assert (found.state, found.reason) == ("disconnected", "LoggedOut")


def test_threads_may_call_at_once(manager: InstanceManager) -> None:
    names = [f"instance-0000{number}" for number in range(3)] * 4

    with ThreadPoolExecutor(max_workers=6) as pool:
        found = list(pool.map(manager.check_instance_health, names))

    assert [one.name for one in found if one.healthy] == names


def test_a_closed_manager_says_so_and_leaves_no_thread(simulator: control_client.Simulator) -> None:
    before = threading.active_count()
    manager = InstanceManager(url=simulator.url, api_key=KEY)
    manager.check_instance_health("instance-00000")

    manager.close()

    with pytest.raises(RuntimeError, match="closed"):
        manager.check_instance_health("instance-00000")
    manager.close()
    assert threading.active_count() == before


class Stalled(MemoryRecordStore):
    """A store that never answers, and tells when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.closed = threading.Event(), threading.Event()

    async def get(self, name: str) -> InstanceRecord | None:
        del name
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        self.closed.set()


def test_closing_ends_the_calls_of_other_threads_instead_of_hanging_them() -> None:
    before, store = threading.active_count(), Stalled()
    manager = InstanceManager(url="http://127.0.0.1:9", api_key=KEY, store=store)

    with ThreadPoolExecutor(max_workers=3) as pool:
        waiting = [pool.submit(manager.check_instance_health, name) for name in ("one", "two", "one")]
        assert store.asked.wait(timeout=60)
        manager.close()
        found = [one.exception(timeout=60) for one in waiting]

    assert [type(one) for one in found] == [ManagerClosed] * 3
    assert store.closed.is_set()
    assert threading.active_count() == before


def test_two_threads_may_close_at_once() -> None:
    manager = InstanceManager(url="http://127.0.0.1:9", api_key=KEY)

    with ThreadPoolExecutor(max_workers=2) as pool:
        for one in [pool.submit(manager.close) for _ in range(2)]:
            one.result(timeout=60)

    with pytest.raises(ManagerClosed):
        manager.check_instance_health("one")


class Failing(MemoryRecordStore):
    """A store that cannot be closed."""

    async def close(self) -> None:
        raise OSError


def test_error_of_the_store_in_closing_comes_through_and_leaves_no_thread() -> None:
    before = threading.active_count()
    manager = InstanceManager(url="http://127.0.0.1:9", api_key=KEY, store=Failing())

    with pytest.raises(OSError):  # noqa: PT011 - the very one that the store raises
        manager.close()

    assert threading.active_count() == before
