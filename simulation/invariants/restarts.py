"""Invariants of a restart of a server, judged when it is announced in the status of its resource."""

from __future__ import annotations

from collections.abc import Callable

from evolution_simulator.version import ConnectionState
from simulation.invariants import steps
from simulation.kubernetes import kinds
from simulation.sight import Sight, remote_of
from simulation.stage import status_of
from simulation.system import BEGIN
from whatsapp_operator.resources.steps import StepClass

Check = Callable[[Sight, str, str], str | None]
"""Takes the server's name, and the process that announces."""

_LASTING_SECONDS = 75.0
_FRESH_SECONDS = 45.0


def costs_nobody_a_pairing(sight: Sight, name: str, process: str) -> str | None:  # noqa: ARG001 - as all
    """S19: what has no stored session needs a scan after any restart."""
    now = sight.stage.loop.time()
    for body in sight.stage.api.all(kinds.INSTANCES):
        where = remote_of(body)
        row, memory = sight.row(where), sight.memory(where)
        if where[0] != name or row is None or memory is None or row.owner_jid is None:
            continue
        missing = memory.state is ConnectionState.OPEN and row.connection_status is ConnectionState.CLOSE
        since = max(sight.state_since(where)[0], row.updated_at - BEGIN.timestamp())
        if missing and now - since > _LASTING_SECONDS:
            return f"{where[1]} has no session that is stored"
    return None


def waits_for_every_step(sight: Sight, name: str, process: str) -> str | None:
    """Steps under way are lost with the process that they were asked of."""
    begun = [one for one in sight.announced if one.remote[0] == name and one.over_at is None and one.by == process]
    running = [one for one in begun if not sight.goes(one.remote)]
    return f"{running[0].step} of {running[0].remote[1]} is under way" if running else None


def keeps_to_the_budget_of_restarts(sight: Sight, name: str, process: str) -> str | None:  # noqa: ARG001 - as all
    """Restarts per window, over crashes and two operators."""
    clocks, now = sight.stage.clocks, sight.stage.loop.time()
    slack = 2.0 + sight.stage.jumped + max(each.skew for each in clocks) - min(each.skew for each in clocks)
    for window in sight.budget(name).windows_of(StepClass.SERVER_RESTART):
        begin = max(now - window.period_seconds + slack, steps.known_since(sight, name))
        used = 1 + sum(at > begin for at in sight.restarts[name])
        if used > window.max:
            return f"{used} in {window.period_seconds} s, of {window.max}"
    return None


def rests_on_a_server_that_is_read(sight: Sight, name: str, process: str) -> str | None:
    """An outage of the server causes no restart of it."""
    reads, now = sight.reads[process, name], sight.stage.loop.time()
    singles = (at for each in reads.single.values() for at in each)
    last = max((*reads.memory, *singles), default=float("-inf"))
    return f"it was last read {now - last:.0f} s ago" if now - last > _FRESH_SECONDS else None


def is_counted_by_an_incident(sight: Sight, name: str, process: str) -> str | None:  # noqa: ARG001 - as all
    """After it nothing is left of what was seen before: only a status can tell that it was done, and for what."""
    bodies = (body for body in sight.stage.api.all(kinds.INSTANCES) if remote_of(body)[0] == name)
    recoveries = (status_of(body).get("recovery") or {} for body in bodies)
    counted = any("incident" in one or "deafSince" in one for one in recoveries)
    return None if counted else "none of its instances has an incident that is written down"


CHECKS: tuple[Check, ...] = (
    is_counted_by_an_incident,
    costs_nobody_a_pairing,
    waits_for_every_step,
    keeps_to_the_budget_of_restarts,
    rests_on_a_server_that_is_read,
)
