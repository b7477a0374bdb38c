"""The budget of a server: entered before a step, shared by no two workers, given back when it could not be kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster, Told
from support.simulated import START
from support.surroundings import AllHeld
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import ports, treasury
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.standing import Standing
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery import ledger as ledgers
from whatsapp_operator.recovery.ledger import Storm
from whatsapp_operator.resources import server as server_resources
from whatsapp_operator.resources.budgets import Budget
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass, StepInFlight

LOSS = StepClass.SESSION_LOSS
ONE_LOSS = {"windows": [{"class": "SessionLoss", "max": 1, "periodSeconds": 3600}]}
FIRST, SECOND = ports.Key("messaging", "i0"), ports.Key("messaging", "i1")


class Claims(AllHeld):
    """A claim whose ledger takes a while to save, and can be lost."""

    def __init__(self, kept: str | None = None) -> None:
        super().__init__()
        self.kept, self.lost, self.saves = kept, False, 0

    def ledger(self, _server: ports.Key, /) -> str | None:
        return self.kept

    async def save_ledger(self, _server: ports.Key, text: str, /) -> None:
        await asyncio.sleep(0)
        if self.lost:
            raise ports.Conflict
        self.kept, self.saves = text, self.saves + 1


def begun(claims: Claims | None = None, **spec: Any) -> tuple[contexts.Context, Server, Claims, simulated.Time]:
    time, one, claims = simulated.Time(), servers.a_server(**spec), claims or Claims()
    context = servers.a_context(time, one, Cluster())
    context.claims = claims
    return context, one, claims, time


def count(one: Server, step_class: StepClass = LOSS) -> int:
    assert one.ledger is not None
    return len(one.ledger.spent.get(step_class, ()))


async def take_if_allowed(context: contexts.Context, one: Server, key: ports.Key) -> bool:
    """As `Steps.take` does: ask, and reserve without a wait in between."""
    guard = treasury.guard(context, one, key=key, now=START)
    if guards.budget_holds(guard, LOSS, now=START) or guards.others_are_under_way(guard, LOSS):
        return False
    await treasury.spend(context, one, LOSS, key=key)
    return True


async def test_two_workers_never_share_the_last_place_of_a_window() -> None:
    context, one, claims, _ = begun(budget=ONE_LOSS)

    taken = await asyncio.gather(*(take_if_allowed(context, one, key) for key in (FIRST, SECOND)))

    assert sorted(taken) == [False, True]
    assert count(one) == 1
    assert claims.kept is not None
    assert len(ledgers.loads(claims.kept).spent[LOSS]) == 1


async def test_two_workers_never_share_the_last_place_in_flight() -> None:
    context, one, _, _ = begun(budget={"maxInFlight": 1})

    taken = await asyncio.gather(*(take_if_allowed(context, one, key) for key in (FIRST, SECOND)))

    assert sorted(taken) == [False, True]
    assert len(one.in_flight) == 1


async def test_save_that_fails_gives_the_place_back() -> None:
    context, one, claims, _ = begun(budget=ONE_LOSS)
    claims.lost = True

    with pytest.raises(ports.Conflict):
        await treasury.spend(context, one, LOSS, key=FIRST)

    assert (count(one), one.in_flight) == (0, set())
    claims.lost = False
    assert await take_if_allowed(context, one, SECOND)


async def test_save_that_is_cancelled_gives_the_place_back() -> None:
    context, one, _, _ = begun()
    task = asyncio.ensure_future(treasury.spend(context, one, LOSS, key=FIRST))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert (count(one), one.in_flight) == (0, set())


async def test_place_that_was_given_back_is_taken_off_what_is_saved_next() -> None:
    context, one, claims, _ = begun()
    at = await treasury.spend(context, one, LOSS, key=FIRST)
    treasury.give_back(one, LOSS, key=FIRST, at=at)

    await treasury.save(context, one)

    assert claims.kept is not None
    assert LOSS not in ledgers.loads(claims.kept).spent


async def test_two_that_spend_at_once_are_both_saved() -> None:
    context, one, claims, _ = begun()

    await asyncio.gather(*(treasury.spend(context, one, LOSS, key=key) for key in (FIRST, SECOND)))

    assert claims.kept is not None
    assert len(ledgers.loads(claims.kept).spent[LOSS]) == 2


async def test_ledger_that_did_not_change_is_not_saved_again() -> None:
    context, one, claims, _ = begun()
    await treasury.spend(context, one, LOSS, key=FIRST)

    await treasury.save(context, one)

    assert claims.saves == 1


async def test_ledger_as_it_was_read_is_not_saved() -> None:
    context, one, claims, _ = begun(Claims(ledgers.dumps(ledgers.Ledger(spent={LOSS: (START,)}))))

    treasury.ledger_of(context, one, now=START)
    await treasury.save(context, one)

    assert claims.saves == 0


async def test_what_another_process_spent_is_spent() -> None:
    kept = ledgers.dumps(
        ledgers.spend(ledgers.Ledger(), LOSS, budget=treasury.budget_of(servers.a_server()), now=START)
    )
    context, one, _, _ = begun(Claims(kept), budget=ONE_LOSS)

    assert not await take_if_allowed(context, one, FIRST)
    assert count(one) == 1


async def test_ledger_that_cannot_be_read_counts_as_spent_and_is_told() -> None:
    context, one, _, _ = begun(Claims("no ledger"))

    guard = treasury.guard(context, one, key=None, now=START)

    assert all(guards.budget_holds(guard, step_class, now=START) for step_class in StepClass)
    assert isinstance(context.telemetry, Told)
    assert len(context.telemetry.problems) == 1


def bad(one: Server, *names: str) -> None:
    for name in names:
        one.note_standing(one.subjects[name], Standing.BAD)


def test_storm_is_seen_in_what_the_instances_show() -> None:
    context, one, _, _ = begun(instances=5)
    bad(one, "i0", "i1", "i2")
    assert treasury.weather(context, one, now=START).storm is None

    bad(one, "i3")

    assert treasury.weather(context, one, now=START).storm == Storm(since=START)


STORM = Storm(since=START)
ALMOST_OVER = Storm(since=START, calm_since=START - timedelta(seconds=300))


@pytest.mark.parametrize(
    ("before", "ill", "is_looked_at"),
    [(None, 0, False), (None, 5, True), (STORM, 5, False), (ALMOST_OVER, 0, True)],
    ids=["calm", "begins", "goes on", "ends"],
)
def test_server_is_looked_at_when_a_storm_begins_or_ends(before: Storm | None, ill: int, is_looked_at: bool) -> None:
    context, one, _, _ = begun(instances=5)
    one.ledger = ledgers.Ledger(storm=before)
    bad(one, *(f"i{number}" for number in range(ill)))

    treasury.weather(context, one, now=START)

    assert (contexts.Item(server_resources.KIND, one.key) in context.queue) is is_looked_at


async def test_whether_a_storm_is_kept_is_known_from_what_was_read_and_saved() -> None:
    context, one, _, _ = begun(Claims(ledgers.dumps(ledgers.Ledger(storm=STORM))))
    treasury.ledger_of(context, one, now=START)
    assert one.kept_storm

    one.ledger = ledgers.Ledger()
    await treasury.save(context, one)
    assert not one.kept_storm

    one.ledger = ledgers.Ledger(storm=STORM)
    await treasury.save(context, one)
    assert one.kept_storm


@pytest.mark.parametrize("blind", ["stale", "cold", "not surveyed"])
def test_weather_neither_comes_nor_goes_while_it_cannot_be_seen(blind: str) -> None:
    context, one, _, time = begun(instances=5)
    bad(one, "i0", "i1", "i2", "i3")
    if blind == "stale":
        time.advance(3600)
    elif blind == "cold":
        one.warm_up = one.warm_up.__class__()
    else:
        one.note_standing(one.subjects["i4"], None)

    assert treasury.weather(context, one, now=time.now()).storm is None
    one.ledger = ledgers.Ledger(storm=Storm(since=START, calm_since=START))
    assert treasury.weather(context, one, now=time.now()).storm == Storm(since=START, calm_since=START)


async def test_own_step_is_none_of_the_others_under_way() -> None:
    context, one, _, _ = begun()
    await treasury.spend(context, one, LOSS, key=FIRST)

    assert treasury.guard(context, one, key=FIRST, now=START).in_flight == 0
    assert treasury.guard(context, one, key=SECOND, now=START).in_flight == 1
    assert treasury.guard(context, one, key=None, now=START).in_flight == 1


ON_ALL = {"step": "Restart", "class": "ServerRestart", "since": "2026-11-23T10:00:00Z"}


def flies(context: contexts.Context, one: Server, **flying: object) -> None:
    """Steps are under way on these instances, as their statuses tell."""
    for name, step in flying.items():
        recovery = {} if step is None else {"inFlight": step}
        subject = servers.a_subject(name, status={"instanceID": name, "recovery": recovery})
        context.subjects[subject.key] = one.subjects[name] = subject
        one.in_flight.add(subject.key)


@pytest.mark.parametrize(("cost", "interrupts"), [("ServerRestart", True), ("Soft", False), ("SessionLoss", False)])
def test_step_on_another_instance_that_interrupts_all_is_as_a_restart_of_the_server(
    cost: str, interrupts: bool
) -> None:
    context, one, _, _ = begun()
    one.in_flight.add(ports.Key("messaging", "gone"))
    flies(context, one, i3=None, i1=ON_ALL | {"class": cost}, i2=ON_ALL | {"class": "Soft"})
    context.subjects[FIRST] = one.subjects["i0"] = servers.a_subject("i0")

    assert treasury.guard(context, one, key=FIRST, now=START).restarting is interrupts
    assert treasury.guard(context, one, key=SECOND, now=START).restarting is False


def test_server_that_is_being_restarted_is_restarting() -> None:
    context, one, _, _ = begun()
    one.flying = StepInFlight(step=Step.RESTART_SERVER, step_class=StepClass.SERVER_RESTART, since=START)

    assert treasury.guard(context, one, key=None, now=START).restarting


def test_server_whose_spec_was_never_understood_is_guarded_by_the_default_budget_and_not_restarted() -> None:
    context, one, _, _ = begun(budget=ONE_LOSS)
    one.resource = None

    guard = treasury.guard(context, one, key=None, now=START)

    assert guard.budget == Budget()
    assert (guard.restartable, guard.restart_holds) == (False, ())


async def test_verdict_frees_the_place_and_tells_the_storm_whether_to_go_on() -> None:
    context, one, _, _ = begun()
    await treasury.spend(context, one, LOSS, key=FIRST)
    assert one.ledger is not None
    one.ledger = ledgers.Ledger(spent=one.ledger.spent, storm=Storm(since=START))

    treasury.judged(context, one, key=FIRST, healed=False)

    assert one.in_flight == set()
    assert one.ledger.failed_at == START
    assert count(one) == 1


@pytest.mark.parametrize(
    ("version", "deafens", "refuses"), [("2.3.6", True, False), ("2.3.7", False, True), (None, False, False)]
)
def test_guard_knows_the_traits_of_the_version(version: str | None, deafens: bool, refuses: bool) -> None:
    context, one, _, _ = begun()
    one.observed.version = version

    guard = treasury.guard(context, one, key=None, now=START)

    assert (guard.relogin_deafens, guard.refuses_zombies) == (deafens, refuses)


def test_server_without_a_workload_is_not_restartable_and_holds_nothing_against_it() -> None:
    context, one, _, _ = begun()
    guard = treasury.guard(context, one, key=None, now=START)
    assert (guard.restartable, guard.restart_holds) == (False, ())

    context, one, _, _ = begun(workloadRef={"kind": "StatefulSet", "name": "evolution-api"})
    guard = treasury.guard(context, one, key=None, now=START)
    assert guard.restartable
    assert [hold.reason for hold in guard.restart_holds] == [Reason.FEW_INSTANCES]


def test_what_was_entered_before_the_clock_went_back_is_spent_now() -> None:
    context, one, _, _ = begun()
    treasury.ledger_of(context, one, now=START)
    one.ledger = ledgers.Ledger(spent={LOSS: (START + timedelta(days=1),)})

    assert treasury.ledger_of(context, one, now=START).spent == {LOSS: (START,)}
    assert one.ledger.spent == {LOSS: (START,)}
