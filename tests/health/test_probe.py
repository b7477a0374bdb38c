"""S3: what probes prove of an instance that both witnesses call open, and what they never prove."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from support.world import START, World, given
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step

ALIVE, DEAD = evidence.ProbeResult.ALIVE, evidence.ProbeResult.DEAD
SILENCE = evidence.Unknown(evidence.Ignorance.TIMEOUT)
HEALTHY = (HealthState.HEALTHY, Reason.HEALTHY)
DEAD_SOCKET = (HealthState.DEGRADED, Reason.DEAD_SOCKET)
DEAD_AGAIN = (HealthState.CORRUPTED, Reason.DEAD_SOCKET)
SETTLING = (HealthState.DEGRADED, Reason.SETTLING)
Answer = evidence.ProbeResult | evidence.Unknown


def well() -> World:
    return given().memory("open").database("open").paired().watch(minutes=1)


def probe(one: World, *answers: Answer, apart: float = 5) -> World:
    """Probes that are answered some seconds apart, and nothing else."""
    for number, answer in enumerate(answers):
        one.now += timedelta(seconds=apart if number else 0)
        one.record = records.saw_probe(one.record, answer, at=one.now)
    return one


def assessed(one: World) -> tuple[HealthState, Reason]:
    """What is concluded now."""
    return one.assess().verdicts[-1]


def stepped(one: World) -> World:
    """A step was taken, after which both witnesses say open."""
    one.record = records.after_step(one.record)
    one.now += timedelta(seconds=1)
    return one.read()


def test_two_dead_probes_some_seconds_apart_are_a_dead_socket() -> None:
    one = probe(well(), DEAD)
    assert assessed(one) == HEALTHY

    assert assessed(probe(one, SILENCE, DEAD)) == DEAD_SOCKET


def test_two_dead_probes_at_once_may_be_the_gap_of_a_reconnect() -> None:
    assert assessed(probe(well(), DEAD, DEAD, apart=1)) == HEALTHY


@pytest.mark.parametrize(
    "answers", [(DEAD, ALIVE, DEAD), (DEAD, DEAD, ALIVE), (SILENCE,) * 9, (DEAD, *(SILENCE,) * 9), (ALIVE, SILENCE)]
)
def test_anything_less_proves_nothing(answers: tuple[Answer, ...]) -> None:
    assert assessed(probe(well(), *answers)) == HEALTHY


@pytest.mark.parametrize("word", ["close", "connecting", None])
def test_connection_that_was_not_open_in_between_was_another_one(word: str | None) -> None:
    one = probe(well(), DEAD)
    one.memory(word).read().memory("open").read()

    assert assessed(probe(one, DEAD)) == HEALTHY


def test_found_dead_again_after_a_step_is_worse() -> None:
    one = stepped(probe(well(), DEAD, DEAD))

    assert assessed(probe(one, DEAD, DEAD)) == DEAD_AGAIN


def test_after_a_step_nothing_is_known_before_another_probe_has_told() -> None:
    one = stepped(probe(well(), DEAD, DEAD))

    assert assessed(one) == SETTLING
    assert assessed(probe(one, SILENCE)) == SETTLING
    assert assessed(probe(one, ALIVE)) == HEALTHY


def test_step_that_connected_anew_has_left_no_dead_socket() -> None:
    one = stepped(probe(well(), DEAD, DEAD))

    assert assessed(one.memory("connecting").read().memory("open").read()) == HEALTHY


def test_second_step_on_a_dead_socket_waits_for_evidence_of_after_the_first() -> None:
    one = probe(well(), DEAD, DEAD).watch(minutes=10)

    assert one.steps == [Step.RESTART]


def test_gap_leaves_an_answer_as_it_was_and_no_more_than_a_suspicion_of_death() -> None:
    alive, dead = probe(well(), ALIVE).record, probe(well(), DEAD, DEAD).record

    assert records.after_gap(alive).probe == alive.probe
    assert records.after_gap(dead).probe == witnesses.Probe(dead_before=True)
    assert records.after_gap(probe(well(), DEAD).record).probe == witnesses.Probe()


def test_what_nobody_probes_any_more_is_as_well_as_it_looks() -> None:
    one = probe(well(), DEAD, DEAD)
    one.record = records.without_probes(one.record)

    assert assessed(one) == HEALTHY


def test_channel_without_a_phone_has_no_socket_to_be_dead() -> None:
    one = well().other_integration().watch(minutes=1)

    assert assessed(probe(one, DEAD, DEAD)) == HEALTHY


@for_any(st.lists(st.sampled_from([ALIVE, DEAD, SILENCE])))
def test_socket_is_dead_only_by_two_dead_answers_since_the_last_live_one(answers: list[Answer]) -> None:
    record = records.Record()
    for number, answer in enumerate(answers):
        record = records.saw_probe(record, answer, at=START + timedelta(seconds=10 * number))

    proofs = [answer for answer in answers if answer is not SILENCE]
    last_alive = max((at for at, proof in enumerate(proofs) if proof is ALIVE), default=-1)
    assert record.probe.dead == len(proofs) - last_alive - 1
    assert record.probe.lasted(timedelta(seconds=5)) is (record.probe.dead >= 2)
    assert record.probe.taken is bool(answers)
