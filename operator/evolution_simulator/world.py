"""The simulated server: a process with a memory, a database beside it, and WhatsApp far away.

What a request does is here; what it is answered is in `api`. What goes wrong is in `breakage`. Work that belongs to the
process (reconnects, deletions under way, webhook retries, rows still loading) dies with it at a restart; rows, sessions
and linked devices do not.
"""

import enum
import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from evolution_simulator import clock, connection, database, foreign, instance, version, webhooks, whatsapp

ROW_DELETED_AFTER = (0.1, 0.6)
START_AGAIN_SECONDS = 10.0
"""A container that failed is started again after this long."""
LONGEST_NAME = 255
JAVASCRIPT_NAMES = frozenset({"__proto__", "constructor", "hasOwnProperty", "toString", "valueOf"})
"""Memory is a plain object: these seem to exist in it."""
DEFAULT_CLIENT_NAME = "evolution_exchange"


class LogoutOutcome(enum.Enum):
    """How a logout ended, as the server itself sees it."""

    DONE = "done"
    NOT_CONNECTED = "not connected"
    FAILED = "failed"


@dataclass(slots=True)
class Races:
    """How often logout and delete of a healthy instance race with themselves on 2.3.7, by memory state.

    Seen: logout answered 500 for 5 of 25 connecting and 2 of 10 open instances, delete 400 for 3 of 10 and 6 of 10.
    """

    logout_connecting: float = 0.2
    logout_open: float = 0.2
    delete_connecting: float = 0.3
    delete_open: float = 0.6


@dataclass(slots=True, kw_only=True)
class Settings:
    """What the environment of the server says."""

    api_key: str
    server_url: str = "http://127.0.0.1:8080"
    metrics: bool = True
    metrics_auth: tuple[str, str] | None = None
    """METRICS_USER and METRICS_PASSWORD where METRICS_AUTH_REQUIRED is true; both empty is what the server calls not
    configured."""
    auto_scan: float | None = None
    """Seconds after which somebody scans each QR code; None for never."""


@dataclass(slots=True)
class Arming:
    """Faults that wait for the request they spoil, by instance name."""

    lose_delete: set[str] = field(default_factory=set)


class World:
    """One Evolution API server and its surroundings."""

    def __init__(
        self,
        *,
        scheduler: clock.Scheduler,
        rng: random.Random,
        release: version.Version,
        settings: Settings,
        sender: webhooks.Sender | None = None,
        client_name: str = DEFAULT_CLIENT_NAME,
    ) -> None:
        self.scheduler = scheduler
        self.rng = rng
        self.release = release
        self.settings = settings
        self.races = Races()
        self.arming = Arming()
        self.running = True
        self.listening = True
        self.internet_down = False
        """Whether the server's own calls to the internet fail; WhatsApp is another matter."""
        self.on_listening: Callable[[], None] = lambda: None
        self.memory: dict[str, instance.Instance] = {}
        self.database = database.Database(rng=rng, client_name=client_name)
        self.whatsapp = whatsapp.WhatsApp(scheduler=scheduler, rng=rng, release=release)
        self.webhooks = webhooks.Webhooks(
            sender=sender or webhooks.Discard(), later=self.later, process=lambda: self.process, rng=rng
        )
        self.metrics_cache: str | None = None
        self.changes = 0
        """How often memory has changed: where it is as before, so is the state of each instance."""
        self.process = 0
        self._forgotten: list[instance.BaileysInstance] = []
        self._foreign: list[foreign.ForeignHolder] = []

    # The process

    def later(self, delay: float, callback: clock.Callback) -> clock.Timer:
        """Do something later, unless the process ends before."""
        process = self.process
        return self.scheduler.call_later(delay, lambda: callback() if process == self.process else None)

    def stop(self) -> None:
        """The process ends. Sessions survive, and so does another server that holds one of them."""
        self.process += 1
        self.running = False
        self._forgotten.clear()
        for one in list(self.whatsapp.connections):
            one.abandon()
        self.memory.clear()
        self.memory_changed()
        self.set_listening(False)

    def start(self, *, load_seconds: float = 0.0, ghosts: frozenset[str] = frozenset()) -> None:
        """The process starts: it listens at once, and the rows load one after another.

        Until its row is loaded an instance is known to the database only. `ghosts` never load, as when connecting
        threw. Without a database the migrations before the start fail, and the container tries again later. Nothing
        happens where the process runs already.
        """
        if self.running:
            return
        if self.database.down:
            again = functools.partial(self.start, load_seconds=load_seconds, ghosts=ghosts)
            self.later(START_AGAIN_SECONDS, again)
            return
        self.running = True
        self.set_listening(True)
        rows = [row for row in self.database.rows.values() if row.name not in ghosts]
        for position, row in enumerate(rows, start=1):
            self.later(position * load_seconds, functools.partial(self._load, row))

    def restart(
        self, *, down_seconds: float = 0.0, load_seconds: float = 0.0, ghosts: frozenset[str] = frozenset()
    ) -> None:
        """Stop, stay away for a while, start."""
        self.stop()
        begin = functools.partial(self.start, load_seconds=load_seconds, ghosts=ghosts)
        if down_seconds:
            self.later(down_seconds, begin)
        else:
            begin()

    def set_listening(self, listening: bool) -> None:
        """Open or close the port."""
        if listening is not self.listening:
            self.listening = listening
            self.on_listening()

    def set_release(self, release: version.Version) -> None:
        """Become another version; a restart of the process belongs to it."""
        self.release = release
        self.whatsapp.release = release
        self.memory_changed()

    def memory_changed(self) -> None:
        """What `/metrics` shows is no longer true."""
        self.metrics_cache = None
        self.changes += 1

    def _load(self, row: database.Row) -> None:
        if self.database.rows.get(row.name) is not row or row.name in self.memory:
            return
        loaded = self.build(row)
        idle = row.connection_status is version.ConnectionState.CLOSE and not self.release.starts_closed_rows
        if not idle:
            try:
                loaded.connect()
            except database.DatabaseDownError:
                return
        self.remember(loaded)

    # Instances

    def build(self, row: database.Row) -> instance.Instance:
        """The memory object of a row."""
        kind = instance.BaileysInstance if row.integration is version.Integration.BAILEYS else instance.Instance
        return kind(server=self, row=row)

    def remember(self, one: instance.Instance) -> None:
        """Put an instance into memory."""
        self.memory[one.name] = one
        self.memory_changed()

    def exists(self, name: str) -> bool:
        """Whether a name is taken: in memory, or else in the database. Raises `DatabaseDownError`."""
        return name in self.memory or name in JAVASCRIPT_NAMES or self.database.find(name) is not None

    def create(self, row: database.Row) -> instance.Instance:
        """Write the row and put the instance into memory. A write that fails is not noticed here."""
        if not self.database.down and len(row.name) <= LONGEST_NAME:
            self.database.insert(row)
        created = self.build(row)
        self.remember(created)
        self.emit(row.name, "instance.create", {"instanceName": row.name, "instanceId": row.id})
        return created

    def log_out(self, one: instance.Instance) -> LogoutOutcome:
        """Log an instance out. On releases that do not wait for it, failures go unnoticed."""
        state = one.state
        if state is version.ConnectionState.CLOSE:
            return LogoutOutcome.NOT_CONNECTED
        if one.dead:
            failed = self.release.awaits_logout and self.is_paired(one.instance_id)
            return LogoutOutcome.FAILED if failed else LogoutOutcome.DONE
        connecting = state is version.ConnectionState.CONNECTING
        raced = self._races(one, self.races.logout_connecting if connecting else self.races.logout_open)
        one.log_out()
        return LogoutOutcome.FAILED if raced else LogoutOutcome.DONE

    def delete(self, name: str) -> bool:
        """Delete an instance; the row goes later. False where 2.3.7 refuses, whatever the logout before it has done."""
        one = self.memory.get(name)
        if one is not None and one.state is not version.ConnectionState.CLOSE and not self._log_out_to_delete(one):
            return False
        self.emit(name, "instance.delete", {"instanceName": name})
        self.remove(name)
        return True

    def _log_out_to_delete(self, one: instance.Instance) -> bool:
        if one.dead:
            return self.log_out(one) is LogoutOutcome.DONE
        connecting = one.state is version.ConnectionState.CONNECTING
        raced = self._races(one, self.races.delete_connecting if connecting else self.races.delete_open)
        one.log_out()
        return not raced

    def remove(self, name: str) -> None:
        """The handler of `remove.instance`: lost when the database is down, and held up by a dead webhook receiver."""
        if self.database.down or name in self.arming.lose_delete:
            self.arming.lose_delete.discard(name)
            return
        self.emit(name, "remove.instance", None, then=lambda: self._forget(name))

    def _forget(self, name: str) -> None:
        gone = self.memory.pop(name, None)
        if isinstance(gone, instance.BaileysInstance) and gone.loops:
            self.orphan(gone)
        self.memory_changed()
        row = self.database.rows.get(name)
        self.later(self.rng.uniform(*ROW_DELETED_AFTER), lambda: self._delete_row(row))

    def _delete_row(self, row: database.Row | None) -> None:
        if row is not None and not self.database.down and self.database.rows.get(row.name) is row:
            self.database.delete(row.name)

    def clean_up(self, name: str) -> None:
        """The handler of `logout.instance`: by name, so that a late one hits whatever has that name by then."""
        row = self.database.rows.get(name)
        if row is not None and not self.database.down:
            self.database.sessions.pop(row.id, None)
            now = self.scheduler.now()
            self.database.update(row, now=now, connection_status=version.ConnectionState.CLOSE)

    def qr_limit_reached(self, name: str) -> None:
        """The handler of `no.connection`: by name as well."""
        one = self.memory.get(name)
        if isinstance(one, instance.BaileysInstance):
            one.end_at_qr_limit()

    def _races(self, one: instance.Instance, chance: float) -> bool:
        if not isinstance(one, instance.BaileysInstance) or not self.release.awaits_logout:
            return False
        return one.usable and one.reachable and self.rng.random() < chance

    # What no client sees

    def orphan(self, one: instance.BaileysInstance) -> None:
        """An object is no longer in memory, and its loops go on: they act by name, on whatever has it by then."""
        self._forgotten.append(one)

    def orphans(self, name: str) -> list[instance.BaileysInstance]:
        """Forgotten objects of a name whose loops have not ended."""
        self._forgotten = [one for one in self._forgotten if one.loops]
        return [one for one in self._forgotten if one.name == name]

    def hold_elsewhere(self, name: str, credentials: database.Credentials) -> None:
        """Another server logs in with these credentials of an instance, again and again."""
        holder = foreign.ForeignHolder(
            name=name, credentials=credentials, far_side=self.whatsapp, scheduler=self.scheduler, rng=self.rng
        )
        self._foreign.append(holder)
        holder.log_in()

    def held_elsewhere(self, name: str) -> list[foreign.ForeignHolder]:
        """The other servers that hold a session of an instance."""
        self._foreign = [each for each in self._foreign if not each.ended]
        return [each for each in self._foreign if each.name == name]

    # What instances need

    def row_of(self, instance_id: str, name: str) -> database.Row | None:
        """The row of an incarnation; another one of the same name is not it."""
        row = self.database.rows.get(name)
        return row if row is not None and row.id == instance_id else None

    def load_credentials(self, instance_id: str) -> database.Credentials:
        """The stored credentials; where there are none, new ones take their place without a word."""
        fresh = database.Credentials(database.CredentialsKind.UNPAIRED)
        return self.database.sessions.setdefault(instance_id, fresh)

    def drop_session(self, instance_id: str) -> None:
        """Delete a Session row; with the database down it stays."""
        if not self.database.down:
            self.database.sessions.pop(instance_id, None)

    def is_paired(self, instance_id: str) -> bool:
        """Whether the session store holds a linked device."""
        stored = self.database.sessions.get(instance_id)
        return stored is not None and stored.kind is database.CredentialsKind.PAIRED

    def emit(self, name: str, event: str, data: Any, then: clock.Callback | None = None) -> None:
        """Send a webhook event of the instance that has this name now; `then` runs when it arrived or was given up.

        `data` that costs something to make is a function, called only where somebody listens.
        """
        row = self.database.rows.get(name)
        webhook = row.webhook if row else None
        if webhook is None or not webhooks.subscribes(webhook, event):
            if then is not None:
                then()
            return
        envelope = {
            "instance": name,
            "data": data() if callable(data) else data,
            "date_time": database.iso(self.scheduler.now()),
            "server_url": self.settings.server_url,
            "apikey": None,
        }
        self.webhooks.emit(webhook, event=event, envelope=envelope, then=then)

    # The phone

    def code_shown(self, source: connection.Connection) -> None:
        """A QR code is on display; somebody may be waiting to scan it."""
        if self.settings.auto_scan is not None:
            self.later(self.settings.auto_scan, lambda: self._scan_if_shown(source))

    def _scan_if_shown(self, source: connection.Connection) -> None:
        if source.showing_code and not source.ended:
            self._link(source, None)

    def scan(self, name: str, *, owner_jid: str | None = None) -> str | None:
        """Scan the QR code of an instance with a phone. The owner's JID, or None where no live code is on display."""
        one = self.memory.get(name)
        shown = isinstance(one, instance.BaileysInstance) and [c for c in one.own_connections if c.showing_code]
        return self._link(shown[-1], owner_jid) if shown else None

    def new_owner_jid(self) -> str:
        """A phone number nobody has."""
        return f"5511{self.rng.randrange(10**8, 10**9)}@s.whatsapp.net"

    def _link(self, source: connection.Connection, owner_jid: str | None) -> str:
        owner = owner_jid or self.new_owner_jid()
        kind = database.CredentialsKind.PAIRED
        self.whatsapp.scanned(source, database.Credentials(kind, device=self.database.new_id(), owner_jid=owner))
        return owner
