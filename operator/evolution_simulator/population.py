"""Rows and instances made directly, past the API: for benchmarks, and for a database that somebody else writes to."""

from collections.abc import Iterator

from evolution_simulator import database, instance, version, world

OPEN = version.ConnectionState.OPEN
CONNECTING = version.ConnectionState.CONNECTING


def insert_row(
    server: world.World,
    *,
    name: str,
    token: str | None = None,
    status: version.ConnectionState = version.ConnectionState.CLOSE,
    integration: version.Integration = version.Integration.BAILEYS,
    with_setting: bool = False,
) -> database.Row:
    """Insert a row as SQL would: memory does not learn of it."""
    now = server.scheduler.now()
    row = database.Row(
        id=server.database.new_id(),
        name=name,
        connection_status=status,
        integration=integration,
        token=token or server.database.new_id().upper(),
        created_at=now,
        updated_at=now,
    )
    server.database.insert(row)
    if with_setting:
        server.database.save_setting(row, now=now, values={})
    return row


def seed(
    server: world.World,
    *,
    count: int,
    prefix: str = "instance",
    state: version.ConnectionState = OPEN,
    token: str | None = None,
) -> Iterator[str]:
    """Make many instances at once, in memory and database; open ones are paired. Yields their names."""
    for number in range(count):
        name = f"{prefix}-{number:05d}"
        row = insert_row(server, name=name, token=token, status=state, with_setting=True)
        one = instance.BaileysInstance(server=server, row=row)
        server.remember(one)
        if state is OPEN:
            pair(server, one)
        elif state is CONNECTING:
            one.connect()
        yield name


def pair(server: world.World, one: instance.BaileysInstance, *, owner_jid: str | None = None) -> str:
    """Make an instance open and paired at once, without QR code and phone. The owner's JID."""
    owner = owner_jid or server.new_owner_jid()
    device = server.database.new_id()
    credentials = database.Credentials(database.CredentialsKind.PAIRED, device=device, owner_jid=owner)
    server.database.sessions[one.instance_id] = credentials
    one.destroy()
    server.whatsapp.admit(one.adopt(credentials))
    return owner
