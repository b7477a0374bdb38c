"""Which steps heal what, gentlest first: the design's table, one row per reason.

A step is tried as often as its rung says; then the next rung's. The last rung that may be taken is tried again and
again, ever more rarely. Reasons without a row are not healed by any step: they wait, or a human is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass


@dataclass(frozen=True, slots=True)
class Rung:
    """A step, and how often it is tried before the next rung; None: as often as `maxAttempts` says."""

    step: Step
    times: int | None = None


_RECONNECT_ONCE = Rung(Step.RECONNECT, 1)
_RESTART = Rung(Step.RESTART)
_RECREATE = Rung(Step.RECREATE)

LADDERS: Mapping[Reason, tuple[Rung, ...]] = {
    Reason.NOT_FOUND: (Rung(Step.CREATE),),
    Reason.GHOST: (_RECREATE,),
    Reason.ROW_MISSING: (_RECREATE,),
    Reason.LOGGED_OUT: (Rung(Step.RECONNECT),),
    Reason.NO_QR_CODE: (_RESTART, _RECREATE),
    Reason.CONNECTING: (_RESTART, _RECREATE),
    Reason.CREDENTIALS: (_RECREATE,),
    Reason.QR_EXPIRED: (Rung(Step.RECONNECT),),
    Reason.CLOSED_SOCKET: (_RECONNECT_ONCE, _RECREATE),
    Reason.NOT_STARTED: (Rung(Step.RECONNECT),),
}

FOR_PAIRING = frozenset({Reason.LOGGED_OUT, Reason.QR_EXPIRED, Reason.NOT_STARTED})
"""Reasons whose steps only serve to show a QR code: taken when one is wanted."""

CLASSES: Mapping[Step, StepClass] = {
    Step.CREATE: StepClass.SOFT,
    Step.RECONNECT: StepClass.SOFT,
    Step.RESTART: StepClass.SOFT,
    Step.RECREATE: StepClass.RECREATE,
    Step.DELETE: StepClass.RECREATE,
}
"""What each step costs; a step cannot be taken under another class's gates."""
