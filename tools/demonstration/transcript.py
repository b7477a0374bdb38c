"""The story as plain text, line by line, for logs and pipes."""

from collections import Counter
from collections.abc import Sequence
from itertools import count

from demonstration import script, telling
from demonstration.performance import Progress


class Transcript:
    """Writes each line once in an act, as soon as there is something to tell."""

    def __init__(self) -> None:
        self._number = count(1)
        self._watched = 0
        self._told: Counter[str] = Counter()

    def begin(self, act: script.Act) -> None:
        """The act's title."""
        self._told.clear()
        print(f"\nAct {next(self._number)} of {len(script.ACTS)}: {act.title}", flush=True)

    def tell(self, lines: Sequence[str]) -> None:
        """What is done."""
        for line in lines:
            print(f"  {line}", flush=True)

    def look(self, progress: Progress) -> None:
        """What is new in kubectl's watch, in the server's journal and in the audit trail; at the end the facts."""
        self._show("kubectl", progress.watched[self._watched :])
        self._watched = len(progress.watched)
        scene = progress.scene
        answered = [telling.call(entry) for entry in scene.changing_calls if entry["status"] is not None]
        self._show("audit", self._unheard([telling.audit(record) for record in scene.audit]))
        self._show("server", self._unheard(answered))
        if progress.over:
            self._conclude(progress)

    def show_code(self, name: str, code: str) -> None:
        """Half blocks are of no use in a log; where the code is to be had is."""
        width, height = telling.size(code)
        print(f"  The QR code of {name} ({width} x {height}) is in the Secret {name}-pairing.", flush=True)

    def _conclude(self, progress: Progress) -> None:
        for fact, held in zip(progress.act.facts, progress.held, strict=True):
            self._show("seen" if held else "NOT SEEN", [fact.sentence])
        repeated = [line for line in telling.calls(progress.scene) if line.endswith(telling.TIMES)]
        self._show("server", [f"in all: {line}" for line in repeated])
        print(f"  {'happened' if all(progress.held) else 'did not happen'}, {progress.scene.seconds:.1f} s", flush=True)

    def _unheard(self, lines: Sequence[str]) -> Sequence[str]:
        fresh = [line for line in dict.fromkeys(lines) if not self._told[line]]
        self._told.update(fresh)
        return fresh

    @staticmethod
    def _show(who: str, lines: Sequence[str]) -> None:
        for line in lines:
            print(f"  {who:8} | {line}", flush=True)
