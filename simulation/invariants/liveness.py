"""What must go on once the faults have stopped, each within a bound of its own: a function whose name is the sentence.

Asked again and again from then on, so that what comes late is found, and not only what never comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from evolution_simulator import instance as instances
from evolution_simulator.version import ConnectionState
from simulation.invariants import rest, vanishing
from simulation.invariants.steps import LEDGER, seconds_of
from simulation.kubernetes import kinds
from simulation.sight import Body, Remote, Sight, remote_of
from simulation.stage import status_of
from whatsapp_operator.resources.reasons import Reason

InstanceCheck = Callable[[Sight, Body], str | None]
ServerCheck = Callable[[Sight, str], str | None]

STUCK_SECONDS = 1200.0
"""A process that starts, a warm-up (five minutes where there are ghosts), the stuck timeout, and a sample; one that saw
it turn before it was stuck is not taken anew for ten minutes."""
STORM_SECONDS = 600.0
"""A warm-up and a look at every instance, besides the cooldown."""
DELETION_SECONDS = 600.0
VANISHED_SECONDS = 300.0
"""A process that starts, takes its claims, and reads a list of the database."""
_MAY_WAIT = frozenset(
    {
        Reason.STORM,
        Reason.BUDGET_EXHAUSTED,
        Reason.TOO_MANY_IN_FLIGHT,
        Reason.SERVER_RESTARTING,
        Reason.DRY_RUN,
        Reason.RECOVERY_DISABLED,
    }
)

_OF_COSTLY_STEPS = frozenset({Reason.NOT_VOUCHED_FOR, Reason.SESSION_LOSS_DELAY, Reason.FEW_INSTANCES})
_JITTER = 1.2


def stuck_instance_is_restarted_within_a_bound(sight: Sight, body: Body) -> str | None:
    """Paired, open to the database, and connecting for ever: a step is taken, where budget and policy let it.

    The first, and the next ones where those before have not healed it.

    What is being deleted is no longer healed: `deletion_ends_or_says_what_blocks_it`.
    """
    if "deletionTimestamp" in body["metadata"]:
        return None
    where = remote_of(body)
    row, (since, state) = sight.row(where), sight.state_since(where)
    if state is not ConnectionState.CONNECTING or row is None or row.connection_status is not ConnectionState.OPEN:
        return None
    if not status_of(body).get("paired") or rest.says_what_a_person_has_to_do(body) or _may_wait(body):
        return None
    tried_at = max((one.over_at or one.at for one in sight.announced if one.remote == where), default=0.0)
    waited = _calm_for(sight, max(since, tried_at))
    if waited < STUCK_SECONDS + _until_the_next_try(sight, body):
        return None
    return f"it has been connecting for {waited:.0f} s: {rest.told(body)}"


def _may_wait(body: Body) -> bool:
    """Something is against it that may last; what heals after gentle steps have failed has waits of its own."""
    recovery = status_of(body).get("recovery") or {}
    may = _MAY_WAIT | _OF_COSTLY_STEPS if recovery.get("attempts") else _MAY_WAIT
    return not may.isdisjoint(recovery.get("blockedBy", ()))


def _until_the_next_try(sight: Sight, body: Body) -> float:
    """How long the operator may pause between two tries, jitter included."""
    recovery = status_of(body).get("recovery") or {}
    delay = sight.policy(body).recovery.retry_delay_seconds * 2.0 ** min(recovery.get("attempts", 0), 32)
    return min(delay * _JITTER, 3600.0) if recovery.get("attempts") else 0.0


def restless(sight: Sight) -> list[str]:
    """What is not at rest yet: instances that are neither Ready nor say why, and storms that have to end."""
    hosts = sight.stage.hosts
    storms = [f"{name} has a storm of {_few(sight, name)} at most" for name in hosts if _ebbs(sight, name)]
    missed = [f"{name} misses what was deleted" for name in hosts if vanishing.is_said_in_error(sight, name)]
    return [*rest.restless(sight), *storms, *missed]


def storm_clears(sight: Sight, name: str) -> str | None:
    """No more than the floor of a storm are not well for so long that it has to be over."""
    if not _ebbs(sight, name):
        return None
    few_for = _calm_for(sight, _few_since(sight, name))
    late = few_for >= sight.budget(name).storm.cooldown_seconds + STORM_SECONDS
    return f"a storm is on, though {_few(sight, name)} at most were not well for {few_for:.0f} s" if late else None


def _few(sight: Sight, name: str) -> int:
    return sight.budget(name).storm.floor


def _ebbs(sight: Sight, name: str) -> bool:
    """A storm is on, and so few are not well that it has to end."""
    claim = sight.claim(name)
    text = claim["metadata"].get("annotations", {}).get(LEDGER) if claim is not None else None
    if text is None or "storm" not in json.loads(text) or vanishing.is_said(sight, name):
        return False
    return _few_since(sight, name) < float("inf")


def _few_since(sight: Sight, name: str) -> float:
    """Since when no more instances than make no storm are not well, whatever the operator believes."""
    places = {remote_of(one) for one in sight.stage.api.all(kinds.INSTANCES) if remote_of(one)[0] == name}
    well = sorted(sight.state_since(one)[0] for one in places if _is_well(sight, one))
    wanted = len(places) - _few(sight, name)
    if wanted <= 0:
        return 0.0
    return well[wanted - 1] if wanted <= len(well) else float("inf")


def _is_well(sight: Sight, where: Remote) -> bool:
    row, memory = sight.row(where), sight.memory(where)
    if row is None or memory is None or memory.state is not ConnectionState.OPEN:
        return False
    is_dead = isinstance(memory, instances.BaileysInstance) and memory.dead
    return row.connection_status is ConnectionState.OPEN and not is_dead


def what_was_deleted_is_not_missed(sight: Sight, name: str) -> str | None:
    """Instances that went because an operator deleted them do not keep the others of their server from being read."""
    calm = _calm_for(sight, 0.0)
    late = calm >= VANISHED_SECONDS and vanishing.is_said_in_error(sight, name)
    return f"after {calm:.0f} s its instances are still said to have vanished" if late else None


def deletion_ends_or_says_what_blocks_it(sight: Sight, body: Body) -> str | None:
    """A resource that is to go goes, or its condition `Synced` says why not and what a person can do."""
    asked_at = seconds_of(body["metadata"].get("deletionTimestamp"))
    if asked_at is None or rest.says_why_it_is_not_deleted(body):
        return None
    waited = _calm_for(sight, asked_at)
    return f"it is being deleted for {waited:.0f} s: {rest.told(body)}" if waited >= DELETION_SECONDS else None


def _calm_for(sight: Sight, since: float) -> float:
    """Seconds since then, or since the faults have stopped."""
    return sight.stage.loop.time() - max(since, sight.stage.calm_since)


OF_INSTANCES: tuple[InstanceCheck, ...] = (
    stuck_instance_is_restarted_within_a_bound,
    deletion_ends_or_says_what_blocks_it,
)
OF_SERVERS: tuple[ServerCheck, ...] = (storm_clears, what_was_deleted_is_not_missed)
