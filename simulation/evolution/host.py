"""One Evolution API server without a socket: the simulator's own model, faults and answers.

What `evolution_simulator.listener` does between socket and model is done here between a call and the model.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from evolution_simulator import faults, version, world
from evolution_simulator import listener as listening
from evolution_simulator.api import message, router
from whatsapp_operator.evolution import errors

Lost = type[errors.Unreachable]
_STEPS = ("create", "restart", "logout", "delete")
Answered = Callable[[message.Reply | Lost], None]


class LoopScheduler:
    """The model's time is the simulation's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, begin: float) -> None:
        self._loop, self._begin = loop, begin

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._begin + self._loop.time()

    def set_forward(self, seconds: float) -> None:
        """The wall clock shows so much more."""
        self._begin += seconds

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after `delay` seconds."""
        return self._loop.call_later(max(delay, 0.0), callback)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that has arrived."""

    host: Host
    caller: str
    route: str | None
    instance: str | None
    mutating: bool
    request: message.Request
    sent_at: float
    steps: bool = False
    """It is what a step does: `connect` is none where it only reads the QR code, nor are settings and webhook."""


class Host:
    """A server at a URL."""

    def __init__(self, model: world.World, *, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.model, self.name = model, name
        self._api = router.Api(model)
        self._loop = loop
        self._open: dict[int, Answered] = {}
        self._held: list[Callable[[], None]] = []
        self._arrivals = 0
        self.faults = faults.Faults()
        self.on_arrival: list[Callable[[Arrival], None]] = []
        self.on_answer: list[Callable[[Arrival, message.Reply], None]] = []
        self.on_fault: Callable[[Host, faults.Fault, str | None], None] = lambda *_: None
        model.on_listening = self._follow

    def _follow(self) -> None:
        """A process that ends, and a port that closes, cut what is under way."""
        if not self.model.listening:
            cut, self._open = self._open, {}
            for answered in cut.values():
                answered(errors.Broken)

    def release(self) -> None:
        """Let go of all requests that are held."""
        held, self._held = self._held, []
        for each in held:
            each()

    def arrive(self, request: message.Request, *, caller: str, sent_at: float, answered: Answered) -> None:
        """Take a request; `answered` is called when the answer leaves, or the connection ends."""
        if not self.model.listening:
            answered(errors.ConnectionRefused)
            return
        found = router.match(request)
        route = found.route
        name = router.subject(request, found)
        one = Arrival(
            self,
            caller,
            route.name if route else None,
            name,
            route is not None and route.mutating,
            request,
            sent_at,
            steps=route is not None and self._steps(route.name, name),
        )
        fault = self.faults.take(method=request.method, path=request.path, route=one.route, instance=one.instance)
        if fault is not None:
            self.on_fault(self, fault, one.instance)
        self._serve(one, fault, self._remember(answered))

    def _steps(self, route: str, name: str | None) -> bool:
        one = self.model.memory.get(name or "")
        starts = one is not None and one.state is version.ConnectionState.CLOSE
        return route in _STEPS or (route == "connect" and starts)

    def _remember(self, answered: Answered) -> Answered:
        self._arrivals += 1
        ticket = self._arrivals
        self._open[ticket] = answered

        def answer(what: message.Reply | Lost) -> None:
            waiting = self._open.pop(ticket, None)
            if waiting is not None:
                waiting(what)

        return answer

    def _serve(self, one: Arrival, fault: faults.Fault | None, answered: Answered) -> None:
        if fault is None:
            self._handle(one, answered)
            return
        kind = fault.kind
        if kind in listening.INSTEAD_OF_EFFECT:
            answered(listening.INSTEAD_OF_EFFECT[kind](fault))
        elif kind is faults.Kind.LATENCY:
            self._loop.call_later(fault.seconds, self._late, one, answered, self.model.process)
        elif kind is faults.Kind.REFUSED:
            answered(errors.Broken)
        elif kind is faults.Kind.HALF_OPEN:
            self._held.append(functools.partial(answered, errors.Broken))
        elif kind is faults.Kind.HOLD_BEFORE:
            self._held.append(functools.partial(self._late, one, answered, self.model.process))
        else:
            self._handle(one, self._spoilt(kind, answered))

    def _late(self, one: Arrival, answered: Answered, process: int) -> None:
        if process == self.model.process and self.model.listening:
            self._handle(one, answered)

    def _handle(self, one: Arrival, answered: Answered) -> None:
        for listener in self.on_arrival:
            listener(one)

        def respond(reply: message.Reply) -> None:
            for listener in self.on_answer:
                listener(one, reply)
            answered(reply)

        self._api.handle(one.request, respond)

    def _spoilt(self, kind: faults.Kind, answered: Answered) -> Answered:
        """The effect happens, and its answer is lost, cut, or held."""

        def answer(what: message.Reply | Lost) -> None:
            if kind is faults.Kind.RESET:
                answered(errors.Broken)
            elif kind is faults.Kind.TRUNCATED and isinstance(what, message.Reply):
                answered(replace(what, body=listening.halved(what).body))
            else:
                self._held.append(functools.partial(answered, what))

        return answer
