"""What must happen once the faults have stopped: every instance is Ready or says why, and then all is quiet."""

from __future__ import annotations

from typing import Any

from evolution_simulator.version import ConnectionState
from simulation.kubernetes import kinds
from simulation.sight import Body, Sight, remote_of
from simulation.stage import key_of, ready, status_of
from whatsapp_operator.resources.reasons import Reason

_FOR_A_HUMAN = frozenset(
    {
        Reason.RESTRICTED,
        Reason.SESSION_MISSING,
        Reason.INSTANCES_VANISHED,
        Reason.REPLACED,
        Reason.CHANNEL_CLOSED,
        Reason.DUPLICATE,
        Reason.ALREADY_EXISTS,
        Reason.SERVER_NOT_FOUND,
        Reason.SERVER_NOT_ALLOWED,
        Reason.INVALID_SPEC,
        Reason.SECRET_NOT_OURS,
        Reason.HEADERS_NOT_FOUND,
        Reason.RECOVERY_EXHAUSTED,
        Reason.CONFIGURATION_REFUSED,
    }
)
_BLOCKS_FOR_A_HUMAN = frozenset(
    {
        Reason.RESTRICTED,
        Reason.PROTECTED_INSTANCE,
        Reason.APPROVAL_REQUIRED,
        Reason.NEEDS_SERVER_RESTART,
        Reason.DRY_RUN,
        Reason.RECOVERY_DISABLED,
        Reason.SESSION_MISSING,
        Reason.UNSAFE_ROLLOUT,
        Reason.WORKLOAD_NOT_FOUND,
    }
)
_UNPAIRED = frozenset({Reason.NOT_STARTED, Reason.QR_EXPIRED, Reason.LOGGED_OUT})
_DELETION_SAYS_WHY = frozenset({Reason.DELETION_REFUSED, Reason.DELETION_WAITS})
_RESTING = frozenset({Reason.HEALTHY, Reason.DUPLICATE, Reason.ALREADY_EXISTS, Reason.RESTRICTED, Reason.NOT_STARTED})


def restless(sight: Sight) -> list[str]:
    """The instances that are neither Ready nor say why, each with what they say."""
    bodies = sight.stage.api.all(kinds.INSTANCES)
    return [f"{key_of(one).name} says {told(one)}" for one in bodies if not _is_settled(sight, one)]


def told(body: Body) -> str:
    """What an instance says of itself."""
    recovery = status_of(body).get("recovery") or {}
    planned = (recovery.get("planned") or {}).get("step")
    against = ", ".join(recovery.get("blockedBy", ()))
    going = " while it is being deleted" if "deletionTimestamp" in body["metadata"] else ""
    return f"{status_of(body).get('reason')} Ready={'/'.join(ready(body))} plans {planned} against [{against}]{going}"


def _is_settled(sight: Sight, body: Body) -> bool:
    if "deletionTimestamp" in body["metadata"]:
        return _condition(body, "Synced") in _DELETION_SAYS_WHY
    status, reason = ready(body)
    if status == "True":
        return sight.was(remote_of(body), ConnectionState.OPEN, within=60.0)
    if reason in _FOR_A_HUMAN or _waits_for_a_human(body) or _waits_for_a_phone(sight, body):
        return True
    known = (_is_closed_without_a_code, _waits_with_most_others, _flaps_with_most_others, _is_held_by_a_lasting_storm)
    return any(one(sight, body) for one in known)


def _flaps_with_most_others(sight: Sight, body: Body) -> bool:
    """Most of the server's instances flap: it is taken for WhatsApp's fault, also where each has a cause of its own."""
    same = [one for one in sight.stage.api.all(kinds.INSTANCES) if remote_of(one)[0] == remote_of(body)[0]]
    flap = [one for one in same if status_of(one).get("reason") in (Reason.FLAPPING, Reason.CREDENTIALS)]
    return body in flap and len(flap) * 2 > len(same) > 0


def _waits_with_most_others(sight: Sight, body: Body) -> bool:
    """Most of those that wait for a code get none: it is taken for WhatsApp's fault, and waited for without an end."""
    unexplained = status_of(body).get("reason") == Reason.SETTLING and not status_of(body).get("paired")
    memory = sight.memory(remote_of(body))
    return unexplained and memory is not None and memory.state is ConnectionState.CONNECTING


def _is_held_by_a_lasting_storm(sight: Sight, body: Body) -> bool:
    """Only what a storm forbids is left: nobody may restart the server, or so many others wait for a person."""
    server_name = remote_of(body)[0]
    others = [one for one in sight.stage.api.all(kinds.INSTANCES) if one is not body and _waits_for_a_human(one)]
    stormy = Reason.STORM in (status_of(body).get("recovery") or {}).get("blockedBy", ())
    restarts = server_name in sight.stage.hosts and sight.stage.server_setup(server_name).workload
    return stormy and (not restarts or any(remote_of(one)[0] == server_name for one in others))


def _is_closed_without_a_code(sight: Sight, body: Body) -> bool:
    """Paired, closed in both, and no code says why (S19 after a restart): no rule stands for it, and none is wanted."""
    row, memory = sight.row(remote_of(body)), sight.memory(remote_of(body))
    closed = row is not None and row.connection_status is ConnectionState.CLOSE
    unexplained = status_of(body).get("reason") == Reason.SETTLING and bool(status_of(body).get("paired"))
    return closed and unexplained and memory is not None and memory.state is ConnectionState.CLOSE


def _waits_for_a_human(body: Body) -> bool:
    against = (status_of(body).get("recovery") or {}).get("blockedBy", ())
    return not _BLOCKS_FOR_A_HUMAN.isdisjoint(against) or _condition(body, "Synced") in _FOR_A_HUMAN


def _waits_for_a_phone(sight: Sight, body: Body) -> bool:
    """Nobody scans, or nobody asked for a code."""
    reason, where = status_of(body).get("reason"), remote_of(body)
    nobody_scans = where[0] in sight.stage.hosts and sight.stage.server_setup(where[0]).auto_scan is None
    if reason == Reason.AWAITING_SCAN:
        return True
    if reason == Reason.CREDENTIALS_LOST:
        return nobody_scans
    return reason in _UNPAIRED and (body["spec"].get("pairing") or {}).get("mode") != "Always"


def _condition(body: Body, kind: str) -> str:
    conditions: Any = status_of(body).get("conditions", ())
    return next((str(one["reason"]) for one in conditions if one["type"] == kind), "")


def rests(sight: Sight) -> bool:
    """Whether nothing is going on that would have to be written about."""
    return all(
        ready(one)[1] in _RESTING and "deletionTimestamp" not in one["metadata"] and not _recovers(one)
        for one in sight.stage.api.all(kinds.INSTANCES)
    )


def _recovers(body: Body) -> bool:
    recovery = status_of(body).get("recovery") or {}
    return recovery.get("planned") is not None or recovery.get("inFlight") is not None
