"""Values as text that is the same for values that make no difference.

Moments are written down so that `moments.told` can put them in relation to now. Frozen values are turned into text
once. Of what is neither data nor a container only the type is told: the services of the operator, whose data
`fingerprint` goes through by name.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import datetime, timedelta
from typing import Any

import pydantic

from simulation.exhaustive import moments

_DATA = (
    "whatsapp_operator.health",
    "whatsapp_operator.recovery",
    "whatsapp_operator.resources",
    "whatsapp_operator.evolution.evidence",
    "whatsapp_operator.engine.ports",
    "whatsapp_operator.engine.standing",
    "whatsapp_operator.engine.steps",
    "whatsapp_operator.engine.draft",
    "whatsapp_operator.engine.subject",
    "whatsapp_operator.engine.server",
    "whatsapp_operator.engine.vouchers",
    "whatsapp_operator.engine.warmup",
    "whatsapp_operator.engine.members",
    "evolution_simulator.database",
    "evolution_simulator.qr",
    "simulation.sight",
)
_LEFT_OUT = frozenset(
    {
        "resourceVersion",
        "resource_version",
        "rendered",  # of a row: its own text
        "lastTransitionTime",  # for people
        "last_transition_time",
        "message",
        "known_since",
    }
)
_COUNTED = frozenset({"reads", "observations", "pending_observations", "times"})
_ENOUGH = 3
"""No rule, gate or verdict asks for more observations than this."""
_COMPARED = frozenset({"Record", "Opinion"})
"""Their counts of reads are only compared with each other."""
_MOMENTS = frozenset(
    {
        "at",
        "over_at",
        "stepped_at",
        "sampled_at",
        "status_written_at",
        "pairing_next_at",
        "next_at",
        "rows_begun",
        "_renewed_at",
        "_rows_due",
        "_rows_not_before",
        "_last_tick",
        "_due",
        "deadline",
        "until",
        "began",
        "started",
    }
)
"""Fields, and variables of coroutines, that hold seconds on the one clock that there is."""
_ONLY_COMPARED = frozenset(
    {
        "baseline",
        "created_at",
        "creationTimestamp",
        "creation_timestamp",
        "disconnectionAt",
        "disconnection_at",
        "updated_at",
    }
)
"""Moments that nobody measures the time from."""
_LEDGER = '{"spent"'
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Walk:
    """Turns values into text; `named` tells what stands for an object that is told of elsewhere."""

    def __init__(self) -> None:
        self._frozen: dict[int, tuple[object, str]] = {}
        self.named: Callable[[object], str | None] = lambda _: None

    def text(self, value: object) -> str:
        """A value as text."""
        if isinstance(value, str):
            return _word(str(value))
        if value is None or isinstance(value, bytes | int):
            return repr(value) if not isinstance(value, enum.Enum) else value.name
        if isinstance(value, float):
            return f"{value:.4f}"
        if isinstance(value, datetime):
            return moments.of(value)
        if isinstance(value, enum.Enum | timedelta):
            return str(value)
        name = self.named(value)
        return name if name is not None else self._composed(value)

    def _composed(self, value: object) -> str:
        kept = self._frozen.get(id(value))
        if kept is not None and kept[0] is value:
            return kept[1]
        match value:
            case Mapping():
                told = self._mapping(value)
            case Set():
                told = "{" + ",".join(sorted(map(self.text, value))) + "}"
            case list() | tuple() | deque():
                told = "[" + ",".join(map(self.text, value)) + "]"
            case pydantic.BaseModel():
                told = self.once(value, lambda: self._fields(value, value.__dict__.items()))
            case _ if dataclasses.is_dataclass(value) and type(value).__module__.startswith(_DATA):
                told = self._record(value)
            case _:
                told = type(value).__qualname__
        return told

    def _mapping(self, value: Mapping[Any, Any]) -> str:
        kept = [(key, inner) for key, inner in self._kept(value) if inner or not isinstance(value, Counter)]
        return "{" + ",".join(sorted(f"{self.text(key)}:{self.field(str(key), inner)}" for key, inner in kept)) + "}"

    @staticmethod
    def _kept(value: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
        return ((key, inner) for key, inner in value.items() if key not in _LEFT_OUT)

    def _record(self, value: Any) -> str:
        def told() -> str:
            return self._fields(value, ((one.name, getattr(value, one.name)) for one in dataclasses.fields(value)))

        return self.once(value, told) if value.__dataclass_params__.frozen else told()

    def _fields(self, value: object, fields: Iterable[tuple[str, object]]) -> str:
        kind = type(value).__name__
        left_out = _LEFT_OUT | {"reads"} if kind in _COMPARED else _LEFT_OUT
        told = (f"{name}={self.field(name, inner)}" for name, inner in fields if name not in left_out)
        return f"{kind}({','.join(told)})"

    def field(self, name: str, value: object) -> str:
        """The value of a field, or a variable, of this name."""
        if name in _COUNTED and isinstance(value, int):
            return str(min(value, _ENOUGH))
        if name in _ONLY_COMPARED and value is not None:
            return moments.of(_moment(value), measured=False)
        if name in _MOMENTS and isinstance(value, float):
            return moments.of(value)
        return self.text(value)

    def once(self, value: object, told: Callable[[], str]) -> str:
        """The text of something that never changes."""
        kept = self._frozen.get(id(value))
        if kept is None or kept[0] is not value:
            kept = self._frozen[id(value)] = value, told()
        return kept[1]


def _moment(value: object) -> datetime | float:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if not isinstance(value, datetime | float):
        raise TypeError(f"no moment: {value!r}")
    return value


@functools.lru_cache(maxsize=1 << 16)
def _word(value: str) -> str:
    if _WRITTEN.fullmatch(value):
        return moments.of(datetime.fromisoformat(value))
    return repr(moments.of_a_ledger(value) if value.startswith(_LEDGER) else value)
