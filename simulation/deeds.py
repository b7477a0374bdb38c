"""What can happen in a run besides the operator's own work: each a function of the stage, called by its name.

What a deed begins for a while it also ends; `heal` ends everything at once. A deed that does not fit (an instance that
is gone, a state that cannot be reached) does nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from evolution_simulator import breakage, faults, population, reasons, version, whatsapp
from evolution_simulator import instance as instances
from simulation import setup as setups
from simulation.kubernetes import faults as kubernetes_faults
from simulation.kubernetes import kinds, watch
from simulation.replica import NAMESPACE
from simulation.stage import KEY, Stage, status_of
from whatsapp_operator.resources import names

OTHER_KEY = "another-key"
_RECREATE_AGAIN_SECONDS = 0.3
"""Soon, so that what belongs to the one before may still be there."""

Deed = Callable[..., object]
DEEDS: dict[str, Deed] = {}


def deed(function: Deed) -> Deed:
    """Give a deed its name."""
    DEEDS[function.__name__] = function
    return function


def do(stage: Stage, what: str, args: Mapping[str, Any]) -> None:
    """Do it, and note it."""
    told = " ".join(f"{name}={value}" for name, value in args.items())
    stage.history.note(f"deed: {what} {told}")
    stage.on_strike(what if "state" not in args else f"{what} {args['state']}")
    stage.fault_times[what] = stage.loop.time()
    DEEDS[what](stage, **args)


def _later(stage: Stage, seconds: float, undo: Callable[..., object], *args: Any) -> None:
    stage.loop.call_later(seconds, functools.partial(undo, *args))


# People


def _patch(stage: Stage, namespace: str, name: str, body: Mapping[str, Any]) -> int:
    return stage.user("patch", kinds.INSTANCES, namespace, name, body)


@deed
def edit(stage: Stage, *, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
    """A user changes the spec of an instance."""
    _patch(stage, namespace, name, {"spec": spec})


@deed
def pause(stage: Stage, *, namespace: str, name: str, seconds: float) -> None:
    """A user pauses an instance."""
    _patch(stage, namespace, name, {"spec": {"pause": {"reason": "work"}}})
    _later(stage, seconds, _patch, stage, namespace, name, {"spec": {"pause": None}})


@deed
def pause_server(stage: Stage, *, server: str, seconds: float) -> None:
    """A user pauses all instances of a server."""
    stage.user("patch", kinds.SERVERS, setups.HOME, server, {"spec": {"pause": {"reason": "work"}}})
    _later(stage, seconds, resume_server, stage, server)


def resume_server(stage: Stage, server: str) -> None:
    """The pause of a server ends."""
    stage.user("patch", kinds.SERVERS, setups.HOME, server, {"spec": {"pause": None}})


@deed
def pause_everything(stage: Stage, *, seconds: float) -> None:
    """An administrator pauses everything."""
    stage.create(kinds.CONFIGS, NAMESPACE, names.PAUSE_CONFIG, data={"reason": "work"})
    _later(stage, seconds, resume_everything, stage)


def resume_everything(stage: Stage) -> None:
    """The pause of everything ends."""
    stage.user("delete", kinds.CONFIGS, NAMESPACE, names.PAUSE_CONFIG)


@deed
def request(stage: Stage, *, namespace: str, name: str, what: str, value: str) -> None:
    """A user asks for something once."""
    annotation = names.Request(what).annotation
    _patch(stage, namespace, name, {"metadata": {"annotations": {annotation: value}}})


@deed
def approve(stage: Stage, *, namespace: str, name: str) -> None:
    """A user approves the step that waits for it, if one does."""
    found = stage.api.find(kinds.INSTANCES, namespace, name)
    approval = (status_of(found).get("recovery") or {}).get("approval") if found is not None else None
    if approval:
        _patch(stage, namespace, name, {"metadata": {"annotations": {names.APPROVE: approval["token"]}}})


@deed
def delete(stage: Stage, *, namespace: str, name: str) -> None:
    """A user deletes an instance."""
    stage.user("delete", kinds.INSTANCES, namespace, name)


@deed
def create(stage: Stage, *, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
    """A user creates an instance."""
    stage.create(kinds.INSTANCES, namespace, name, spec=spec)


@deed
def recreate(stage: Stage, *, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
    """A user deletes an instance, and creates it again as soon as its name is free."""
    delete(stage, namespace=namespace, name=name)
    _create_when_free(stage, namespace, name, spec)


def _create_when_free(stage: Stage, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
    if stage.api.find(kinds.INSTANCES, namespace, name) is None:
        stage.create(kinds.INSTANCES, namespace, name, spec=spec)
    else:
        _later(stage, _RECREATE_AGAIN_SECONDS, _create_when_free, stage, namespace, name, spec)


@deed
def recreate_server(stage: Stage, *, server: str, seconds: float) -> None:
    """A user deletes an EvolutionServer, and creates it again some time later."""
    stage.user("delete", kinds.SERVERS, setups.HOME, server)
    _later(stage, seconds, _create_server_when_free, stage, server)


def _create_server_when_free(stage: Stage, server: str) -> None:
    if stage.api.find(kinds.SERVERS, setups.HOME, server) is None:
        stage.create(kinds.SERVERS, setups.HOME, server, spec=stage.server_setup(server).spec)
    else:
        _later(stage, _RECREATE_AGAIN_SECONDS, _create_server_when_free, stage, server)


@deed
def end_namespace(stage: Stage) -> None:
    """The tenant's namespace is deleted, Secrets first."""
    stage.controllers.end_namespace(setups.TENANT)


@deed
def rotate_key(stage: Stage, *, server: str, seconds: float) -> None:
    """The server's key changes; its Secret follows some time later."""
    settings = stage.hosts[server].model.settings
    settings.api_key = OTHER_KEY if settings.api_key == KEY else KEY
    _later(stage, seconds, stage.give_key, server, settings.api_key)


@deed
def lose_lease(stage: Stage, *, number: int) -> None:
    """Somebody deletes a Lease of the operator."""
    found = stage.api.all(kinds.LEASES, NAMESPACE)
    if found:
        stage.user("delete", kinds.LEASES, NAMESPACE, found[number % len(found)]["metadata"]["name"])


# Phones, WhatsApp, servers


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
    _later(stage, seconds, server_up, stage, server)


def server_up(stage: Stage, server: str) -> None:
    """The server is there again."""
    model = stage.hosts[server].model
    if model.running:
        model.set_listening(True)
    else:
        stage.begin_server(server)


@deed
def database_down(stage: Stage, *, server: str, seconds: float, drops: bool) -> None:
    """The database is away; with `drops` connections end meanwhile, and nobody hears of it."""
    model = stage.hosts[server].model
    model.database.down = True
    if drops:
        for caller in list(model.whatsapp.connections)[::2]:
            caller.close(reasons.transient(428, gap=0.1))
    _later(stage, seconds, _database_up, stage, server)


def _database_up(stage: Stage, server: str) -> None:
    stage.hosts[server].model.database.down = False


@deed
def reach(stage: Stage, *, server: str, how: str, seconds: float, name: str | None = None) -> None:
    """WhatsApp answers otherwise, for one instance or all of a server."""
    far = stage.hosts[server].model.whatsapp
    far.set_reach(whatsapp.Reach(how), name=name)
    _later(stage, seconds, lambda: far.set_reach(whatsapp.Reach.REACHABLE, name=name))


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
    changes = {"url": "http://hand.example/hook", "enabled": True, "events": ["MESSAGES_UPSERT"]}
    model.database.save_webhook(row, now=model.scheduler.now(), changes=changes)


@deed
def other_identity(stage: Stage, *, server: str, seconds: float) -> None:
    """The server answers with another `clientName` for a while."""
    _rename(stage, server, "other")
    _later(stage, seconds, _rename, stage, server, setups.CLIENT_NAME)


def _rename(stage: Stage, server: str, name: str) -> None:
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


# The ways between


@deed
def evolution_fault(
    stage: Stage, *, server: str, fault: str, route: str | None, count: int, status: int, seconds: float
) -> None:
    """The next requests to a server are spoilt."""
    stage.hosts[server].faults.add(faults.Kind(fault), route=route, count=count, status=status, seconds=seconds)


@deed
def kubernetes_fault(stage: Stage, *, fault: str, verb: str | None, resource: str | None, count: int) -> None:
    """The next calls to the API server are spoilt."""
    kind = kubernetes_faults.Fault(fault)
    stage.spoilt.rules.append(kubernetes_faults.Rule(fault=kind, verb=verb, resource=resource, count=count))


@deed
def watch_trouble(stage: Stage, *, slot: int, what: str, count: int) -> None:
    """The next events of the watch are lost, repeated or late."""
    one = stage.replica(slot)
    if one is not None:
        one.watch.trouble += [watch.Trouble(what)] * count


@deed
def watch_break(stage: Stage, *, slot: int, seconds: float) -> None:
    """The stream breaks, and is opened anew later."""
    one = stage.replica(slot)
    if one is not None:
        one.watch.shut(seconds)


# Processes


@deed
def crash(stage: Stage, *, slot: int, points: int) -> None:
    """The process dies at its n-th await from now."""
    one = stage.replica(slot)
    if one is not None:
        one.life.die_after(points)


@deed
def crash_in_step(stage: Stage, *, points: int) -> None:
    """Whoever announces the next step dies at the n-th await after that."""
    stage.crash_after_announcement.append(points)


@deed
def end_process(stage: Stage, *, slot: int) -> None:
    """SIGTERM."""
    one = stage.replica(slot)
    if one is not None and not one.stopping:
        stage.stop_replica(one)


@deed
def freeze(stage: Stage, *, slot: int, seconds: float) -> None:
    """The process stands still for a while, and does not notice."""
    one = stage.replica(slot)
    if one is not None:
        one.life.freeze(seconds)


@deed
def partition(stage: Stage, *, slot: int, seconds: float) -> None:
    """The process is cut off from the API server."""
    one = stage.replica(slot)
    if one is not None:
        one.cut(off=True)
        _later(stage, seconds, lambda: one.cut(off=False))


@deed
def clock_jump(stage: Stage, *, slot: int, seconds: float) -> None:
    """The wall clock of a machine jumps."""
    stage.clocks[slot].skew += seconds
    stage.jumped += abs(seconds)


# The end of it


def heal(stage: Stage) -> None:
    """Every fault stops, and whoever was asked for something does it."""
    stage.history.note("all faults stop")
    stage.calm_since = stage.loop.time()
    stage.spoilt.rules.clear()
    stage.crash_after_announcement.clear()
    resume_everything(stage)
    for one in stage.setup.servers:
        _heal_server(stage, one.name)
    for replica in stage.replicas:
        replica.watch.trouble.clear()
        replica.cut(off=False)
    for body in stage.api.all(kinds.INSTANCES):
        if "pause" in body["spec"]:
            _patch(stage, body["metadata"]["namespace"], body["metadata"]["name"], {"spec": {"pause": None}})


def _heal_server(stage: Stage, name: str) -> None:
    there = stage.hosts[name]
    there.faults.remove()
    model = there.model
    model.database.down = False
    server_up(stage, name)
    resume_server(stage, name)
    _rename(stage, name, setups.CLIENT_NAME)
    stage.give_key(name, model.settings.api_key)
    for instance_name in [*model.whatsapp.reach_of, None]:
        model.whatsapp.set_reach(whatsapp.Reach.REACHABLE, name=instance_name)
    for row in list(model.database.rows):
        for holder in model.held_elsewhere(row):
            holder.end()
    stage.user("create", kinds.SERVERS, setups.HOME, body=_server_body(stage, name))


def _server_body(stage: Stage, name: str) -> Mapping[str, Any]:
    metadata = {"name": name, "namespace": setups.HOME}
    kind = kinds.SERVERS
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata} | {
        "spec": stage.server_setup(name).spec
    }
