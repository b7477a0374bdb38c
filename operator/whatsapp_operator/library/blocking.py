"""The calls of the library, for programs without asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Final, Self, TypeVar

from whatsapp_operator.library import errors
from whatsapp_operator.library.manager import AsyncInstanceManager
from whatsapp_operator.library.results import EnsureResult, HealthCheck
from whatsapp_operator.library.settings import Settings, Surroundings
from whatsapp_operator.library.store import RecordStore

_T = TypeVar("_T")


class _LoopThread:
    """An event loop in a thread of its own, to which any thread may give work."""

    def __init__(self) -> None:
        self._loop: Final = asyncio.new_event_loop()
        self._thread: Final = threading.Thread(target=self._loop.run_forever, name="instance-manager", daemon=True)
        self._lock: Final = threading.Lock()
        self._is_closed = False
        self._thread.start()

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        """Wait for `work`; where the wait is interrupted, so is the work.

        Raises:
            ManagerClosed: it is closed, or was while this waited.
        """
        with self._lock:
            # What is handed over under the lock is there before the last work is, and ended by it.
            if self._is_closed:
                work.close()
                raise errors.ManagerClosed
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._is_closed:
                raise errors.ManagerClosed from None
            raise
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[object, object, None]) -> None:
        """End what is under way, then do `last`, and end the thread; a second call waits for the thread alone."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if was_closed:
            last.close()
            self._thread.join()
            return
        try:
            asyncio.run_coroutine_threadsafe(_end(last), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _end(last: Coroutine[object, object, None]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    try:
        await last
    finally:
        await asyncio.get_running_loop().shutdown_default_executor()


async def _nothing() -> None:
    """There is nothing to close."""


class InstanceManager:
    """`AsyncInstanceManager` for programs without asyncio; any thread may call it. Each call blocks until it is done.

    It must not be called from within a running event loop, which it would hold up.
    """

    def __init__(
        self,
        *,
        url: str,
        api_key: str,
        store: RecordStore | None = None,
        settings: Settings | None = None,
        ca_bundle: str | None = None,
        metrics_auth: tuple[str, str] | None = None,
        client_name: str | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """As `AsyncInstanceManager`, and raises what that does; starts a thread, which `close` ends."""
        self._thread: Final = _LoopThread()

        async def made() -> AsyncInstanceManager:
            return AsyncInstanceManager(
                url=url,
                api_key=api_key,
                store=store,
                settings=settings,
                ca_bundle=ca_bundle,
                metrics_auth=metrics_auth,
                client_name=client_name,
                surroundings=surroundings,
            )

        try:
            self._manager: Final = self._thread.run(made())
        except BaseException:
            self._thread.close(_nothing())
            raise

    def __enter__(self) -> Self:
        """Use the manager until the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections, the store and the thread; the manager is not used after that.

        Calls of other threads that are under way are ended as if they were cancelled, and raise `ManagerClosed`.
        """
        self._thread.close(self._manager.close())

    def check_instance_health(self, name: str) -> HealthCheck:
        """See `AsyncInstanceManager.check_instance_health`."""
        return self._thread.run(self._manager.check_instance_health(name))

    def try_recover_instance(self, name: str) -> bool:
        """See `AsyncInstanceManager.try_recover_instance`."""
        return self._thread.run(self._manager.try_recover_instance(name))

    def cleanup_corrupted_instance(self, name: str, *, allow_session_loss: bool = False) -> bool:
        """See `AsyncInstanceManager.cleanup_corrupted_instance`, which tells what it raises."""
        work = self._manager.cleanup_corrupted_instance(name, allow_session_loss=allow_session_loss)
        return self._thread.run(work)

    def ensure_healthy_instance(self, name: str, *, allow_session_loss: bool = False) -> EnsureResult:
        """See `AsyncInstanceManager.ensure_healthy_instance`."""
        work = self._manager.ensure_healthy_instance(name, allow_session_loss=allow_session_loss)
        return self._thread.run(work)
