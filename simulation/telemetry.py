"""What an operator process tells of itself, kept where the simulation can look at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from whatsapp_operator.engine import ports, reporting


@dataclass
class Told:
    """The engine's telemetry port; `note` takes lines for the history."""

    note: Callable[[str], None]
    on_audit: Callable[[reporting.Audit], None]
    on_crash: Callable[[str, Exception], None]

    def audit(self, entry: reporting.Audit, /) -> None:
        """One audit record."""
        self.on_audit(entry)

    def problem(self, message: str, /, **fields: str | float) -> None:
        """Something that is not a resource's fault."""
        self.note(f"says: {message} {dict(sorted(fields.items()))}")

    def plugin_failed(self, part: str, word: str, origin: str, error: BaseException, /) -> None:
        """There are no plugins here."""

    def crashed(self, message: str, error: Exception, /, **fields: str | float) -> None:
        """A bug."""
        self.on_crash(f"{message} {dict(sorted(fields.items()))}", error)

    def claim_lost(self, why: str, /) -> None:
        """A claim ended without having been given up."""
        self.note(f"lost a claim: {why}")

    def check_took(self, witness: str, seconds: float, /) -> None:
        """Not of interest."""

    def status_written(self, kind: str, result: str, /) -> None:
        """Seen at the API server."""

    def reconciled(self, kind: str, seconds: float, /) -> None:
        """Not of interest."""

    def sweep(self, drift: int, /) -> None:
        """Not of interest."""

    def instances(self, server: ports.Key, states: Mapping[str, int], reasons: Mapping[str, int], /) -> None:
        """Seen at the API server."""

    def guarded(self, server: ports.Key, guarded: reporting.Guarded | None, /) -> None:
        """Seen at the API server."""

    def circuit(self, server: ports.Key, /, *, is_open: bool | None) -> None:
        """Not of interest."""

    def claims(self, held: int, /, *, live: bool) -> None:
        """Seen at the API server."""
