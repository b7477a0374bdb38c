"""Our finalizers: a resource stays until what it stands for was dealt with."""

from __future__ import annotations

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject


async def add(context: Context, kind: str, one: Subject | Server, finalizer: str) -> None:
    """Add a finalizer unless it is there.

    Raises:
        ports.KubernetesError: it was not added.
        ports.Conflict: or it was, and the resource has changed since.
    """
    present = one.metadata.finalizers
    if finalizer not in present:
        one.stored(await _write(context, kind, one, (*present, finalizer)))


async def remove(context: Context, kind: str, one: Subject | Server, finalizer: str) -> None:
    """Remove a finalizer if it is there; the resource may be gone right after.

    Raises:
        ports.KubernetesError: it was not removed.
    """
    present = one.metadata.finalizers
    if finalizer in present:
        body = await _write(context, kind, one, tuple(name for name in present if name != finalizer))
        # Where it is gone by it, the answer bears the very version that it had before, with its finalizers.
        if ports.version_of(body) >= ports.version_of(one.body):
            one.update(body)


async def _write(context: Context, kind: str, one: Subject | Server, finalizers: tuple[str, ...]) -> ports.Body:
    context.require_claim(one)
    return await context.kubernetes.write_finalizers(kind, one.key, finalizers, resource_version=one.resource_version)
