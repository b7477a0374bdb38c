"""When so many are bad at once that the cause is not theirs, by what the two servers show."""

from __future__ import annotations

from evolution_simulator.database import CredentialsKind
from evolution_simulator.version import ConnectionState
from simulation.invariants.calls import LAG_SECONDS
from simulation.invariants.rest import seconds_of
from simulation.kubernetes import kinds
from simulation.sight import Body, Remote, Sight, remote_of

_CERTAIN_SECONDS = 90.0
_LOOKED_SECONDS = 150.0
_LATELY_SECONDS = 180.0
_ENDED = (401, 402, 403, 406)
_TROUBLE = frozenset({"watch_break", "watch_trouble"})


def told(sight: Sight, name: str, *, by: str) -> str | None:
    """A storm that a process which looks long enough must know of; None where there is none."""
    reads = sight.reads[by, name].memory
    if not reads or sight.stage.loop.time() - reads[0] < _LOOKED_SECONDS:
        return None
    known, limits = _instances(sight, name), sight.budget(name).storm
    bad = [one for one in known if _is_bad_for_sure(sight, one)]
    most = max(limits.floor, len(known) * limits.percent / 100)
    return f"{len(bad)} of {len(known)} instances are bad at once" if len(bad) > most else None


def cause(sight: Sight, name: str) -> str | None:
    """What is wrong with a storm that has just been declared: too few were bad lately, whoever waits for a person."""
    bad = [one for one in _instances(sight, name, lag=_lag(sight)) if _was_bad_lately(sight, one)]
    floor = sight.budget(name).storm.floor
    return None if len(bad) > floor else f"{len(bad)} instances were bad, and up to {floor} are no storm"


def _instances(sight: Sight, name: str, *, lag: float = 0.0) -> list[Remote]:
    """Those with a resource that stays, or did so long ago, each once."""
    found = (remote_of(one) for one in sight.stage.api.all(kinds.INSTANCES) if _stays(sight, one, lag=lag))
    return sorted({one for one in found if one[0] == name})


def _lag(sight: Sight) -> float:
    """What a watch does not tell of is known after the next sweep."""
    untold = not _TROUBLE.isdisjoint(sight.stage.fault_times)
    return LAG_SECONDS + (sight.stage.setup.options.sweep_period_seconds if untold else 0.0)


def _stays(sight: Sight, body: Body, *, lag: float) -> bool:
    asked_at = body["metadata"].get("deletionTimestamp")
    return asked_at is None or sight.stage.loop.time() - seconds_of(asked_at) < lag


def _is_bad_for_sure(sight: Sight, where: Remote) -> bool:
    """Paired, and for long in a state that no phone and no patience ends."""
    row, memory, (since, _) = sight.row(where), sight.memory(where), sight.state_since(where)
    if row is None or sight.stage.loop.time() - since < _CERTAIN_SECONDS:
        return False
    stored = sight.stage.hosts[where[0]].model.database.sessions.get(row.id)
    if stored is None or stored.kind is not CredentialsKind.PAIRED or row.disconnection_reason_code in _ENDED:
        return False
    state = memory.state if memory is not None else None
    hangs = state is ConnectionState.CONNECTING and row.connection_status is not ConnectionState.CONNECTING
    return hangs or state is None or (state, row.connection_status) == (ConnectionState.CLOSE, ConnectionState.OPEN)


def _was_bad_lately(sight: Sight, where: Remote) -> bool:
    """Not open all the time, and not because a person has to scan; a dead socket looks open."""
    row, now = sight.row(where), sight.stage.loop.time()
    if any(now - at < _LATELY_SECONDS or state in _LOOKS_OPEN for at, state in sight.stage.broken.get(where, ())):
        return not _waits_for_a_person(sight, where)
    if row is None or _looks_open_and_is_not(sight, where):
        return True
    unwell = sum(end - begin for begin, end, state in sight.spans(where, within=_LATELY_SECONDS) if not _is_open(state))
    away = row.connection_status is not ConnectionState.OPEN
    return (unwell > 0 or away) and not _waits_for_a_person(sight, where)


_LOOKS_OPEN = ("S3", "S15", "S18")


def _looks_open_and_is_not(sight: Sight, where: Remote) -> bool:
    """A connection that ended while nobody could write it down."""
    row, memory, model = sight.row(where), sight.memory(where), sight.stage.hosts[where[0]].model
    stored = model.database.sessions.get(row.id) if row is not None else None
    if memory is None or memory.state is not ConnectionState.OPEN or stored is None:
        return False
    return stored.kind is CredentialsKind.PAIRED and stored.device not in model.whatsapp.online


def _is_open(state: ConnectionState | None) -> bool:
    return state is ConnectionState.OPEN


def _waits_for_a_person(sight: Sight, where: Remote) -> bool:
    """And has for long enough to be seen to: a Relogin makes it so of what was bad right before."""
    row, memory, (since, _) = sight.row(where), sight.memory(where), sight.state_since(where)
    if row is None or memory is None or sight.stage.loop.time() - since < LAG_SECONDS:
        return False
    shows_code = memory.state is row.connection_status is ConnectionState.CONNECTING
    ended = row.disconnection_reason_code in _ENDED and row.connection_status is ConnectionState.CLOSE
    return shows_code or ended
