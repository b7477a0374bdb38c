"""The calls of the library, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self
from weakref import WeakValueDictionary

import structlog

from whatsapp_operator.evolution import client, urls
from whatsapp_operator.library import cleaning, errors
from whatsapp_operator.library.case import Case
from whatsapp_operator.library.keeping import Keeper
from whatsapp_operator.library.observation import Means
from whatsapp_operator.library.recovering import Recovery
from whatsapp_operator.library.results import EnsureResult, HealthCheck, word
from whatsapp_operator.library.settings import Settings, Surroundings
from whatsapp_operator.library.store import MemoryRecordStore, RecordStore
from whatsapp_operator.library.witnesses import Witnesses
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

_log = structlog.get_logger(__name__)

_EVERYWHERE: Final = urls.Rules(allowed=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")))
"""The operator refuses addresses for fear of whoever writes a resource; here the caller's own program names the URL."""


class AsyncInstanceManager:
    """Watches over the instances of one Evolution API server, call by call.

    Calls for one instance wait for each other; calls for different ones run at once. One manager serves one server,
    for as long as the program runs: what it has seen makes its next calls quicker and surer. Nothing else, the operator
    included, may take steps on the same instances.
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
        """Make no call: a URL or key that cannot be used makes every state `unknown`, and the reason says why.

        `api_key` is the server's own; `store` keeps records, in memory if None, and is closed with the manager.
        `ca_bundle` is PEM and replaces the system's authorities. `metrics_auth` is user name and password of
        `/metrics`. `client_name` is the server's DATABASE_CONNECTION_CLIENT_NAME; if None, the first one seen. A URL
        or key that is no text, as where a variable of the environment is not set, raises InvalidArgument.
        """
        _refuse_what_is_no_text(url=url, api_key=api_key)
        settings, around = settings or Settings(), surroundings or Surroundings()
        self._client: Final = client.Client(
            url=url,
            api_key=api_key,
            ca_bundle=ca_bundle,
            metrics_auth=metrics_auth,
            timeout_seconds=settings.check_timeout_seconds,
            rules=_EVERYWHERE,
            monotonic=around.monotonic,
            sleep=around.sleep,
            random=around.random,
            observe=lambda _call: None,
        )
        self._means: Final = Means(
            witnesses=Witnesses(self._client, settings=settings, around=around, client_name=client_name),
            settings=settings,
            around=around,
        )
        self._keeper: Final = Keeper(store or MemoryRecordStore())
        self._locks: Final[WeakValueDictionary[str, asyncio.Lock]] = WeakValueDictionary()  # held by those who wait

    async def __aenter__(self) -> Self:
        """Use the manager until the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Close the connections and the store; the manager is not used after that."""
        await self._client.close()
        await self._keeper.close()

    async def check_instance_health(self, name: str) -> HealthCheck:
        """Look at an instance, and say what is the matter with it. Nothing is changed on the server.

        Takes one look where the instance is well, a few seconds where its state is plain, and up to the stuck timeout
        where it is on its way to another one, since one reading of such a state proves nothing. Raises only what the
        store raises.
        """
        async with self._case(name) as case:
            return case.check()

    async def try_recover_instance(self, name: str) -> bool:
        """Take the gentle steps that can heal an instance (reconnect, restart), and say whether it is well in the end.

        Nothing is called for one that is well (True), that does not exist, or of which nothing can be read (False), and
        nothing that could lose a pairing or data ever is. Each step takes up to the step timeout, and what follows it
        up to the stuck timeout. Raises only what the store raises.
        """
        async with self._case(name) as case:
            if case.is_being_deleted:
                _log.warning("no step is taken: a cleanup has to be finished", instance=name)
                return False
            return await Recovery(case, self._means, self._keeper).run()

    async def cleanup_corrupted_instance(self, name: str, *, allow_session_loss: bool = False) -> bool:
        """Delete an instance that is broken beyond gentle steps, and reset its record; True when it is proved gone.

        False where there is no such instance; nothing is called then. What it holds is lost: pairing, chats, settings,
        webhook, token. It is not created anew. `allow_session_loss` allows this for a protected instance: one that is
        paired or holds data, or may.

        Raises:
            SessionLossNotAllowed: it is protected, and `allow_session_loss` is not given; nothing was called.
            CleanupRefused: it is well, or a cleanup would not help it, or is held back; nothing was called.
            ServerUnknown: nothing could be read of it; nothing was called.
            CleanupUnfinished: it is not proved gone; call again later.
        """
        async with self._case(name) as case:
            if case.sight.is_absent:
                return case.deletion_since is not None
            await cleaning.settle(case, self._keeper)
            await cleaning.clean_up(case, self._keeper, allow_session_loss=allow_session_loss)
            return True

    async def ensure_healthy_instance(self, name: str, *, allow_session_loss: bool = False) -> EnsureResult:
        """Check an instance, recover it if it is not well, and clean it up where nothing gentler is left.

        Nothing is called for one that is well, that does not exist, or of which nothing can be read. A protected
        instance is only cleaned up with `allow_session_loss`; without, and where a cleanup is refused or not finished,
        the result says that it is neither healthy nor cleaned. Raises only what the store raises.
        """
        async with self._case(name) as case:
            was_well = case.is_well
            await cleaning.settle(case, self._keeper)
            recovered = not case.is_being_deleted and await Recovery(case, self._means, self._keeper).run()
            cleaned = await self._cleans_up(case, allow_session_loss=allow_session_loss)
            result = _ensured(case, recovered=recovered and not was_well, cleaned=cleaned)
        facts = {"instance": name, "healthy": result.healthy, "cleaned": cleaned, "recovered": result.recovered}
        _log.info("the instance is ready" if result.ready else "the instance is not ready", **facts)
        return result

    @contextlib.asynccontextmanager
    async def _case(self, name: str) -> AsyncIterator[Case]:
        """An instance that was observed; no other call works on it meanwhile."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            case = await self._keeper.open(name, self._means)
            _log.info("checking the instance", instance=name)
            await case.observe()
            _tell(case)
            await self._keeper.keep(case)
            yield case

    async def _cleans_up(self, case: Case, *, allow_session_loss: bool) -> bool:
        if case.sight.is_absent:
            # What a cleanup began has come to its end since.
            return case.deletion_since is not None
        if not case.should_cleanup:
            return False
        try:
            await cleaning.clean_up(case, self._keeper, allow_session_loss=allow_session_loss)
        except errors.CleanupRefused as error:
            _log.warning("cleanup is held back", instance=case.name, reasons=[str(reason) for reason in error.reasons])
            return False
        except errors.InstanceError:
            return False
        return True


def _refuse_what_is_no_text(**arguments: object) -> None:
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise errors.InvalidArgument(f"{name} must be a text, and is {type(value).__name__}: is it set at all?")


def _ensured(case: Case, *, recovered: bool, cleaned: bool) -> EnsureResult:
    check = case.check()
    return EnsureResult(
        name=case.name,
        healthy=check.healthy,
        cleaned=cleaned,
        recovered=recovered,
        state=word(HealthState.NOT_FOUND) if cleaned else check.state,
        reason=Reason.NOT_FOUND if cleaned else check.reason,
        detail="deleted" if cleaned else check.detail,
    )


def _tell(case: Case) -> None:
    """One line for what a check concluded."""
    check = case.check()
    facts = {"instance": case.name, "state": check.state, "reason": str(check.reason)}
    if check.healthy:
        _log.info("the instance is well", **facts)
    elif check.state == "unknown":
        _log.warning("nothing is known of the instance", **facts, detail=check.detail)
    elif check.state == "not_found":
        _log.info("the instance does not exist", **facts)
    else:
        more = {"seconds": round(check.seconds), "detail": check.detail, "should_cleanup": check.should_cleanup}
        _log.warning("the instance is not well", **facts, **more)
