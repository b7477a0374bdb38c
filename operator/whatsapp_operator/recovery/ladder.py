"""Which steps heal what, gentlest first: the design's table, one row per reason.

A step is tried as often as its rung says; then the next rung's. The last rung that there is is tried again and again,
ever more rarely. Reasons without a row are not healed by any step: they wait, or a human is needed. Steps of plugins
are offered among ours, after those that cost no more.
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


@dataclass(frozen=True, slots=True)
class Offer:
    """A step of a plugin."""

    step: Step
    least: StepClass
    """What it costs at the least; see `class_of`."""
    reasons: frozenset[Reason]
    """What it is offered for."""
    times: int = 1
    """How often it is tried before the next rung."""


Ladders = Mapping[Reason, tuple[Rung, ...]]
Offers = Mapping[Step, Offer]

NO_OFFERS: Offers = {}

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
    Reason.UNEXPLAINED_CLOSE: (Rung(Step.RECONNECT),),
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

MAY_BE_OFFERED_FOR = frozenset(LADDERS) - {Reason.NOT_FOUND}
"""Our reasons for which plugins may offer a step; for the others none may be taken, or only a `create` helps."""

DESTRUCTIVE = frozenset({StepClass.RECREATE, StepClass.SESSION_LOSS})
"""Classes whose steps log out or delete: what they cost is a question of what there is to be lost."""

_ZOMBIES = frozenset({Reason.DEAD_SOCKET, Reason.CONNECTING})
_CLASSES = {
    Step.CREATE: StepClass.SOFT,
    Step.RECONNECT: StepClass.SOFT,
    Step.RESTART: StepClass.SOFT,
    Step.RESTART_SERVER: StepClass.SERVER_RESTART,
    Step.RELOGIN: StepClass.RECREATE,
    Step.RECREATE: StepClass.RECREATE,
    Step.DELETE: StepClass.RECREATE,
}
_GENTLEST_FIRST = (StepClass.SOFT, StepClass.SERVER_RESTART, StepClass.RECREATE, StepClass.SESSION_LOSS)


def rungs(reason: Reason, terrain: Terrain, *, offers: Offers = NO_OFFERS) -> tuple[Rung, ...]:
    """The rungs that there are for a reason, on this terrain."""
    without_quarter = reason is Reason.NO_QR_CODE or not terrain.restartable
    if terrain.relogin_deafens and without_quarter and reason in _WHERE_RELOGIN_DEAFENS:
        found = _WHERE_RELOGIN_DEAFENS[reason]
    else:
        found = LADDERS.get(reason, ())
    possible = tuple(rung for rung in found if not _is_refused(reason, _CLASSES[rung.step], terrain))
    ours = tuple(rung for rung in possible if not _is_left_out(rung, possible, terrain))
    return _gentlest_first(ours, _offered(reason, terrain, offers), offers)


def _offered(reason: Reason, terrain: Terrain, offers: Offers) -> tuple[Rung, ...]:
    found = (one for one in offers.values() if reason in one.reasons)
    return tuple(Rung(one.step, one.times) for one in found if not _is_refused(reason, one.least, terrain))


def _gentlest_first(ours: tuple[Rung, ...], offered: tuple[Rung, ...], offers: Offers) -> tuple[Rung, ...]:
    """Where they cost the same ours come first. Ours stay in their order, which is gentlest first."""

    def cost(rung: Rung) -> int:
        return _GENTLEST_FIRST.index(class_of(rung.step, protected=False, offers=offers))

    return tuple(sorted((*ours, *offered), key=cost))


def _is_refused(reason: Reason, least: StepClass, terrain: Terrain) -> bool:
    """Evolution API 2.3.7 neither logs out nor deletes a paired instance whose socket is dead."""
    return least in DESTRUCTIVE and reason in _ZOMBIES and terrain.refuses_zombies and terrain.protected


def _is_left_out(rung: Rung, possible: tuple[Rung, ...], terrain: Terrain) -> bool:
    """A restart of the server costs all its instances; it is no gentler than to recreate one that holds nothing."""
    if rung.step is not Step.RESTART_SERVER or rung is possible[-1]:
        return False
    return not terrain.protected or not terrain.restartable


def class_of(step: Step, *, protected: bool, offers: Offers = NO_OFFERS) -> StepClass:
    """What a step costs on this instance; it cannot be taken under another class's gates.

    A plugin's step of class Recreate costs the pairing where there is one, as ours do.

    Raises:
        KeyError: it is the step of a plugin that is not installed; only a record of it tells what it cost.
    """
    least = offers[step].least if step in offers else _CLASSES[step]
    return StepClass.SESSION_LOSS if protected and least is StepClass.RECREATE else least
