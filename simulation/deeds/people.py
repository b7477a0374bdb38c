"""What people do with kubectl, each on their own, and none of them asks the operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation import setup as setups
from simulation.deeds.doing import deed, later
from simulation.kubernetes import kinds
from simulation.replica import NAMESPACE
from simulation.stage import KEY, Stage, status_of
from whatsapp_operator.cluster import secrets
from whatsapp_operator.resources import names

OTHER_KEY = "another-key"
_RECREATE_AGAIN_SECONDS = 0.3
"""Soon, so that what belongs to the one before may still be there."""


def patch(stage: Stage, namespace: str, name: str, body: Mapping[str, Any]) -> int:
    """A user changes an instance; the HTTP status."""
    return stage.user("patch", kinds.INSTANCES, namespace, name, body)


@deed
def edit(stage: Stage, *, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
    """A user changes the spec of an instance."""
    patch(stage, namespace, name, {"spec": spec})


@deed
def pause(stage: Stage, *, namespace: str, name: str, seconds: float) -> None:
    """A user pauses an instance."""
    patch(stage, namespace, name, {"spec": {"pause": {"reason": "work"}}})
    later(stage, seconds, patch, stage, namespace, name, {"spec": {"pause": None}})


@deed
def pause_server(stage: Stage, *, server: str, seconds: float) -> None:
    """A user pauses all instances of a server."""
    stage.user("patch", kinds.SERVERS, setups.HOME, server, {"spec": {"pause": {"reason": "work"}}})
    later(stage, seconds, resume_server, stage, server)


def resume_server(stage: Stage, server: str) -> None:
    """The pause of a server ends."""
    stage.user("patch", kinds.SERVERS, setups.HOME, server, {"spec": {"pause": None}})


@deed
def pause_everything(stage: Stage, *, seconds: float) -> None:
    """An administrator pauses everything."""
    stage.create(kinds.CONFIGS, NAMESPACE, names.PAUSE_CONFIG, data={"reason": "work"})
    later(stage, seconds, resume_everything, stage)


def resume_everything(stage: Stage) -> None:
    """The pause of everything ends."""
    stage.user("delete", kinds.CONFIGS, NAMESPACE, names.PAUSE_CONFIG)


@deed
def request(stage: Stage, *, namespace: str, name: str, what: str, value: str) -> None:
    """A user asks for something once."""
    annotation = names.Request(what).annotation
    patch(stage, namespace, name, {"metadata": {"annotations": {annotation: value}}})


@deed
def approve(stage: Stage, *, namespace: str, name: str) -> None:
    """A user approves the step that waits for it, if one does."""
    found = stage.api.find(kinds.INSTANCES, namespace, name)
    approval = (status_of(found).get("recovery") or {}).get("approval") if found is not None else None
    if approval:
        patch(stage, namespace, name, {"metadata": {"annotations": {names.APPROVE: approval["token"]}}})


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
        later(stage, _RECREATE_AGAIN_SECONDS, _create_when_free, stage, namespace, name, spec)


@deed
def recreate_server(stage: Stage, *, server: str, seconds: float) -> None:
    """A user deletes an EvolutionServer, and creates it again some time later."""
    stage.user("delete", kinds.SERVERS, setups.HOME, server)
    later(stage, seconds, _create_server_when_free, stage, server)


def _create_server_when_free(stage: Stage, server: str) -> None:
    if stage.api.find(kinds.SERVERS, setups.HOME, server) is None:
        stage.create(kinds.SERVERS, setups.HOME, server, spec=stage.server_setup(server).spec)
    else:
        later(stage, _RECREATE_AGAIN_SECONDS, _create_server_when_free, stage, server)


@deed
def end_namespace(stage: Stage) -> None:
    """The tenant's namespace is deleted, Secrets first."""
    stage.user("delete", kinds.NAMESPACES, "", setups.TENANT)


@deed
def rotate_key(stage: Stage, *, server: str, seconds: float) -> None:
    """The server's key changes; its Secret follows some time later, with the key that the server has by then."""
    settings = stage.hosts[server].model.settings
    settings.api_key = OTHER_KEY if settings.api_key == KEY else KEY
    later(stage, seconds, lambda: stage.give_key(server, settings.api_key))


@deed
def lose_lease(stage: Stage, *, number: int) -> None:
    """Somebody deletes a Lease of the operator."""
    found = stage.api.all(kinds.LEASES, NAMESPACE)
    if found:
        stage.user("delete", kinds.LEASES, NAMESPACE, found[number % len(found)]["metadata"]["name"])


@deed
def hand_secret(stage: Stage, *, namespace: str, name: str, server: str, of: str) -> None:
    """A user writes a Secret with the token of an instance that is on the server, or a token of their own."""
    row = stage.hosts[server].model.database.rows.get(of)
    data = secrets.encode({"token": (row.token if row is not None else "of-the-user").encode()})
    stage.create(kinds.SECRETS, namespace, name, data=data)
