"""The inside of the simulated server as the control API tells it: what no HTTP call of a real server returns."""

from typing import Any

from evolution_simulator import database, instance, world


def server_body(server: world.World, *, received: int) -> dict[str, Any]:
    """Everything at once."""
    names = sorted(server.memory.keys() | server.database.rows.keys())
    return {
        "version": server.release.number,
        "clientName": server.database.client_name,
        "now": server.scheduler.now(),
        "running": server.running,
        "listening": server.listening,
        "databaseDown": server.database.down,
        "internetDown": server.internet_down,
        "whatsapp": server.whatsapp.reach,
        "received": received,
        "instances": {name: instance_body(server, name) for name in names},
    }


def instance_body(server: world.World, name: str) -> dict[str, Any]:
    """One instance; what it lacks is null."""
    one = server.memory.get(name)
    row = server.database.rows.get(name)
    return {
        "name": name,
        "memory": one.state if one else None,
        "database": row.connection_status if row else None,
        "id": row.id if row else None,
        "token": row.token if row else None,
        "ownerJid": row.owner_jid if row else None,
        "disconnectionReasonCode": row.disconnection_reason_code if row else None,
        "updatedAt": database.iso(row.updated_at) if row else None,
        "session": _session(server, row),
        "qrCount": one.qr.count if one else None,
        "qrShown": _shows_code(one),
        "connections": _connections(one),
        "proxy": (row.dials_through or None) if row else None,
        "deaf": isinstance(one, instance.BaileysInstance) and one.deaf,
        "orphans": len(server.orphans(name)),
        "heldElsewhere": _held_elsewhere(server, name, row),
        "webhook": row.webhook.enabled if row and row.webhook else None,
    }


def _session(server: world.World, row: database.Row | None) -> str | None:
    stored = server.database.sessions.get(row.id) if row else None
    return stored.kind.value if stored else None


def _held_elsewhere(server: world.World, name: str, row: database.Row | None) -> bool:
    """Whether another server has the session that is stored now, and not one from before a new pairing."""
    stored = server.database.sessions.get(row.id) if row else None
    return any(each.credentials == stored for each in server.held_elsewhere(name))


def _shows_code(one: instance.Instance | None) -> bool:
    return isinstance(one, instance.BaileysInstance) and any(each.showing_code for each in one.own_connections)


def _connections(one: instance.Instance | None) -> dict[str, Any] | None:
    if not isinstance(one, instance.BaileysInstance):
        return None
    own = one.own_connections
    return {
        "open": sum(each.open for each in own),
        "hung": sum(each.hung for each in own),
        "alive": len(own),
        "waitingToReconnect": len(one.reconnects),
    }
