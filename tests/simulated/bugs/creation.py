"""Instances that are created twice, taken from others, or deleted too soon."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest import mock

from whatsapp_operator.engine import deletion, existence, subject, tokens
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.evolution import evidence
from whatsapp_operator.recovery import strategies
from whatsapp_operator.resources.instance import DeletionPolicy
from whatsapp_operator.resources.reasons import Reason


def finalizer_goes_early() -> AbstractContextManager[Any]:
    """DELETE was answered with success, so it is taken to be gone."""

    async def is_gone(_: strategies.Work) -> bool:
        return True

    return mock.patch.object(strategies, "is_gone", is_gone)


def creates_again_at_once() -> AbstractContextManager[Any]:
    """A create that got no answer is posted again."""
    return mock.patch.object(existence.Existence, "_list_is_newer_than_last_try", return_value=True)


def retain_is_forgotten() -> AbstractContextManager[Any]:
    """`deletionPolicy` is not read."""

    def makes_no_call(server: Any, draft: Any) -> bool:
        del server
        return bool(draft.deletion_policy is DeletionPolicy.RETAIN and draft.instance_id is None)

    stack = ExitStack()
    stack.enter_context(mock.patch.object(deletion.Deletions, "_makes_no_call", staticmethod(makes_no_call)))
    stack.enter_context(mock.patch.object(existence, "_end", return_value=None))
    return stack


def what_is_to_go_is_created_again() -> AbstractContextManager[Any]:
    """A Recreate goes on, though its resource was deleted meanwhile."""
    return mock.patch.object(existence, "_end", return_value=None)


def takes_what_is_anothers() -> AbstractContextManager[Any]:
    """An instance of the right name is the right one."""

    async def claim(_: Any, draft: Draft, row: evidence.Row) -> Reason:
        draft.instance_id, draft.adopted, draft.configured_generation = row.id, False, None
        return Reason.SYNCED

    return mock.patch.object(existence.Existence, "_claim", claim)


def deletions_of_other_processes_are_not_known() -> AbstractContextManager[Any]:
    """As it was before the simulation found it: what a process has deleted before it died is missed by the next one."""
    may_be_gone = property(lambda self: self.deletion is not None)
    return mock.patch.object(subject.Subject, "may_be_gone", may_be_gone)


def deletes_before_it_writes() -> AbstractContextManager[Any]:
    """DELETE is sent, and nothing says so."""

    async def write_down(*_: object) -> None:
        return

    return mock.patch.object(deletion.Deletions, "_write_down", write_down)


def a_recreate_is_not_known_to_delete() -> AbstractContextManager[Any]:
    """As it was before the simulation found it: what a Recreate has deleted is missed until it is created."""
    return mock.patch.object(subject, "_may_have_been_recreated", return_value=False)


def the_token_is_stored_later() -> AbstractContextManager[Any]:
    """What is created gets a token, which is to be stored once that has worked."""

    async def generate(around: Any, draft: Draft) -> subject.Token:
        reference = draft.instance.token_secret
        value = f"{around.random.getrandbits(160):040X}"
        return subject.Token(value=value, generated=True, place=(reference.name, reference.key))

    return mock.patch.object(tokens, "_generate", generate)


def what_is_gone_is_created_as_if_it_were_new() -> AbstractContextManager[Any]:
    """An instance that is not in the list was never there, so that no step, budget or wait is asked for."""
    establish = existence.Existence.establish

    async def anew(self: Any, server: Any, draft: Draft) -> Reason:
        if self._row(server, draft) is None and server.observed.rows is not None:
            return await self._create(server, draft)  # type: ignore[no-any-return]
        return await establish(self, server, draft)

    return mock.patch.object(existence.Existence, "establish", anew)
