"""`/instance/*` (Evolution API 2.3.7, instance.controller.ts)."""

from typing import Any

from evolution_simulator import database, instance, version, world
from evolution_simulator.api import errors, message, proxies, resources, validation
from evolution_simulator.api.call import Call

CONNECT_SECONDS = 2.0
CREATE_QR_SECONDS = 5.0
SWALLOWED = {"error": True, "message": "[object Object]"}
CREATE_SETTINGS = tuple(database.SETTING_DEFAULTS)
_CREATE_TYPES: dict[str, type] = {
    "instanceName": str,
    "token": str,
    "qrcode": bool,
    **dict.fromkeys(proxies.CREATE_KEYS, str),
    **validation.SETTINGS_TYPES,
}
META_TOKEN = "evolution"  # noqa: S105  # the fixed word the server expects from Meta's webhook, no secret


def state_body(name: str, state: version.ConnectionState | None) -> message.Reply:
    """The state of an instance; the key is absent where memory does not know it."""
    body: dict[str, Any] = {"instanceName": name}
    if state is not None:
        body["state"] = state
    return message.reply(200, {"instance": body})


def connection_state(call: Call) -> message.Reply:
    """From memory only."""
    return state_body(call.name, call.instance.state if call.instance else None)


def connect(call: Call) -> message.Reply | message.Later:
    """In `close` it starts a connection and waits; else it only reads."""
    one = call.instance
    if one is None:
        return message.reply(200, SWALLOWED)
    if one.state is version.ConnectionState.OPEN:
        return state_body(call.name, one.state)
    if one.state is version.ConnectionState.CLOSE:
        try:
            one.connect(number=call.request.query.get("number"))
        except database.DatabaseDownError:
            return message.reply(200, SWALLOWED)
        return message.Later(seconds=CONNECT_SECONDS, reply=lambda: message.reply(200, one.connect_body()))
    return message.reply(200, one.connect_body())


def restart(call: Call) -> message.Reply:
    """Answers as `connect` would have for the state before, and says nothing about success."""
    one = call.instance
    if one is None or one.state is version.ConnectionState.CLOSE:
        return message.reply(200, SWALLOWED)
    state, code = one.state, one.connect_body()
    one.restart()
    return state_body(call.name, state) if state is version.ConnectionState.OPEN else message.reply(200, code)


def success(text: str) -> message.Reply:
    """The form in which logout and delete answer."""
    return message.reply(200, {"status": "SUCCESS", "error": False, "response": {"message": text}})


def logout(call: Call) -> message.Reply:
    """400 in `close`. A 500 of 2.3.7 does not say that nothing happened."""
    one = call.instance
    # A ghost has no state that could be `close`, and nothing to log out.
    outcome = call.server.log_out(one) if one is not None else world.LogoutOutcome.DONE
    if outcome is world.LogoutOutcome.NOT_CONNECTED:
        raise errors.ApiError(400, f'The "{call.name}" instance is not connected')
    if outcome is world.LogoutOutcome.FAILED:
        raise errors.ApiError(500, errors.logout_race())
    return success("Instance logged out")


def delete(call: Call) -> message.Reply:
    """No state refuses on 2.3.6. A 400 of 2.3.7 can mean that the pairing is gone and the row is not."""
    if not call.server.delete(call.name):
        raise errors.ApiError(400, "[object Object]")
    return success("Instance deleted")


def set_presence(call: Call) -> message.Reply:
    """Says success for a dead connection as well."""
    if call.instance is None:
        raise errors.unreadable("setPresence")
    if not isinstance(call.instance, instance.BaileysInstance):
        raise errors.wrong_channel(call.instance.integration)
    if call.instance.client is None:
        text = "TypeError: Cannot read properties of undefined (reading 'sendPresenceUpdate')"
        raise errors.ApiError(400, text)
    return message.reply(201, {"presence": call.values.get("presence")})


def fetch(call: Call) -> message.Reply:
    """The database's truth. Filters by name, id and number look into memory first."""
    rows = list(call.server.database.rows.values()) if call.has_global_key else _rows_of_token(call)
    query = call.request.query
    for parameter, subject in (("instanceName", "name"), ("instanceId", "id"), ("number", "number")):
        wanted = query.get(parameter)
        if wanted:
            rows = [row for row in rows if getattr(row, subject) == wanted]
            _require_in_memory(call, parameter=parameter, wanted=wanted, rows=rows)
    return message.Reply(status=200, body=call.server.database.listing(rows))


def _rows_of_token(call: Call) -> list[database.Row]:
    rows = [row for row in call.server.database.rows.values() if row.token == call.request.key]
    wanted = call.request.query.get("instanceName")
    if not rows or (wanted and wanted not in [row.name for row in rows]):
        raise errors.unauthorized()
    return rows


def _require_in_memory(call: Call, *, parameter: str, wanted: str, rows: list[database.Row]) -> None:
    memory = call.server.memory
    known = wanted in memory if parameter == "instanceName" else any(row.name in memory for row in rows)
    if not known:
        raise errors.ApiError(404, f'Instance "{wanted}" not found')


def create(call: Call) -> message.Reply | message.Later:
    """Any error after the row was written deletes that name again, in a while."""
    values = call.values
    integration = values.get("integration")
    if integration not in tuple(version.Integration):
        raise errors.ApiError(400, "Invalid integration")
    validation.refuse(validation.wrong_types(values, _CREATE_TYPES))
    name = values.get("instanceName")
    if name is None:
        raise errors.ApiError(400, errors.setting_without_row(call.server.release))
    if integration == version.Integration.BUSINESS and not values.get("token"):
        raise errors.ApiError(400, "token is required")
    row = _new_row(call, name=name, integration=version.Integration(integration))
    one = call.server.create(row)
    try:
        _configure(call, row)
    except errors.ApiError:
        call.server.remove(name)
        raise
    if not values.get("qrcode") or row.integration is not version.Integration.BAILEYS:
        return message.reply(201, _created(call, row, one))
    one.connect(number=values.get("number"))
    created = _created(call, row, one)
    return message.Later(
        seconds=CREATE_QR_SECONDS, reply=lambda: message.reply(201, created | {"qrcode": one.connect_body()})
    )


def _new_row(call: Call, *, name: str, integration: version.Integration) -> database.Row:
    server, values = call.server, call.values
    now = server.scheduler.now()
    baileys = integration is version.Integration.BAILEYS
    status = version.ConnectionState.CLOSE if baileys else version.ConnectionState.OPEN
    return database.Row(
        id=server.database.new_id(),
        name=name,
        connection_status=status,
        integration=integration,
        token=values.get("token") or server.database.new_id().upper(),
        created_at=now,
        updated_at=now,
        number=values.get("number"),
        business_id=values.get("businessId"),
        owner_jid=values.get("ownerJid"),
        profile_name=values.get("profileName"),
        profile_pic_url=values.get("profilePicUrl"),
    )


def _configure(call: Call, row: database.Row) -> None:
    server, values = call.server, call.values
    now = server.scheduler.now()
    if server.database.rows.get(row.name) is not row:
        raise errors.ApiError(400, errors.setting_without_row(server.release))
    if values.get("webhook"):
        webhook = values["webhook"]
        if "events" not in webhook:
            raise errors.ApiError(400, "Cannot read properties of undefined (reading 'length')")
        # `enabled: false` is ignored here: the server forces it on.
        resources.store_webhook(server.database, row, now=now, webhook=webhook | {"enabled": True})
    proxies.create_proxy(call, row)
    given = {key: values[key] for key in CREATE_SETTINGS if key in values}
    server.database.save_setting(row, now=now, values=given)
    if row.integration is version.Integration.BUSINESS and not row.number:
        raise errors.ApiError(400, "number is required")
    if values.get("chatwootAccountId") and values.get("chatwootToken") and values.get("chatwootUrl"):
        raise errors.ApiError(400, "Chatwoot is not enabled")


def _created(call: Call, row: database.Row, one: instance.Instance) -> dict[str, Any]:
    business = row.integration is version.Integration.BUSINESS
    return {
        "instance": {
            "instanceName": row.name,
            "instanceId": row.id,
            "integration": row.integration,
            "webhookWaBusiness": f"{call.server.settings.server_url}/webhook/meta" if business else None,
            "accessTokenWaBusiness": META_TOKEN if business else "",
            "status": one.state,
        },
        "hash": row.token,
        "webhook": _created_webhook(row),
        "websocket": {},
        "rabbitmq": {},
        "nats": {},
        "sqs": {},
        "settings": row.setting.values if row.setting else {},
    }


def _created_webhook(row: database.Row) -> dict[str, Any]:
    if row.webhook is None:
        return {}
    return {
        "webhookUrl": row.webhook.url,
        "webhookHeaders": row.webhook.headers,
        "webhookByEvents": row.webhook.by_events,
        "webhookBase64": row.webhook.base64,
    }
