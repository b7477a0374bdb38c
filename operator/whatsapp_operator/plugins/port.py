"""What a strategy of a plugin may do: calls on the one instance that its step is for, as the step's class allows.

The strategy holds no client and no key, and names no instance. What it may not do is refused before anything is sent;
a call that changes something is made once in a step, so that one step of the budget is one restart; and when the step
has ended, nothing is sent any more. Only the operator's own Relogin or Recreate, once it has begun, is carried to its
end whatever becomes of the strategy that asked for it: half of one leaves less than there was. This keeps mistakes in;
it is no sandbox against code that means harm, which runs in the operator's process like any other.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from whatsapp_operator.evolution import evidence
from whatsapp_operator.plugins import errors
from whatsapp_operator.plugins.view import Evidence, without_secrets
from whatsapp_operator.recovery import strategies
from whatsapp_operator.recovery.strategies import Done, Work
from whatsapp_operator.resources.instance import InstanceSettings
from whatsapp_operator.resources.steps import StepClass

SETTINGS = frozenset(field.alias or name for name, field in InstanceSettings.model_fields.items())
"""The settings that may be changed, in the server's words."""


class Call(enum.Enum):
    """What can be asked for."""

    READ_STATE = "read_state"
    FIND_SETTINGS = "find_settings"
    CHANGE_SETTINGS = "change_settings"
    FIND_WEBHOOK = "find_webhook"
    SET_WEBHOOK = "set_webhook"
    RESTART = "restart"
    RELOGIN = "relogin"
    RECREATE = "recreate"


_READING = frozenset({Call.READ_STATE, Call.FIND_SETTINGS, Call.FIND_WEBHOOK})
_GENTLE = _READING | {Call.CHANGE_SETTINGS, Call.SET_WEBHOOK, Call.RESTART}
_ANEW = frozenset({Call.RELOGIN, Call.RECREATE})
_CONFIGURING = _ANEW | {Call.CHANGE_SETTINGS, Call.SET_WEBHOOK}

ALLOWED: Mapping[StepClass, frozenset[Call]] = {
    StepClass.SOFT: _GENTLE,
    StepClass.SERVER_RESTART: _GENTLE,
    StepClass.RECREATE: _GENTLE | _ANEW,
    StepClass.SESSION_LOSS: _GENTLE | _ANEW,
}
"""The calls that a class has. `connect`, `logout`, `delete` and `create` are in none: where they are safe depends on
what came before, so they come only within a Relogin or Recreate."""

Hands = Mapping[Call, Callable[..., Awaitable[Any]]]


@dataclass(frozen=True, slots=True)
class Made:
    """What a strategy has done."""

    calls: frozenset[Call] = frozenset()
    """The calls that may have changed something."""
    anew: Done = Done.UNCERTAIN
    """How far its Relogin or Recreate came, if it made one."""
    failure: BaseException | None = None
    """What that failed with, which no server can cause."""

    @property
    def recreated(self) -> bool:
        """Whether it may have deleted the instance and created another."""
        return Call.RECREATE in self.calls

    @property
    def configured(self) -> bool:
        """Whether settings or webhook may be others than they were."""
        return not self.calls.isdisjoint(_CONFIGURING)


class Instance:
    """The instance that a step is for. Reads prove a value or nothing; answers to changes prove nothing at all.

    `evidence` is what the step rests on, None where a witness does not have the instance; `reason` is what it is taken
    for, and `step_class` what it costs here.
    """

    __slots__ = (
        "__anew",
        "__hands",
        "__lent",
        "__made",
        "__monotonic",
        "__over",
        "__sleep",
        "__under_way",
        "evidence",
        "reason",
        "step_class",
    )

    def __init__(
        self,
        hands: Hands,
        *,
        step_class: StepClass,
        reason: str,
        seen: Evidence | None,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self.evidence, self.reason, self.step_class = seen, reason, step_class
        self.__hands = {call: hand for call, hand in hands.items() if call in ALLOWED[step_class]}
        self.__sleep, self.__monotonic, self.__made, self.__over = sleep, monotonic, set[Call](), False
        self.__under_way: set[asyncio.Future[Any]] = set()
        self.__anew: asyncio.Future[Done] | None = None
        self.__lent = 0.0

    async def read_state(self) -> evidence.MemoryReading:
        """What the running server says now: `InMemory`, `NotInMemory`, `Absent` or `Unknown`."""
        answer: evidence.MemoryReading = await self.__call(Call.READ_STATE)
        return answer

    async def find_settings(self) -> Mapping[str, object] | evidence.Unknown | None:
        """The settings in the server's words; None where the server has none."""
        answer: Mapping[str, object] | evidence.Unknown | None = await self.__call(Call.FIND_SETTINGS)
        return answer

    async def change_settings(self, changes: Mapping[str, object]) -> evidence.Outcome:
        """Change some of `SETTINGS`, and leave the others as they are. Once in a step.

        Raises:
            ValueError: one of them is none of `SETTINGS`.
        """
        if not SETTINGS.issuperset(changes):
            raise ValueError(f"settings that can be changed are {', '.join(sorted(SETTINGS))}")
        answer: evidence.Outcome = await self.__call(Call.CHANGE_SETTINGS, dict(changes))
        return answer

    async def find_webhook(self) -> evidence.Webhook | evidence.Unknown | None:
        """The webhook; None where there is none."""
        answer: evidence.Webhook | evidence.Unknown | None = await self.__call(Call.FIND_WEBHOOK)
        return answer

    async def set_webhook(self, webhook: evidence.Webhook) -> evidence.Outcome:
        """Replace the webhook. Once in a step."""
        answer: evidence.Outcome = await self.__call(Call.SET_WEBHOOK, webhook)
        return answer

    async def restart(self) -> evidence.Outcome:
        """Open its socket anew, which keeps the pairing. Once in a step; without effect on `close`."""
        answer: evidence.Outcome = await self.__call(Call.RESTART)
        return answer

    async def relogin(self) -> Done:
        """Log it out and show a new QR code, as the operator's own Relogin does: the pairing is lost.

        Only in steps of class Recreate or SessionLoss; not on Evolution API 2.3.6 and before. Once in a step. It is
        carried to its end, also when nobody waits for it any more; the step's time stands still meanwhile.
        """
        return await self.__begin_anew(Call.RELOGIN)

    async def recreate(self) -> Done:
        """Delete it safely and create it anew, as the operator's own Recreate does: pairing and data are lost.

        Only in steps of class Recreate or SessionLoss. Once in a step. It is carried to its end, also when nobody waits
        for it any more; the step's time stands still meanwhile.
        """
        return await self.__begin_anew(Call.RECREATE)

    async def sleep(self, seconds: float) -> None:
        """Wait. The step's time, `recovery.stepTimeoutSeconds`, goes on."""
        await self.__sleep(seconds)

    async def __begin_anew(self, call: Call) -> Done:
        hand = self.__may(call)
        self.__made.add(call)
        self.__anew = asyncio.ensure_future(self.__timed(hand))
        # A strategy that is cancelled, or cancels its own call, does not reach it.
        return await asyncio.shield(self.__anew)

    async def __timed(self, hand: Callable[..., Awaitable[Any]]) -> Done:
        began = self.__monotonic()
        try:
            done: Done = await hand()
            return done
        finally:
            self.__lent = self.__monotonic() - began

    async def __call(self, call: Call, *arguments: object) -> Any:
        hand = self.__may(call)
        if call not in _READING:
            # Before it is sent: one that got no answer may have had its effect.
            self.__made.add(call)
        under_way = asyncio.ensure_future(hand(*arguments))
        self.__under_way.add(under_way)
        under_way.add_done_callback(self.__under_way.discard)
        return await under_way

    def __may(self, call: Call) -> Callable[..., Awaitable[Any]]:
        if self.__over:
            raise errors.StepIsOver(f"{call.value}: the step is over; finish within recovery.stepTimeoutSeconds")
        if call not in self.__hands:
            allowed = ", ".join(sorted(one.value for one in self.__hands))
            raise errors.CallNotAllowed(f"{call.value}: a step of class {self.step_class} has only {allowed} here")
        if not self.__made.isdisjoint(_ANEW if call in _ANEW else {call}):
            raise errors.CallRepeated(f"{call.value}: not twice in a step; a further one is another step")
        return self.__hands[call]

    async def lull(self) -> float:
        """Wait for the Relogin or Recreate that is under way; returns the seconds that it took, 0 without one."""
        if self.__anew is not None:
            await asyncio.wait({self.__anew})
        return self.__lent

    async def end(self) -> Made:
        """End it, and what a strategy has left running, but for a Relogin or Recreate, which is waited for."""
        self.__stop()
        await self.lull()
        return self.__what_was_made()

    def close(self) -> Made:
        """End all of it at once, as an operator does that stops. Returns what was done."""
        self.__stop()
        if self.__anew is not None:
            self.__anew.cancel()
        return self.__what_was_made()

    def __stop(self) -> None:
        self.__over = True
        for call in self.__under_way:
            call.cancel()

    def __what_was_made(self) -> Made:
        made, anew = frozenset(self.__made), self.__anew
        if anew is None or not anew.done() or anew.cancelled():
            return Made(made)
        failure = anew.exception()
        return Made(made, anew.result()) if failure is None else Made(made, failure=failure)


def hands_of(work: Work, *, relogin_deafens: bool) -> Hands:
    """What does the calls, on the instance of a piece of work and on no other."""
    server, name = work.server, work.name

    async def find_settings() -> Mapping[str, object] | evidence.Unknown | None:
        found = await server.find_settings(name)
        return without_secrets(found) if isinstance(found, Mapping) else found

    async def change_settings(changes: Mapping[str, object]) -> evidence.Outcome:
        found = await find_settings()
        if not isinstance(found, Mapping):
            return found or evidence.Refused(evidence.Refusal.NOTHING_DONE)
        # What is left out is kept, and to send a wavoipToken again would close the socket.
        kept = {key: value for key, value in found.items() if key in SETTINGS and value is not None}
        return await server.set_settings(name, {**kept, **changes})

    hands: dict[Call, Callable[..., Awaitable[Any]]] = {
        Call.READ_STATE: lambda: server.read_memory(name),
        Call.FIND_SETTINGS: find_settings,
        Call.CHANGE_SETTINGS: change_settings,
        Call.FIND_WEBHOOK: lambda: server.find_webhook(name),
        Call.SET_WEBHOOK: lambda webhook: server.set_webhook(name, webhook),
        Call.RESTART: lambda: server.restart(name),
        Call.RECREATE: lambda: strategies.recreate(work),
    }
    if not relogin_deafens:
        hands[Call.RELOGIN] = lambda: strategies.relogin(work)
    return hands
