"""What happened, as lines that a person can read, and as a digest that tells two histories apart."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never happen has happened, or something that must happen has not."""

    invariant: str
    text: str
    at: float

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text} (at {self.at:.3f} s)"


@dataclass
class History:
    """Everything worth telling of one run, in order."""

    loop: asyncio.AbstractEventLoop
    lines: list[tuple[float, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Something happened now."""
        self.lines.append((self.loop.time(), text))

    def violate(self, invariant: str, text: str) -> None:
        """An invariant does not hold."""
        self.violations.append(Violation(invariant, text, self.loop.time()))
        self.note(f"VIOLATION {invariant}: {text}")

    def text(self, *, last: int | None = None, since: float = 0.0) -> str:
        """The lines since a time, all of them or the last ones."""
        lines = [line for line in self.lines if line[0] >= since]
        lines = lines[-last:] if last else lines
        return "\n".join(f"{at:10.3f}  {line}" for at, line in lines)

    def digest(self) -> str:
        """Equal for equal histories."""
        return hashlib.sha256(self.text().encode()).hexdigest()
