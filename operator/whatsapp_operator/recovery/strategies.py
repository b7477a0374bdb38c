"""The strategies: each carries out one step, and reads like the row of the design that it stands for.

A strategy is given the evidence's word for nothing: it asks the server, reads again after every answer that proves
nothing, and stops rather than guess. Whether the step healed is not its business; later observations tell.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.resources.steps import Step

_LOGOUT_TRIES = 30
_LOGOUT_TRIES_FLAPPING = 120
_LOGOUT_PAUSE = 0.1
_LOGOUTS = 10
"""Of an instance that flaps some are refused: 3 were seen, in its `close` (Evolution API 2.3.7)."""
_STABLE_READS = 5
_DELETE_TRIES = 3
_POLL_FIRST = 0.2
_POLL_LONGEST = 2.0


class Server(Protocol):
    """The calls that strategies make; the engine's Evolution port has them all."""

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        """`connectionState`."""

    async def create(self, wanted: evidence.NewInstance) -> evidence.Created | evidence.Refused | evidence.Unknown:
        """`create`."""

    async def connect(
        self, name: str
    ) -> evidence.QRCode | evidence.NoCode | evidence.InMemory | evidence.Refused | evidence.Unknown:
        """`connect`."""

    async def restart(self, name: str) -> evidence.Outcome:
        """`restart`."""

    async def logout(self, name: str) -> evidence.Outcome:
        """`logout`."""

    async def delete(self, name: str) -> evidence.Outcome:
        """`delete`."""

    async def find_webhook(self, name: str) -> evidence.Webhook | evidence.Unknown | None:
        """`webhook/find`."""

    async def set_webhook(self, name: str, webhook: evidence.Webhook) -> evidence.Outcome:
        """`webhook/set`."""

    async def find_settings(self, name: str) -> Mapping[str, object] | evidence.Unknown | None:
        """`settings/find`."""

    async def set_settings(self, name: str, settings: Mapping[str, object]) -> evidence.Outcome:
        """`settings/set`, a full replace."""


class Done(enum.Enum):
    """How far a strategy came."""

    DONE = "Done"
    """The server was asked everything; observe what becomes of it."""
    PENDING = "Pending"
    """DELETE was accepted, and the instance is still there."""
    REFUSED = "Refused"
    """The server said no, or a Relogin ended before it sent a logout: the session is as it was."""
    UNCERTAIN = "Uncertain"
    """A call got no answer that proves anything; it may have had its effect."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a strategy works on, and with."""

    server: Server
    name: str
    """The instance's name on the server."""
    list_rows: Callable[[], Awaitable[evidence.DatabaseList | evidence.Unknown]]
    """A list of the database that was begun after it was asked for."""
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    timeout: float
    """Seconds to wait for a deleted instance to be gone."""
    wanted: evidence.NewInstance | None = None
    """What to create; None for a step that creates nothing."""
    connect_after_create: bool = False
    flapping: bool = False
    """Close and connecting take turns: a few reads of close prove nothing."""
    spare_open: bool = False
    """The instance was not open when it was assessed: if it is now, it has healed, or somebody has paired it."""
    broken_record: bool = False
    """The instance is confirmed a ghost or without a row: its webhook cannot be read or set."""


Strategy = Callable[[Work], Awaitable[Done]]


async def reconnect(work: Work) -> Done:
    """R1: one `connect`, from a stable close; then wait, since each further call adds a socket."""
    return _done(await work.server.connect(work.name))


async def restart(work: Work) -> Done:
    """R2: one `restart`; its body is that of the state before, and means nothing."""
    return _done(await work.server.restart(work.name))


async def create(work: Work) -> Done:
    """Create what is confirmed absent. After a timeout nothing is posted again: the next observation tells."""
    assert work.wanted is not None  # noqa: S101 - a step that creates is given what
    answer = await work.server.create(work.wanted)
    if isinstance(answer, evidence.Created) and work.connect_after_create:
        await work.server.connect(work.name)
    return _done(answer)


async def relogin(work: Work) -> Done:
    """R3: webhook off and read back, logged out until it is so for both witnesses, then one `connect`.

    The webhook is put back once the new session shows a code, which proves that nothing of the logout is still to come:
    a LOGOUT_INSTANCE whose receiver is dead would delete the new session some minutes later (S19).
    """
    if await _silence_webhook(work) is not Done.DONE:
        return Done.REFUSED
    ended = await _log_out(work)
    if ended is not Done.DONE:
        return ended
    connected = _done(await work.server.connect(work.name))
    # A refusal would say that nothing was done; it was logged out.
    return Done.UNCERTAIN if connected is Done.REFUSED else connected


async def _log_out(work: Work) -> Done:
    """Log out until the database says so and memory rests in close; what a logout answers proves neither.

    `REFUSED` where none was sent: only a logout leaves an instance deaf, and asks for a restart of the server.

    2.3.7 answers 500 to one that happened, and every version 400 in `close`. A zombie takes any number without effect.
    """
    closed = asked = 0
    for _ in range(_LOGOUT_TRIES_FLAPPING):
        memory = await work.server.read_memory(work.name)
        if not isinstance(memory, evidence.InMemory) or memory.state is ConnectionState.OPEN:
            break  # nothing is known any more; or it has healed, or somebody has paired it
        if memory.state is ConnectionState.CLOSE:
            closed += 1
            if closed % _STABLE_READS == 0 and await _is_logged_out(work):
                return Done.DONE
        elif asked < _LOGOUTS:
            closed, asked = 0, asked + 1
            await work.server.logout(work.name)
        else:
            break
        await work.sleep(_LOGOUT_PAUSE)
    return Done.UNCERTAIN if asked else Done.REFUSED


async def _is_logged_out(work: Work) -> bool:
    rows = await work.list_rows()
    row = rows.rows.get(work.name) if isinstance(rows, evidence.DatabaseList) else None
    return row is not None and row.state is ConnectionState.CLOSE


async def recreate(work: Work) -> Done:
    """R4: safe delete, and only when both witnesses say that it is gone, create."""
    assert work.wanted is not None  # noqa: S101 - nothing is deleted that could not be created again
    deleted = await delete(work)
    return await create(work) if deleted is Done.DONE else deleted


async def delete(work: Work) -> Done:
    """Safe delete: webhook off and read back, logged out where there is a socket, DELETE, poll until gone."""
    prepared = await prepare_delete(work)
    return prepared if prepared is not Done.DONE else await delete_prepared(work)


async def delete_prepared(work: Work) -> Done:
    """DELETE, where what must come before it was done; poll until gone."""
    asked = await _ask_to_delete(work)
    return asked if asked is not Done.DONE else await _until_gone(work)


async def _ask_to_delete(work: Work) -> Done:
    """DELETE; 2.3.7 refuses one that happened half (400: logged out, the row kept), and takes the next from `close`."""
    for _ in range(_DELETE_TRIES):
        asked = _done(await work.server.delete(work.name))
        if asked is not Done.REFUSED:
            return asked
        memory = await work.server.read_memory(work.name)
        if isinstance(memory, evidence.Unknown):
            return Done.UNCERTAIN
        if memory != evidence.InMemory(ConnectionState.CLOSE):
            break
    return Done.DONE


async def prepare_delete(work: Work) -> Done:
    """What must come before DELETE, so that it ends and leaves no loop behind."""
    silenced = await _silence_webhook(work)
    return silenced if silenced is not Done.DONE else await _end_socket(work)


async def _silence_webhook(work: Work) -> Done:
    """S10: a REMOVE_INSTANCE webhook whose receiver is dead holds a deletion for up to 23 minutes."""
    webhook = await work.server.find_webhook(work.name)
    if isinstance(webhook, evidence.Unknown):
        return Done.UNCERTAIN
    if webhook is None or not webhook.enabled:
        return Done.DONE
    answer = await work.server.set_webhook(work.name, replace(webhook, enabled=False, events=frozenset()))
    if work.broken_record and answer == evidence.Unknown(evidence.Ignorance.SERVER_ERROR):
        return Done.DONE
    silenced = await work.server.find_webhook(work.name)
    return Done.UNCERTAIN if _is_heard(silenced) else Done.DONE


def _is_heard(webhook: evidence.Webhook | evidence.Unknown | None) -> bool:
    """Whether the webhook may still be called."""
    return isinstance(webhook, evidence.Unknown) or (webhook is not None and webhook.enabled)


async def _end_socket(work: Work) -> Done:
    """A socket that still tries goes on for ever after DELETE: log out until SUCCESS, or until close proves stable."""
    closed = 0
    for _ in range(_LOGOUT_TRIES_FLAPPING if work.flapping else _LOGOUT_TRIES):
        memory = await work.server.read_memory(work.name)
        if isinstance(memory, evidence.Unknown):
            return Done.UNCERTAIN
        if not isinstance(memory, evidence.InMemory):
            return Done.DONE
        if work.spare_open and memory.state is ConnectionState.OPEN:
            return Done.REFUSED
        closed = closed + 1 if memory.state is ConnectionState.CLOSE else 0
        if closed >= _STABLE_READS and not work.flapping:
            return Done.DONE
        if isinstance(await _logout(work, memory.state), evidence.Accepted):
            return Done.DONE
        await work.sleep(_LOGOUT_PAUSE)
    # A zombie refuses for ever (2.3.7: 500). DELETE may still be taken; one that flaps is tried again later.
    return Done.UNCERTAIN if work.flapping else Done.DONE


async def _logout(work: Work, state: ConnectionState) -> evidence.Outcome | None:
    """In `close` a logout is refused; it is worth a try only where the next moment may be another state."""
    if state is ConnectionState.CLOSE and not work.flapping:
        return None
    return await work.server.logout(work.name)


async def _until_gone(work: Work) -> Done:
    deadline = work.monotonic() + work.timeout
    pause = _POLL_FIRST
    while work.monotonic() < deadline:
        if await is_gone(work):
            return Done.DONE
        await work.sleep(pause)
        pause = min(pause * 2, _POLL_LONGEST)
    return Done.PENDING


async def is_gone(work: Work) -> bool:
    """Whether neither witness has the instance any more."""
    if not isinstance(await work.server.read_memory(work.name), evidence.Absent):
        return False
    return await is_unlisted(work)


async def is_unlisted(work: Work) -> bool:
    """Whether the database has no row of it."""
    rows = await work.list_rows()
    return isinstance(rows, evidence.DatabaseList) and work.name not in rows.rows


def _done(answer: object) -> Done:
    match answer:
        case evidence.Unknown():
            return Done.UNCERTAIN
        case evidence.Refused():
            return Done.REFUSED
        case _:
            return Done.DONE


STRATEGIES: Mapping[Step, Strategy] = {
    Step.CREATE: create,
    Step.RECONNECT: reconnect,
    Step.RESTART: restart,
    Step.RELOGIN: relogin,
    Step.RECREATE: recreate,
    Step.DELETE: delete,
}
"""A restart of the server is no step on one instance: the engine carries it out, once for all who wait for it."""
