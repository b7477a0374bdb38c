"""WhatsApp, as far as a server can tell: linked devices, logins, QR codes, and whether it can be reached.

A device can be online once. When a second connection logs in with the same credentials the first is thrown out with
code 440, which is how an instance with two connections replaces itself for ever.
"""

import enum
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from evolution_simulator import clock, database, reasons, version

if TYPE_CHECKING:
    from evolution_simulator import connection

QR_SECONDS = 45.0
QR_CODES_PER_CONNECTION = 6
STALL_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 53.0
"""After which Baileys finds a connection half-open (seen; keep-alive 30 s, and 35 s without a word)."""


class Reach(enum.StrEnum):
    """How WhatsApp answers who dials it."""

    REACHABLE = "reachable"
    REFUSED = "refused"
    """Connections fail at once: instances flap."""
    SILENT = "silent"
    """A login is never answered and nobody times out: instances hang in `connecting`."""
    STALLED = "stalled"
    """The handshake stalls and is given up every 30 s."""
    BLACKHOLED = "blackholed"
    """Packets vanish: open connections seem open for 53 s and answer no query; then as `STALLED`."""


class WhatsApp:
    """The far side of every connection."""

    def __init__(self, *, scheduler: clock.Scheduler, rng: random.Random, release: version.Version) -> None:
        self._scheduler = scheduler
        self._rng = rng
        self.release = release
        self.reach = Reach.REACHABLE
        self.reach_of: dict[str, Reach] = {}
        self.reach_through: dict[str, Reach] = {}
        """By `host:port` of the proxy."""
        self.hang_next: set[str] = set()
        self.removed_devices: set[str] = set()
        self.online: dict[str, connection.Connection] = {}
        self.connections: dict[connection.Connection, None] = {}
        """In the order they were made; a set would have none, and the same seed not the same outcome."""
        self.on_change: Callable[[str], None] = lambda _: None
        """Told the name of an instance when a connection of it has logged in, or is over."""

    def dial(self, caller: "connection.Connection") -> None:
        """A new connection arrives; what becomes of it is decided now and happens later."""
        self.connections[caller] = None
        name = caller.instance_name
        reach = self.reach_by(name, caller.proxy)
        if name in self.hang_next:
            self.hang_next.discard(name)
            reach = Reach.SILENT
        if reach is Reach.REFUSED:
            caller.later(self.release.refused.connecting, lambda: caller.close(reasons.refused(self.release)))
        elif reach in (Reach.STALLED, Reach.BLACKHOLED):
            caller.later(STALL_SECONDS, lambda: caller.close(reasons.transient(408, gap=self._rng.uniform(0.05, 0.3))))
        elif reach is Reach.SILENT:
            caller.hung = True
        else:
            self._answer(caller)

    def admit(self, caller: "connection.Connection") -> None:
        """Log a connection in without a wait."""
        self.connections[caller] = None
        self.log_in(caller)

    def _answer(self, caller: "connection.Connection") -> None:
        kind = caller.credentials.kind
        if kind is database.CredentialsKind.CORRUPT:
            caller.later(self.release.corrupt.connecting, lambda: caller.close(reasons.corrupt(self.release)))
        elif kind is database.CredentialsKind.PAIRED:
            contested = caller.credentials.device in self.online
            delay = self._rng.uniform(0.08, 0.12) if contested else self._rng.uniform(0.15, 0.35)
            caller.later(delay, lambda: self.log_in(caller))
        else:
            caller.later(self._rng.uniform(0.2, 0.4), lambda: self._show_code(caller, left=QR_CODES_PER_CONNECTION))

    def log_in(self, caller: "connection.Connection") -> None:
        """A connection logs in with its credentials, and throws out who had the device online."""
        device = caller.credentials.device
        if device in self.removed_devices:
            caller.close(reasons.device_removed(self.release))
            return
        rival = self.online.get(device)
        self.online[device] = caller
        caller.logged_in()
        self.on_change(caller.instance_name)
        if rival is not None and rival is not caller:
            # The rival reconnects after this one is open, so that the two go on replacing each other.
            self._scheduler.call_later(0.01, lambda: rival.close(reasons.replaced()))

    def _show_code(self, caller: "connection.Connection", *, left: int) -> None:
        if left == 0:
            caller.codes_ended()
            return
        caller.shows_code()
        caller.later(QR_SECONDS, lambda: self._show_code(caller, left=left - 1))

    def scanned(self, caller: "connection.Connection", credentials: database.Credentials) -> None:
        """The phone linked this connection: it must come again, with credentials (stream error 515)."""
        caller.paired(credentials)
        caller.close(reasons.transient(515, gap=self._rng.uniform(0.02, 0.1)))

    def unlink(self, caller: "connection.Connection") -> None:
        """A connection asks to remove its device; who is not online, or was replaced a moment ago, is not heard."""
        if self.online.get(caller.credentials.device) is caller:
            self.removed_devices.add(caller.credentials.device)

    def remove_device(self, device: str, *, code: int = 401) -> None:
        """Unlink a device; its connection is told so at once."""
        self.removed_devices.add(device)
        caller = self.online.get(device)
        if caller is not None:
            caller.close(reasons.stopped(code, self.release))

    def reach_by(self, name: str, proxy: str) -> Reach:
        """How WhatsApp answers an instance: as was said of it, else of its proxy, else of all."""
        return self.reach_of.get(name) or self.reach_through.get(proxy) or self.reach

    def is_reachable(self, name: str, proxy: str) -> bool:
        """Whether an instance's connections get an answer."""
        return self.reach_by(name, proxy) is Reach.REACHABLE

    def forget(self, caller: "connection.Connection") -> None:
        """A connection is over."""
        self.connections.pop(caller, None)
        if self.online.get(caller.credentials.device) is caller:
            del self.online[caller.credentials.device]
        self.on_change(caller.instance_name)

    def set_reach(self, reach: Reach, *, name: str | None = None, proxy: str | None = None) -> None:
        """Change how WhatsApp answers one instance, all behind one proxy (`host:port`), or everybody.

        Connections do not survive becoming unreachable; only where packets vanish they notice it later.
        """
        if name is not None:
            _override(self.reach_of, name, reach)
        elif proxy is not None:
            _override(self.reach_through, proxy, reach)
        else:
            self.reach = reach
        for caller in list(self.connections):
            if name in (None, caller.instance_name) and proxy in (None, caller.proxy):
                self._feel(caller, reach)

    def _feel(self, caller: "connection.Connection", reach: Reach) -> None:
        lost = reasons.transient(408, gap=self._rng.uniform(0.05, 0.3))
        if reach is Reach.BLACKHOLED and caller.open:
            caller.fall_silent(KEEP_ALIVE_SECONDS, lost)
        elif reach is not Reach.REACHABLE:
            caller.close(lost)
        elif self.is_reachable(caller.instance_name, caller.proxy):
            caller.wake()


def _override(reaches: dict[str, Reach], key: str, reach: Reach) -> None:
    if reach is Reach.REACHABLE:
        reaches.pop(key, None)
    else:
        reaches[key] = reach
