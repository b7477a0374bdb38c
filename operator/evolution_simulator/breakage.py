"""The broken states of real servers, switched on.

Each is brought about by its real cause wherever the model has it (an event lost while the database was down, a row
deleted behind the server's back, a receiver that does not answer); what repairs it then follows from the model. The
names are those of docs/simulator.md.
"""

from collections.abc import Callable

from evolution_simulator import connection, database, instance, population, reasons, version, whatsapp, world

DEAD_RECEIVER = "http://127.0.0.1:9/dead-receiver"
OPEN = version.ConnectionState.OPEN
CLOSE = version.ConnectionState.CLOSE


class NotApplicableError(Exception):
    """The instance cannot get into that state from where it is."""


def _row(server: world.World, name: str) -> database.Row:
    row = server.database.rows.get(name)
    if row is None:
        raise NotApplicableError("it has no row in the database")
    return row


def _baileys(server: world.World, name: str) -> instance.BaileysInstance:
    one = server.memory.get(name)
    if not isinstance(one, instance.BaileysInstance):
        raise NotApplicableError("it is not a WHATSAPP-BAILEYS instance in memory")
    return one


def _open(server: world.World, name: str) -> tuple[instance.BaileysInstance, connection.Connection]:
    one = _baileys(server, name)
    if one.state is not OPEN or one.client is None or one.client.ended:
        raise NotApplicableError("it is not open")
    return one, one.client


def ghost(server: world.World, name: str) -> None:
    """S1: a row, and nothing in memory."""
    _row(server, name)
    one = server.memory.pop(name, None)
    if one is not None:
        one.destroy()
    server.memory_changed()


def row_missing(server: world.World, name: str) -> None:
    """S2: in memory, and no row: another server or a hand deleted it."""
    if name not in server.memory:
        raise NotApplicableError("it is not in memory")
    server.database.delete(name)


def zombie_open(server: world.World, name: str) -> None:
    """S3: the connection died in a moment without a database."""
    one, _ = _open(server, name)
    one.lose_connection(reasons.transient(428, gap=0.0))


def zombie_connecting(server: world.World, name: str) -> None:
    """S4: as S3, while connecting; paired or never paired, whichever it was."""
    one = _baileys(server, name)
    if one.state is OPEN:
        one.close_for_good()
    if one.state is CLOSE:
        one.connect()
    one.lose_connection(reasons.transient(428, gap=0.0))


def zombie_close(server: world.World, name: str) -> None:
    """S5: as S3, between two connections."""
    one, _ = _open(server, name)
    one.close_for_good()


def flapping(server: world.World, name: str) -> None:
    """S6: WhatsApp refuses the instance's connections."""
    one = _baileys(server, name)
    server.whatsapp.set_reach(whatsapp.Reach.REFUSED, name=name)
    if one.state is CLOSE and not one.reconnects:
        one.connect()


def corrupt_credentials(server: world.World, name: str) -> None:
    """S7: the stored credentials are JSON without keys."""
    one, client = _open(server, name)
    server.database.sessions[one.instance_id] = database.Credentials(database.CredentialsKind.CORRUPT)
    client.close(reasons.transient(428, gap=server.release.corrupt.close))


def lost_credentials(server: world.World, name: str) -> None:
    """S8: the Session row is gone; the server makes a new one without a word and shows a QR code."""
    one, client = _open(server, name)
    server.drop_session(one.instance_id)
    client.close(reasons.transient(428, gap=0.05))


def qr_expired(server: world.World, name: str) -> None:
    """S9: the QR limit was reached."""
    one = _baileys(server, name)
    if one.client is None or not one.client.showing_code:
        raise NotApplicableError("it shows no QR code")
    one.end_at_qr_limit()


def dead_remove_webhook(server: world.World, name: str) -> None:
    """S10: the receiver of REMOVE_INSTANCE is dead, so that a DELETE will not end for some twenty minutes."""
    row = _row(server, name)
    server.webhooks.dead.add(DEAD_RECEIVER)
    changes = {"url": DEAD_RECEIVER, "enabled": True, "events": ["REMOVE_INSTANCE"]}
    server.database.save_webhook(row, now=server.scheduler.now(), changes=changes)


def delete_lost(server: world.World, name: str) -> None:
    """S11: the next DELETE meets a database that is down, and is lost."""
    _row(server, name)
    server.arming.lose_delete.add(name)


def orphan_loop(server: world.World, name: str) -> None:
    """S12: an earlier incarnation of the name was deleted while it flapped, and tries to connect for ever."""
    one, now = _baileys(server, name), server.scheduler.now()
    row = database.Row(
        id=server.database.new_id(),
        name=name,
        connection_status=CLOSE,
        integration=one.integration,
        token="",
        created_at=now,
        updated_at=now,
    )
    earlier = instance.BaileysInstance(server=server, row=row)
    earlier.connect()
    server.orphan(earlier)


def logged_out(server: world.World, name: str) -> None:
    """S13: the phone removed the device."""
    _, client = _open(server, name)
    server.whatsapp.remove_device(client.credentials.device)


def channel_closed(server: world.World, name: str) -> None:
    """S14: a BUSINESS or EVOLUTION instance after a logout."""
    one = server.memory.get(name)
    if one is None or isinstance(one, instance.BaileysInstance):
        raise NotApplicableError("it is not a WHATSAPP-BUSINESS or EVOLUTION instance in memory")
    one.log_out()


def held_elsewhere(server: world.World, name: str) -> None:
    """S15: another server has the same session; each throws the other out."""
    _, client = _open(server, name)
    if server.held_elsewhere(name):
        raise NotApplicableError("another server holds its session already")
    server.hold_elsewhere(name, client.credentials)


def deaf(server: world.World, name: str) -> None:
    """S16: logged out and paired again as the same object, which on old releases receives nothing since.

    The events of that logout are over and gone; what it wrote into the row is there.
    """
    one, client = _open(server, name)
    if server.release.remounts_messages:
        raise NotApplicableError(f"{server.release.number} receives again after a logout")
    row, now = _row(server, name), server.scheduler.now()
    server.whatsapp.removed_devices.add(client.credentials.device)
    server.database.update(
        row,
        now=now,
        disconnection_at=now,
        disconnection_reason_code=401,
        disconnection_object=reasons.logout(name).disconnection_object(now),
    )
    population.pair(server, one, owner_jid=client.credentials.owner_jid)
    one.deaf = True


def silent_hang(server: world.World, name: str) -> None:
    """S17: one login is never answered."""
    one = _baileys(server, name)
    server.whatsapp.hang_next.add(name)
    if one.client is not None and not one.client.ended:
        one.client.close(reasons.transient(428, gap=0.05))
    else:
        one.stop_reconnects()
        one.connect()


def self_replacement(server: world.World, name: str) -> None:
    """S18: two connections with the same credentials replace each other for ever."""
    one, _ = _open(server, name)
    one.connect()


def session_missing(server: world.World, name: str) -> None:
    """S19: a late cleanup of an earlier logout deleted the Session of an instance that is open again."""
    _open(server, name)
    server.clean_up(name)


BREAKAGES: dict[str, Callable[[world.World, str], None]] = {
    "S1": ghost,
    "S2": row_missing,
    "S3": zombie_open,
    "S4": zombie_connecting,
    "S5": zombie_close,
    "S6": flapping,
    "S7": corrupt_credentials,
    "S8": lost_credentials,
    "S9": qr_expired,
    "S10": dead_remove_webhook,
    "S11": delete_lost,
    "S12": orphan_loop,
    "S13": logged_out,
    "S14": channel_closed,
    "S15": held_elsewhere,
    "S16": deaf,
    "S17": silent_hang,
    "S18": self_replacement,
    "S19": session_missing,
}


def break_instance(server: world.World, name: str, state: str) -> None:
    """Bring an instance into a broken state. Raises `NotApplicableError`."""
    if state not in BREAKAGES:
        raise NotApplicableError(f"{state} is not one of {', '.join(BREAKAGES)}")
    try:
        BREAKAGES[state](server, name)
    except database.DatabaseDownError as error:
        raise NotApplicableError("the database is down") from error
