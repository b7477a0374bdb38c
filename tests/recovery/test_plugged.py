"""Steps of plugins on the ladder: where they stand, how often they are tried, what they cost, what proves them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support import world
from support.world import START, a_row, concluded, given, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health.assessment import HEALTHY, Verdict
from whatsapp_operator.health.opinion import Opinion
from whatsapp_operator.recovery import gates, incident, ladder, planner, verification
from whatsapp_operator.recovery.ladder import Offer, Terrain
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass, StepCount, StepInFlight, StepResult

LOUD, HUSH, MOVE, WIPE = Reason("TooLoud"), Step("Hush"), Step("Move"), Step("Wipe")
SOFT, RECREATE = StepClass.SOFT, StepClass.RECREATE
PROTECTED = Terrain(protected=True, restartable=True)
ZOMBIE = replace(PROTECTED, refuses_zombies=True)
DEAFENING = Terrain(protected=True, restartable=False, relogin_deafens=True)
MADE_LOUD = Verdict(HealthState.DEGRADED, LOUD)


def offers(*given_offers: Offer) -> ladder.Offers:
    return {one.step: one for one in given_offers}


def offer(step: Step, least: StepClass, *reasons: Reason, times: int = 1) -> Offer:
    return Offer(step, least, frozenset(reasons or (LOUD,)), times)


def steps(reason: Reason, terrain: Terrain, *given_offers: Offer) -> list[Step]:
    return [rung.step for rung in ladder.rungs(reason, terrain, offers=offers(*given_offers))]


def loud(*given_offers: Offer, **history: object) -> gates.Situation:
    """A paired instance that is open to both witnesses, and of which a plugin says that it is not well."""
    one = given().memory("open").database("open").paired().watch(minutes=1)
    before = RecoveryStatus(incident="20261123-7f3a", started_at=START).replace(**history)
    opinion = Opinion(MADE_LOUD, since=START, observations=2)
    return replace(one.situation, opinion=opinion, history=before, offers=offers(*given_offers))


def test_step_stands_after_ours_that_cost_no_more_and_before_those_that_cost_more() -> None:
    added = offer(HUSH, SOFT, Reason.CONNECTING), offer(MOVE, StepClass.SERVER_RESTART, Reason.CONNECTING)

    found = steps(Reason.CONNECTING, PROTECTED, offer(WIPE, RECREATE, Reason.CONNECTING), *added)

    assert found == [Step.RESTART, HUSH, Step.RESTART_SERVER, MOVE, Step.RECREATE, WIPE]


@pytest.mark.parametrize("reason", sorted(ladder.MAY_BE_OFFERED_FOR))
@pytest.mark.parametrize("terrain", [PROTECTED, ZOMBIE, DEAFENING])
def test_ours_stay_as_they_are_on_every_terrain(reason: Reason, terrain: Terrain) -> None:
    ours = ladder.rungs(reason, terrain)
    added = offers(offer(HUSH, SOFT, reason), offer(WIPE, RECREATE, reason))

    assert tuple(rung for rung in ladder.rungs(reason, terrain, offers=added) if not rung.step.foreign) == ours


def test_step_is_offered_for_no_other_reason() -> None:
    assert steps(Reason.GHOST, PROTECTED, offer(HUSH, SOFT)) == steps(Reason.GHOST, PROTECTED)
    assert steps(Reason.RESTRICTED, PROTECTED, offer(HUSH, SOFT)) == []
    assert steps(LOUD, PROTECTED, offer(HUSH, SOFT)) == [HUSH]


def test_step_that_deletes_is_not_offered_where_the_server_refuses_to() -> None:
    assert WIPE not in steps(Reason.DEAD_SOCKET, ZOMBIE, offer(WIPE, RECREATE, Reason.DEAD_SOCKET))
    assert HUSH in steps(Reason.DEAD_SOCKET, ZOMBIE, offer(HUSH, SOFT, Reason.DEAD_SOCKET))


@pytest.mark.parametrize(
    ("least", "protected", "unprotected"),
    [
        (SOFT, SOFT, SOFT),
        (StepClass.SERVER_RESTART, StepClass.SERVER_RESTART, StepClass.SERVER_RESTART),
        (RECREATE, StepClass.SESSION_LOSS, RECREATE),
        (StepClass.SESSION_LOSS, StepClass.SESSION_LOSS, StepClass.SESSION_LOSS),
    ],
)
def test_class_is_what_was_declared_and_a_loss_wherever_there_is_something_to_lose(
    least: StepClass, protected: StepClass, unprotected: StepClass
) -> None:
    known = offers(offer(HUSH, least))

    assert ladder.class_of(HUSH, protected=True, offers=known) is protected
    assert ladder.class_of(HUSH, protected=False, offers=known) is unprotected


def test_step_of_a_plugin_that_is_gone_has_no_class_that_could_be_guessed() -> None:
    with pytest.raises(KeyError):
        ladder.class_of(HUSH, protected=False)


def test_step_is_tried_as_often_as_it_says_and_then_the_next_one() -> None:
    added = offer(HUSH, SOFT, times=2), offer(WIPE, RECREATE)

    planned = [
        planner.next_step(loud(*added, plugin_steps=(StepCount(step=HUSH, times=times),) if times else None))
        for times in range(4)
    ]

    assert planned == [HUSH, HUSH, WIPE, WIPE]


def test_restarts_of_the_instance_do_not_count_as_the_plugins_nor_the_other_way_round() -> None:
    added = offer(HUSH, SOFT, Reason.CONNECTING, LOUD), offer(WIPE, RECREATE)
    announced = incident.announced(RecoveryStatus(), HUSH, step_class=SOFT, reason=LOUD, now=START)

    assert planner.next_step(loud(*added, attempts=3)) is HUSH
    assert (announced.attempts, announced.reconnects, announced.recreates) == (0, 0, 0)
    assert incident.times_taken(announced, HUSH) == 1


def test_wait_before_the_step_doubles_with_each_that_was_taken() -> None:
    waits = []
    for times in (1, 2, 3):
        counted = (StepCount(step=HUSH, times=times),)
        flying = loud(offer(HUSH, SOFT), plugin_steps=counted).history.replace(
            in_flight=StepInFlight(step=HUSH, step_class=SOFT, reason=LOUD, since=START)
        )
        one = replace(loud(offer(HUSH, SOFT)), history=concluded(flying, StepResult.FAILED, now=START))
        at = planner.plan(one).not_before
        assert at is not None
        waits.append(round((at - START).total_seconds()))

    assert waits[0] * 4 == pytest.approx(waits[2], abs=2)
    assert waits[0] * 2 == pytest.approx(waits[1], abs=1)


def test_connect_waits_after_a_step_of_a_plugin_as_after_a_restart() -> None:
    flying = StepInFlight(step=HUSH, step_class=SOFT, reason=LOUD, since=START)
    history = RecoveryStatus(incident="20261123-7f3a", started_at=START, in_flight=flying)
    history = incident.concluded(history, flying, StepResult.FAILED, now=START)
    closed = given().memory("close").database("open").paired().watch(minutes=2)
    opinion = Opinion(Verdict(HealthState.DEGRADED, Reason.CLOSED_SOCKET), since=START, observations=2)

    planned = planner.plan(replace(closed.situation, opinion=opinion, history=history, now=START))

    assert planned.step is Step.RECONNECT
    assert planned.not_before is not None
    assert planned.not_before >= START + timedelta(seconds=5)


def test_counts_survive_being_written_down_and_end_with_the_incident() -> None:
    recovery = incident.opened(RecoveryStatus(), incident="20261123-7f3a", now=START)
    for step in (HUSH, WIPE, HUSH):
        recovery = incident.announced(recovery, step, step_class=SOFT, reason=LOUD, now=START)
        recovery = world.stored(concluded(recovery, StepResult.FAILED, now=START))

    assert (incident.times_taken(recovery, HUSH), incident.times_taken(recovery, WIPE)) == (2, 1)
    assert incident.steps_taken(recovery) == 3
    assert incident.times_taken(incident.reset(recovery), HUSH) == 0


def test_counts_of_more_plugins_than_a_status_holds_push_out_the_oldest() -> None:
    recovery = RecoveryStatus()
    for number in range(40):
        recovery = incident.announced(recovery, Step(f"Step{number}"), step_class=SOFT, reason=LOUD, now=START)

    assert incident.times_taken(recovery, Step("Step0")) == 0
    assert incident.times_taken(world.stored(recovery), Step("Step39")) == 1


def after_step(memory: str, row: str, *, listed: bool = True, reads: int = 2) -> records.Record:
    """What was read before a step at START, and since."""
    record = records.saw_database(records.Record(paired=True), a_row(row, owner=True), at=START - timedelta(seconds=9))
    if listed:
        record = records.saw_database(record, a_row(row, owner=True), at=START + timedelta(seconds=1))
    for second in range(reads):
        read_at = START + timedelta(seconds=second)
        record = records.saw_memory(record, evidence.InMemory(state(memory)), at=read_at)
    return record


def judged(record: records.Record, verdict: Verdict, *, after: float = 5, reason: Reason = LOUD) -> StepResult | None:
    aftermath = verification.Aftermath(
        now=START + timedelta(seconds=after), carried_out_at=START, verdict=verdict, record=record, observable=True
    )
    flying = StepInFlight(step=HUSH, step_class=SOFT, reason=reason, since=START)
    return verification.judge(flying, aftermath, timeout=timedelta(seconds=30))


def test_step_succeeded_when_both_witnesses_were_read_since_and_find_the_instance_well() -> None:
    assert judged(after_step("open", "open"), HEALTHY) is StepResult.SUCCEEDED


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (after_step("open", "open"), MADE_LOUD),
        (after_step("open", "open", listed=False), HEALTHY),
        (after_step("open", "open", reads=1), HEALTHY),
        (after_step("connecting", "open"), Verdict(HealthState.DEGRADED, Reason.SETTLING)),
    ],
)
def test_step_without_that_proof_is_waited_for_and_then_failed(record: records.Record, verdict: Verdict) -> None:
    assert judged(record, verdict) is None
    assert judged(record, verdict, after=30) is StepResult.FAILED


def test_step_for_a_dead_socket_is_proved_by_a_probe_alone() -> None:
    record = after_step("open", "open")
    answered = records.saw_probe(record, evidence.ProbeResult.ALIVE, at=START + timedelta(seconds=3))

    assert judged(record, HEALTHY, reason=Reason.DEAD_SOCKET) is None
    assert judged(answered, HEALTHY, reason=Reason.DEAD_SOCKET) is StepResult.SUCCEEDED
