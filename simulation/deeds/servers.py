"""What becomes of phones, of WhatsApp, of Evolution API servers and their databases."""

from __future__ import annotations

from evolution_simulator import breakage, population, reasons, version, whatsapp
from evolution_simulator import instance as instances
from simulation import setup as setups
from simulation.deeds.doing import deed, later
from simulation.kubernetes import kinds
from simulation.stage import Stage

HAND_WEBHOOK = "http://hand.example/hook"


@deed
def break_instance(stage: Stage, *, server: str, name: str, state: str) -> None:
    """An instance gets into a broken state of the simulator."""
    try:
        breakage.break_instance(stage.hosts[server].model, name, state)
    except breakage.NotApplicableError as error:
        stage.history.note(f"  not applicable: {error}")
    else:
        stage.broken.setdefault((server, name), []).append((stage.loop.time(), state))


@deed
def break_all(stage: Stage, *, server: str, state: str) -> None:
    """All instances of a server get into a broken state at once."""
    for name in list(stage.hosts[server].model.database.rows):
        break_instance(stage, server=server, name=name, state=state)


@deed
def disconnect(stage: Stage, *, server: str, name: str, code: int) -> None:
    """A connection ends: 401 the phone, 402, 403 and 406 WhatsApp, others for a moment."""
    model = stage.hosts[server].model
    one = model.memory.get(name)
    client = one.client if isinstance(one, instances.BaileysInstance) else None
    if client is None or client.ended:
        return
    if code in reasons.FINAL_CODES and client.open:
        model.whatsapp.remove_device(client.credentials.device, code=code)
    elif code not in reasons.FINAL_CODES:
        client.close(reasons.transient(code, gap=0.1))


@deed
def scan(stage: Stage, *, server: str, name: str) -> None:
    """A person scans the code that is shown, if one is."""
    stage.hosts[server].model.scan(name)


@deed
def break_and_delete(stage: Stage, *, server: str, namespace: str, name: str, state: str, seconds: float) -> None:
    """A user gives an instance up that is broken: the server may refuse to delete it as it is."""
    break_instance(stage, server=server, name=name, state=state)
    later(stage, seconds, stage.user, "delete", kinds.INSTANCES, namespace, name)


@deed
def messages(stage: Stage, *, server: str, name: str) -> None:
    """Messages arrive: the instance now holds data."""
    row = stage.hosts[server].model.database.rows.get(name)
    if row is not None:
        row.counts["Message"] += 7
        row.rendered = None


@deed
def server_down(stage: Stage, *, server: str, seconds: float, listener_only: bool) -> None:
    """The process ends and comes back, or only its port closes for a while."""
    model = stage.hosts[server].model
    if listener_only:
        model.set_listening(False)
    else:
        model.stop()
    later(stage, seconds, server_up, stage, server)


def server_up(stage: Stage, server: str) -> None:
    """The server is there again."""
    model = stage.hosts[server].model
    if model.running:
        model.set_listening(True)
    else:
        stage.begin_server(server)


@deed
def slow_rollout(stage: Stage, *, server: str, name: str, seconds: float) -> None:
    """An instance needs a restart of its server, whose next pod takes long: its image has to be pulled, say."""
    stage.slow_rollouts[server] = seconds
    break_instance(stage, server=server, name=name, state="S1")


@deed
def roll_out_in_restart(stage: Stage, *, server: str, name: str, seconds: float) -> None:
    """An instance needs a restart of its server; so long after that is announced a person rolls it out by hand."""
    stage.roll_outs_in_restart.append(seconds)
    break_instance(stage, server=server, name=name, state="S1")


@deed
def stall_in_restart(stage: Stage, *, server: str, name: str, seconds: float) -> None:
    """An instance needs a restart of its server; whoever has announced that stands still before it is carried out."""
    stage.stalls_in_restart.append(seconds)
    break_instance(stage, server=server, name=name, state="S1")


@deed
def database_down(stage: Stage, *, server: str, seconds: float, drops: bool) -> None:
    """The database is away; with `drops` connections end meanwhile, and nobody hears of it."""
    model = stage.hosts[server].model
    model.database.down = True
    if drops:
        for caller in list(model.whatsapp.connections)[::2]:
            caller.close(reasons.transient(428, gap=0.1))
    later(stage, seconds, _database_up, stage, server)


def _database_up(stage: Stage, server: str) -> None:
    stage.hosts[server].model.database.down = False


@deed
def reach(
    stage: Stage, *, server: str, how: str, seconds: float, name: str | None = None, proxy: str | None = None
) -> None:
    """WhatsApp answers otherwise, for one instance, for those behind one proxy, or for all of a server."""
    far = stage.hosts[server].model.whatsapp
    far.set_reach(whatsapp.Reach(how), name=name, proxy=proxy)
    later(stage, seconds, lambda: far.set_reach(whatsapp.Reach.REACHABLE, name=name, proxy=proxy))


@deed
def outsider_row(stage: Stage, *, server: str, name: str) -> None:
    """Somebody writes a row of this name into the database, past the server."""
    model = stage.hosts[server].model
    if name not in model.database.rows and not model.database.down:
        row = population.insert_row(model, name=name, with_setting=True)
        stage.outsiders.add(row.id)


@deed
def outsider_instance(stage: Stage, *, server: str, name: str) -> None:
    """Somebody else has an instance of this name on the server, paired and in use."""
    model = stage.hosts[server].model
    if name in model.database.rows or name in model.memory or model.database.down or not model.running:
        return
    row = population.insert_row(model, name=name, with_setting=True)
    stage.outsiders.add(row.id)
    one = instances.BaileysInstance(server=model, row=row)
    model.remember(one)
    population.pair(model, one)


@deed
def hand_webhook(stage: Stage, *, server: str, name: str) -> None:
    """Somebody sets a webhook on the server by hand."""
    model = stage.hosts[server].model
    row = model.database.rows.get(name)
    if row is None or model.database.down:
        return
    changes = {"url": HAND_WEBHOOK, "enabled": True, "events": ["MESSAGES_UPSERT"]}
    model.database.save_webhook(row, now=model.scheduler.now(), changes=changes)
    stage.hand_webhooks[server, name] = stage.loop.time(), HAND_WEBHOOK


@deed
def hand_proxy(stage: Stage, *, server: str, name: str) -> None:
    """Somebody puts an instance behind a proxy, by hand: its next connection goes that way."""
    model = stage.hosts[server].model
    row, one = model.database.rows.get(name), model.memory.get(name)
    if row is None or model.database.down:
        return
    host, port = setups.PROXY.split(":")
    values = {"enabled": True, "host": host, "port": port, "protocol": "http"}
    model.database.save_proxy(row, now=model.scheduler.now(), values=values | {"username": "", "password": ""})
    client = one.client if isinstance(one, instances.BaileysInstance) else None
    if client is not None and client.open:
        client.close(reasons.transient(428, gap=0.1))


@deed
def other_identity(stage: Stage, *, server: str, seconds: float) -> None:
    """The server answers with another `clientName` for a while."""
    rename(stage, server, "other")
    later(stage, seconds, rename, stage, server, setups.CLIENT_NAME)


def rename(stage: Stage, server: str, name: str) -> None:
    """The server answers with this `clientName`."""
    model = stage.hosts[server].model
    model.database.rename_client(name)
    model.memory_changed()


@deed
def change_version(stage: Stage, *, server: str, number: str) -> None:
    """The server becomes another version, with a restart of its process."""
    model = stage.hosts[server].model
    model.stop()
    model.set_release(version.VERSIONS[number])
    stage.begin_server(server)
