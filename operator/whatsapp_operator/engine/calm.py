"""The calm of a server: its instances are steady, and its answers are the very same again.

Then no answer is worth a comparison for each instance, of which a server may have thousands, every few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whatsapp_operator.evolution.evidence import ConnectionState, Row


@dataclass(slots=True)
class Calm:
    """What was answered when every instance was found steady and as it was; ended by whoever looks at one of them."""

    _observed: object = None
    _states: Mapping[str, ConnectionState] | None = None
    _rows: Mapping[str, Row] | None = None

    def note(
        self,
        observed: object,
        states: Mapping[str, ConnectionState],
        rows: Mapping[str, Row] | None,
        *,
        all_steady: bool,
    ) -> None:
        """All were compared; `rows` is None where only memory was read, and what the last list said still holds."""
        if not all_steady:
            self.end()
            return
        if rows is not None or self._observed is not observed:
            self._rows = rows
        self._observed, self._states = observed, states

    def end(self) -> None:
        """Something may be known of an instance that the last answers do not say, or be forgotten that they do."""
        self._observed = self._states = self._rows = None

    def lasts(self, observed: object, states: Mapping[str, ConnectionState], rows: Mapping[str, Row] | None) -> bool:
        """Whether these answers, where they are the same objects, can change nothing for any instance."""
        if self._observed is not observed or self._states is not states:
            return False
        return rows is None or self._rows is rows
