"""Instances in the server's memory.

`connectionState` and `/metrics` answer from here. The object writes to the database only at a few moments (a QR code, a
login, the end of a session), and every event of its connection begins with a database read: an event that arrives while
the database is down is lost, and memory then says for ever what was true before.
"""

from typing import TYPE_CHECKING, Any

from evolution_simulator import clock, connection, database, qr, reasons, version

if TYPE_CHECKING:
    from evolution_simulator import world

QR_LIMIT = 30


class Instance:
    """What all channels share; by itself a WHATSAPP-BUSINESS or EVOLUTION instance, open from its creation."""

    def __init__(self, *, server: "world.World", row: database.Row) -> None:
        self._server = server
        self.name = row.name
        self.instance_id = row.id
        self.integration = row.integration
        self._state = version.ConnectionState.OPEN
        self.qr = qr.QrCode()

    @property
    def state(self) -> version.ConnectionState:
        """The state in memory."""
        return self._state

    @state.setter
    def state(self, state: version.ConnectionState) -> None:
        self._state = state
        self._server.memory_changed()

    @property
    def dead(self) -> bool:
        """Whether a logout would reach nobody."""
        return False

    def connect(self, *, number: str | None = None) -> None:
        """These channels have nothing to connect."""

    def restart(self) -> None:
        """These channels have nothing to restart."""

    def log_out(self) -> None:
        """Memory turns `close` until the server restarts; the database stays `open`."""
        self.state = version.ConnectionState.CLOSE

    def connect_body(self) -> dict[str, Any]:
        """What `connect` answers after its wait."""
        return {}

    def destroy(self) -> None:
        """The process ends."""

    def emit(self, event: str, data: Any, then: clock.Callback | None = None) -> None:
        """Send a webhook event."""
        self._server.emit(self.name, event, data, then=then)


class BaileysInstance(Instance):
    """A WHATSAPP-BAILEYS instance: it owns connections to WhatsApp."""

    def __init__(self, *, server: "world.World", row: database.Row) -> None:
        super().__init__(server=server, row=row)
        self._state = version.ConnectionState.CLOSE
        self.client: connection.Connection | None = None
        self._connections: list[connection.Connection] = []
        self.reconnects: list[clock.Timer] = []
        self.deaf = False

    @property
    def dead(self) -> bool:
        """Whether the connection ended without this object noticing, or hangs, or is one of several that fight."""
        client = self.client
        return client is None or client.ended or client.hung or self.replaces_itself

    @property
    def usable(self) -> bool:
        """Whether the credentials in use are not corrupt."""
        return self.client is None or self.client.credentials.kind is not database.CredentialsKind.CORRUPT

    @property
    def replaces_itself(self) -> bool:
        """Whether several loops log in with the same device for ever."""
        if self.client is None or self.client.credentials.kind is not database.CredentialsKind.PAIRED:
            return False
        return self.loops > 1 and self.reachable

    @property
    def loops(self) -> int:
        """How many connections it has or is about to make."""
        return len(self.own_connections) + len(self.reconnects)

    @property
    def reachable(self) -> bool:
        """Whether WhatsApp answers this instance."""
        proxy = self.client.proxy if self.client else ""
        return self._server.whatsapp.is_reachable(self.name, proxy)

    @property
    def own_connections(self) -> list[connection.Connection]:
        """Connections of this object that have not ended."""
        self._connections = [one for one in self._connections if not one.ended]
        return self._connections

    def connect(self, *, number: str | None = None) -> None:
        """Start a connection, whatever else is under way. Raises `DatabaseDownError`."""
        self._server.database.require()
        if self._server.release.remounts_messages:
            self.deaf = False
        client = self.adopt(self._server.load_credentials(self.instance_id), number=number)
        self.state = version.ConnectionState.CONNECTING
        self._emit_update(statusReason=200)
        client.dial()

    def adopt(self, credentials: database.Credentials, *, number: str | None = None) -> connection.Connection:
        """A new connection, through the proxy that is stored now, belongs to this object from here on."""
        row = self._server.row_of(self.instance_id, self.name)
        client = connection.Connection(
            owner=self,
            far_side=self._server.whatsapp,
            scheduler=self._server.scheduler,
            credentials=credentials,
            number=number,
            proxy=row.dials_through if row else "",
        )
        self.client = client
        self._connections = [*self.own_connections, client]
        return client

    def restart(self) -> None:
        """Replace the connection. Nothing at all happens when Baileys has already ended it."""
        client = self.client
        if client is not None and not client.ended:
            gap = self._server.rng.uniform(0.05, 0.3)
            delay = self._server.rng.uniform(0.005, 0.03)
            self._server.later(delay, lambda: client.close(reasons.transient(428, gap=gap)))

    def log_out(self) -> None:
        """End the session: WhatsApp removes the device, the Session row goes, the database gets `close` and 401."""
        self.deaf = True
        client = self.client
        if client is None:
            return
        self._server.whatsapp.unlink(client)
        self._server.drop_session(self.instance_id)
        client.close(reasons.logout(self.name))

    def connect_body(self) -> dict[str, Any]:
        """The last QR code, however old."""
        return self.qr.body()

    def destroy(self) -> None:
        """The process ends: every connection and every loop with it, and the sessions stay."""
        self.stop_reconnects()
        for one in self.own_connections:
            one.abandon()

    def on_open(self, source: connection.Connection) -> None:
        """Logged in: memory, then the database."""
        if self._server.database.down:
            return
        self.state = version.ConnectionState.OPEN
        owner = source.credentials.owner_jid
        self._write(connection_status=version.ConnectionState.OPEN, owner_jid=owner)
        self._emit_update(statusReason=200, wuid=owner)

    def on_code(self, source: connection.Connection) -> None:
        """A QR code: the only moment at which the database becomes `connecting`."""
        if self._server.database.down:
            return
        if self.qr.count >= QR_LIMIT:
            self.emit("qrcode.updated", {"message": "QR code limit reached, please login again", "statusCode": 500})
            source.abandon()
            self._server.qr_limit_reached(self.name)
            return
        rng = self._server.rng
        code = qr.new_code(rng)
        pairing_code = qr.new_pairing_code(rng) if source.number else None
        self.qr.count += 1
        # The picture is drawn before the code is kept: for a moment the new count stands beside the old code.
        self._server.later(0.01, lambda: self._keep_code(code, pairing_code))
        self._write(connection_status=version.ConnectionState.CONNECTING)
        self._server.code_shown(source)

    def _keep_code(self, code: str, pairing_code: str | None) -> None:
        self.qr.code, self.qr.pairing_code = code, pairing_code
        shown = {"instance": self.name, "pairingCode": pairing_code, "code": code}
        self.emit("qrcode.updated", lambda: {"qrcode": shown | {"base64": qr.picture(code)}})

    def on_paired(self, source: connection.Connection) -> None:
        """The device was linked: the credentials are stored for the connection that follows."""
        if not self._server.database.down:
            self._server.database.sessions[self.instance_id] = source.credentials

    def on_close(self, reason: reasons.Reason) -> None:
        """The connection ended: connect again, or end the session. Lost while the database is down."""
        if self._server.database.down:
            return
        self.state = version.ConnectionState.CLOSE
        if reason.final:
            self._end_session(reason)
        else:
            self._reconnect_after(reason.gap)

    def end_at_qr_limit(self) -> None:
        """The QR limit: connections end, the QR object is new, and the database keeps `connecting`."""
        client = self.client
        self.qr = qr.QrCode()
        if client is not None and client.credentials.kind is database.CredentialsKind.PAIRED:
            self.log_out()
        elif client is not None and not client.ended:
            client.abandon()
        self.state = version.ConnectionState.CLOSE
        self._emit_update(state="refused", statusReason=428)

    def lose_connection(self, reason: reasons.Reason) -> None:
        """End the connection in a moment in which the database is down: this object never hears of it."""
        if self.client is not None:
            with self._server.database.outage():
                self.client.close(reason)

    def close_for_good(self) -> None:
        """End the connection and every loop, as when the reconnect itself met a database that is down."""
        if self.client is not None:
            self.client.close(reasons.transient(428, gap=0.0))
        self.stop_reconnects()

    def _write(self, **changes: Any) -> None:
        row = self._server.row_of(self.instance_id, self.name)
        if row is not None:
            self._server.database.update(row, now=self._server.scheduler.now(), **changes)

    def _end_session(self, reason: reasons.Reason) -> None:
        now = self._server.scheduler.now()
        self._write(
            connection_status=version.ConnectionState.CLOSE,
            disconnection_at=now,
            disconnection_reason_code=reason.code,
            disconnection_object=reason.disconnection_object(now),
        )
        self.emit(
            "status.instance", {"instance": self.name, "status": "closed", "disconnectionReasonCode": reason.code}
        )
        self._emit_update(statusReason=reason.code)
        self.emit("logout.instance", None, then=lambda: self._server.clean_up(self.name))

    def _reconnect_after(self, gap: float) -> None:
        def reconnect() -> None:
            self.reconnects.remove(timer)
            try:
                self.connect()
            except database.DatabaseDownError:
                return

        timer = self._server.later(gap, reconnect)
        self.reconnects.append(timer)

    def stop_reconnects(self) -> None:
        """Give up whatever waits to connect again."""
        for timer in self.reconnects:
            timer.cancel()
        self.reconnects.clear()

    def _emit_update(self, *, state: str | None = None, **data: Any) -> None:
        self.emit("connection.update", {"instance": self.name, "state": state or self.state, **data})
