"""What looks after the numbers of a server: nobody, two scripts as people write them, and the operator.

Each is a function of the keeper's tools that never ends; `POLICIES` lists them in the order of the report.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from simulation.evolution import host, wire
from simulation.life import Life
from simulation.stage import KEY, Stage
from simulation.system import stream

from benchmarks.fleet_month.house import server_of
from evolution_simulator import instance
from evolution_simulator.version import ConnectionState
from whatsapp_operator.evolution import errors, routes

WATCHDOG_PERIOD_SECONDS = 60.0
WATCHDOG_PAUSE_SECONDS = 600.0
"""The watchdog restarts one instance no more often than this."""
LITERAL_PERIOD_SECONDS = 30.0
STUCK_SECONDS = 30.0
CHECK_TIMEOUT_SECONDS = 10.0
RETRY_SECONDS = 2.0
_CALL_TIMEOUT_SECONDS = 10.0
_SCRIPT = "script"
_CREATE_TIMES = 5


class Policy(enum.StrEnum):
    """Who looks after the numbers."""

    NONE = "nobody"
    WATCHDOG = "restart-only watchdog"
    LITERAL = "the original algorithm, taken literally"
    OPERATOR = "whatsapp-operator"


class Caller:
    """Calls of a script to the Evolution API, over the operator's own routes."""

    def __init__(self, stage: Stage, names: Sequence[str] = ()) -> None:
        """`names` are those that `not_open` looks at."""
        loop, there = stage.loop, server_of(stage)
        self.host: host.Host = there
        self.shortened = 0
        self._loop, self._names = loop, names
        self._seen: tuple[int, bool] | None = None
        self._found: Sequence[str] = ()
        self._wire = wire.Wire(
            lambda _: there,
            url="",
            api_key=KEY,
            timeout_seconds=_CALL_TIMEOUT_SECONDS,
            caller=_SCRIPT,
            loop=loop,
            life=Life(loop, on_death=lambda: None),
            chance=stream(stage.seed, "script"),
        )

    async def call(self, route: routes.Route, name: str, body: dict[str, object] | None = None) -> int | None:
        """One call; its HTTP status, None where there was no answer."""
        path = route.fill(name) if "{name}" in route.path else route.path
        try:
            return (await self._wire.send(route, path=path, body=body)).status
        except errors.Unreachable:
            return None

    def state(self, name: str) -> str | None:
        """What `connectionState` says: a state, `none` without one, `absent`, or None where that is not known.

        It is counted as a call and read from the model without one, which would say the same: a number whose pairing
        is lost is read thousands of times before its person comes.
        """
        model = self.host.model
        if not model.listening:
            return None
        self.shortened += 1
        one = model.memory.get(name)
        if one is not None:
            return str(one.state)
        if model.database.down:
            return None
        return "none" if name in model.database.rows else "absent"

    def not_open(self, *, but: AbstractSet[str] = frozenset()) -> list[str]:
        """Those whose state has to be read; of the others `connectionState` would say open, which is counted as read.

        Reading that tells a script nothing, and changes nothing: over a month it would be all that the machine does.
        """
        found = [name for name in self._all_not_open() if name not in but]
        self.shortened += len(self._names) - len(but) - len(found)
        return found

    def _all_not_open(self) -> Sequence[str]:
        """Found anew only where memory has changed since: mostly nothing has, in the half minute between two reads."""
        model = self.host.model
        seen = model.changes, model.listening
        if seen != self._seen:
            self._seen, self._found = seen, self._search(model.memory) if model.listening else self._names
        return self._found

    def _search(self, memory: Mapping[str, instance.Instance]) -> Sequence[str]:
        at = ((name, memory.get(name)) for name in self._names)
        return [name for name, one in at if one is None or one.state is not ConnectionState.OPEN]


@dataclass(frozen=True, slots=True)
class Keeper:
    """What a script works with."""

    caller: Caller
    loop: asyncio.AbstractEventLoop
    spawn: Callable[[Coroutine[None, None, None]], None]


async def watchdog(keeper: Keeper) -> None:
    """Each minute, whatever is not open twice in a row is restarted, and never anything else."""
    bad: set[str] = set()
    not_before: dict[str, float] = {}
    while True:
        to_ask = keeper.caller.not_open()
        bad.intersection_update(to_ask)
        for name in to_ask:
            if keeper.caller.state(name) == "open":
                bad.discard(name)
            elif name not in bad:
                bad.add(name)
            elif keeper.loop.time() >= not_before.get(name, 0.0):
                not_before[name] = keeper.loop.time() + WATCHDOG_PAUSE_SECONDS
                await keeper.caller.call(routes.RESTART, name)
        await asyncio.sleep(WATCHDOG_PERIOD_SECONDS)


class Literal:
    """The algorithm that this project was asked for, taken literally.

    Not open for 30 s is stuck: restart; if that does not open it, logout and restart; if that does not, delete and
    create. It makes no difference why. It is as careful as such scripts get: an instance that cannot be read is left
    alone, instances do not wait for each other, and `connect` is called only on one that was just created.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._caller, self._keeper = keeper.caller, keeper
        self._bad_since: dict[str, float] = {}
        self._busy: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        while True:
            to_ask = self._caller.not_open(but=self._busy)
            self._bad_since = {name: self._bad_since[name] for name in to_ask if name in self._bad_since}
            for name in to_ask:
                self._check(name)
            await asyncio.sleep(LITERAL_PERIOD_SECONDS)

    def _check(self, name: str) -> None:
        state, now = self._caller.state(name), self._keeper.loop.time()
        if state == "absent":
            self._begin(name, self._create(name))
        elif state == "open":
            self._bad_since.pop(name, None)
        elif state is not None and now - self._bad_since.setdefault(name, now) >= STUCK_SECONDS:
            del self._bad_since[name]
            self._begin(name, self._heal(name))

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> None:
        async def alone() -> None:
            try:
                await work
            finally:
                self._busy.discard(name)

        self._busy.add(name)
        self._keeper.spawn(alone())

    async def _heal(self, name: str) -> None:
        await self._caller.call(routes.RESTART, name)
        if await self._opens(name):
            return
        await self._caller.call(routes.LOGOUT, name)
        await self._caller.call(routes.RESTART, name)
        if await self._opens(name):
            return
        await self._caller.call(routes.DELETE, name)
        await asyncio.sleep(RETRY_SECONDS)
        await self._create(name)

    async def _create(self, name: str) -> None:
        for _ in range(_CREATE_TIMES):
            body: dict[str, object] = {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "qrcode": False}
            if await self._caller.call(routes.CREATE, name, body) == 201:
                await self._caller.call(routes.CONNECT, name)
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _opens(self, name: str) -> bool:
        until = self._keeper.loop.time() + CHECK_TIMEOUT_SECONDS
        while self._keeper.loop.time() < until:
            await asyncio.sleep(RETRY_SECONDS)
            if self._caller.state(name) == "open":
                return True
        return False


async def literal(keeper: Keeper) -> None:
    """See `Literal`."""
    await Literal(keeper).run()


Script = Callable[[Keeper], Coroutine[None, None, None]]
SCRIPTS: Mapping[Policy, Script] = {Policy.WATCHDOG: watchdog, Policy.LITERAL: literal}
