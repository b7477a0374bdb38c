"""Recoveries that more than one rule bears on: storms, restarts of the server, approvals, requests, lasting health."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evolution_simulator.version import ConnectionState
from simulation import deeds
from simulation import setup as setups
from simulation.exhaustive import small
from simulation.exhaustive.arbiter import Bound, Deed
from simulation.exhaustive.deletions import is_retained, is_taken, later
from simulation.exhaustive.play import Scenario, Wrong
from simulation.exhaustive.scenarios import (
    IMPATIENT,
    LONG,
    RECOVERY,
    RESTART,
    SERVER,
    SLOW,
    breaks,
    budget,
    is_created,
    is_deleted,
    is_there,
    not_created,
    not_open,
    rests,
    resume,
    setup,
    vanishes,
)
from simulation.invariants import calls
from simulation.invariants.steps import LEDGER
from simulation.kubernetes import kinds
from simulation.sight import Sight
from simulation.stage import Stage, status_of
from whatsapp_operator.cluster import secrets
from whatsapp_operator.plugins import port
from whatsapp_operator.plugins.plugged import Origin, Plugged, PluggedStrategy
from whatsapp_operator.recovery import ladder
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass

_NOTHING, _A_FAULT, _A_CRASH = Bound(0, 0), Bound(1, 0), Bound(0, 1)
_STORM = {"maxInFlight": 1, "storm": {"percent": 1, "floor": 1, "cooldownSeconds": 20}}
_NONE = {"maxInFlight": 1, "windows": [{"class": "Soft", "max": 0, "periodSeconds": 30}]}
_TWO = {"maxInFlight": 2, "windows": [{"class": "Soft", "max": 2, "periodSeconds": 30}]}
_BY_THE_LAST_LIST = tuple(one for one in calls.CHECKS if one is not calls.only_instances_with_a_resource_change)
"""A restart goes by the last list: it may meet who has replaced a row since, which no call could tell."""
_RESTARTS = {"windows": [{"class": "ServerRestart", "max": 2, "periodSeconds": 120}]}
"""A place that was spent in vain is free again before a path is too long."""
_KEEPSAKE = "i0-keepsake"
_LOSSES = {"windows": [{"class": "SessionLoss", "max": 3, "periodSeconds": 120}]}
_APPROVED = {**RECOVERY, "sessionLoss": "RequireApproval"}


def recovery(
    shows: str, *states: str, begin: Deed = resume, wrong: Wrong = not_open, remembered: float = 190.0, **more: Any
) -> Scenario:
    """Instances in these broken states, one each, which are to be open in the end."""
    usual: dict[str, Any] = {
        "setup": setup(window=LONG),
        "before": functools.partial(_breaks, states=states),
        "bound": _A_FAULT,
    }
    return Scenario(shows=shows, begin=begin, wrong=wrong, remembered=remembered, **(usual | more))


def _breaks(stage: Stage, *, states: tuple[str, ...]) -> None:
    breaks(stage, *states)


def recovery_of(sight: Sight, name: str = "i0") -> Mapping[str, Any]:
    """What the status of an instance says of its recovery."""
    found = sight.stage.api.find(kinds.INSTANCES, setups.HOME, name)
    return (status_of(found).get("recovery") or {}) if found is not None else {}


def not_over(sight: Sight) -> str | None:
    """It is not open, or its incident is not over."""
    return not_open(sight) or ("its incident is not over" if "incident" in recovery_of(sight) else None)


def not_calm(sight: Sight) -> str | None:
    """It is not open, or the storm is not over."""
    claim = sight.claim(SERVER)
    ledger = claim["metadata"].get("annotations", {}).get(LEDGER, "") if claim is not None else ""
    return not_open(sight) or ("a storm is on" if '"storm"' in ledger else None)


def not_kept(sight: Sight) -> str | None:
    """It is not open, or was recreated where a gentler step would have done."""
    return not_open(sight) or next(("it was recreated" for one in sight.announced if one.step is Step.RECREATE), None)


def gets_a_budget(stage: Stage) -> None:
    """The pause ends; after a while a user allows what was forbidden."""
    resume(stage)
    allowed = {"spec": {"budget": budget()}}
    later(stage, 45.0, lambda stage: stage.user("patch", kinds.SERVERS, setups.HOME, SERVER, allowed))


def gives_the_other_up(stage: Stage) -> None:
    """The pause ends; after a while a user gives up the one that works only until a restart."""
    resume(stage)
    later(stage, 65.0, functools.partial(deeds.people.delete, namespace=setups.HOME, name="i1"))


def first_not_open(sight: Sight) -> str | None:
    """It is not open, or the other one is still there."""
    if sight.stage.api.find(kinds.INSTANCES, setups.HOME, "i1") is not None:
        return "the other one is still there"
    return None if sight.state_since((SERVER, "i0"))[1] is ConnectionState.OPEN else "it is not open"


def is_asked_for_a_restart(stage: Stage) -> None:
    """A user asks for a restart of what is well."""
    deeds.people.request(stage, namespace=setups.HOME, name="i0", what="restart", value="now")


def not_handled(sight: Sight) -> str | None:
    """The request was not carried out, or it is not open."""
    found = sight.stage.api.find(kinds.INSTANCES, setups.HOME, "i0")
    handled = (status_of(found).get("lastHandled") or {}).get("restart") if found is not None else None
    return not_open(sight) or (None if handled == "now" else "nobody has restarted it")


def waits_for_an_approval(stage: Stage) -> None:
    """The pause ends; somebody looks now and then, and approves what is offered."""
    resume(stage)
    for seconds in (45.0, 75.0, 105.0, 165.0, 225.0, 285.0):
        later(stage, seconds, functools.partial(deeds.people.approve, namespace=setups.HOME, name="i0"))


def hangs_from_the_beginning(stage: Stage) -> None:
    """A user creates an instance whose first connection is never answered."""
    stage.hosts[SERVER].model.whatsapp.hang_next.add("n0")
    is_created(stage)


def is_taken_for_a_while(stage: Stage) -> None:
    """Somebody makes an instance of the name, where it is free, and deletes it again."""
    is_taken(stage)
    later(stage, 65.0, _is_freed)


def _is_freed(stage: Stage) -> None:
    row = stage.hosts[SERVER].model.database.rows.get("i0")
    if row is not None and row.id in stage.outsiders:
        vanishes(stage)


def is_paused_for_a_while(stage: Stage) -> None:
    """A user pauses it."""
    deeds.people.pause(stage, namespace=setups.HOME, name="i0", seconds=45.0)


def pauses(stage: Stage) -> None:
    """An administrator pauses the server for a while."""
    deeds.people.pause_server(stage, server=SERVER, seconds=45.0)


def loses_a_delete(stage: Stage) -> None:
    """Its row is gone, and the next DELETE is lost."""
    breaks(stage, "S2")
    stage.hosts[SERVER].model.arming.lose_delete.add("i0")


def gives_the_second_up(stage: Stage) -> None:
    """The pause ends, and a user gives the second one up while the first is recovered."""
    resume(stage)
    deeds.people.delete(stage, namespace=setups.HOME, name="i1")


def its_row_is_replaced(stage: Stage) -> None:
    """While it is looked at once more, somebody writes another row of its name, past the server."""
    assert isinstance(stage, small.SmallStage)  # noqa: S101 - no other is searched
    if any("connectionState/i0" in one.text for one in stage.platform.parked):
        stage.hosts[SERVER].model.database.delete("i0")
        deeds.servers.outsider_row(stage, server=SERVER, name="i0")


def first_not_open_or_replaced(sight: Sight) -> str | None:
    """The other one is still there, or the first is not open, and no row of somebody else's is in its place."""
    row = sight.row((SERVER, "i0"))
    if row is None or row.id not in sight.stage.outsiders:
        return first_not_open(sight)
    return "the other one is still there" if sight.stage.api.find(kinds.INSTANCES, setups.HOME, "i1") else None


def has_a_webhook(stage: Stage, *states: str) -> None:
    """It has a webhook that is in no spec, and is broken like this."""
    deeds.servers.hand_webhook(stage, server=SERVER, name="i0")
    breaks(stage, *states)


def another_has_its_keepsake(stage: Stage) -> None:
    """Somebody has a Secret of the name in which its webhook would be kept, and after a while not any more."""
    has_a_webhook(stage, "S7")
    stage.create(kinds.SECRETS, setups.HOME, _KEEPSAKE, data=secrets.encode({"mine": b"1"}))
    later(stage, 165.0, lambda stage: stage.user("delete", kinds.SECRETS, setups.HOME, _KEEPSAKE))


def not_as_it_was(sight: Sight) -> str | None:
    """It is not open; or its resource is gone, and so is its webhook, and what was kept of it."""
    api = sight.stage.api
    if api.find(kinds.INSTANCES, setups.HOME, "i0") is not None:
        return not_open(sight)
    row = sight.row((SERVER, "i0"))
    is_there = row is not None and row.webhook is not None and row.webhook.enabled
    return None if is_there or api.find(kinds.SECRETS, setups.HOME, _KEEPSAKE) is not None else "its webhook is lost"


def neither_open_nor_gone(sight: Sight) -> str | None:
    """It is not open; or its resource is gone, and it is not, or was to be retained and is."""
    if sight.stage.api.find(kinds.INSTANCES, setups.HOME, "i0") is not None:
        return not_open(sight)
    versions = [one for versions in sight.specs.values() for _, one in versions if one["metadata"]["name"] == "i0"]
    retains = any(one["spec"].get("deletionPolicy") == "Retain" for one in versions)
    return None if is_there(sight) is retains else "it is there, or is not, against what was asked for"


async def looks(instance: port.Instance) -> None:
    """What a plugin does that helps nobody."""
    await instance.read_state()


_PLUGGED = Plugged(
    strategies=(
        PluggedStrategy(
            Origin("whatsapp_operator.recovery_strategies", "look", "example 1"),
            ladder.Offer(Step("Look"), StepClass.SOFT, frozenset({Reason.ROW_MISSING})),
            looks,
        ),
    )
)
SCENARIOS: Mapping[str, Scenario] = {
    "healing": recovery(
        "one hangs, and is well until its incident is over", "S17", wrong=not_over, remembered=60.0, bound=_A_CRASH
    ),
    "reconnect": recovery(
        "the socket of one is closed, and a connect opens it again", "S5", wrong=not_kept, bound=_A_CRASH
    ),
    "restart-lists": recovery(
        "one hangs, while bulk reads may fail",
        "S17",
        spoils_lists=True,
        bound=_A_FAULT,
        remembered=60.0,
    ),
    "restart-stalled": recovery(
        "two hang, and may be restarted at once; a process may stand still after a read, too",
        "S17",
        "S17",
        setup=setup(window=LONG, budget=_TWO, health=SLOW),
        stalls_reads=True,
        only=("connectionState/i1", "whatsappinstances/status"),
        bound=Bound(faults=2, crashes=0),
        remembered=60.0,
    ),
    "restart-replaced": recovery(
        "one hangs, and its row may be replaced, while another instance is deleted beside",
        "S17",
        begin=gives_the_second_up,
        wrong=first_not_open_or_replaced,
        deeds={"its row is replaced": its_row_is_replaced},
        spoils_lists=True,
        reads_beside=True,
        only=("restart/i0",),
        of_calls=_BY_THE_LAST_LIST,
        remembered=60.0,
    ),
    "restart-vanishing": recovery(
        "one hangs, and somebody may delete it past the operator",
        "S17",
        deeds={"somebody deletes it": vanishes},
        bound=_A_FAULT,
    ),
    "restart-shared": replace(
        RESTART,
        shows="one hangs; faults also strike what a process does besides when it takes a claim, or hands one over",
        spoils_sharing=True,
        bound=Bound(faults=1, crashes=1),
    ),
    "restart-paused": recovery(
        "one hangs, and somebody may pause the server",
        "S17",
        deeds={"somebody pauses the server": pauses},
        remembered=60.0,
    ),
    "restart-requested": recovery(
        "a user asks for a restart", begin=is_asked_for_a_restart, before=rests, wrong=not_handled, remembered=60.0
    ),
    "budget-spent": recovery(
        "two hang, and one gentle step at a time is allowed; only the calls of the ledger may go wrong",
        "S17",
        "S17",
        setup=setup(budget=budget()),
        only=("leases/",),
        remembered=45.0,
    ),
    "budget-none": recovery(
        "one hangs, and the budget of gentle steps is none for a while",
        "S17",
        begin=gets_a_budget,
        setup=setup(window=LONG, budget=_NONE),
        remembered=60.0,
        bound=_A_CRASH,
    ),
    "storm": recovery(
        "two hang, which is a storm here",
        "S17",
        "S17",
        setup=setup(window=LONG, budget=_STORM),
        wrong=not_calm,
        remembered=60.0,
        bound=_NOTHING,
    ),
    "workload": recovery(
        "one is a ghost, and the server may be restarted for it",
        "S1",
        setup=setup(window=LONG, workload={"minInstances": 1}, budget=_RESTARTS),
        bound=Bound(faults=2, crashes=0),
    ),
    "workload-few": recovery(
        "one is a ghost, and the server is restarted for one only after a wait",
        "S1",
        setup=setup(window=LONG, workload={"minInstances": 2, "maxWaitSeconds": 60}, budget=_RESTARTS),
        bound=_A_CRASH,
    ),
    "workload-missing": recovery(
        "one is a ghost, and another would lose its pairing by a restart of the server",
        "S1",
        "S19",
        begin=gives_the_other_up,
        wrong=first_not_open,
        setup=setup(window=LONG, workload={"minInstances": 1}, budget=_RESTARTS),
        bound=_A_CRASH,
    ),
    "recreation-approved": recovery(
        "a row is lost, and a person has to approve",
        "S2",
        begin=waits_for_an_approval,
        setup=setup(window=LONG, recovery=_APPROVED),
        bound=_NOTHING,
    ),
    "recreation-both": recovery(
        "two rows are lost, and nobody vouches",
        "S2",
        "S2",
        setup=setup(window=LONG, budget=_LOSSES),
        bound=_NOTHING,
    ),
    "recreation-lists": recovery("a row is lost, while bulk reads may fail", "S2", spoils_lists=True, bound=_A_FAULT),
    "recreation-lost": recovery(
        "a row is lost, and the DELETE of it; it may be paused, or taken by somebody else, meanwhile",
        before=loses_a_delete,
        setup=setup(window=LONG, recovery=IMPATIENT),
        deeds={"a user pauses it": is_paused_for_a_while, "somebody takes the name": is_taken_for_a_while},
    ),
    "recreation-lost-lists": recovery(
        "a row is lost, and the DELETE of it, while bulk reads may fail",
        before=loses_a_delete,
        setup=setup(window=LONG, recovery=IMPATIENT),
        spoils_lists=True,
        only=("fetchInstances",),
    ),
    "recreation-beside": recovery(
        "a row is lost, and another instance is deleted beside, while bulk reads may fail",
        "S2",
        begin=gives_the_second_up,
        wrong=first_not_open,
        spoils_lists=True,
        only=("logout/i1",),
    ),
    "recreation-deleted": recovery(
        "a row is lost, and its resource may be deleted, or deleted under Retain, meanwhile",
        "S2",
        wrong=neither_open_nor_gone,
        deeds={"a user deletes it": is_deleted, "a user deletes the resource only": is_retained},
        bound=_A_FAULT,
    ),
    "recreation-plugged": recovery(
        "a row is lost, and a plugin has a gentler step", "S2", plugged=_PLUGGED, bound=_NOTHING
    ),
    "relogin-vouched": recovery("credentials are corrupt, and another instance vouches", "S7"),
    "relogin-retained": recovery(
        "credentials are corrupt, and a webhook is kept; it may be paused, or deleted under Retain, meanwhile",
        before=lambda stage: has_a_webhook(stage, "S7"),
        wrong=not_as_it_was,
        deeds={"a user deletes the resource only": is_retained, "a user pauses it": is_paused_for_a_while},
        spoils_lists=True,
        only=("fetchInstances",),
        bound=Bound(faults=2, crashes=0),
    ),
    "relogin-unkept": recovery(
        "credentials are corrupt, and the Secret for the webhook that a Relogin takes is somebody else's for a while",
        before=another_has_its_keepsake,
        bound=_NOTHING,
    ),
    "relogin-deaf": recovery(
        "credentials are corrupt on 2.3.6, where a Relogin asks for a restart of the server",
        "S7",
        setup=setup(window=LONG, release="2.3.6", workload={"minInstances": 1}, budget=_RESTARTS),
    ),
    "creation-hangs": recovery(
        "an instance is created, and hangs without a QR code",
        begin=hangs_from_the_beginning,
        before=rests,
        wrong=not_created,
        setup=setup(window=LONG, instances=1, scans=40.0),
        bound=_A_CRASH,
    ),
}
