"""Kills a process right before or right after one of its calls, counted over both of its servers.

A first run, in which nobody dies, tells how many calls there are; the same scenario is then played once for each of
them, and each moment.
"""

import enum
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from e2e import relay

_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNCOUNTED = re.compile(
    r"/selfsubjectaccessreviews$"  # asks what it may, and changes nothing
    r"|/leases/whatsapp-operator-member-|/leases$"  # renewed by the clock; the claims, which hold the ledger, count
    r"|^/metrics$|^/verify-creds$|^/instance/fetchInstances$|^/$"  # what the observer reads by the clock
)
_EVOLUTION = re.compile(r"^/(instance|webhook|settings|chat|proxy)/")
_HASH = re.compile(r"[-.][0-9a-f]{16,}$")
_READS = re.compile(r"^GET /(?!instance/connect/)")
_READS_ENOUGH = 2
_BY_CHANCE = re.compile(
    rf"{_READS.pattern}|^PATCH evolutionservers/(?!.* of a restart$)|^PATCH whatsappinstances/.*/status$"
)
"""What is read, what the status of the server counts, and whether what is seen one after the other is written at once,
depends on the moment: it does not come equally often.

That a restart of the server begins, and what came of it, is written once each.
"""
_COUNTED_UP = re.compile(r"^PATCH events/")
"""An Event that says what one before has said counts that up; where nothing is said twice, none does."""
ACTS = r"(POST|DELETE) /|PATCH leases/|POST secrets|PATCH deployments/"
"""What changes something on the Evolution API, or goes ahead of that: the ledger, what is kept; or restarts it."""


class Moment(enum.Enum):
    """When the process dies."""

    BEFORE = "before"
    """The request never leaves."""
    AFTER = "after"
    """The request had its effect; nobody reads the answer."""


def counts(request: relay.Request) -> bool:
    """Whether a request is one to die at: a write to the API server, or a call for one instance."""
    if _UNCOUNTED.search(request.path):
        return False
    return bool(_EVOLUTION.match(request.path)) or request.method in _CHANGES


def label(request: relay.Request, name: str) -> str:
    """A request in words that are the same for every instance."""
    tail = request.path.rpartition("/namespaces/")[2].partition("/")[2] if "/namespaces/" in request.path else ""
    words = f"{request.method} {tail or request.path}".replace(name, "{name}")
    is_of_a_restart = "/evolutionservers/" in request.path and b'"inFlight"' in request.body
    return _HASH.sub("", words) + " of a restart" * is_of_a_restart


@dataclass(frozen=True, slots=True)
class Point:
    """A call to die at: the `occurrence`th of its label."""

    label: str
    occurrence: int
    moment: Moment

    @property
    def may_not_come(self) -> bool:
        """Whether a run of the same scenario may well do without it: how often it comes depends on the moment."""
        again = self.occurrence > 1 and _BY_CHANCE.search(self.label) is not None
        return again or _COUNTED_UP.search(self.label) is not None

    @property
    def call(self) -> str:
        """Which call it is."""
        return f"{self.label} #{self.occurrence}"

    def __str__(self) -> str:
        return f"{self.moment.value} {self.call}"


def points(calls: Sequence[tuple[str, int]], moment: Moment) -> list[Point]:
    """Where to die, by the calls of a run in which nobody did: at each; of reads that are alike at the first two."""
    return [Point(*call, moment) for call in calls if call[1] <= _READS_ENOUGH or not _READS.search(call[0])]


@dataclass
class Counter(relay.Tap):
    """Notes the calls that concern one instance since `begin`, and kills at one of them.

    A call concerns an instance that it names; those for its server, its workload and the claim on it concern all.
    """

    calls: list[tuple[str, int]] = field(default_factory=list)
    struck: threading.Event = field(default_factory=threading.Event)
    _name: str = ""
    _strike: tuple[Point, Callable[[], None]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _here: threading.local = field(default_factory=threading.local)

    def begin(self, name: str, strike: tuple[Point, Callable[[], None]] | None = None) -> None:
        """Note anew from here what concerns `name`; at the point of `strike` its function kills the caller."""
        with self._lock:
            self.calls, self._name, self._strike = [], name, strike
            self.struck.clear()

    def before(self, request: relay.Request) -> bytes | None:
        """Note the call, and die before it if that is wanted."""
        self._here.call = None
        if counts(request) and self._concerns(request):
            with self._lock:
                words = label(request, self._name)
                self._here.call = (words, 1 + sum(known == words for known, _ in self.calls))
                self.calls.append(self._here.call)
            self._die(Moment.BEFORE)
        return None

    def _concerns(self, request: relay.Request) -> bool:
        if re.search("/(evolutionservers|leases|deployments)/", request.path):
            return True
        return self._name in request.path or self._name.encode() in request.body

    def after(self, request: relay.Request, status: int) -> None:  # noqa: ARG002 - whatever it was answered
        """Die after it if that is wanted."""
        if self._here.call is not None:
            self._die(Moment.AFTER)

    def _die(self, moment: Moment) -> None:
        with self._lock:
            words, occurrence = self._here.call
            if self._strike is None or self._strike[0] != Point(words, occurrence, moment):
                return
            self._strike[1]()  # under the lock: nothing else is noted meanwhile
            self._strike = None
        self.struck.set()
        raise relay.Dropped
