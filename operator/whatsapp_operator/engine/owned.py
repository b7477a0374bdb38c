"""Secrets that a resource owns: only these are deleted, and they are disowned where they are to outlive it.

And what is said where a Secret, whoever's it is, does not hold what is needed of it.
"""

from __future__ import annotations

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.resources.reasons import Reason


class Withheld(Exception):  # noqa: N818 - a fact about a Secret, which the caller shows
    """A Secret does not hold what is needed, or is not there, or is another's: a person has to see to it."""

    why: Reason


async def delete(context: Context, draft: Draft, name: str) -> None:
    """Delete a Secret, unless it is another's by now: one that was deleted by hand may have been made anew.

    Raises:
        ports.Conflict: it was changed meanwhile.
        ports.KubernetesError: the Secret could not be read or deleted.
    """
    key = ports.Key(draft.subject.key.namespace, name)
    found = await _read(context, key)
    if found is not None and draft.instance.metadata.uid in found.owner_uids:
        await context.kubernetes.delete_secret(key, resource_version=found.resource_version)


async def let_stay(context: Context, draft: Draft, name: str) -> bool:
    """Let a Secret stay when its resource goes; returns whether there is one.

    Raises:
        ports.KubernetesError: the Secret could not be read or changed.
    """
    key = ports.Key(draft.subject.key.namespace, name)
    found = await _read(context, key)
    if found is not None and draft.instance.metadata.uid in found.owner_uids:
        await context.kubernetes.disown_secret(key, resource_version=found.resource_version)
    return found is not None


async def _read(context: Context, key: ports.Key) -> ports.SecretData | None:
    try:
        return await context.kubernetes.read_secret(key)
    except ports.NotFound:
        return None
