"""One connection of an instance to WhatsApp (a Baileys socket).

An instance normally has one. It can get more: each `connect` in state `close` starts another, whatever else is under
way. A connection tells its instance what happens to it; whether the instance can hear it is the instance's affair.
"""

from typing import TYPE_CHECKING, Protocol

from evolution_simulator import clock, database, reasons

if TYPE_CHECKING:
    from evolution_simulator import whatsapp


class Owner(Protocol):
    """The instance that a connection belongs to."""

    name: str

    def on_open(self, source: "Connection") -> None:
        """The connection is logged in."""

    def on_code(self, source: "Connection") -> None:
        """WhatsApp gave a new QR code."""

    def on_paired(self, source: "Connection") -> None:
        """The phone linked the device; `source.credentials` are new."""

    def on_close(self, reason: reasons.Reason) -> None:
        """The connection ended."""


class Connection:
    """A connection from dialling to its end."""

    def __init__(
        self,
        *,
        owner: Owner,
        far_side: "whatsapp.WhatsApp",
        scheduler: clock.Scheduler,
        credentials: database.Credentials,
        number: str | None,
        proxy: str,
    ) -> None:
        self._owner = owner
        self._far_side = far_side
        self._scheduler = scheduler
        self._timer: clock.Timer | None = None
        self.credentials = credentials
        self.number = number
        self.instance_name = owner.name
        self.proxy = proxy
        self.open = False
        self.ended = False
        self.hung = False
        self.silent = False
        self.showing_code = False

    def dial(self) -> None:
        """Call WhatsApp."""
        self._far_side.dial(self)

    def later(self, delay: float, callback: clock.Callback) -> None:
        """Do something later unless the connection ended."""
        if not self.ended:
            self._timer = self._scheduler.call_later(delay, callback)

    def fall_silent(self, seconds: float, reason: reasons.Reason) -> None:
        """Packets vanish from now on; this side finds out after `seconds`."""
        self.silent = True
        self.later(seconds, lambda: self.close(reason))

    def wake(self) -> None:
        """Packets arrive again, and those under way did."""
        if self.silent and self._timer is not None:
            self._timer.cancel()
        self.silent = False

    def logged_in(self) -> None:
        """WhatsApp accepted the credentials."""
        self.open = True
        self._owner.on_open(self)

    def shows_code(self) -> None:
        """WhatsApp gave a new QR code."""
        self.showing_code = True
        self._owner.on_code(self)

    def codes_ended(self) -> None:
        """All codes of this connection went by unscanned.

        With a pairing code asked for, Baileys now logs in unpaired and is refused; else the connection times out.
        """
        if self.number is None:
            self.close(reasons.transient(408, gap=0.05))
        else:
            self.close(reasons.unauthorized())

    def paired(self, credentials: database.Credentials) -> None:
        """The phone linked this device."""
        self.credentials = credentials
        self._owner.on_paired(self)

    def close(self, reason: reasons.Reason) -> None:
        """End the connection and say why; nothing happens when it has ended before."""
        if not self.ended:
            self.abandon()
            self._owner.on_close(reason)

    def abandon(self) -> None:
        """End the connection without a word, as when the process dies."""
        self.ended = True
        self.open = False
        self.showing_code = False
        if self._timer is not None:
            self._timer.cancel()
        self._far_side.forget(self)
