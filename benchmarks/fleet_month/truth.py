"""The truth of one server: which numbers are connected, which are paired, and what ended a pairing.

A number is *connected* while a connection of its instance in memory is logged in at WhatsApp. It is *paired* while the
credentials that its row has are stored as paired, and linked at WhatsApp.

A pairing was lost *avoidably* when anything but a fault of the schedule ended it. For then its credentials were intact
a moment before, and every state that leaves them intact is healed by something gentler: by waiting, one connect, a
restart of the instance, or one of the server (`rates.Healer`; shown fault by fault in tests/fleet_month).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from simulation.evolution import host

from benchmarks.fleet_month.calendar import Calendar
from benchmarks.fleet_month.schedule import DAY_SECONDS
from evolution_simulator import database, instance
from evolution_simulator.version import ConnectionState

LASTING_SECONDS = 60.0
"""A number that was connected for so long is healed."""
_RESTLESS_SECONDS = 900.0
"""For so long after a call that changes something, its instance is looked at again: deletions take their time."""


@dataclass(frozen=True, slots=True)
class Heal:
    """How long a number was in a state that lasts until somebody does something, and which fault had brought it."""

    name: str
    fault: str
    seconds: float


@dataclass(slots=True)
class Case:
    """A number in a state that lasts until somebody does something."""

    fault: str
    began: float
    back: float | None = None
    """Since when it is connected again."""


class Truth:
    """What is so, followed from the beginning of the month."""

    def __init__(self, there: host.Host, calendar: Calendar, names: Iterable[str]) -> None:
        self._model, self._calendar = there.model, calendar
        self.names = tuple(names)
        self._connected = {name: self._has_connection(name) for name in self.names}
        self._since = dict.fromkeys(self.names, calendar.now)
        self._paired = {name: self.is_paired(name) for name in self.names}
        self._restless: dict[str, float] = {}
        self._cases: dict[str, Case] = {}
        self._striking = False
        self.on_lost: list[Callable[[str], None]] = []
        self.seconds_by_day: defaultdict[int, float] = defaultdict(float)
        self.lost_avoidably: list[str] = []
        self.lost_to_faults = 0
        self.healed: list[Heal] = []
        self._model.whatsapp.on_change = self._look
        there.on_arrival.append(self._called)

    # What is so

    def down(self) -> list[str]:
        """The numbers that are not connected."""
        return [name for name, connected in self._connected.items() if not connected]

    def is_connected(self, name: str) -> bool:
        """Whether a number can send and receive."""
        return self._connected[name]

    def is_paired(self, name: str) -> bool:
        """Whether a number would be connected again without a phone."""
        row = self._model.database.rows.get(name)
        stored = self._model.database.sessions.get(row.id) if row is not None else None
        if stored is None or stored.kind is not database.CredentialsKind.PAIRED:
            return False
        return stored.device not in self._model.whatsapp.removed_devices

    def rests(self, name: str) -> bool:
        """Whether nothing happens with an instance unless somebody calls: connected, or closed without a loop."""
        one = self._model.memory.get(name)
        if self._connected[name]:
            return True
        return isinstance(one, instance.BaileysInstance) and one.state is ConnectionState.CLOSE and not one.loops

    def _has_connection(self, name: str) -> bool:
        one = self._model.memory.get(name)
        return isinstance(one, instance.BaileysInstance) and any(each.open for each in one.own_connections)

    # What happens

    @contextlib.contextmanager
    def striking(self) -> Iterator[None]:
        """What is lost within the block is lost to a fault of the schedule."""
        self._striking = True
        try:
            yield
        finally:
            self._striking = False

    def open_case(self, name: str, *, fault: str) -> None:
        """A fault has struck that lasts until somebody does something."""
        if not self._connected[name]:
            self._cases.setdefault(name, Case(fault, self._calendar.now))

    def _called(self, one: host.Arrival) -> None:
        if one.mutating and one.instance in self._paired:
            self._restless[one.instance] = self._calendar.now

    def look_around(self) -> None:
        """Look at the instances that calls have changed lately: a row may be deleted long after its DELETE."""
        for name, at in list(self._restless.items()):
            self._look(name)
            if self._calendar.now - at > _RESTLESS_SECONDS:
                del self._restless[name]

    def _look(self, name: str) -> None:
        if name not in self._connected:
            return
        connected = self._has_connection(name)
        if connected is not self._connected[name]:
            self._turn(name, connected)
        paired = self.is_paired(name)
        if paired is not self._paired[name]:
            self._paired[name] = paired
            if not paired:
                self._lose(name)

    def _lose(self, name: str) -> None:
        if self._striking:
            self.lost_to_faults += 1
        else:
            self.lost_avoidably.append(name)
        for listener in self.on_lost:
            listener(name)

    def _turn(self, name: str, connected: bool) -> None:
        now = self._calendar.now
        self._count(name, now)
        self._connected[name], self._since[name] = connected, now
        case = self._cases.get(name)
        if case is None:
            return
        if connected:
            case.back = now
        elif case.back is not None and now - case.back >= LASTING_SECONDS:
            self.healed.append(Heal(name, case.fault, case.back - case.began))
            del self._cases[name]
        else:
            case.back = None

    def _count(self, name: str, until: float) -> None:
        """Add the time since the last change to the days that it was in."""
        at = self._since[name]
        while self._connected[name] and at < until:
            day = int(at // DAY_SECONDS)
            end = min((day + 1) * DAY_SECONDS, until)
            self.seconds_by_day[day] += end - at
            at = end

    def close(self) -> int:
        """The month is over; how many cases were never healed, which count as if healed now."""
        now = self._calendar.now
        for name in self.names:
            self._count(name, now)
            self._since[name] = now
        left = [case for case in self._cases.values() if case.back is None]
        for name, case in self._cases.items():
            self.healed.append(Heal(name, case.fault, (case.back if case.back is not None else now) - case.began))
        self._cases.clear()
        return len(left)
