"""Invariants of the calls that an Evolution API server gets: each is a function whose name is the sentence.

Each returns what is wrong with a request that has just arrived and would change something, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evolution_simulator.api import errors, validation
from evolution_simulator.version import ConnectionState
from simulation.evolution import host
from simulation.invariants.rest import seconds_of
from simulation.kubernetes import kinds
from simulation.replica import NAMESPACE
from simulation.sight import Announced, Body, Remote, Sight
from simulation.stage import key_of, status_of
from simulation.system import BEGIN
from whatsapp_operator.resources import names
from whatsapp_operator.resources.steps import Step, StepClass

Check = Callable[[Sight, host.Arrival], str | None]

LAG_SECONDS = 6.0
"""What a person did this long ago may not have arrived at the operator."""
_STEP_SECONDS = 40.0
"""A strategy that has begun may take this long."""
_NOTICE_SECONDS = 60.0
"""What has happened no longer ago may not have been seen in both witnesses."""
_ENDING = ("logout", "delete")
_STARTERS = (Step.RECONNECT, Step.RELOGIN, Step.RECREATE, Step.CREATE)
_ENDERS = (Step.RELOGIN, Step.RECREATE)
_FIRST_CONNECT_SECONDS = 60.0
_LISTED_SECONDS = 75.0
"""Two reads of the database, and how long each may take."""
_NOTICED_SECONDS = 300.0
"""What was begun before an end was seen is over so long after it: outages of the servers included."""


def remote(one: host.Arrival) -> Remote:
    """What a request is about."""
    return one.host.name, one.instance or ""


def _acting(sight: Sight, one: host.Arrival) -> Body | None:
    found = sight.standing_for(remote(one))
    leaving = (body for body in found[1:] if _takes_its_own_along(sight, body, found[0], remote(one)))
    return next(leaving, found[0] if found else None)


def _takes_its_own_along(sight: Sight, body: Body, oldest: Body, where: Remote) -> bool:
    """One that gave way to an older one, and is being deleted: the instance is its own until that is gone."""
    row, known = sight.row(where), status_of(body).get("instanceID")
    is_its_own = known is not None and known != status_of(oldest).get("instanceID")
    return _going(body) and is_its_own and (row is None or row.id == known)


def _announced(sight: Sight, body: Body | None, *steps: Step) -> Announced | None:
    current = sight.current.get(key_of(body)) if body is not None else None
    return current if current is not None and current.step in steps else None


def _going(body: Body | None) -> bool:
    return body is not None and "deletionTimestamp" in body["metadata"]


def only_the_holder_of_the_claim_changes(sight: Sight, one: host.Arrival) -> str | None:
    """Invariant 4 and 6: whoever is not, or no longer, responsible sends nothing that acts.

    A claim that a person deletes is nobody's until its holder, who sees that it is gone, has made it anew.
    """
    holder = sight.holder(one.host.name)
    if sight.claim(one.host.name) is None:
        return None
    return None if holder == one.caller else f"{one.caller[-8:]} is not the holder, {holder and holder[-8:]} is"


def only_instances_with_a_resource_change(sight: Sight, one: host.Arrival) -> str | None:
    """Invariant 7: instances without a resource, or owned by another, are never changed.

    What is no step, such as to read a QR code, rests on the last list: that of one who has just taken the name may be.
    """
    body = _acting(sight, one)
    if body is None:
        return "no resource stands for it"
    # A create of a name that is taken is refused, and changes nothing.
    if (not one.steps or one.route == "create") and _was_just_taken(sight, one):
        return None
    if not any(sight.owns(each, remote(one)) for each in sight.standing_for(remote(one))):
        return "it is somebody else's"
    return None


def _was_just_taken(sight: Sight, one: host.Arrival) -> bool:
    row = sight.row(remote(one))
    age = BEGIN.timestamp() + sight.stage.loop.time() - row.created_at if row is not None else _LISTED_SECONDS
    return row is not None and row.id in sight.stage.outsiders and age < _LISTED_SECONDS


def create_only_what_does_not_exist(sight: Sight, one: host.Arrival) -> str | None:
    """Invariant 2: never a create while the instance exists, or another create of it may be under way."""
    if one.route != "create":
        return None
    row, memory = sight.row(remote(one)), sight.memory(remote(one))
    if row is not None and row.id in sight.stage.outsiders:
        return None  # somebody was faster, after it was seen to be absent
    if row is not None or memory is not None:
        return "it exists"
    body = _acting(sight, one)
    is_to_go = body is not None and _going(body) and not _puts_back(sight, body)
    return "the resource is being deleted" if is_to_go else None


def create_with_a_token_that_is_kept(sight: Sight, one: host.Arrival) -> str | None:
    """The token is in a Secret before the create, so that one without an answer is recognised."""
    if one.route != "create":
        return None
    try:
        given: Any = validation.parse(one.request.body).get("token")
    except errors.ApiError:
        return "its body cannot be read"
    tokens = [sight.token(body) for body in sight.standing_for(remote(one))]
    return None if given is not None and given in tokens else "its token is in no Secret"


def create_again_only_after_a_step_was_announced(sight: Sight, one: host.Arrival) -> str | None:
    """What existed before is created anew by a step; only the first creation is none."""
    body = _acting(sight, one)
    if one.route != "create" or body is None or status_of(body).get("instanceID") is None:
        return None
    return None if _announced(sight, body, Step.CREATE, Step.RECREATE) else "no step was announced"


def connect_starts_a_socket_only_in_a_step(sight: Sight, one: host.Arrival) -> str | None:
    """R1: each further call adds a socket; in `connecting` it only reads the QR code."""
    memory = sight.memory(remote(one))
    if one.route != "connect" or memory is None or memory.state is not ConnectionState.CLOSE:
        return None
    if _announced(sight, _acting(sight, one), *_STARTERS) or _was_just_created(sight, one):
        return None
    return None if _was_connecting(sight, one) else "no step was announced, and it was not connecting"


def _was_connecting(sight: Sight, one: host.Arrival) -> bool:
    """It was when it was last read, and a code was wanted."""
    return sight.was(remote(one), ConnectionState.CONNECTING, within=15.0)


def _was_just_created(sight: Sight, one: host.Arrival) -> bool:
    now = sight.stage.loop.time()
    return any(now - at < _FIRST_CONNECT_SECONDS for at, by in sight.created[remote(one)] if by == one.caller)


def restart_only_in_a_step(sight: Sight, one: host.Arrival) -> str | None:
    """Write-ahead: a step is written to status before it is taken."""
    if one.route != "restart" or _announced(sight, _acting(sight, one), Step.RESTART):
        return None
    return "no step was announced"


def restart_once_in_a_step(sight: Sight, one: host.Arrival) -> str | None:
    """What got no answer is not posted again: a later observation tells what became of it."""
    step = _announced(sight, _acting(sight, one), Step.RESTART)
    if one.route != "restart" or step is None or one.sent_at < step.at:
        return None
    times = sum(at >= step.at for at in sight.restarted[remote(one)])
    return f"{times} times in one step" if times > 1 else None


def end_only_in_a_step_or_a_deletion(sight: Sight, one: host.Arrival) -> str | None:
    """No logout and no delete without an announced Relogin or Recreate, or the deletion of the resource."""
    if one.route not in _ENDING:
        return None
    body = _acting(sight, one)
    if _going(body) or _announced(sight, body, *_ENDERS) or _goes_on_with_a_recreate(sight, body, one):
        return None
    return "no step was announced, and the resource is not being deleted"


def _goes_on_with_a_recreate(sight: Sight, body: Body | None, one: host.Arrival) -> bool:
    """A Recreate whose DELETE did not end is asked for again, of the incarnation that it was announced for."""
    if body is None:
        return False
    row = sight.row(remote(one))
    steps = [each for each in sight.announced if each.key == key_of(body) and each.step in _ENDERS]
    return bool(steps) and steps[-1].step is Step.RECREATE and (row is None or row.id == steps[-1].row_id)


def deletion_is_written_down_before_delete_is_sent(sight: Sight, one: host.Arrival) -> str | None:
    """A process that starts later has to know why the instance is missing."""
    body = _acting(sight, one)
    if one.route != "delete" or body is None or not _going(body) or _announced(sight, body, *_ENDERS):
        return None
    if _goes_on_with_a_recreate(sight, body, one):
        return None
    return None if status_of(body).get("deletionAskedAt") else "its status does not say so"


def protected_ends_only_under_the_gates_of_its_class(sight: Sight, one: host.Arrival) -> str | None:
    """Invariant 5: no logout or delete of a protected instance under a class that does not lose sessions."""
    body = _acting(sight, one)
    if one.route not in _ENDING or body is None or _going(body) or not sight.protected(remote(one)):
        return None
    steps = [each for each in sight.announced if each.key == key_of(body) and each.step in _ENDERS]
    if not steps or steps[-1].step_class is StepClass.SESSION_LOSS:
        return None
    # It may have been paired, or got data, after it was last seen.
    return None if sight.stage.loop.time() - _protected_since(sight, one) < _STEP_SECONDS else "as unprotected"


def _protected_since(sight: Sight, one: host.Arrival) -> float:
    opened = [at for at, name, _ in sight.vouched[one.host.name] if name == one.instance]
    touched = sight.stage.fault_times.get("messages", 0.0)
    return max((*opened[-1:], touched), default=0.0)


def retained_is_left_alone(sight: Sight, one: host.Arrival) -> str | None:
    """Invariant 9: `Retain` makes no call."""
    body = _acting(sight, one)
    if not one.steps or body is None or not _going(body) or not _retains(body) or _ends_a_step(sight, body, one):
        return None
    written = sight.specs[body["metadata"]["uid"]][-1][0]
    return None if sight.stage.loop.time() - written < LAG_SECONDS + _STEP_SECONDS else "it is to be retained"


def _ends_a_step(sight: Sight, body: Body, one: host.Arrival) -> bool:
    """A step under way stops once it hears of the deletion; but a Recreate puts back what it has deleted."""
    if _announced(sight, body, *Step) is None:
        return False
    return not _is_heard_of(sight, body) or (one.route == "create" and _puts_back(sight, body))


def _is_heard_of(sight: Sight, body: Body) -> bool:
    return sight.stage.loop.time() - seconds_of(body["metadata"]["deletionTimestamp"]) >= LAG_SECONDS


def _puts_back(sight: Sight, body: Body) -> bool:
    """A Recreate creates what it has deleted, where that is to stay, or before it hears that it is to go."""
    is_under_way = _announced(sight, body, Step.RECREATE) is not None
    return is_under_way and (_retains(body) or not _is_heard_of(sight, body))


def _retains(body: Body) -> bool:
    default = "Retain" if status_of(body).get("adopted") else "Delete"
    return bool(body["spec"].get("deletionPolicy", default) == "Retain")


def nothing_changes_during_a_pause(sight: Sight, one: host.Arrival) -> str | None:
    """A pause of the instance, the server, or everything; what was begun before it may end."""
    since = _paused_since(sight, one)
    if since is None:
        return None
    lag = LAG_SECONDS + _STEP_SECONDS + sight.stage.setup.options.pause_period_seconds
    return f"paused for {sight.stage.loop.time() - since:.0f} s" if sight.stage.loop.time() - since > lag else None


def _paused_since(sight: Sight, one: host.Arrival) -> float | None:
    body, found = _acting(sight, one), sight.server_body(one.host.name)
    times = sight.stage.fault_times
    if sight.stage.api.find(kinds.CONFIGS, NAMESPACE, names.PAUSE_CONFIG) is not None:
        return times.get("pause_everything")
    if found is not None and "pause" in found["spec"]:
        return times.get("pause_server")
    return times.get("pause") if body is not None and "pause" in body["spec"] else None


def whatsapp_is_not_asked_for_a_refused_account(sight: Sight, one: host.Arrival) -> str | None:
    """402, 403, 406: none, ever; a user's own request and a deletion excepted."""
    row, body = sight.row(remote(one)), _acting(sight, one)
    if one.route not in ("connect", "restart", *_ENDING) or row is None or _going(body):
        return None
    memory = sight.memory(remote(one))
    if memory is None or memory.state is not ConnectionState.CLOSE:
        return None
    if row.disconnection_reason_code not in (402, 403, 406) or row.connection_status is not ConnectionState.CLOSE:
        return None
    asked = _announced(sight, body, Step.RESTART)
    if asked is not None and asked.reason == "Requested":
        return None
    if one.route == "connect" and _was_connecting(sight, one):
        # Somebody has started it since, the row goes on to tell of the end before, and a code is read.
        return None
    ended = (row.disconnection_at or 0.0) - BEGIN.timestamp()
    unseen = body is not None and status_of(body).get("reason") != "Restricted"
    begun = unseen and sight.stage.loop.time() - ended < _NOTICED_SECONDS
    return None if begun else f"the account is restricted for {sight.stage.loop.time() - ended:.0f} s"


CHECKS: tuple[Check, ...] = (
    only_the_holder_of_the_claim_changes,
    only_instances_with_a_resource_change,
    create_only_what_does_not_exist,
    create_with_a_token_that_is_kept,
    create_again_only_after_a_step_was_announced,
    connect_starts_a_socket_only_in_a_step,
    restart_only_in_a_step,
    restart_once_in_a_step,
    end_only_in_a_step_or_a_deletion,
    deletion_is_written_down_before_delete_is_sent,
    protected_ends_only_under_the_gates_of_its_class,
    retained_is_left_alone,
    nothing_changes_during_a_pause,
    whatsapp_is_not_asked_for_a_refused_account,
)
