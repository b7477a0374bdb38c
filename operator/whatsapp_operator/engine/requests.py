"""Requests by annotation: each value is carried out once, and echoed in `status.lastHandled`."""

from __future__ import annotations

import hashlib

from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.recovery import incident
from whatsapp_operator.resources.names import Request

_LONGEST = 253


def asked(draft: Draft, what: Request) -> bool:
    """Whether there is a request that was not handled yet."""
    token = _token(draft, what)
    return token is not None and token != getattr(draft.handled, what.value)


def handled(draft: Draft, what: Request) -> None:
    """Note that a request was carried out, or can never be."""
    draft.handled = draft.handled.replace(**{what.value: _token(draft, what)})


def take_up(draft: Draft) -> bool:
    """Carry out what needs no call; returns whether everything is to be verified anew."""
    if asked(draft, Request.PAIRING):
        draft.window_opened_at = draft.now
        handled(draft, Request.PAIRING)
    if asked(draft, Request.RESET):
        # Not every restart of a server can be seen: that an instance hears again a person has to be able to say.
        draft.recovery = incident.reset(draft.recovery).replace(deaf_since=None)
        handled(draft, Request.RESET)
    if not asked(draft, Request.RECONCILE):
        return False
    draft.configured_generation = None
    draft.subject.configuring.clear()
    handled(draft, Request.RECONCILE)
    return True


def _token(draft: Draft, what: Request) -> str | None:
    """The request's value; one that is longer than the status can show, by its digest."""
    token = draft.instance.metadata.annotations.get(what.annotation) or None
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}" if token and len(token) > _LONGEST else token
