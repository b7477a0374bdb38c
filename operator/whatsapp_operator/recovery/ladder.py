"""Which steps heal what, gentlest first: the design's table, one row per reason.

A step is tried as often as its rung says; then the next rung's. The last rung that there is is tried again and again,
ever more rarely. Reasons without a row are not healed by any step: they wait, or a human is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass


@dataclass(frozen=True, slots=True)
class Rung:
    """A step, and how often it is tried before the next rung; None: as often as `maxAttempts` says, less `spare`."""

    step: Step
    times: int | None = None
    spare: int = 0

    def tries(self, max_attempts: int) -> int:
        """How often it is tried before the next rung."""
        return self.times if self.times is not None else max(1, max_attempts - self.spare)


@dataclass(frozen=True, slots=True)
class Terrain:
    """What decides which rungs there are."""

    protected: bool
    restartable: bool
    """The operator may restart the server."""
    relogin_deafens: bool = False
    refuses_zombies: bool = False


Ladders = Mapping[Reason, tuple[Rung, ...]]

_RECONNECT_ONCE = Rung(Step.RECONNECT, 1)
_RESTART = Rung(Step.RESTART)
_RESTART_SERVER = Rung(Step.RESTART_SERVER, 1)
_RELOGIN = Rung(Step.RELOGIN, 1)
_RECREATE = Rung(Step.RECREATE)

LADDERS: Ladders = {
    Reason.NOT_FOUND: (Rung(Step.CREATE),),
    Reason.GHOST: (_RESTART_SERVER, _RECREATE),
    Reason.ROW_MISSING: (_RECREATE,),
    Reason.DEAD_SOCKET: (Rung(Step.RESTART, 1), _RESTART_SERVER, _RECREATE),
    Reason.LOGGED_OUT: (Rung(Step.RECONNECT),),
    Reason.NO_QR_CODE: (Rung(Step.RESTART, spare=1), _RELOGIN, _RECREATE),
    Reason.CONNECTING: (_RESTART, _RESTART_SERVER, _RECREATE),
    Reason.REPLACED: (_RESTART_SERVER,),
    Reason.CREDENTIALS: (Rung(Step.RELOGIN),),
    Reason.QR_EXPIRED: (Rung(Step.RECONNECT),),
    Reason.CLOSED_SOCKET: (_RECONNECT_ONCE, _RESTART_SERVER, _RECREATE),
    Reason.NOT_STARTED: (Rung(Step.RECONNECT),),
    Reason.CHANNEL_CLOSED: (Rung(Step.RESTART_SERVER),),
}

_WHERE_RELOGIN_DEAFENS: Ladders = {
    Reason.NO_QR_CODE: (_RESTART, _RECREATE),
    Reason.CREDENTIALS: (_RECREATE,),
}
"""Evolution API up to 2.3.6, without a restart of the server to end the deafness."""

ONCE = frozenset({Reason.REPLACED})
"""Reasons whose ladder ends: what it does not heal is caused elsewhere, and a human has to know."""

FOR_PAIRING = frozenset({Reason.LOGGED_OUT, Reason.QR_EXPIRED, Reason.NOT_STARTED})
"""Reasons whose steps only serve to show a QR code: taken when one is wanted."""

LIKE_AN_OUTAGE = frozenset({Reason.CONNECTING, Reason.CLOSED_SOCKET})
"""Reasons that an instance also shows when WhatsApp, or the way to it, is away."""

_ZOMBIES = frozenset({Reason.DEAD_SOCKET, Reason.CONNECTING})
_DESTRUCTIVE = frozenset({Step.RELOGIN, Step.RECREATE})


def rungs(reason: Reason, terrain: Terrain, *, ladders: Ladders = LADDERS) -> tuple[Rung, ...]:
    """The rungs that there are for a reason, on this terrain."""
    if terrain.relogin_deafens and reason in _WHERE_RELOGIN_DEAFENS and _is_ours(reason, ladders):
        without_quarter = reason is Reason.NO_QR_CODE or not terrain.restartable
        found = _WHERE_RELOGIN_DEAFENS[reason] if without_quarter else ladders[reason]
    else:
        found = ladders.get(reason, ())
    possible = tuple(rung for rung in found if not _is_refused(reason, rung, terrain))
    return tuple(rung for rung in possible if not _is_left_out(rung, possible, terrain))


def _is_ours(reason: Reason, ladders: Ladders) -> bool:
    return ladders.get(reason) is LADDERS[reason]


def _is_refused(reason: Reason, rung: Rung, terrain: Terrain) -> bool:
    """Evolution API 2.3.7 neither logs out nor deletes a paired instance whose socket is dead."""
    return rung.step in _DESTRUCTIVE and reason in _ZOMBIES and terrain.refuses_zombies and terrain.protected


def _is_left_out(rung: Rung, possible: tuple[Rung, ...], terrain: Terrain) -> bool:
    """A restart of the server costs all its instances; it is no gentler than to recreate one that holds nothing."""
    if rung.step is not Step.RESTART_SERVER or rung is possible[-1]:
        return False
    return not terrain.protected or not terrain.restartable


def class_of(step: Step, *, protected: bool) -> StepClass:
    """What a step costs on this instance; it cannot be taken under another class's gates."""
    match step:
        case Step.RESTART_SERVER:
            return StepClass.SERVER_RESTART
        case Step.RELOGIN | Step.RECREATE | Step.DELETE:
            return StepClass.SESSION_LOSS if protected else StepClass.RECREATE
        case _:
            return StepClass.SOFT
