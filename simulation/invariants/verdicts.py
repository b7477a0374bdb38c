"""Invariants of verdicts on steps, judged when one is passed."""

from __future__ import annotations

from collections.abc import Callable

from evolution_simulator import instance as instances
from evolution_simulator.version import ConnectionState
from simulation.sight import Announced, Sight
from whatsapp_operator.engine import reporting
from whatsapp_operator.resources.steps import Step, StepResult

Check = Callable[[Sight, Announced, reporting.Audit], str | None]

_SEEN_SECONDS = 45.0


def success_is_true(sight: Sight, one: Announced, entry: reporting.Audit) -> str | None:
    """A step succeeds by what was observed after it, never by the server's reply."""
    if entry.result != StepResult.SUCCEEDED or _has_healed(sight, one):
        return None
    return f"{one.step} of {one.remote[1]} is said to have healed it"


def _has_healed(sight: Sight, one: Announced) -> bool:
    match one.step:
        case Step.RESTART | Step.RELOGIN:
            return sight.was(one.remote, ConnectionState.OPEN, within=_SEEN_SECONDS) or _shows_a_code(sight, one)
        case Step.RECONNECT:
            states = (ConnectionState.OPEN, ConnectionState.CONNECTING)
            return any(sight.was(one.remote, state, within=_SEEN_SECONDS) for state in states)
        case Step.CREATE | Step.RECREATE:
            return any(at >= one.at for at, _ in sight.created[one.remote])
        case _:
            return True


def _shows_a_code(sight: Sight, one: Announced) -> bool:
    """The database says so; or memory has one, where somebody has deleted the row since."""
    row, memory = sight.row(one.remote), sight.memory(one.remote)
    if row is not None:
        return row.connection_status is ConnectionState.CONNECTING
    return isinstance(memory, instances.BaileysInstance) and memory.qr.code is not None


def restart_that_succeeded_was_one(sight: Sight, entry: reporting.Audit) -> str | None:
    """A restart of a server succeeds by another process that serves and has loaded, never by what was asked for."""
    if entry.step != Step.RESTART_SERVER or entry.result != StepResult.SUCCEEDED:
        return None
    name = entry.server.name
    began, loaded = sight.stage.loading_until.get(name, (0.0, 0.0))
    if not sight.restarts[name] or began < sight.restarts[name][-1]:
        return "no process of the server has begun since it was announced"
    return None if loaded <= sight.stage.loop.time() else "the server still loads"


CHECKS: tuple[Check, ...] = (success_is_true,)
OF_SERVERS: tuple[Callable[[Sight, reporting.Audit], str | None], ...] = (restart_that_succeeded_was_one,)
