"""Values as text that is the same for values that make no difference.

Moments are written down so that `moments.told` can put them in relation to now. Frozen values are turned into text
once, and how values of a type are told is found out once. Of what is neither data nor a container only the type is
told: the services of the operator, whose data `fingerprint` goes through by name.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
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
        "disconnection_object",  # likewise, of what its code tells
        "lastTransitionTime",  # for people
        "last_transition_time",
        "message",
        "known_since",
        "nobody_at",  # who could be asked since has ended it; who was in the middle of a step, a second later
    }
)
_COUNTED = frozenset({"reads", "observations", "pending_observations", "times"})
_ENOUGH = 3
"""No rule, gate or verdict asks for more observations than this."""
_TOLD_ELSEWHERE = {"Record": {"reads"}, "Opinion": {"reads"}, "Deletion": {"since"}}
"""Fields that are only compared with others, as `fingerprint` does."""
_MOMENTS = frozenset(
    {
        "at",
        "over_at",
        "next_at",
        "stepped_at",
        "sampled_at",
        "rows_begun",
        "_renewed_at",
        "_last_tick",
        "began",
    }
)
"""Fields, and variables of coroutines, that hold seconds on the one clock that there is."""
_AWAITED = frozenset({"pairing_next_at", "_rows_due", "_rows_not_before", "_due", "deadline"})
"""Likewise, of what is to come: only whether they have come is asked."""
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
_SPENT = "spent"
"""Moments that count while they are in a window."""
_RECORDS = "history"
"""Steps that were taken. Of those of one kind and end only the last is asked after."""
_LEDGER = '{"spent"'
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
Tell = Callable[[Any], str]


class Walk:
    """Turns values into text; `named` tells, by type, what stands for an object that is told of elsewhere."""

    def __init__(self, named: Mapping[type, Tell]) -> None:
        self._named = named
        self._frozen: dict[int, tuple[object, str]] = {}
        self._present: dict[int, tuple[object, str]] = {}
        """Of what may change, as long as nothing does."""
        self._known: dict[type, Tell] = {}
        """How values of a type are told: found out once for each."""
        self._by_name: Mapping[str, Tell] = {
            **dict.fromkeys(_COUNTED, self._count),
            **dict.fromkeys(_ONLY_COMPARED, self._place),
            **dict.fromkeys(_MOMENTS, self._on_the_clock),
            **dict.fromkeys(_AWAITED, self._wait),
            _SPENT: self._spent,
            _RECORDS: self._records,
        }

    def anew(self) -> None:
        """Something may have changed since."""
        self._present.clear()

    def text(self, value: object) -> str:
        """A value as text."""
        tell = self._known.get(type(value))
        if tell is None:
            tell = self._known[type(value)] = self._how(type(value))
        return tell(value)

    def _how(self, kind: type) -> Tell:
        plain = next((tell for known, tell in _PLAIN if issubclass(kind, known)), None)
        named = next((tell for known, tell in self._named.items() if issubclass(kind, known)), None)
        return plain or named or self._composed(kind)

    def _composed(self, kind: type) -> Tell:
        """What consists of others; something frozen was told before, perhaps."""
        tell = self._anew(kind)

        def told(value: Any) -> str:
            kept = self._frozen.get(id(value))
            return kept[1] if kept is not None else tell(value)

        return told

    def _anew(self, kind: type) -> Tell:
        tell = next((tell for known, tell in self._containers() if issubclass(kind, known)), None)
        if tell is not None:
            return tell
        if dataclasses.is_dataclass(kind) and kind.__module__.startswith(_DATA):
            return self._record(kind)
        return lambda _: kind.__qualname__

    def _containers(self) -> Sequence[tuple[Any, Tell]]:
        return (
            (Counter, lambda value: self._mapping((key, inner) for key, inner in value.items() if inner)),
            (Mapping, lambda value: self.at_present(value, lambda: self._mapping(value.items()))),
            (Set, lambda value: "{" + ",".join(sorted(map(self.text, value))) + "}"),
            (list | tuple | deque, lambda value: "[" + ",".join(map(self.text, value)) + "]"),
            (pydantic.BaseModel, lambda value: self.once(value, lambda: self._model(value))),
        )

    def _mapping(self, items: Iterable[tuple[Any, Any]]) -> str:
        kept = (f"{self.text(key)}:{self.field(str(key), inner)}" for key, inner in items if key not in _LEFT_OUT)
        return "{" + ",".join(sorted(kept)) + "}"

    def _model(self, value: pydantic.BaseModel) -> str:
        told = (f"{name}={self.field(name, inner)}" for name, inner in value.__dict__.items() if name not in _LEFT_OUT)
        return f"{type(value).__name__}({','.join(told)})"

    def _record(self, kind: Any) -> Tell:
        left_out = _LEFT_OUT | _TOLD_ELSEWHERE.get(kind.__name__, set())
        names = [one.name for one in dataclasses.fields(kind) if one.name not in left_out]

        def told(value: object) -> str:
            inner = (f"{name}={self.field(name, getattr(value, name))}" for name in names)
            return f"{kind.__name__}({','.join(inner)})"

        return (lambda value: self.once(value, lambda: told(value))) if kind.__dataclass_params__.frozen else told

    def field(self, name: str, value: object) -> str:
        """The value of a field, or a variable, of this name."""
        tell = self._by_name.get(name)
        return tell(value) if tell is not None else self.text(value)

    def _count(self, value: object) -> str:
        return str(min(value, _ENOUGH)) if isinstance(value, int) else self.text(value)

    def _place(self, value: object) -> str:
        return self.text(value) if value is None else moments.of(_moment(value), measured=False)

    def _on_the_clock(self, value: object) -> str:
        return moments.of(value) if isinstance(value, float) else self.text(value)

    def _wait(self, value: object) -> str:
        return moments.due(value) if isinstance(value, float) else self.text(value)

    def _spent(self, value: object) -> str:
        if not isinstance(value, Mapping):
            return self.text(value)
        return str({str(kind): "".join(map(moments.spent, at)) for kind, at in sorted(value.items())})

    def _records(self, value: object) -> str:
        return self.text(_latest(value) if isinstance(value, list | tuple) else value)

    def once(self, value: object, told: Callable[[], str]) -> str:
        """The text of something that never changes."""
        return _kept(self._frozen, value, told)

    def at_present(self, value: object, told: Callable[[], str]) -> str:
        """The text of something that does not change before `anew` is called."""
        return _kept(self._present, value, told)


def _kept(texts: dict[int, tuple[object, str]], value: object, told: Callable[[], str]) -> str:
    """Who is kept cannot be gone, so that its number is nobody else's."""
    kept = texts.get(id(value))
    if kept is None:
        kept = texts[id(value)] = value, told()
    return kept[1]


def _latest(records: Sequence[Any]) -> Sequence[Any]:
    """The last of each kind and end, in the order in which they came."""
    latest = {_kind_and_end(one): place for place, one in enumerate(records)}
    return [records[place] for place in sorted(latest.values())]


def _kind_and_end(record: Any) -> tuple[str, str]:
    told = record if isinstance(record, Mapping) else vars(record)
    return str(told["step"]), str(told["result"])


def _moment(value: object) -> datetime | float:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if not isinstance(value, datetime | float):
        raise TypeError(f"no moment: {value!r}")
    return value


@functools.cache
def _word(value: str) -> str:
    if _WRITTEN.fullmatch(value):
        return moments.of(datetime.fromisoformat(value))
    return repr(moments.of_a_ledger(value) if value.startswith(_LEDGER) else value)


_PLAIN: Sequence[tuple[Any, Tell]] = (
    (str, lambda value: _word(str(value))),
    (type(None) | bytes | int, lambda value: repr(value) if not isinstance(value, enum.Enum) else value.name),
    (float, lambda value: f"{value:.4f}"),
    (datetime, moments.of),
    (enum.Enum | timedelta, str),
)
"""Values that consist of nothing else, in the order in which they are asked after."""
