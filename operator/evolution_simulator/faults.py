"""Faults of the server's HTTP side, by route and instance.

A fault says what goes wrong with a request that it matches: before its effect, instead of it, or after it.
"""

import enum
import fnmatch
from dataclasses import dataclass
from typing import Any


class Kind(enum.StrEnum):
    """What can go wrong."""

    LATENCY = "latency"
    """Everything happens, `seconds` later."""
    REFUSED = "refused"
    """The connection is reset before the request has any effect."""
    RESET = "reset"
    """The request has its effect; the connection is reset instead of an answer."""
    STATUS = "status"
    """No effect, and an answer with `status`."""
    HTML = "html"
    """No effect, and a proxy's HTML page with `status`."""
    TRUNCATED = "truncated"
    """The effect, and half of the JSON answer."""
    HALF_OPEN = "half-open"
    """No effect, and never an answer."""
    HOLD_BEFORE = "hold-before"
    """The request waits for `release`, then has its effect and is answered."""
    HOLD_AFTER = "hold-after"
    """The request has its effect; the answer waits for `release`."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault. `path` is a shell pattern, `count` how many requests it still spoils (None: all)."""

    id: int
    kind: Kind
    method: str | None = None
    path: str | None = None
    route: str | None = None
    instance: str | None = None
    count: int | None = None
    status: int = 503
    seconds: float = 0.0
    hits: int = 0

    def matches(self, *, method: str, path: str, route: str | None, instance: str | None) -> bool:
        """Whether a request is spoilt by this fault."""
        return (
            self.count != 0
            and self.method in (None, method)
            and (self.path is None or fnmatch.fnmatchcase(path, self.path))
            and self.route in (None, route)
            and self.instance in (None, instance)
        )

    def body(self) -> dict[str, Any]:
        """The fault as the control API tells it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "instance": self.instance,
            "count": self.count,
            "status": self.status,
            "seconds": self.seconds,
            "hits": self.hits,
        }


class Faults:
    """The faults that are switched on; the first that matches wins."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self._made = 0

    def add(self, kind: Kind, **rule: Any) -> Fault:
        """Switch a fault on."""
        self._made += 1
        fault = Fault(id=self._made, kind=kind, **rule)
        self.active.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> None:
        """Switch one fault off, or all."""
        self.active = [fault for fault in self.active if fault_id is not None and fault.id != fault_id]

    def take(self, *, method: str, path: str, route: str | None, instance: str | None) -> Fault | None:
        """The fault that spoils a request, which counts as one of its uses."""
        for fault in self.active:
            if fault.matches(method=method, path=path, route=route, instance=instance):
                fault.hits += 1
                if fault.count is not None:
                    fault.count -= 1
                return fault
        return None
