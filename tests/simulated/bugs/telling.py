"""What is written or shown that is not so, and what is written though nothing has changed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from whatsapp_operator.cluster import api
from whatsapp_operator.engine import catalogue, controller, ports, presentation, reconciler, sentences, status
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import rules
from whatsapp_operator.health.assessment import HEALTHY, Seen, Verdict
from whatsapp_operator.resources.reasons import Reason


def status_is_written_at_each_look() -> AbstractContextManager[Any]:
    """Nobody compares what is to be written with what stands there."""

    async def write(self: Any, kind: str, one: Any, after: dict[str, Any], *, urgent: bool) -> float:
        del urgent
        one.stored(await self._send(kind, one, before=one.body.get("status") or {}, after=after))
        return 0.0

    return mock.patch.object(status.StatusWriter, "_write", write)


def the_database_is_believed() -> AbstractContextManager[Any]:
    """What the database says of a connection is taken for how it is, whatever memory shows."""

    def is_open_to_the_database(seen: Seen) -> Verdict | None:
        return HEALTHY if seen.database is ConnectionState.OPEN and seen.memory is not None else None

    return mock.patch.object(rules, "RULES", (rules.nothing_could_be_read, is_open_to_the_database, *rules.RULES))


def generations_are_counted() -> AbstractContextManager[Any]:
    """A write of the status is taken for a new generation."""
    present = presentation.present

    def counting(view: Any, *, now: Any) -> Any:
        found = present(view, now=now)
        return found.replace(observed_generation=found.observed_generation + 1)

    return mock.patch.object(reconciler, "present", counting)


def defaults_are_written_into_the_spec() -> AbstractContextManager[Any]:
    """With its finalizer a resource gets what its spec left out."""

    async def write_finalizers(
        self: Any, kind: str, key: ports.Key, finalizers: Any, *, resource_version: str
    ) -> ports.Body:
        metadata = {"resourceVersion": resource_version, "finalizers": [*finalizers]}
        spec = {"deletionPolicy": "Delete"} if kind == "WhatsAppInstance" else {}
        return await self._patch(kind, key, {"metadata": metadata, "spec": spec})  # type: ignore[no-any-return]

    return mock.patch.object(api.KubernetesApi, "write_finalizers", write_finalizers)


def a_reason_has_no_sentence() -> AbstractContextManager[Any]:
    """Somebody has added a reason, and not the sentence that tells people what it means."""
    told = sentences.sentence

    def sentence(reason: Reason, *args: Any, **more: Any) -> str:
        if reason is Reason.CONNECTING:
            raise KeyError(reason)
        return told(reason, *args, **more)

    return mock.patch.object(presentation, "sentence", sentence)


def a_sweep_that_fails_is_the_last() -> AbstractContextManager[Any]:
    """A LIST that is refused ends the task that lists again and again."""

    async def sweep_for_ever(self: Any) -> None:
        while True:
            if not await self._sweep():
                raise ports.Unavailable
            await self._context.sleep(30.0)

    return mock.patch.object(controller.Controller, "_sweep_for_ever", sweep_for_ever)


def what_is_gone_goes_again() -> AbstractContextManager[Any]:
    """An event that says that a resource is gone is taken for the first of its kind."""
    took = catalogue.Catalogue.saw

    def saw(self: Any, kind: str, event: str | None, body: ports.Body) -> bool:
        if event == "DELETED" and self._known(kind, ports.key_of(body)) is None:
            raise KeyError(ports.key_of(body).name)
        return took(self, kind, event, body)

    return mock.patch.object(catalogue.Catalogue, "saw", saw)
