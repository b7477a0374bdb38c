"""What is seen, in words: one line each, for both audiences."""

from collections import Counter
from collections.abc import Sequence

from demonstration.facts import Json, Scene

TIMES = " times"


def call(entry: Json) -> str:
    """A call as the server's journal has it: method, path, and the status of the answer."""
    return f"{entry['method']} {entry['path']} {entry['status'] or '...'}"


def calls(scene: Scene) -> Sequence[str]:
    """The changing calls; an instance that waits for a scan is asked for its code again and again, which is counted."""
    counted = Counter(call(entry) for entry in scene.changing_calls)
    return [text if times == 1 else f"{text}, {times}{TIMES}" for text, times in counted.items()]


def audit(record: Json) -> str:
    """An audit record: the step, why, on which evidence, and what became of it."""
    what = f"{record['phase']} {record['step']} {record['name']}: {record['reason']}, seen {record['evidence']}"
    blocked = f", blocked by {', '.join(record['blocked_by'])}" if "blocked_by" in record else ""
    result = f" -> {record['result']}" if "result" in record else ""
    return f"{what}{blocked}{result}"


def size(code: str) -> tuple[int, int]:
    """Columns and lines of a QR code as text."""
    lines = code.splitlines()
    return max(map(len, lines)), len(lines)
