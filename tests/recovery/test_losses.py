"""Protected instances over hours: what is done to them, when, and what never is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support import world
from support.world import START, World, given
from whatsapp_operator.recovery import planner
from whatsapp_operator.resources.overrides import SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass

RESTART, RECREATE, RELOGIN, SERVER = Step.RESTART, Step.RECREATE, Step.RELOGIN, Step.RESTART_SERVER
DESTRUCTIVE = {RELOGIN, RECREATE}
GENTLE = [RESTART] * 3


def stuck(session_loss: SessionLoss = SessionLoss.AUTOMATIC) -> World:
    """Paired, and connecting for ever, on a server that nothing may restart, and next to one that is well."""
    one = given().memory("connecting").database("open").paired().losing(session_loss)
    one.vouched = True
    return one


def restartable(session_loss: SessionLoss = SessionLoss.AUTOMATIC) -> World:
    return stuck(session_loss).guarded(restartable=True)


def minutes_of(one: World, step: Step) -> list[float]:
    return [minutes for taken, minutes in one.times if taken is step]


def test_gentle_steps_then_a_restart_of_the_server_then_one_recreate() -> None:
    one = restartable().watch(hours=1)

    assert one.steps[:5] == [*GENTLE, SERVER, RECREATE]
    assert minutes_of(one, RECREATE)[0] >= 5
    assert one.rested_on[4] >= 2


def test_restart_of_the_server_that_heals_is_followed_by_nothing() -> None:
    one = restartable().heals(SERVER, lambda server: server.memory("open")).watch(hours=12)

    assert one.steps == [*GENTLE, SERVER]
    assert one.recovery.incident is None


def test_restart_of_the_server_that_is_blocked_is_waited_for_and_not_passed_over() -> None:
    one = restartable().guarded(in_flight=1).watch(hours=13)

    assert one.steps == GENTLE
    assert one.plan.step is SERVER
    assert one.plan.blocked_by == (Reason.TOO_MANY_IN_FLIGHT,)


def test_without_a_workload_a_loss_waits_for_the_last_resort_and_says_why() -> None:
    one = stuck().watch(hours=6)

    assert one.steps == GENTLE
    assert one.plan.step is RECREATE
    assert one.plan.blocked_by == (Reason.NEEDS_SERVER_RESTART,)
    began = one.recovery.last_resort_since
    assert began is not None
    assert one.plan.at is not None
    assert (one.plan.at - began).total_seconds() == 21_600

    one.watch(minutes=6)
    assert one.steps == [*GENTLE, RECREATE]
    assert 360 < minutes_of(one, RECREATE)[0] < 365


@pytest.mark.parametrize("hours", [1, 5.9])
def test_loss_that_nobody_vouches_for_waits_for_the_last_resort(hours: float) -> None:
    one = given().memory("close", "connecting").database("open").paired()
    one.record = replace(one.record, paired=True)
    one.guarded(restartable=True).watch(hours=hours)

    assert DESTRUCTIVE.isdisjoint(one.steps)


def test_row_that_is_missing_is_recreated_as_soon_as_it_is_vouched_for_and_no_sooner_than_the_delay() -> None:
    one = given().memory("open").database(None)
    one.record = replace(one.record, paired=True)
    one.watch(hours=1)
    assert one.steps == []
    assert one.plan.blocked_by == (Reason.NOT_VOUCHED_FOR,)

    one.vouched = True
    one.watch(minutes=1)
    assert one.steps == [RECREATE]


def test_young_incident_waits_five_minutes_though_it_is_vouched_for() -> None:
    one = given().memory("open").database(None)
    one.record, one.vouched = replace(one.record, paired=True), True

    one.watch(minutes=5)
    assert one.steps == []
    assert one.plan.blocked_by == (Reason.SESSION_LOSS_DELAY,)

    one.watch(minutes=1)
    assert one.steps == [RECREATE]


def test_never_means_never() -> None:
    for one in (stuck(SessionLoss.NEVER), restartable(SessionLoss.NEVER)):
        one.approved = True
        one.watch(hours=13)

        assert DESTRUCTIVE.isdisjoint(one.steps)
        assert one.steps[:3] == GENTLE
        assert Reason.PROTECTED_INSTANCE in one.plan.blocked_by
        assert planner.exhausted(one.situation, one.plan)


def test_required_approval_is_waited_for_however_long() -> None:
    one = restartable(SessionLoss.REQUIRE_APPROVAL).watch(hours=13)

    assert one.steps == [*GENTLE, SERVER]
    assert one.plan.step is RECREATE
    assert one.plan.step_class is StepClass.SESSION_LOSS
    assert one.plan.blocked_by == (Reason.APPROVAL_REQUIRED,)


def test_approval_lets_one_loss_through_at_once_without_its_waits() -> None:
    one = stuck(SessionLoss.REQUIRE_APPROVAL).watch(minutes=10)
    one.vouched = False
    assert one.steps == GENTLE

    one.approved = True
    one.watch(seconds=20)
    one.approved = False
    one.watch(hours=13)

    assert one.steps == [*GENTLE, RECREATE]


@pytest.mark.parametrize("session_loss", SessionLoss)
def test_storm_stops_every_loss_and_lets_gentle_steps_go_on(session_loss: SessionLoss) -> None:
    one = stuck(session_loss).stormy()
    one.approved = True
    one.watch(hours=13)

    assert one.steps == GENTLE
    assert Reason.STORM in one.plan.blocked_by


def test_after_a_storm_the_wait_for_the_last_resort_begins_anew() -> None:
    one = stuck().stormy().watch(hours=13).calm_again().watch(hours=5.9)
    assert one.steps == GENTLE

    one.watch(hours=0.2)
    assert one.steps == [*GENTLE, RECREATE]


def test_what_healed_in_a_storm_is_left_alone_after_it() -> None:
    one = stuck().stormy().watch(hours=3).memory("open").watch(minutes=1).calm_again().watch(hours=12)

    assert one.steps == GENTLE


@pytest.mark.parametrize("may_restart", [True, False])
def test_zombie_that_the_server_refuses_to_delete_is_never_recreated(may_restart: bool) -> None:
    """2.3.7 answers 500 to its logout and 400 to its delete, however often."""
    one = stuck().guarded(refuses_zombies=True, restartable=may_restart)
    one.approved = True
    one.watch(hours=13)

    assert DESTRUCTIVE.isdisjoint(one.steps)
    assert one.plan.step is SERVER
    if not may_restart:
        assert one.plan.blocked_by == (Reason.NEEDS_SERVER_RESTART,)


def test_zombie_is_restarted_with_its_server_at_most_hourly() -> None:
    one = stuck().guarded(refuses_zombies=True, restartable=True).watch(hours=12)

    assert 2 < len(minutes_of(one, SERVER)) <= 12


@pytest.mark.parametrize("code", [402, 403, 406])
def test_restricted_account_is_left_alone_for_ever(code: int) -> None:
    one = restartable().memory("close").database("close", code=code, ended=START)
    one.approved = True
    one.watch(hours=13)

    assert DESTRUCTIVE.isdisjoint(one.steps)
    assert SERVER not in one.steps


@pytest.mark.parametrize(
    "against",
    [
        lambda one: setattr(one, "paused", True),
        lambda one: setattr(one, "acted_on", False),
        lambda one: setattr(one, "policy", world.dry_run()),
        lambda one: setattr(one, "policy", world.disabled()),
        lambda one: one.neighbour(warm=False),
        lambda one: one.neighbour(fresh=False),
        lambda one: one.guarded(restarting=True),
    ],
    ids=["paused", "version", "dry run", "disabled", "cold", "stale", "server restarts"],
)
def test_nothing_at_all_is_done_while(against: object) -> None:
    one = restartable()
    assert callable(against)
    against(one)

    assert one.watch(hours=13).steps == []


def test_server_that_is_not_surveyed_takes_no_loss() -> None:
    one = restartable().guarded(surveyed=False).watch(hours=13)

    assert one.steps == [*GENTLE, SERVER]
    assert one.plan.blocked_by == (Reason.AWAITING_OBSERVATION,)


def test_waits_can_be_set() -> None:
    one = stuck()
    one.policy = RecoveryPolicy(last_resort_delay_seconds=60, session_loss_delay_seconds=1)

    assert one.watch(minutes=10).steps[:4] == [*GENTLE, RECREATE]
