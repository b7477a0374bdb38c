"""Whether a resource is still as it was seen, before something is done that no write to the resource goes ahead of.

Lists and watches may come from the past: an API server answers them from a cache that lags behind, for as long as it
likes. A read of a single object, and what a write answers, come from the store itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from whatsapp_operator.engine import ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.resources import instance


async def require(context: Context, one: Subject) -> None:
    """Read the resource, unless what is known of it came from the store itself.

    Raises:
        ports.Conflict: it is another by now, in its spec or altogether.
        ports.NotFound: it is gone.
        ports.KubernetesError: it could not be read.
    """
    if one.stored_version == one.resource_version:
        return
    body = await context.kubernetes.read(instance.KIND, one.key)
    found = cast("Mapping[str, object]", body["metadata"])["resourceVersion"]
    if found != one.resource_version:
        raise ports.Conflict("the resource was seen as it was in the past")
    one.stored_version = one.resource_version
