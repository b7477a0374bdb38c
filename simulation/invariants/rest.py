"""What must happen once the faults have stopped: every instance is Ready or says why, and then all is quiet."""

from __future__ import annotations

from datetime import datetime

from evolution_simulator.version import ConnectionState
from simulation.kubernetes import kinds
from simulation.sight import Body, Sight, remote_of
from simulation.stage import condition, key_of, ready, status_of
from simulation.system import BEGIN
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step

_TURNS_SECONDS = 120.0

_FOR_A_HUMAN = frozenset(
    {
        Reason.RESTRICTED,
        Reason.SESSION_MISSING,
        Reason.INSTANCES_VANISHED,
        Reason.REPLACED,
        Reason.CHANNEL_CLOSED,
        Reason.DUPLICATE,
        Reason.ALREADY_EXISTS,
        Reason.INTEGRATION_DIFFERS,
        Reason.SERVER_NOT_FOUND,
        Reason.SERVER_NOT_ALLOWED,
        Reason.SERVER_TERMINATING,
        Reason.INVALID_SPEC,
        Reason.SECRET_NOT_OURS,
        Reason.HEADERS_NOT_FOUND,
        Reason.TOKEN_NOT_FOUND,
        Reason.KEEPSAKE_NOT_OURS,
        Reason.PAIRING_SECRET_NOT_OURS,
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
_LOSES_A_WEBHOOK = ("S1", "S2", "S10")
"""Breaks after which it cannot be read, is gone, or is another one."""
_UNPAIRED = frozenset({Reason.NOT_STARTED, Reason.QR_EXPIRED, Reason.LOGGED_OUT})
_DELETION_SAYS_WHY = frozenset({Reason.DELETION_REFUSED, Reason.DELETION_WAITS})
_RESTING = frozenset({Reason.HEALTHY, Reason.DUPLICATE, Reason.ALREADY_EXISTS, Reason.RESTRICTED, Reason.NOT_STARTED})


def restless(sight: Sight) -> list[str]:
    """The instances that are neither Ready nor say why, each with what they say."""
    bodies = sight.stage.api.all(kinds.INSTANCES)
    return [f"{key_of(one).name} says {told(one)}" for one in bodies if not _is_settled(sight, one)]


def seconds_of(text: str) -> float:
    """A moment of a resource, in seconds from the beginning."""
    return (datetime.fromisoformat(text) - BEGIN).total_seconds()


def told(body: Body) -> str:
    """What an instance says of itself."""
    recovery = status_of(body).get("recovery") or {}
    planned = (recovery.get("planned") or {}).get("step")
    against = ", ".join(recovery.get("blockedBy", ()))
    going = " while it is being deleted" if "deletionTimestamp" in body["metadata"] else ""
    return f"{status_of(body).get('reason')} Ready={'/'.join(ready(body))} plans {planned} against [{against}]{going}"


def _is_settled(sight: Sight, body: Body) -> bool:
    if "deletionTimestamp" in body["metadata"]:
        return says_why_it_is_not_deleted(body)
    if status_of(body).get("observedGeneration") != body["metadata"]["generation"]:
        # What it says is said of the spec before, as where the process is dead that had its server.
        return False
    if ready(body)[0] == "True":
        return sight.was(remote_of(body), ConnectionState.OPEN, within=60.0)
    if says_what_a_person_has_to_do(body) or _waits_for_a_phone(sight, body):
        return True
    return _flaps_with_most_others(sight, body) or _is_held_by_a_storm(body)


def says_why_it_is_not_deleted(body: Body) -> bool:
    """The server refuses it, or cannot be asked."""
    return condition(body, "Synced")[1] in _DELETION_SAYS_WHY


def says_what_a_person_has_to_do(body: Body) -> bool:
    """Nothing goes on before a person does something."""
    against = (status_of(body).get("recovery") or {}).get("blockedBy", ())
    told = {ready(body)[1], condition(body, "Synced")[1]}
    return not _BLOCKS_FOR_A_HUMAN.isdisjoint(against) or not _FOR_A_HUMAN.isdisjoint(told)


def _flaps_with_most_others(sight: Sight, body: Body) -> bool:
    """Most of the server's instances flap: it is taken for WhatsApp's fault, also where each has a cause of its own."""
    same = [one for one in sight.stage.api.all(kinds.INSTANCES) if remote_of(one)[0] == remote_of(body)[0]]
    flap = [one for one in same if _flaps(sight, one)]
    return status_of(body).get("reason") == Reason.FLAPPING and len(flap) * 2 > len(same)


def _flaps(sight: Sight, body: Body) -> bool:
    turns = (ConnectionState.CLOSE, ConnectionState.CONNECTING)
    return all(sight.was(remote_of(body), one, within=_TURNS_SECONDS) for one in turns)


def _is_held_by_a_storm(body: Body) -> bool:
    """A storm forbids what is left: it ends when fewer are bad, or a person says that it is none (`storm_clears`)."""
    recovery = status_of(body).get("recovery") or {}
    planned = (recovery.get("planned") or {}).get("step")
    return planned in (Step.RELOGIN, Step.RECREATE) and Reason.STORM in recovery.get("blockedBy", ())


def _waits_for_a_phone(sight: Sight, body: Body) -> bool:
    """Nobody scans, or nobody asked for a code."""
    reason, where = status_of(body).get("reason"), remote_of(body)
    nobody_scans = where[0] in sight.stage.hosts and sight.stage.server_setup(where[0]).auto_scan is None
    if reason == Reason.AWAITING_SCAN:
        return True
    if reason == Reason.CREDENTIALS_LOST:
        return nobody_scans
    return reason in _UNPAIRED and (body["spec"].get("pairing") or {}).get("mode") != "Always"


def misconfigured(sight: Sight) -> list[str]:
    """Instances that say that all is as it was asked for, and it is not; each with what is wrong."""
    found = ((one, _what_is_wrong(sight, one)) for one in sight.stage.api.all(kinds.INSTANCES))
    return [f"{key_of(one).name}: {wrong}" for one, wrong in found if wrong is not None]


def _what_is_wrong(sight: Sight, body: Body) -> str | None:
    where, spec = remote_of(body), body["spec"]
    row = sight.row(where)
    if ready(body)[0] != "True" or row is None or condition(body, "Synced")[1] != Reason.SYNCED or _recovers(body):
        return None
    values = row.setting.values if row.setting is not None else {}
    wrong = [name for name, value in (spec.get("settings") or {}).items() if values.get(name) != value]
    if wrong:
        return f"settings differ in {', '.join(wrong)}"
    url = _wanted_webhook(sight, body)
    is_on = row.webhook is not None and row.webhook.enabled and row.webhook.url == url
    return None if url is None or is_on else "its webhook is not the one that was asked for, or is off"


def _wanted_webhook(sight: Sight, body: Body) -> str | None:
    """The spec's, or the one that somebody has set by hand; a webhook that is there is not read again and again."""
    where = remote_of(body)
    by_hand, given = sight.stage.hand_webhooks.get(where), body["spec"].get("webhook")
    if any(state in _LOSES_A_WEBHOOK for _, state in sight.stage.broken.get(where, ())):
        return None
    if by_hand is None:
        return str(given["url"]) if given is not None else None
    began = seconds_of(body["metadata"]["creationTimestamp"])
    disturbed = any(each.remote == where and each.at <= by_hand[0] for each in sight.announced)
    return None if given is not None or by_hand[0] < began or disturbed else by_hand[1]


def rests(sight: Sight) -> bool:
    """Whether nothing is going on that would have to be written about."""
    return all(
        ready(one)[1] in _RESTING and "deletionTimestamp" not in one["metadata"] and not _recovers(one)
        for one in sight.stage.api.all(kinds.INSTANCES)
    )


def _recovers(body: Body) -> bool:
    recovery = status_of(body).get("recovery") or {}
    return recovery.get("planned") is not None or recovery.get("inFlight") is not None
