"""What an operator sees of its resources, when that is not what there is.

A watch cache that lags behind answers lists and watches from the past, while reads of single objects and all writes go
to the store itself: so does an API server of several whose connection to etcd is slow. A watch that misses events tells
neither the operator nor anybody else that it did.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from e2e import kube, relay

_COLLECTIONS = ("whatsappinstances", "evolutionservers")
_GROUP = "/apis/whatsapp-operator.dev/v1alpha1/namespaces/"

Past = dict[str, bytes]
"""Lists as they once were, by path."""


def seen_now(kubectl: kube.Kubectl) -> Past:
    """What a list answers at this moment, to be shown later."""
    paths = [f"{_GROUP}{kubectl.namespace}/{plural}" for plural in _COLLECTIONS]
    return {path: kubectl("get", "--raw", path).encode() for path in paths}


@dataclass
class View(relay.Tap):
    """True, unless it was told otherwise."""

    missed: list[dict[str, Any]] = field(default_factory=list)
    """The events that nobody was told of."""
    listings: int = 0
    """How often the past was shown."""
    _past: Past | None = None
    _is_present: threading.Event = field(default_factory=threading.Event)
    _is_deaf: bool = False
    _expired: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._is_present.set()

    def show(self, past: Past) -> None:
        """Answer lists from the past, and hold back all events, until `catch_up`."""
        self._past, self.listings = past, 0
        self._is_present.clear()

    def catch_up(self) -> None:
        """Show the present again, and deliver what was held back."""
        self._past = None
        self._is_present.set()

    def miss(self) -> None:
        """Swallow all events from now on, in streams that seem to live."""
        self._is_deaf = True

    def hear(self) -> None:
        """Deliver again what comes from now on."""
        self._is_deaf = False

    def expire(self) -> None:
        """Tell whoever watches on from where their stream ended that this is too long ago (410): they list anew."""
        self._expired = set(_COLLECTIONS)

    def before(self, request: relay.Request) -> bytes | None:
        """A list of the past, where the past is shown; 410 to a watch, where it has to begin anew."""
        plural = request.path.rpartition("/")[2]
        if request.watches and plural in self._expired:
            self._expired.discard(plural)
            return _GONE
        past = self._past
        if past is None or request.method != "GET" or request.watches or request.path not in past:
            return None
        self.listings += 1
        return past[request.path]

    def lines(self, request: relay.Request, arriving: Iterator[bytes]) -> Iterator[bytes]:
        """The events that may be told."""
        for line in arriving:
            if request.path.startswith(_GROUP):
                self._is_present.wait()
                if self._is_deaf:
                    self.missed.append(json.loads(line))
                    continue
            yield line


_GONE = (
    json.dumps(
        {
            "type": "ERROR",
            "object": {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": "Expired",
                "message": "too old resource version",
                "code": 410,
            },
        }
    ).encode()
    + b"\n"
)
