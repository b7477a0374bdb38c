"""What a Relogin or Recreate takes from an instance: kept in a Secret until it is put back, from there or the spec.

A webhook that a user set by hand is switched off by both steps, and gone with its headers after a Recreate; settings
and proxy are gone with the row. The Secret is written before the step, so that a crash in the middle of it loses none.
A digest of it stands in the status, which only the operator may write: whoever may write Secrets in the namespace could
else put words into the operator's mouth, a proxy for all traffic of the instance among them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from whatsapp_operator.engine import owned, ports
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Keepsake
from whatsapp_operator.evolution import evidence
from whatsapp_operator.resources import instance
from whatsapp_operator.resources.reasons import Reason

_KEY = "configuration"
_SALT_BITS = 128


class Unreadable(Exception):  # noqa: N818 - the fact is the name
    """The webhook could not be read, so what the step would take is not known."""


class Changed(owned.Withheld):
    """The Secret does not hold what was stored in it."""

    why = Reason.KEEPSAKE_CHANGED


class NotOurs(owned.Withheld):
    """There is a Secret of the name that is not this resource's; it is not overwritten."""

    why = Reason.KEEPSAKE_NOT_OURS


async def require_room(context: Context, draft: Draft) -> None:
    """Where the Secret was another's the last time: whether it still is, before the server is asked for anything.

    Raises:
        NotOurs: it is.
        ports.KubernetesError: it could not be read.
    """
    if not draft.subject.keepsake_barred:
        return
    try:
        await _require_ours(context, draft)
    except ports.NotFound:
        draft.subject.keepsake_barred = False


async def _require_ours(context: Context, draft: Draft) -> ports.SecretData:
    found = await context.kubernetes.read_secret(_key(draft))
    draft.subject.keepsake_barred = draft.instance.metadata.uid not in found.owner_uids
    if draft.subject.keepsake_barred:
        raise NotOurs
    return found


async def keep(context: Context, server: Server, draft: Draft) -> None:
    """Keep what would be lost, before a step takes it. An earlier keepsake, not yet put back, stays.

    Raises:
        Unreadable: the webhook could not be read.
        NotOurs: the Secret for it is another's.
        ports.KubernetesError: it could not be kept.
    """
    if draft.keepsake is not None:
        return
    row = draft.subject.record.row
    found = Keepsake(
        webhook=await _webhook(server, draft), settings=_settings(draft), proxy=row.proxy if row is not None else None
    )
    if found.empty:
        return
    stored = json.dumps(_as_body(found) | {"salt": _salt(context)}).encode()
    await _write(context, draft, stored)
    draft.subject.keepsake, draft.keepsake = found, draft.instance.keepsake_secret_name
    draft.keepsake_digest = _digest(stored)


def _salt(context: Context) -> str:
    """Without it the digest, which many may read, would let them try which headers it is made of."""
    return f"{context.random.getrandbits(_SALT_BITS):032x}"


def _digest(stored: bytes) -> str:
    return hashlib.sha256(stored).hexdigest()


async def _webhook(server: Server, draft: Draft) -> evidence.Webhook | None:
    """Also where the spec has one: it may be taken out of the spec before it was put back from there."""
    record = draft.subject.record
    if server.client is None:
        return None
    found = await server.client.find_webhook(draft.instance.remote_name)
    if isinstance(found, evidence.Unknown):
        is_ghost = record.memory is not None and record.memory.state is None  # whose webhook cannot be read
        if is_ghost or draft.instance.spec.webhook is not None:
            return None
        raise Unreadable
    return found if found is not None and found.enabled and found.url else None


def _settings(draft: Draft) -> Mapping[str, object] | None:
    row = draft.subject.record.row
    return row.settings if row is not None and draft.instance.spec.settings is None else None


async def recall(context: Context, draft: Draft) -> Keepsake:
    """What is to be put back; nothing where nothing was kept, or somebody removed it.

    Raises:
        Changed: somebody put something else into the Secret.
        ports.KubernetesError: the Secret could not be read.
    """
    if draft.keepsake is None:
        return Keepsake()
    if draft.subject.keepsake is None:
        draft.subject.keepsake = await _read(context, draft)
    return draft.subject.keepsake


async def drop(context: Context, draft: Draft) -> None:
    """It was put back.

    Raises:
        ports.KubernetesError: the Secret could not be deleted.
    """
    if draft.keepsake is not None:
        await owned.delete(context, draft, draft.keepsake)
    draft.subject.keepsake = draft.keepsake = draft.keepsake_digest = None


async def outlive(context: Context, draft: Draft) -> bool:
    """Let it stay when its resource goes, as the only copy of what was not put back; whether there is one.

    Raises:
        ports.KubernetesError: the Secret could not be read or changed.
    """
    return draft.keepsake is not None and await owned.let_stay(context, draft, draft.keepsake)


async def _write(context: Context, draft: Draft, stored: bytes) -> None:
    values, metadata = {_KEY: stored}, draft.instance.metadata
    owner = ports.Owner(kind=instance.KIND, name=metadata.name, uid=metadata.uid)
    try:
        await context.kubernetes.create_secret(_key(draft), values, owner=owner)
    except ports.Conflict:
        before = await _require_ours(context, draft)
        await context.kubernetes.replace_secret(_key(draft), values, resource_version=before.resource_version)


async def _read(context: Context, draft: Draft) -> Keepsake:
    try:
        secret = await context.kubernetes.read_secret(_key(draft))
    except ports.NotFound:
        context.telemetry.problem("A keepsake was removed", namespace=draft.subject.key.namespace)
        return Keepsake()
    stored = secret.values.get(_KEY, b"")
    if _digest(stored) != draft.keepsake_digest:
        raise Changed
    return _from_body(json.loads(stored))


def _key(draft: Draft) -> ports.Key:
    return ports.Key(draft.subject.key.namespace, draft.instance.keepsake_secret_name)


def _as_body(found: Keepsake) -> dict[str, Any]:
    webhook = found.webhook
    body: dict[str, Any] = {"settings": dict(found.settings) if found.settings is not None else None}
    if webhook is not None:
        body["webhook"] = {
            "url": webhook.url,
            "events": sorted(webhook.events),
            "headers": dict(webhook.headers),
            "byEvents": webhook.by_events,
            "base64": webhook.base64,
        }
    if found.proxy is not None:
        body["proxy"] = dataclasses.asdict(found.proxy)
    return body


def _from_body(body: Mapping[str, Any]) -> Keepsake:
    webhook, proxy = body.get("webhook"), body.get("proxy")
    return Keepsake(
        settings=body.get("settings"),
        proxy=evidence.Proxy(**proxy) if proxy is not None else None,
        webhook=evidence.Webhook(
            url=webhook["url"],
            events=frozenset(webhook["events"]),
            headers=webhook["headers"],
            by_events=webhook["byEvents"],
            base64=webhook["base64"],
        )
        if webhook is not None
        else None,
    )
