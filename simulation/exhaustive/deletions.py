"""Deletions under all that can be said against them: what is kept or not ours, servers and namespaces that are gone."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from evolution_simulator.version import ConnectionState
from simulation import deeds
from simulation import setup as setups
from simulation.exhaustive import small
from simulation.exhaustive.arbiter import Bound, Deed
from simulation.exhaustive.play import Scenario, Wrong
from simulation.exhaustive.scenarios import (
    IMPATIENT,
    SERVER,
    breaks,
    is_deleted,
    is_there,
    not_deleted,
    not_open,
    rests,
    resume,
    setup,
    vanishes,
)
from simulation.kubernetes import kinds
from simulation.sight import Sight
from simulation.stage import Stage
from whatsapp_operator.resources import names

_HOLD = "example.dev/hold"
_WEBHOOK = "http://127.0.0.1:9/hook"
_USUAL = Bound(faults=0, crashes=1)


def deletion(shows: str, begin: Deed, *, wrong: Wrong = not_deleted, **more: Any) -> Scenario:
    """A deletion; two instances, of which the first goes, where nothing else is said."""
    usual: dict[str, Any] = {"setup": setup(), "before": rests, "remembered": 45.0, "bound": _USUAL}
    return Scenario(shows=shows, begin=begin, wrong=wrong, **(usual | more))


def later(stage: Stage, seconds: float, deed: Deed) -> None:
    """A deed, so long from now."""
    stage.loop.call_later(seconds, deed, stage)


def edit(stage: Stage, *, name: str = "i0", namespace: str = setups.HOME, **spec: Any) -> None:
    """A user changes the spec of an instance."""
    deeds.people.edit(stage, namespace=namespace, name=name, spec=spec)


def retains(stage: Stage, *, namespace: str = setups.HOME) -> None:
    """A user wants the instance to stay."""
    edit(stage, namespace=namespace, deletionPolicy="Retain")


def is_retained(stage: Stage) -> None:
    """A user deletes the resource only."""
    retains(stage)
    is_deleted(stage)


def not_retained(sight: Sight, *, name: str = "i0") -> str | None:
    """The resource is still there, or the instance is not."""
    if sight.stage.api.find(kinds.INSTANCES, setups.HOME, name) is not None:
        return "the resource is still there"
    is_open = sight.state_since((SERVER, name))[1] is ConnectionState.OPEN
    return None if is_open else "the instance is not open any more"


def _hold(stage: Stage, *finalizers: str) -> None:
    stage.user("patch", kinds.INSTANCES, setups.HOME, "i0", {"metadata": {"finalizers": list(finalizers)}})


def is_held(stage: Stage) -> None:
    """Somebody else's finalizer keeps the resource for a while."""
    _hold(stage, names.FINALIZER, _HOLD)
    is_deleted(stage)
    later(stage, 65.0, _let_go)


def _let_go(stage: Stage) -> None:
    found = stage.api.find(kinds.INSTANCES, setups.HOME, "i0")
    if found is not None:
        _hold(stage, *(one for one in found["metadata"]["finalizers"] if one != _HOLD))


def is_deleted_in_a_pause(stage: Stage) -> None:
    """The server is paused for a while."""
    is_deleted(stage)
    later(stage, 25.0, resume)


def is_deleted_as_a_zombie(stage: Stage) -> None:
    """2.3.7 refuses to delete it until somebody restarts the server."""
    resume(stage)
    is_deleted(stage)
    later(stage, 95.0, functools.partial(deeds.servers.server_down, server=SERVER, seconds=1.0, listener_only=False))


def has_a_webhook(stage: Stage, *states: str) -> None:
    """A user gives it a webhook; once that is set, the server is paused, and it gets into these broken states."""
    edit(stage, webhook={"url": _WEBHOOK, "events": ["MESSAGES_UPSERT"]})
    later(stage, 50.0, lambda stage: breaks(stage, *states))


def is_deleted_and_given_up(stage: Stage) -> None:
    """2.3.7 refuses to delete it, and after a while a user lets it be."""
    resume(stage)
    is_deleted(stage)
    later(stage, 65.0, retains)


def without_its_webhook(sight: Sight) -> str | None:
    """The resource is still there, or its webhook is not on, although the server has never refused it."""
    assert isinstance(sight.stage, small.SmallStage)  # noqa: S101 - no other is searched
    if sight.stage.api.find(kinds.INSTANCES, setups.HOME, "i0") is not None:
        return "the resource is still there"
    row = sight.row((SERVER, "i0"))
    is_on = row is not None and row.webhook is not None and row.webhook.enabled and row.webhook.url == _WEBHOOK
    return None if is_on or "i0" in sight.stage.webhooks_refused else "its webhook is lost"


def neither_gone_nor_as_it_was(sight: Sight) -> str | None:
    """The resource is still there, or what is there of the instance is without its webhook."""
    return without_its_webhook(sight) if is_there(sight) else not_released(sight)


def loses_its_delete(stage: Stage) -> None:
    """The first DELETE is lost in the server."""
    deeds.servers.break_instance(stage, server=SERVER, name="i0", state="S11")
    is_deleted(stage)


def resume_and_loses_its_delete(stage: Stage) -> None:
    """The pause ends, and the first DELETE is lost in the server."""
    resume(stage)
    loses_its_delete(stage)


def is_taken(stage: Stage) -> None:
    """Somebody makes an instance of the name, where it is free."""
    deeds.servers.outsider_instance(stage, server=SERVER, name="i0")


def goes_late_and_is_replaced(stage: Stage, *, after: float = 7.0) -> None:
    """The first DELETE is lost; between two rounds it goes all the same, and somebody takes the name at once."""
    loses_its_delete(stage)
    later(stage, after, vanishes)
    later(stage, after, is_taken)


def is_not_understood(stage: Stage) -> None:
    """Its spec is of another schema, which asked for less; after a while it is deleted, and then its namespace."""
    spec = {"serverRef": {"name": SERVER, "namespace": setups.HOME}, "integration": "WHATSAPP-BUSINESS"}
    stage.api.set_spec(kinds.INSTANCES, setups.TENANT, "i0", spec, writer="user")
    later(stage, 15.0, functools.partial(deeds.people.delete, namespace=setups.TENANT, name="i0"))
    later(stage, 25.0, deeds.people.end_namespace)


def is_taken_and_deleted(stage: Stage) -> None:
    """What is deleted stands for an instance that somebody else has made in its place."""
    vanishes(stage)
    is_taken(stage)
    is_deleted(stage)


def second_one_is_deleted(stage: Stage) -> None:
    """A younger resource of another namespace stands for the name as well, is held, and goes again."""
    spec = {"serverRef": {"name": SERVER, "namespace": setups.HOME}}
    stage.create(kinds.INSTANCES, setups.TENANT, "i0", spec=spec)
    hold = {"metadata": {"finalizers": [names.FINALIZER]}}
    stage.user("patch", kinds.INSTANCES, setups.TENANT, "i0", hold)
    deeds.people.delete(stage, namespace=setups.TENANT, name="i0")


def second_one_not_gone(sight: Sight) -> str | None:
    """It is still there, or the instance is not."""
    if sight.stage.api.find(kinds.INSTANCES, setups.TENANT, "i0") is not None:
        return "the second resource is still there"
    return not_open(sight)


def not_let_go(sight: Sight) -> str | None:
    """The resource, or an instance of it, is still there."""
    if sight.stage.api.find(kinds.INSTANCES, setups.HOME, "i0") is not None:
        return "the resource is still there"
    row = sight.row((SERVER, "i0"))
    return None if row is None or row.id in sight.stage.outsiders else "the instance is still there"


def _is_adopted(stage: Stage) -> None:
    """A user declares an instance that was there before, with its token."""
    deeds.servers.outsider_instance(stage, server=SERVER, name="a0")
    deeds.people.hand_secret(stage, namespace=setups.HOME, name="a0-given", server=SERVER, of="a0")
    stage.outsiders.clear()  # it becomes the operator's
    spec = {"serverRef": {"name": SERVER}, "tokenSecretRef": {"name": "a0-given", "key": "token"}}
    deeds.people.create(stage, namespace=setups.HOME, name="a0", spec=spec)


def _goes(stage: Stage, name: str) -> None:
    deeds.people.delete(stage, namespace=setups.HOME, name=name)


def is_adopted_and_deleted(stage: Stage) -> None:
    """Its resource is deleted while it is being adopted, or right after."""
    _is_adopted(stage)
    later(stage, 15.0, functools.partial(_goes, name="a0"))


def is_created_and_deleted(stage: Stage) -> None:
    """A user changes their mind while it is created."""
    spec = {"serverRef": {"name": SERVER}, "pairing": {"windowSeconds": 100_000}}
    deeds.people.create(stage, namespace=setups.HOME, name="n0", spec=spec)
    later(stage, 15.0, functools.partial(_goes, name="n0"))


def not_all_gone(sight: Sight) -> str | None:
    """Something of it is left."""
    if sight.stage.api.find(kinds.INSTANCES, setups.HOME, "n0") is not None:
        return "the resource is still there"
    return "the instance is still there" if sight.row((SERVER, "n0")) is not None else None


def is_deleted_without_a_server(stage: Stage) -> None:
    """It was never created: there is no server of that name."""
    stage.create(kinds.INSTANCES, setups.HOME, "n0", spec={"serverRef": {"name": "none"}})
    stage.user("patch", kinds.INSTANCES, setups.HOME, "n0", {"metadata": {"finalizers": [names.FINALIZER]}})
    _goes(stage, "n0")


def _server_goes(stage: Stage) -> None:
    """Somebody takes the resource of the server away, finalizer and all."""
    stage.user("delete", kinds.SERVERS, setups.HOME, SERVER)
    stage.user("patch", kinds.SERVERS, setups.HOME, SERVER, {"metadata": {"finalizers": []}})


def loses_its_server(stage: Stage) -> None:
    """The resource of the server goes first, by force; after a while the user lets the instance be."""
    _server_goes(stage)
    is_deleted(stage)
    later(stage, 45.0, retains)


def not_released(sight: Sight) -> str | None:
    """The resource is still there."""
    found = [one for one in sight.stage.api.all(kinds.INSTANCES) if one["metadata"]["name"] == "i0"]
    return "the resource is still there" if found else None


def loses_its_namespace(stage: Stage) -> None:
    """Its namespace is deleted after the resource of its server, in another one, went by force."""
    _server_goes(stage)
    deeds.people.delete(stage, namespace=setups.TENANT, name="i0")
    later(stage, 25.0, deeds.people.end_namespace)


def loses_all(stage: Stage) -> None:
    """Its namespace is deleted with all that is in it, and the server ends with it."""
    stage.user("patch", kinds.SERVERS, setups.HOME, SERVER, {"metadata": {"finalizers": [names.SERVER_FINALIZER]}})
    stage.hosts[SERVER].model.set_listening(False)
    stage.user("delete", kinds.NAMESPACES, "", setups.HOME)


_ALONE = setup(instances=1)
SCENARIOS: Mapping[str, Scenario] = {
    "deletion-retain": deletion("a deletion under Retain", is_retained, wrong=not_retained),
    "deletion-second": deletion(
        "a deletion of a second resource of the name, which never acted",
        second_one_is_deleted,
        wrong=second_one_not_gone,
    ),
    "deletion-held": deletion("a deletion that a finalizer of somebody else outlasts", is_held),
    "deletion-pause": deletion("a deletion while the server is paused", is_deleted_in_a_pause, before=breaks),
    "deletion-zombie": deletion(
        "a deletion of a zombie, which 2.3.7 refuses until it is restarted",
        is_deleted_as_a_zombie,
        before=lambda stage: breaks(stage, "S3"),
        setup=setup(recovery=IMPATIENT),
        bound=Bound(faults=0, crashes=0),
        remembered=200.0,
    ),
    "deletion-given-up": deletion(
        "a deletion of a zombie, which 2.3.7 refuses; after a while a user lets it be",
        is_deleted_and_given_up,
        before=lambda stage: has_a_webhook(stage, "S3"),
        wrong=without_its_webhook,
        setup=setup(recovery=IMPATIENT),
        bound=Bound(faults=1, crashes=0),
        remembered=100.0,
    ),
    "deletion-let-be": deletion(
        "a deletion whose DELETE is lost; a user may let it be meanwhile",
        resume_and_loses_its_delete,
        before=has_a_webhook,
        wrong=neither_gone_nor_as_it_was,
        setup=setup(recovery=IMPATIENT),
        deeds={"a user lets it be": retains},
        bound=Bound(faults=1, crashes=0),
        remembered=100.0,
    ),
    "deletion-lists": deletion(
        "a deletion while bulk reads may fail", is_deleted, spoils_lists=True, bound=Bound(faults=1, crashes=0)
    ),
    "deletion-lost": deletion(
        "a deletion whose DELETE is lost; somebody may take the name meanwhile",
        loses_its_delete,
        setup=setup(recovery=IMPATIENT),
        wrong=not_let_go,
        deeds={"somebody takes the name": is_taken},
        bound=Bound(faults=1, crashes=1),
        remembered=100.0,
    ),
    "deletion-replaced": deletion(
        "a deletion whose DELETE is lost; before the next the instance goes all the same, and another comes",
        goes_late_and_is_replaced,
        setup=setup(recovery=IMPATIENT),
        wrong=not_let_go,
        bound=Bound(faults=1, crashes=0),
        remembered=100.0,
    ),
    "deletion-replaced-late": deletion(
        "likewise, when the next DELETE is due already",
        functools.partial(goes_late_and_is_replaced, after=27.0),
        setup=setup(recovery=IMPATIENT),
        wrong=not_let_go,
        bound=Bound(faults=1, crashes=0),
        remembered=100.0,
    ),
    "deletion-unread": deletion(
        "a deletion with its namespace, of what nobody understands",
        is_not_understood,
        wrong=not_released,
        spoils_sharing=True,
        setup=setup(instances=1, namespace=setups.TENANT),
        bound=Bound(faults=1, crashes=1),
    ),
    "deletion-taken": deletion(
        "a deletion where the instance is somebody else's", is_taken_and_deleted, wrong=not_let_go
    ),
    "deletion-adopted": deletion(
        "a deletion of what is being adopted, or was",
        is_adopted_and_deleted,
        wrong=functools.partial(not_retained, name="a0"),
    ),
    "deletion-new": deletion(
        "a deletion of what is being created",
        is_created_and_deleted,
        wrong=not_all_gone,
        bound=Bound(faults=1, crashes=0),
    ),
    "deletion-nowhere": deletion(
        "a deletion of what has no server", is_deleted_without_a_server, wrong=not_all_gone, spoils_sharing=True
    ),
    "deletion-serverless": deletion(
        "a deletion whose server's resource went before",
        loses_its_server,
        wrong=not_released,
        setup=_ALONE,
        spoils_sharing=True,
    ),
    "deletion-orphan": deletion(
        "a deletion with its namespace, without its server's resource",
        loses_its_namespace,
        wrong=not_released,
        spoils_sharing=True,
        setup=setup(instances=1, namespace=setups.TENANT),
        bound=Bound(faults=1, crashes=1),
    ),
    "deletion-end": deletion("a deletion with everything", loses_all, wrong=not_released, setup=_ALONE),
}
