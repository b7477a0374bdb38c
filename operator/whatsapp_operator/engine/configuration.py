"""Settings and webhook of the spec, kept on the server; and the token, which only its creation gives an instance.

Settings are in every row of the bulk read, so that drift shows for free. A webhook is not in any bulk read: it is read
once per generation of the spec, incarnation of the instance, and request; so is the Secret that holds the token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from whatsapp_operator.engine import currency, keepsake, owned, ports, tokens
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Configuring
from whatsapp_operator.evolution import evidence
from whatsapp_operator.resources.instance import DeletionPolicy
from whatsapp_operator.resources.reasons import Reason

_LONGEST_PAUSE_SECONDS = 300.0
_SETTINGS, _WEBHOOK = "settings", "webhook"


class HeadersMissing(owned.Withheld):
    """The Secret that the webhook's headers are in does not exist, or holds what is no text."""

    why = Reason.HEADERS_NOT_FOUND


async def wanted_settings(context: Context, draft: Draft) -> dict[str, object]:
    """Settings in the server's words: the spec's, else those that a step took; none where neither says anything.

    Raises:
        keepsake.Changed: somebody changed what was kept.
        ports.KubernetesError: what was kept could not be read.
    """
    settings = draft.instance.spec.settings
    if settings is not None:
        return settings.model_dump(by_alias=True)
    return dict((await keepsake.recall(context, draft)).settings or {})


async def wanted_webhook(context: Context, draft: Draft) -> evidence.Webhook | None:
    """The spec's webhook, with the headers of its Secret; else the one that a step took.

    Raises:
        HeadersMissing: there is no such Secret.
        keepsake.Changed: somebody changed what was kept.
        ports.KubernetesError: the Secret could not be read.
    """
    webhook = draft.instance.spec.webhook
    if webhook is None:
        return (await keepsake.recall(context, draft)).webhook
    headers: Mapping[str, str] = {}
    if webhook.headers_secret_ref is not None:
        key = ports.Key(draft.subject.key.namespace, webhook.headers_secret_ref.name)
        try:
            secret = await context.kubernetes.read_secret(key)
        except ports.NotFound:
            raise HeadersMissing from None
        found = {name: secret.text(name) for name in secret.values}
        headers = {name: value for name, value in found.items() if value is not None}
        if headers.keys() != found.keys():
            raise HeadersMissing
    return evidence.Webhook(
        url=webhook.url,
        events=frozenset(str(event) for event in webhook.events),
        headers=headers,
        by_events=webhook.by_events,
        base64=webhook.base64,
    )


async def synchronise(context: Context, server: Server, draft: Draft) -> Reason:
    """Bring settings and webhook to what the spec says; `Synced` when both were read to be so.

    Raises:
        ports.Conflict: the spec is another by now.
        ports.KubernetesError: a Secret, or the resource, could not be read.
    """
    if draft.paused or not server.acted_on or not server.warm:
        return Reason.SYNCED if _configured(draft) else Reason.CONFIGURATION_PENDING
    try:
        return await _bring_all(context, server, draft)
    except owned.Withheld as withheld:
        return withheld.why


async def _bring_all(context: Context, server: Server, draft: Draft) -> Reason:
    settings = await _paced(context, draft, _SETTINGS, lambda: _settings(context, server, draft))
    webhook = Reason.SYNCED
    if not _configured(draft):
        webhook = await _paced(context, draft, _WEBHOOK, lambda: _webhook(context, server, draft))
    if settings is Reason.SYNCED and webhook is Reason.SYNCED:
        row = draft.subject.record.row
        if not _configured(draft) and row is not None and not await tokens.is_that_of(context, draft, row):
            return Reason.TOKEN_DIFFERS
        if not _configured(draft) and draft.deletion_policy is DeletionPolicy.RETAIN:
            # Now: a deletion in the foreground collects what the resource owns before our finalizer is asked.
            await tokens.outlive(context, draft)
        draft.configured_generation = draft.instance.metadata.generation
        await keepsake.drop(context, draft)
    return settings if settings is not Reason.SYNCED else webhook


def _configured(draft: Draft) -> bool:
    return draft.configured_generation == draft.instance.metadata.generation


async def _paced(context: Context, draft: Draft, part: str, bring: Callable[[], Awaitable[Reason]]) -> Reason:
    """An instance that refuses its configuration, or does not keep it, is asked ever more rarely."""
    one, generation, now = draft.subject, draft.instance.metadata.generation, context.clock.monotonic()
    before = one.configuring.get(part)
    if before is not None and before.generation != generation:
        before = None
    if before is not None and now < before.next_at and not await _is_kept(context, draft, part):
        return before.outcome
    outcome = await bring()
    if outcome in (Reason.CONFIGURATION_PENDING, Reason.CONFIGURATION_REFUSED):
        tries = before.tries + 1 if before is not None else 1
        pause = min(draft.policy.health.check_period_seconds * 2.0 ** min(tries - 1, 16), _LONGEST_PAUSE_SECONDS)
        one.configuring[part] = Configuring(generation, tries=tries, outcome=outcome, next_at=now + pause)
    else:
        one.configuring.pop(part, None)
    return outcome


async def _is_kept(context: Context, draft: Draft, part: str) -> bool:
    """Whether the list shows the settings as they are wanted; the webhook is in no list."""
    row = draft.subject.record.row
    if part != _SETTINGS or row is None:
        return False
    wanted, found = await wanted_settings(context, draft), row.settings or {}
    return all(found.get(name) == value for name, value in wanted.items())


async def _settings(context: Context, server: Server, draft: Draft) -> Reason:
    wanted = await wanted_settings(context, draft)
    if not wanted or await _is_kept(context, draft, _SETTINGS):
        return Reason.SYNCED
    name = draft.instance.remote_name
    await currency.require(context, draft.subject)
    client = server.client
    # What is wanted was read from Secrets: a list may have come meanwhile.
    if draft.subject.record.row is None or client is None or not server.stands_for(name, draft.instance_id):
        return Reason.CONFIGURATION_PENDING
    answer = await client.set_settings(name, wanted)
    context.hurry(server)
    return _after(answer)


async def _webhook(context: Context, server: Server, draft: Draft) -> Reason:
    try:
        wanted = await wanted_webhook(context, draft)
    except HeadersMissing as missing:
        return missing.why
    name, client = draft.instance.remote_name, server.client  # which the server may lose while one of these waits
    if wanted is None:
        return Reason.SYNCED
    if client is None:
        return Reason.CONFIGURATION_PENDING
    if await client.find_webhook(name) == wanted:
        return Reason.SYNCED
    await currency.require(context, draft.subject)
    if not server.stands_for(name, draft.instance_id):
        return Reason.CONFIGURATION_PENDING
    return await _set_webhook(client, name, wanted)


async def _set_webhook(client: ports.Evolution, name: str, wanted: evidence.Webhook) -> Reason:
    answer = await client.set_webhook(name, wanted)
    if not isinstance(answer, evidence.Accepted):
        return _after(answer)
    return Reason.SYNCED if await client.find_webhook(name) == wanted else Reason.CONFIGURATION_PENDING


def _after(answer: evidence.Outcome) -> Reason:
    return Reason.CONFIGURATION_REFUSED if isinstance(answer, evidence.Refused) else Reason.CONFIGURATION_PENDING
