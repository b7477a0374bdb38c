"""Keeps the records in step with what was seen."""

from __future__ import annotations

import structlog

from whatsapp_operator.library.case import Case
from whatsapp_operator.library.observation import Known, Means
from whatsapp_operator.library.store import RecordStore

_log = structlog.get_logger(__name__)


class Keeper:
    """The store, and what this process remembers beside it."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._known: dict[str, Known] = {}

    async def open(self, name: str, means: Means) -> Case:
        """A case that takes up where the last call left off."""
        return Case(name, means, kept=await self._store.get(name), known=self._known.get(name))

    async def keep(self, case: Case) -> None:
        """Keep what was proved; what is proved gone is forgotten, and what proved nothing changes nothing."""
        if not case.sight.proved_something:
            return
        if case.sight.is_absent:
            await self.reset(case.name)
            return
        self._known[case.name] = case.sight.known
        await self._store.put(case.as_record())

    async def keep_announced(self, case: Case) -> None:
        """Before a step: a crash in the middle must not forget that it was taken."""
        await self._store.put(case.as_record())

    async def reset(self, name: str) -> None:
        """Forget an instance that is proved gone."""
        self._known.pop(name, None)
        if await self._store.delete(name):
            _log.info("the record is reset", instance=name)

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()
