"""The digest of a state: servers, what each process remembers, where each coroutine waits, the invariants' memory.

Two states of one digest go on alike, and are judged alike. Left out is what changes neither: Events, logs, versions of
objects as numbers (whether what a process knows is the present one is kept), and what was read before the last reads.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import CoroutineType
from typing import Any

from evolution_simulator import connection, world
from evolution_simulator import instance as instances
from simulation.exhaustive import moments, stand
from simulation.exhaustive.play import Game
from simulation.exhaustive.rounds import Rounds
from simulation.exhaustive.walk import Walk
from simulation.kubernetes import kinds
from simulation.life import Life
from simulation.replica import NAMESPACE
from simulation.sight import Announced
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.alarm import Alarm
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.fence import Fenced
from whatsapp_operator.engine.leadership import Leadership
from whatsapp_operator.engine.observer import Observer
from whatsapp_operator.engine.queue import WorkQueue
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution.breaker import Breaker

_ENOUGH_READS = 3
"""More readings since the last call prove no more to any invariant."""
_LONG = 48
"""Letters from which on a word is not repeated."""
_LOCAL = frozenset({"now", "resource_version", "started", "f"})
"""Variables that are told of elsewhere: the time, and whether the version is the present one; or that tell nothing."""
_LAPSES = "lapses"
_OF_NO_CONCERN = (kinds.EVENTS.plural, kinds.NAMESPACES.plural)
_EXCUSES = frozenset({"freeze", "messages", "pause", "pause_server", "pause_everything"})
"""Deeds that invariants ask after."""
_OF_SUBJECTS = (
    "record",
    "opinion",
    "symptom",
    "standing",
    "keepsake",
    "keepsake_barred",
    "token",
    "deletion",
    "codes",
    "configuring",
    "is_held",
    "let_go",
)
_TIMES_OF_SUBJECTS = (
    "connecting",
    "sampling",
    "samples",
    "sampled_at",
    "restored",
    "create_asked_at",
    "create_refusals",
    "create_refused",
    "create_unanswered",
    "born_at",
    "stepped_at",
    "replaced_id",
    "took",
    "pairing_next_at",
    "blocked_since",
    "to_stay_since",
)
_OF_SERVERS = (
    "observed",
    "warm_up",
    "symptoms",
    "standings",
    "ledger",
    "ledger_saved",
    "in_flight",
    "wishes",
    "flying",
    "rolled_out",
    "history",
    "workload",
    "workload_problem",
    "inspected",
    "replaced_since",
    "restored",
)
"""Not its calm, which each look ends, and in rounds every instance is looked at before it is asked after."""
_OF_OTHERS_SERVERS = ("workload", "workload_problem")
"""What a process keeps of a server that it does not hold."""
_OF_OBSERVERS = ("_rows_due", "_rows_not_before", "_last_tick")
_OF_BREAKERS = ("_in_a_row", "_instances", "_why", "_trials", "_due")
_OF_LEADERSHIP = ("_busy", "_ledgers", "_renewed_at", "_joined", "_missing_since")


def again(word: str, places: dict[str, int]) -> str:
    """A long word, where it comes for the first time; after that only which one it was."""
    if word in places:
        return f"again {places[word]}"
    if len(word) >= _LONG:
        places[word] = len(places)
    return word


class Fingerprint:
    """Tells the states of one game."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._walk = Walk(
            {
                Subject: lambda one: f"subject {one.key}",
                Server: lambda one: f"server {one.key}",
                Draft: lambda one: self._walk.at_present(one, lambda: self._draft(one)),
                ports.Lease: self._lease,
                connection.Connection: self._connection,
                instances.Instance: lambda one: f"instance {one.name} {one.instance_id}",
                asyncio.TimerHandle: lambda one: f"at {moments.of(one.when())}",
                asyncio.Lock: lambda one: f"lock {one.locked()}",
                asyncio.Future: lambda one: f"future {one.done()}",
                stand.Parked: lambda one: one.text,
                stand.Life: lambda one: one.name,
            }
        )

    def digest(self) -> bytes:
        """The digest of the present state, in which every coroutine waits."""
        return hashlib.blake2b(self.text().encode(), digest_size=16).digest()

    def text(self) -> str:
        """What the digest is made from."""
        self._walk.anew()
        lines = "\n".join(self.lines())
        return moments.told(lines, now=self._game.loop.time(), remembered=self._game.scenario.remembered)

    def lines(self) -> Iterator[str]:
        """The state, line by line."""
        game = self._game
        yield str(sorted(game.arbiter.deeds))
        yield from self._objects()
        for one in game.stage.hosts.values():
            yield from self._server(one.model)
        yield from self._timers()
        for rounds in game.stage.rounds:
            if not rounds.replica.life.dead:
                yield from self._process(rounds)
        yield from sorted(self._tasks())
        yield from self._seen()

    def _fields(self, value: object, names: tuple[str, ...]) -> str:
        return " ".join(f"{name}={self._walk.field(name, getattr(value, name))}" for name in names)

    # The servers

    def _objects(self) -> Iterator[str]:
        for spot, body in sorted(self._game.stage.api.objects.items()):
            if spot[0] not in _OF_NO_CONCERN:
                yield f"{spot} {self._walk.once(body, functools.partial(self._object, body))}"

    def _object(self, body: Mapping[str, Any]) -> str:
        """Of a claim the time of its last write is nobody's concern."""
        told = dict(body)
        if body.get("kind") == kinds.LEASES.kind and "-claim-" in body["metadata"]["name"]:
            told["spec"] = {name: value for name, value in body["spec"].items() if name != "renewTime"}
        return self._walk.text(told)

    def _server(self, model: world.World) -> Iterator[str]:
        stored, far = model.database, model.whatsapp
        yield self._walk.text([stored.down, model.running, model.listening, sorted(model.arming.lose_delete)])
        yield self._walk.text([stored.rows, stored.sessions])
        yield self._walk.text([far.reach_of, far.hang_next, far.removed_devices, sorted(far.online)])
        for one in model.memory.values():
            yield self._instance(one)

    def _instance(self, one: instances.Instance) -> str:
        told = f"{one.name} {one.instance_id} {one.state}"
        if not isinstance(one, instances.BaileysInstance):
            return told
        loops = [self._walk.text(each) for each in one.own_connections]
        return f"{told} {one.deaf} {one.qr.count} {self._walk.text(one.client)} {loops} {len(one.reconnects)}"

    def _timers(self) -> Iterator[str]:
        alive = [one for one in self._game.loop.timers() if not one.cancelled()]
        told = (f"{moments.of(one.when())} {self._callback(one)}" for one in alive)
        # In rounds nobody takes anything from the work queue, or waits for an observer's alarm.
        yield from sorted(one for one in told if WorkQueue.__name__ not in one and Alarm.__name__ not in one)

    def _callback(self, handle: asyncio.TimerHandle) -> str:
        called: Any = handle._callback  # type: ignore[attr-defined]  # what a timer stands for is told nowhere else
        return f"{self._called(called)} {self._walk.text(handle._args)}"

    def _called(self, called: Any) -> str:
        if isinstance(called, functools.partial):
            return f"{self._called(called.func)} {self._walk.text(called.args)}"
        cells = [cell.cell_contents for cell in getattr(called, "__closure__", None) or ()]
        inner = [self._called(one) if callable(one) else self._walk.text(one) for one in cells]
        return f"{getattr(called, '__qualname__', type(called).__name__)} {inner}"

    # The processes

    def _process(self, rounds: Rounds) -> Iterator[str]:
        one = rounds.replica
        yield f"{one.identity} {one.slot} {one.life.awake_in():.4f} {one.life.dies_in}"
        yield self._leadership(one.claims)
        for subject in one.context.subjects.values():
            yield from self._subject(one.context, subject, works=_works_on(one.claims, one.context.claim_of(subject)))
        for server in one.context.servers.values():
            works = _works_on(one.claims, server.key)
            yield f"{self._walk.text(server)} {self._fields(server, _OF_SERVERS if works else _OF_OTHERS_SERVERS)}"
            yield self._breaker(server)
        yield _times(rounds.restarts._workload_due)
        for observer in rounds.observers.values():
            yield self._observer(observer)

    def _subject(self, context: Context, one: Subject, *, works: bool) -> Iterator[str]:
        """Of what is another process's only the resource: the rest is forgotten when it becomes this one's."""
        present = self._is_present(kinds.INSTANCES, one)
        yield "present" if present else self._walk.once(one.body, functools.partial(self._body, one))
        yield f"{self._walk.text(one)} {works}"
        if not works:
            return
        yield f"{self._fields(one, _OF_SUBJECTS)} {self._fields(one, _TIMES_OF_SUBJECTS)}"
        considered = one.opinion is not None and one.opinion.reads == one.record.reads
        yield f"{considered} {one.sampled_at > one.stepped_at} {_is_listed_since(context, one)}"
        if one.status_written_at is not None:
            yield moments.due(one.status_written_at + context.limits.status_period)

    def _body(self, subject: Subject) -> str:
        return self._walk.text(dict(subject.body))

    def _is_present(self, kind: kinds.Kind, subject: Subject) -> bool:
        found = self._game.stage.api.find(kind, subject.key.namespace, subject.key.name)
        return found is not None and found["metadata"]["resourceVersion"] == subject.resource_version

    def _leadership(self, one: Leadership) -> str:
        held = {key: [claim.lease, claim.yielding, claim.saving.locked()] for key, claim in one._held.items()}
        return f"{self._fields(one, _OF_LEADERSHIP)} {self._walk.text(held)} {self._walk.text(one._members._signs)}"

    def _breaker(self, server: Server) -> str:
        client: Any = server.client._client if isinstance(server.client, Fenced) else None
        found: Breaker | None = client._breaker if client is not None else None
        return self._fields(found, _OF_BREAKERS) if found is not None else ""

    def _observer(self, one: Observer) -> str:
        return self._fields(one, _OF_OBSERVERS)

    # Where everybody waits

    def _tasks(self) -> Iterator[str]:
        for task in asyncio.all_tasks(self._game.loop):
            frames = list(_frames(task.get_coro()))
            if frames and frames[0].f_code is Game.main.__code__:
                continue
            if any(isinstance(life := frame.f_locals.get("self"), Life) and life.dead for frame in frames):
                continue
            places: dict[str, int] = {}
            yield " < ".join(self._frame(frame, places) for frame in frames)

    def _frame(self, frame: Any, places: dict[str, int]) -> str:
        """What an outer frame has told is not told again: only which of its words it was, in the order they came."""
        known = sorted(_variables(frame))
        words = (f"{name}={again(self._walk.field(name, value), places)}" for name, value in known)
        return f"{frame.f_code.co_qualname}:{frame.f_lasti} {' '.join(words)}"

    def _draft(self, one: Draft) -> str:
        known = "its own" if one.instance is one.subject.instance else self._walk.text(one.instance)
        names = (name for name in Draft.__slots__ if name not in ("instance", "policy", "said"))
        return f"draft {known} {self._fields(one, tuple(names))}"

    def _lease(self, one: ports.Lease) -> str:
        found = self._game.stage.api.find(kinds.LEASES, NAMESPACE, one.name)
        present = found is not None and found["metadata"]["resourceVersion"] == one.resource_version
        renewed = self._walk.text(one.renewed) if one.role is ports.LeaseRole.MEMBER else ""
        return f"lease {one.name} {one.holder} {renewed} {self._walk.text(one.ledger)} {present}"

    def _connection(self, one: connection.Connection) -> str:
        flags = [one.open, one.ended, one.hung, one.silent, one.showing_code]
        return f"{one.instance_name} {self._walk.text(one.credentials)} {flags}"

    # What the invariants remember

    def _seen(self) -> Iterator[str]:
        sight, walk = self._game.sight, self._walk
        yield walk.text([self._announced(), _times(sight.acted_at), _times(sight.left_open), sight.owned_ids])
        for vouchers in sight.vouched.values():
            yield str([f"{moments.of(at)} {who} {way}" for at, who, way in vouchers])
        for creates in sight.created.values():
            yield str([f"{moments.of(at)} {who}" for at, who in creates])
        for where, states in sorted(sight.states.items()):
            yield f"{where} {[f'{moments.of(at)} {state}' for at, state in list(states)[-_ENOUGH_READS:]]}"
        yield str([(name, [moments.of(at) for at in times]) for name, times in sorted(sight.restarts.items())])
        yield str([moments.of(at) for at in self._game.scenario.remembers(sight)])
        yield _times(sight.restart_announced)
        yield _times(sight.forgotten)
        yield str(sorted(_EXCUSES.intersection(self._game.stage.fault_times)))
        yield str(sorted(map(str, self._game.stage.webhooks_refused)))
        for uid, versions in sorted(sight.specs.items()):
            yield f"{uid} {[moments.of(at) for at, _ in versions]}"
        living = {one.replica.identity for one in self._game.stage.rounds if not one.replica.life.dead}
        for (process, server), reads in sorted(one for one in sight.reads.items() if one[0][0] in living):
            yield f"{process} {server} {_last(reads.memory)} {_last(reads.database)}"
            for remote, acted_at in sorted(sight.acted_at.items()):
                yield str(min(sight.read_since(process, remote, acted_at), _ENOUGH_READS))
            for name, single in sorted(reads.single.items()):
                yield f"{name} {_last(single)}"

    def _announced(self) -> Sequence[Announced]:
        """What is under way, what a window may count, and of what was before the last of each kind."""
        known, begin = self._game.sight.announced, self._game.loop.time() - self._game.scenario.remembered
        latest = {(one.key, one.step): one for one in known}

        def counts(one: Announced) -> bool:
            return one.over_at is None or one.at >= begin or one.approval is not None

        return [one for one in known if counts(one) or latest[one.key, one.step] is one]


def _works_on(claims: Leadership, server: ports.Key) -> bool:
    """Whether a process has a claim, or goes on with what it began under one."""
    return server in claims._held or claims._busy[server] > 0


def _is_listed_since(context: Context, subject: Subject) -> bool:
    """Whether the last list is of after its deletion began, which is all that is asked of when it did."""
    server, deletion = context.server_of(subject), subject.deletion
    listed_at = server.observed.rows_at if server is not None else None
    return deletion is not None and listed_at is not None and listed_at > deletion.since


def _times(found: Mapping[Any, float]) -> str:
    return str([f"{key} {moments.of(at)}" for key, at in sorted(found.items())])


def _last(reads: Sequence[float]) -> str:
    return moments.of(reads[-1]) if reads else ""


def _variables(frame: Any) -> Iterator[tuple[str, Any]]:
    """Of lapses it is only asked whether there was another one since."""
    for name, value in frame.f_locals.items():
        if name == _LAPSES:
            yield name, value == frame.f_locals["self"]._lapses
        elif name not in _LOCAL:
            yield name, value


def _frames(coroutine: object) -> Iterator[Any]:
    """The frames of a coroutine that waits, the outermost first."""
    while isinstance(coroutine, CoroutineType):
        if coroutine.cr_frame is not None:
            yield coroutine.cr_frame
        coroutine = coroutine.cr_await
