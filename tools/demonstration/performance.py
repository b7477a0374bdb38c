"""Plays the acts, one after the other, and judges each by its facts.

All facts of an act must hold at the same moment, within its time. While it waits, the audience is shown what there is
to see.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from demonstration import facts, script
from demonstration.stage import Stage

LIMIT_SECONDS = 60.0
POLL_SECONDS = 0.25


class PerformanceError(Exception):
    """An act did not happen; the message says what was not seen."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an act is. `over` once all its facts hold, or its time is up."""

    act: script.Act
    scene: facts.Scene
    watched: Sequence[str]
    over: bool

    @property
    def held(self) -> Sequence[bool]:
        """For each fact of the act, whether it holds."""
        return [fact.holds(self.scene) for fact in self.act.facts]


class Audience(Protocol):
    """Whoever looks on."""

    def begin(self, act: script.Act) -> None:
        """An act begins."""

    def tell(self, lines: Sequence[str]) -> None:
        """Something is done to the world."""

    def look(self, progress: Progress) -> None:
        """There may be something new to see."""

    def show_code(self, name: str, code: str) -> None:
        """A QR code is shown."""


def play(
    stage: Stage, audience: Audience, acts: Sequence[script.Act] = script.ACTS, *, limit: float = LIMIT_SECONDS
) -> None:
    """Plays the acts, `limit` seconds each at most. Raises PerformanceError at the first that does not happen."""
    for act in acts:
        _play_act(stage, audience, act, limit)
        if act.code_of is not None:
            audience.show_code(act.code_of, stage.code(act.code_of))


def _play_act(stage: Stage, audience: Audience, act: script.Act, limit: float) -> None:
    audience.begin(act)
    mark = stage.mark()
    for deed in act.deeds:
        audience.tell([deed.line])
        audience.tell(deed.do(stage))
    while True:
        scene = stage.look(mark)
        missing = [fact.sentence for fact in act.facts if not fact.holds(scene)]
        over = not missing or scene.seconds > limit
        audience.look(Progress(act, scene, stage.watched(), over=over))
        if over and missing:
            raise PerformanceError(f"not seen within {limit:.0f} s: {'; '.join(missing)}")
        if over:
            return
        time.sleep(POLL_SECONDS)
