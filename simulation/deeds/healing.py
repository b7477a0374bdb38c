"""The end of all that deeds have begun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evolution_simulator import whatsapp
from simulation import setup as setups
from simulation.deeds import people, servers
from simulation.kubernetes import kinds
from simulation.stage import Stage


def heal(stage: Stage) -> None:
    """Every fault stops, and whoever was asked for something does it."""
    stage.history.note("all faults stop")
    stage.calm_since = stage.loop.time()
    stage.spoilt.rules.clear()
    stage.crash_after_announcement.clear()
    stage.slow_rollouts.clear()
    stage.roll_outs_in_restart.clear()
    stage.stalls_in_restart.clear()
    people.resume_everything(stage)
    for one in stage.setup.servers:
        _heal_server(stage, one.name)
    for replica in stage.replicas:
        replica.watch.trouble.clear()
        replica.cut(off=False)
    for body in stage.api.all(kinds.INSTANCES):
        if "pause" in body["spec"]:
            people.patch(stage, body["metadata"]["namespace"], body["metadata"]["name"], {"spec": {"pause": None}})


def _heal_server(stage: Stage, name: str) -> None:
    there = stage.hosts[name]
    there.faults.remove()
    there.release()
    model = there.model
    model.database.down = False
    servers.server_up(stage, name)
    people.resume_server(stage, name)
    servers.rename(stage, name, setups.CLIENT_NAME)
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
