"""What a strategy of a plugin can do, and what it cannot: asserted at the server that would have been called."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from support import simulated
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.plugins import port
from whatsapp_operator.plugins.errors import CallNotAllowed, CallRefused, CallRepeated, StepIsOver
from whatsapp_operator.recovery.strategies import Done, Work
from whatsapp_operator.resources.steps import StepClass

WEBHOOK = evidence.Webhook(url="http://receiver/hook")
SETTINGS = {"alwaysOnline": True, "rejectCall": False, "msgCall": None, "wavoipToken": "canary"}
GENTLE = (StepClass.SOFT, StepClass.SERVER_RESTART)
COSTLY = (StepClass.RECREATE, StepClass.SESSION_LOSS)
NEW = evidence.NewInstance(name="shop", integration="WHATSAPP-BAILEYS", token="t")  # noqa: S106 - a word, no secret
CHANGING = ("restart", "connect", "logout", "delete", "create", "set_settings", "set_webhook")


async def at_once() -> None:
    """Nothing is waited for."""


class Server:
    """An Evolution API that takes everything, and notes what it was asked on which instance."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.settings: list[Mapping[str, object]] = []
        self.there = True
        self.until: Callable[[], Awaitable[object]] = at_once

    async def read_memory(self, name: str) -> evidence.MemoryReading:
        self.calls.append(("read_memory", name))
        await self.until()
        return evidence.InMemory(ConnectionState.CLOSE) if self.there else evidence.Absent()

    async def find_settings(self, name: str) -> Mapping[str, object]:
        self.calls.append(("find_settings", name))
        return SETTINGS

    async def set_settings(self, name: str, settings: Mapping[str, object]) -> evidence.Outcome:
        self.settings.append(settings)
        return self._taken("set_settings", name)

    async def find_webhook(self, name: str) -> None:
        self.calls.append(("find_webhook", name))

    async def set_webhook(self, name: str, webhook: evidence.Webhook) -> evidence.Outcome:
        assert webhook == WEBHOOK
        return self._taken("set_webhook", name)

    async def restart(self, name: str) -> evidence.Outcome:
        return self._taken("restart", name)

    async def connect(self, name: str) -> evidence.NoCode:
        self.calls.append(("connect", name))
        return evidence.NoCode()

    async def logout(self, name: str) -> evidence.Outcome:
        return self._taken("logout", name)

    async def delete(self, name: str) -> evidence.Outcome:
        self.there = False
        return self._taken("delete", name)

    async def create(self, wanted: evidence.NewInstance) -> evidence.Created:
        self.calls.append(("create", wanted.name))
        return evidence.Created("id-2")

    async def list_rows(self) -> evidence.DatabaseList:
        row = evidence.Row("id-1", "shop", ConnectionState.CLOSE, "WHATSAPP-BAILEYS", "evolution")
        return evidence.DatabaseList({"shop": row} if self.there else {})

    def _taken(self, call: str, name: str) -> evidence.Outcome:
        self.calls.append((call, name))
        return evidence.Accepted()

    @property
    def changes(self) -> list[str]:
        return [call for call, _ in self.calls if call in CHANGING]


def opened(server: Server, step_class: StepClass, *, relogin_deafens: bool = False) -> port.Instance:
    time = simulated.Time()
    work = Work(
        server=server,
        name="shop",
        list_rows=server.list_rows,
        sleep=time.sleep,
        monotonic=time.monotonic,
        timeout=10,
        wanted=NEW,
    )
    hands = port.hands_of(work, relogin_deafens=relogin_deafens)
    return port.Instance(
        hands, step_class=step_class, reason="TooLoud", seen=None, sleep=time.sleep, monotonic=time.monotonic
    )


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "change_settings": ({"alwaysOnline": False},),
    "set_webhook": (WEBHOOK,),
    "sleep": (1.0,),
}


THE_ENGINES = ("close", "end", "lull")


async def everything_tried(instance: port.Instance) -> list[str]:
    """Calls all that it offers; returns what was refused."""
    refused = []
    offered = [name for name in dir(instance) if not name.startswith("_") and name not in THE_ENGINES]
    for name in offered:
        method = getattr(instance, name)
        if not asyncio.iscoroutinefunction(method):
            continue
        try:
            await method(*ARGUMENTS.get(name, ()))
        except CallRefused:
            refused.append(name)
    return refused


@pytest.mark.parametrize("step_class", GENTLE)
async def test_gentle_step_can_neither_log_out_nor_delete_whatever_it_calls(step_class: StepClass) -> None:
    server = Server()

    refused = await everything_tried(opened(server, step_class))

    assert refused == ["recreate", "relogin"]
    assert sorted(server.changes) == ["restart", "set_settings", "set_webhook"]


@pytest.mark.parametrize("raw", ["logout", "delete", "connect", "create"])
@pytest.mark.parametrize("step_class", StepClass)
async def test_no_step_has_a_call_whose_safety_depends_on_what_came_before(step_class: StepClass, raw: str) -> None:
    assert not hasattr(opened(Server(), step_class), raw)
    assert raw not in {call.value for call in port.ALLOWED[step_class]}


async def test_refusal_says_what_the_class_has() -> None:
    with pytest.raises(CallNotAllowed, match=r"relogin: a step of class Soft has only change_settings, .*, restart"):
        await opened(Server(), StepClass.SOFT).relogin()


async def test_class_cannot_be_changed_from_within() -> None:
    server = Server()
    instance = opened(server, StepClass.SOFT)
    instance.step_class = StepClass.SESSION_LOSS

    with pytest.raises(CallNotAllowed):
        await instance.recreate()
    assert server.calls == []


@pytest.mark.parametrize("step_class", COSTLY)
async def test_costly_step_recreates_as_ours_does_delete_first_create_once_gone(step_class: StepClass) -> None:
    server = Server()
    instance = opened(server, step_class)

    assert await instance.recreate() is Done.DONE
    made = await instance.end()

    assert server.changes == ["delete", "create"]
    assert (made.recreated, made.configured, made.anew) == (True, True, Done.DONE)


async def test_relogin_that_would_leave_it_deaf_is_refused() -> None:
    server = Server()

    with pytest.raises(CallNotAllowed):
        await opened(server, StepClass.SESSION_LOSS, relogin_deafens=True).relogin()
    assert server.calls == []


async def test_each_change_is_made_once_in_a_step_and_reads_are_not_counted() -> None:
    server = Server()
    instance = opened(server, StepClass.SOFT)
    await instance.restart()
    await instance.read_state()
    await instance.read_state()

    with pytest.raises(CallRepeated, match="restart: not twice in a step"):
        await instance.restart()
    assert server.changes == ["restart"]


async def test_relogin_and_recreate_are_one_loss_of_which_there_is_one_in_a_step() -> None:
    server = Server()
    instance = opened(server, StepClass.SESSION_LOSS)
    await instance.relogin()
    before = list(server.calls)

    with pytest.raises(CallRepeated):
        await instance.recreate()
    assert server.calls == before


async def test_nothing_is_sent_once_the_step_is_over() -> None:
    server = Server()
    instance = opened(server, StepClass.SESSION_LOSS)

    assert await instance.end() == port.Made()

    assert len(await everything_tried(instance)) == len(port.Call)
    with pytest.raises(StepIsOver):
        await instance.read_state()
    assert server.calls == []


class Slow(Server):
    """A server that answers reads of memory only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answered = asyncio.Event(), asyncio.Event()
        self.until = self._is_answered

    async def _is_answered(self) -> None:
        self.asked.set()
        await self.answered.wait()


async def test_what_a_strategy_leaves_running_ends_with_its_step() -> None:
    server = Slow()
    instance = opened(server, StepClass.SESSION_LOSS)
    left_behind = asyncio.create_task(instance.read_state())
    await server.asked.wait()

    made = await instance.end()
    await asyncio.wait({left_behind})

    assert left_behind.cancelled()
    assert made == port.Made()


async def test_recreate_that_a_strategy_has_abandoned_is_carried_to_its_end_and_nothing_else_is_sent() -> None:
    server = Slow()
    instance = opened(server, StepClass.SESSION_LOSS)
    abandoned = asyncio.create_task(instance.recreate())
    await server.asked.wait()
    abandoned.cancel()
    ending = asyncio.create_task(instance.end())
    await asyncio.sleep(0)
    assert not ending.done()
    with pytest.raises(StepIsOver):
        await instance.restart()

    server.answered.set()

    assert await ending == port.Made(frozenset({port.Call.RECREATE}), Done.DONE)
    assert server.changes == ["delete", "create"]


async def test_operator_that_stops_cuts_a_recreate_off() -> None:
    server = Slow()
    instance = opened(server, StepClass.SESSION_LOSS)
    left_behind = asyncio.create_task(instance.recreate())
    await server.asked.wait()

    made = instance.close()
    server.answered.set()
    await asyncio.wait({left_behind})

    assert left_behind.cancelled()
    assert server.changes == []
    assert (made.recreated, made.anew) == (True, Done.UNCERTAIN)


async def test_what_a_recreate_failed_with_is_known_though_its_strategy_kept_it_to_itself() -> None:
    server, failure = Server(), ArithmeticError()

    async def fails() -> None:
        raise failure

    server.until = fails
    instance = opened(server, StepClass.SESSION_LOSS)
    with contextlib.suppress(ArithmeticError):
        await instance.recreate()

    made = await instance.end()

    assert (made.failure, made.anew) == (failure, Done.UNCERTAIN)


async def test_settings_that_are_not_changed_are_sent_as_they_were_and_the_token_is_neither_shown_nor_sent() -> None:
    server = Server()
    instance = opened(server, StepClass.SOFT)

    found = await instance.find_settings()
    await instance.change_settings({"alwaysOnline": False})

    assert isinstance(found, Mapping)
    assert "wavoipToken" not in found
    assert server.settings == [{"alwaysOnline": False, "rejectCall": False}]
    assert (await instance.end()).configured


@pytest.mark.parametrize("name", ["wavoipToken", "colour"])
async def test_setting_that_is_none_is_refused(name: str) -> None:
    server = Server()

    with pytest.raises(ValueError, match="settings that can be changed are alwaysOnline, groupsIgnore, msgCall"):
        await opened(server, StepClass.SOFT).change_settings({name: "x"})
    assert server.calls == []


async def test_every_call_goes_to_the_one_instance() -> None:
    server = Server()

    await everything_tried(opened(server, StepClass.SESSION_LOSS))

    assert {name for _, name in server.calls} == {"shop"}
