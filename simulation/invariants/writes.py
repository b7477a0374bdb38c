"""Invariants of what an operator process writes to the API server; each returns what is wrong with a write, or None."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from evolution_simulator.version import ConnectionState
from simulation.invariants import storms
from simulation.invariants.calls import LAG_SECONDS
from simulation.invariants.rest import seconds_of
from simulation.kubernetes import kinds, server
from simulation.sight import Body, Sight, remote_of
from simulation.stage import KEY, condition, key_of, ready, status_of
from whatsapp_operator.cluster import secrets
from whatsapp_operator.resources import names
from whatsapp_operator.resources.reasons import Reason

Check = Callable[[Sight, server.Change], str | None]

_OURS = (kinds.INSTANCES, kinds.SERVERS)
_WORKLOADS = (kinds.DEPLOYMENTS, kinds.STATEFUL_SETS)
_POLL_SECONDS = 45.0
_NOTICE_SECONDS = 40.0
"""What lasts no longer may not have been seen."""
_SECRET = re.compile(rf"2@[\w+/=,]{{20,}}|5511\d{{8}}|data:image|{KEY}")


def only_the_holder_of_the_claim_writes(sight: Sight, change: server.Change) -> str | None:
    """A resource is written, and the workload of a server restarted, by whoever works on the server."""
    if change.kind not in (*_OURS, *_WORKLOADS):
        return None
    # A workload has the name of its server here.
    name = remote_of(change.after)[0] if change.kind is kinds.INSTANCES else change.name
    holder, found = sight.holder(name), sight.server_body(name)
    if holder in (None, change.writer) or found is None or _was_not_found(sight, change, found):
        return None
    lost_at = sight.stage.fault_times.get("lose_lease", float("-inf"))
    if change.kind in _OURS and sight.stage.loop.time() - lost_at < LAG_SECONDS:
        # Its holder sees within two seconds that somebody has deleted it; no step is taken without it.
        return None
    return f"{holder[-8:]} holds {name}"


def _was_not_found(sight: Sight, change: server.Change, found: Body) -> bool:
    """Whoever sees to what has no server may not have heard that there is one again."""
    since = sight.stage.loop.time() - seconds_of(found["metadata"]["creationTimestamp"])
    says_so = change.kind is kinds.INSTANCES and status_of(change.after).get("reason") == Reason.SERVER_NOT_FOUND
    return says_so and since < LAG_SECONDS


def status_is_written_only_when_it_changes(sight: Sight, change: server.Change) -> str | None:  # noqa: ARG001 - as all
    """No write that changes nothing: the API server makes no new version of it, and tells no watch."""
    return "nothing changes" if change.subresource == "status" and change.kind in _OURS else None


def ready_tells_the_truth(sight: Sight, change: server.Change) -> str | None:
    """`Ready=True` is of an instance that was open within the last polls; no other write says anything."""
    if change.kind is not kinds.INSTANCES or change.subresource != "status" or ready(change.after)[0] != "True":
        return None
    if sight.was(remote_of(change.after), ConnectionState.OPEN, within=_POLL_SECONDS):
        return None
    return "it has not been open for three periods"


def no_secret_is_told(sight: Sight, change: server.Change) -> str | None:
    """Invariant 10: no key, token, QR code or phone number in status and Events."""
    if change.kind is kinds.EVENTS:
        told: Any = change.after.get("message")
    elif change.kind in _OURS:
        told = status_of(change.after)
    else:
        return None
    return "it holds a secret" if holds_a_secret(sight, json.dumps(told)) else None


def holds_a_secret(sight: Sight, text: str) -> bool:
    """Whether a text has a key, a token, a QR code or a phone number in it."""
    return _SECRET.search(text) is not None or any(secret in text for secret in _secrets(sight))


def _secrets(sight: Sight) -> Iterator[str]:
    for one in sight.stage.hosts.values():
        yield one.model.settings.api_key
        yield from (row.token for row in one.model.database.rows.values() if row.token)


def finalizer_stays_until_the_instance_is_gone(sight: Sight, change: server.Change) -> str | None:
    """Invariant 9: under `Delete` the resource goes only after the instance, or where that can never be known."""
    if change.kind is not kinds.INSTANCES or not _lets_go(change, names.FINALIZER):
        return None
    body, where = change.after, remote_of(change.after)
    row = sight.row(where)
    if _retains(body) or row is None or not sight.owns(body, where) or _may_be_orphaned(sight, change):
        return None
    if _may_be_an_adoption(sight, body):
        return None
    others = [one for one in sight.standing_for(where) if one["metadata"]["name"] != change.name]
    return None if others else "the instance is still there"


def retained_keeps_its_token(sight: Sight, change: server.Change) -> str | None:
    """Invariant 9: what is retained goes on to be used, with the token that is in its Secret."""
    if change.kind is not kinds.INSTANCES or not _lets_go(change, names.FINALIZER) or _may_be_orphaned(sight, change):
        return None
    body, where = change.after, remote_of(change.after)
    row = sight.row(where)
    if not _retains(body) or row is None or row.token != sight.token(body):
        return None
    name = (body["spec"].get("tokenSecretRef") or {}).get("name", f"{change.name}-token")
    found = sight.stage.api.find(kinds.SECRETS, change.namespace, name)
    goes = found is not None and body["metadata"]["uid"] in secrets.read(found).owner_uids
    return "its token goes with the resource" if goes else None


def _retains(body: Body) -> bool:
    default = "Retain" if status_of(body).get("adopted") else "Delete"
    return bool(body["spec"].get("deletionPolicy", default) == "Retain")


def _may_be_an_adoption(sight: Sight, body: Body) -> bool:
    """A user's token, and no word of who has created the instance: a crash kept it from being written down."""
    if "adopted" in status_of(body) or "deletionPolicy" in body["spec"]:
        return False
    reference = body["spec"].get("tokenSecretRef") or {"name": f"{body['metadata']['name']}-token"}
    found = sight.stage.api.find(kinds.SECRETS, key_of(body).namespace, reference["name"])
    return found is not None and not secrets.read(found).managed


def _may_be_orphaned(sight: Sight, change: server.Change) -> bool:
    """Its namespace is going, and its server's key or resource is gone."""
    namespace = sight.stage.api.find(kinds.NAMESPACES, "", change.namespace)
    return namespace is None or "deletionTimestamp" in namespace["metadata"]


def _lets_go(change: server.Change, finalizer: str) -> bool:
    before = change.before["metadata"].get("finalizers", ()) if change.before is not None else ()
    return finalizer in before and finalizer not in change.after["metadata"].get("finalizers", ())


def server_stays_while_instances_need_its_key(sight: Sight, change: server.Change) -> str | None:
    """An EvolutionServer keeps its finalizer while instances that are to be deleted refer to it."""
    if change.kind is not kinds.SERVERS or not _lets_go(change, names.SERVER_FINALIZER):
        return None
    held = [one for one in sight.stage.api.all(kinds.INSTANCES) if _holds(one, change.name)]
    return f"{len(held)} instances refer to it" if held else None


def _holds(body: Body, name: str) -> bool:
    held = names.FINALIZER in body["metadata"].get("finalizers", ())
    return held and remote_of(body)[0] == name and not _retains(body)


def secret_of_others_is_left_alone(sight: Sight, change: server.Change) -> str | None:  # noqa: ARG001 - as all
    """A Secret that is not ours is never overwritten, nor deleted."""
    if change.kind is not kinds.SECRETS or change.before is None:
        return None
    return None if secrets.read(change.before).managed else "it is not the operator's"


def spec_is_the_users(sight: Sight, change: server.Change) -> str | None:  # noqa: ARG001 - as all
    """The operator writes no spec."""
    if change.kind not in _OURS or change.before is None:
        return None
    return "the spec changes" if change.before["spec"] != change.after["spec"] else None


def incident_ends_only_after_lasting_health(sight: Sight, change: server.Change) -> str | None:
    """Attempts count from zero only after `minHealthySeconds`: what flaps between well and bad is one incident."""
    if change.subresource != "status" or change.kind is not kinds.INSTANCES or change.before is None:
        return None
    before, after = ((status_of(one).get("recovery") or {}).get("incident") for one in (change.before, change.after))
    if before is None or before == after or _was_reset(change) or sight.stage.jumped or "freeze" in _times(sight):
        return None
    window = sight.policy(change.after).health.min_healthy_seconds - _NOTICE_SECONDS
    where = remote_of(change.after)
    bad = [one for one in sight.spans(where, within=window) if one[2] in (None, ConnectionState.CLOSE)]
    longest = max((end - begin for begin, end, _ in bad), default=0.0)
    return f"it was bad for {longest:.0f} s meanwhile" if longest > _NOTICE_SECONDS else None


def _was_reset(change: server.Change) -> bool:
    before, after = (status_of(one).get("lastHandled") or {} for one in (change.before or {}, change.after))
    return before.get("reset") != after.get("reset")


def _times(sight: Sight) -> dict[str, float]:
    return sight.stage.fault_times


def storm_has_a_cause(sight: Sight, change: server.Change) -> str | None:
    """A storm is many that are bad at once; who waits for a person with a phone is not bad."""
    if change.kind is not kinds.SERVERS or change.before is None:
        return None
    before, after = (_rages(one) for one in (change.before, change.after))
    # A process that has only just begun to look shows the storm that it was left, and not when that calmed.
    looked = condition(change.after, "WarmedUp")[0] == "True"
    return storms.cause(sight, change.name) if after and not before and looked else None


def _rages(body: Body) -> bool:
    storm = (status_of(body).get("recovery") or {}).get("storm") or {}
    return bool(storm) and "calmSince" not in storm


def generation_is_observed(sight: Sight, change: server.Change) -> str | None:  # noqa: ARG001 - as all
    """`observedGeneration` never runs ahead of the resource."""
    if change.subresource != "status" or change.kind not in _OURS:
        return None
    ahead = status_of(change.after).get("observedGeneration", -1) > change.after["metadata"]["generation"]
    return "it speaks of a spec that there is not" if ahead else None


CHECKS: tuple[Check, ...] = (
    only_the_holder_of_the_claim_writes,
    ready_tells_the_truth,
    no_secret_is_told,
    finalizer_stays_until_the_instance_is_gone,
    retained_keeps_its_token,
    incident_ends_only_after_lasting_health,
    storm_has_a_cause,
    server_stays_while_instances_need_its_key,
    secret_of_others_is_left_alone,
    spec_is_the_users,
    generation_is_observed,
)
IN_VAIN: tuple[Check, ...] = (status_is_written_only_when_it_changes,)
"""Asked of writes that change nothing."""
