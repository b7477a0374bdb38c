"""Settings, webhook and the integrations of an instance (Evolution API 2.3.7, section by section of its routers)."""

from typing import Any

from evolution_simulator import database, instance, reasons, version, webhooks
from evolution_simulator.api import errors, message, validation
from evolution_simulator.api.call import Call

WEBHOOK_COLUMNS = {
    "enabled": "enabled",
    "url": "url",
    "headers": "headers",
    "byEvents": "by_events",
    "base64": "base64",
}


def find_settings(call: Call) -> message.Reply:
    """From the database; null for what is only in one of both places."""
    known = call.row is not None and call.row.setting is not None and call.instance is not None
    return message.reply(200, call.row.setting.values if known and call.row and call.row.setting else None)


def set_settings(call: Call) -> message.Reply:
    """A full replacement; the answer repeats the request. A `wavoipToken` closes the live connection."""
    validation.check_settings(call.values)
    one, row = call.instance, call.row
    if one is None:
        raise errors.unreadable("setSettings")
    if row is None:
        raise errors.PlainError(500, errors.setting_without_row(call.server.release))
    call.server.database.save_setting(row, now=call.server.scheduler.now(), values=call.values)
    if call.values.get("wavoipToken") and isinstance(one, instance.BaileysInstance):
        if one.client is None:
            raise errors.unreadable("ws")
        one.client.close(reasons.transient(428, gap=call.server.rng.uniform(0.05, 0.3)))
    return message.reply(201, {"settings": {"instanceName": call.name, "settings": call.values}})


def webhook_body(row: database.Row) -> dict[str, Any] | None:
    """The Webhook of a row as the API answers it."""
    stored = row.webhook
    if stored is None:
        return None
    return {
        "id": stored.id,
        "url": stored.url,
        "headers": stored.headers,
        "enabled": stored.enabled,
        "events": stored.events,
        "webhookByEvents": stored.by_events,
        "webhookBase64": stored.base64,
        "createdAt": database.iso(stored.created_at),
        "updatedAt": database.iso(stored.updated_at),
        "instanceId": row.id,
    }


def find_webhook(call: Call) -> message.Reply:
    """From the database; null for what is only in one of both places."""
    return message.reply(200, webhook_body(call.row) if call.row and call.instance else None)


def set_webhook(call: Call) -> message.Reply:
    """Store a webhook; omitted fields keep their value."""
    webhook = validation.check_webhook(call.values)
    if webhook["enabled"] and "events" not in webhook:
        raise errors.unreadable("length")
    if call.instance is None:
        raise errors.unreadable("instanceId")
    row = call.row
    if row is None:
        raise errors.PlainError(500, errors.webhook_without_row())
    store_webhook(call.server.database, row, now=call.server.scheduler.now(), webhook=webhook)
    return message.reply(201, webhook_body(row))


def store_webhook(store: database.Database, row: database.Row, *, now: float, webhook: dict[str, Any]) -> None:
    """Store a webhook. No events means all of them, and disabled means none. Raises `DatabaseDownError`."""
    changes = {column: webhook[key] for key, column in WEBHOOK_COLUMNS.items() if key in webhook}
    enabled = bool(webhook.get("enabled"))
    changes["events"] = list(webhook.get("events") or webhooks.EVENTS) if enabled else []
    store.save_webhook(row, now=now, changes=changes)


def transport_off(call: Call) -> message.Reply:
    """A transport that the environment has switched off answers nothing at all, under a JSON content type."""
    return message.Reply(status=200 if call.request.method == "GET" else 201, body="")


def chatwoot_off(call: Call) -> message.Reply:
    """Chatwoot is switched off."""
    del call
    raise errors.ApiError(400, "Chatwoot is disabled")


def fetch_business_profile(call: Call) -> message.Reply | message.Later:
    """A real round trip to WhatsApp: the only call that tells a dead connection from a live one."""
    one = call.instance
    if one is None:
        raise errors.unreadable("fetchBusinessProfile")
    if not isinstance(one, instance.BaileysInstance):
        raise errors.wrong_channel(one.integration)
    if one.client is None:
        text = "TypeError: Cannot read properties of undefined (reading 'getBusinessProfile')"
        raise errors.profile_failed(text)
    return _profile(call, one)


def _profile(call: Call, one: instance.BaileysInstance) -> message.Reply | message.Later:
    """Where packets vanish there is no answer until they no longer do, or the keep-alive gives the connection up.

    That comes before the 60 s after which Baileys gives a query up.
    """
    online = [each for each in one.own_connections if each.open]
    if one.state is not version.ConnectionState.OPEN or not online:
        raise errors.profile_failed("Error: Connection Closed")
    if any(not each.silent for each in online):
        return message.reply(200, _private_profile(str(call.values.get("number", ""))))
    return message.Later(seconds=1.0, reply=lambda: _profile(call, one))


def _private_profile(number: str) -> dict[str, Any]:
    jid = f"{number.partition('@')[0]}@s.whatsapp.net"
    return {"isBusiness": False, "message": "Not is business profile", "jid": jid, "exists": False, "number": jid}
