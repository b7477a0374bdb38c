"""From exactly which moment on something counts: a span that has passed, a number that is reached."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.world import EARLIER, START, a_row, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules, stability
from whatsapp_operator.health.assessment import Neighbours, Seen, Verdict
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.health.witnesses import Absence, Database, Memory, Probe, Sample, Turning
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

OPEN, CONNECTING, CLOSE = (state(word) for word in ("open", "connecting", "close"))


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(record: records.Record, *, now: datetime = START, **facts: object) -> Seen:
    one = Seen(
        now=now,
        record=record,
        spans=Spans(),
        neighbours=Neighbours(fresh=True, warm=True),
        integration=records.BAILEYS,
        stuck_timeout=timedelta(seconds=30),
        pairing_wanted=True,
        last_resort=timedelta(hours=6),
    )
    return replace(one, **facts)  # type: ignore[arg-type]  # the fields' names are the words


def memory(word: str | None, *, until: datetime = START, reads: int = 2) -> Memory:
    """Shown since the beginning."""
    return Memory(state(word) if word else None, since=START, seen_at=until, reads=reads)


def database(row: evidence.Row | None, *, at: datetime = START, moved: datetime = START, reads: int = 2) -> Database:
    return Database(row, since=START, seen_at=at, moved_at=moved, reads=reads)


@pytest.mark.parametrize(("times", "lasted", "absent"), [(3, 30, True), (3, 29.9, False), (2, 30, False)])
def test_absence_takes_three_proofs_over_half_a_minute(times: int, lasted: float, absent: bool) -> None:
    one = records.Record(absence=Absence(since=START, seen_at=after(lasted), times=times))

    assert (rules.is_absent(seen(one, now=after(lasted))) is not None) is absent


@pytest.mark.parametrize(("reads", "missing"), [(2, True), (1, False)])
def test_missing_row_and_missing_session_take_two_lists(reads: int, missing: bool) -> None:
    without = records.Record(memory=memory("open"), database=database(None, reads=reads))
    closed = records.Record(memory=memory("open"), database=database(a_row("close", owner=True), reads=reads))

    assert (rules.has_no_row(seen(without)) is not None) is missing
    assert (rules.lost_its_stored_session(seen(closed)) is not None) is missing


@pytest.mark.parametrize(("dead", "apart", "concluded"), [(2, 5, True), (2, 4.9, False), (1, 5, False), (3, 5, True)])
def test_dead_socket_takes_two_probes_some_seconds_apart(dead: int, apart: float, concluded: bool) -> None:
    probe = Probe(dead=dead, dead_since=START, dead_at=after(apart))

    assert probe.lasted(timedelta(seconds=5)) is concluded


@pytest.mark.parametrize(("lasted", "reads", "overdue"), [(30, 2, True), (29.9, 2, False), (600, 1, False)])
def test_code_is_overdue_when_none_was_issued_within_half_a_minute(lasted: float, reads: int, overdue: bool) -> None:
    one = records.Record(
        memory=memory("connecting", until=after(lasted), reads=reads),
        database=database(a_row("close"), at=after(lasted)),
        paired=False,
    )

    assert (rules.symptom(seen(one, now=after(lasted))) is rules.Symptom.WITHOUT_CODE) is overdue


@pytest.mark.parametrize(("listed", "overdue"), [(30, True), (29.9, False)])
def test_code_is_overdue_only_by_a_list_that_is_late_enough_to_know(listed: float, overdue: bool) -> None:
    one = records.Record(
        memory=memory("connecting", until=after(60)),
        database=database(a_row("close"), at=after(listed)),
        paired=False,
    )

    assert (rules.symptom(seen(one, now=after(60))) is rules.Symptom.WITHOUT_CODE) is overdue


@pytest.mark.parametrize(("stood_still", "overdue"), [(120, True), (119.9, False)])
def test_code_is_overdue_when_no_new_one_came_for_as_long_as_two_live(stood_still: float, overdue: bool) -> None:
    now = after(stood_still)
    one = records.Record(
        memory=memory("connecting", until=now), database=database(a_row("connecting"), at=now), paired=False
    )

    assert (rules.symptom(seen(one, now=now)) is rules.Symptom.WITHOUT_CODE) is overdue


def openings(*seconds: float) -> tuple[tuple[datetime, evidence.ConnectionState], ...]:
    return tuple(pair for at in seconds for pair in ((after(at), OPEN), (after(at + 1), CLOSE)))


@pytest.mark.parametrize(("opened", "replaced"), [((0, 40, 80), True), ((0, 80), False), ((-0.1, 40, 80), False)])
def test_three_openings_within_two_minutes_are_a_replacement(opened: tuple[float, ...], replaced: bool) -> None:
    one = records.Record(memory=memory("close"), changes=openings(*opened))

    assert (rules.is_replaced_again_and_again(seen(one, now=after(120))) is not None) is replaced


@pytest.mark.parametrize(("ago", "replaced"), [(1200, True), (1200.1, False)])
def test_replacement_that_a_sample_saw_holds_for_twenty_minutes(ago: float, replaced: bool) -> None:
    one = records.Record(memory=memory("close"), reopened_at=START)

    assert (rules.is_replaced_again_and_again(seen(one, now=after(ago))) is not None) is replaced


@pytest.mark.parametrize(("stayed", "healthy"), [(120, True), (119.9, False)])
def test_what_stays_open_for_two_minutes_is_not_being_replaced(stayed: float, healthy: bool) -> None:
    row = a_row("open", owner=True)
    one = records.Record(memory=memory("open"), database=database(row), reopened_at=START)

    found = rules.is_healthy(seen(one, now=after(stayed)))

    assert found is not None
    assert (found.reason is Reason.HEALTHY) is healthy


def turning(*, paired: bool = True, sampled_at: datetime = START) -> records.Record:
    """Close and connecting in turn since the beginning, as a sample saw it."""
    both = frozenset({CLOSE, CONNECTING})
    row = a_row("open", owner=True)
    return records.Record(
        memory=memory("close"),
        database=database(row),
        paired=paired,
        turning_since=START,
        sample=Sample(taken_at=sampled_at, states=both),
    )


@pytest.mark.parametrize(("lasted", "alone"), [(600, True), (599.9, False)])
def test_flapping_is_more_than_a_bad_network_after_ten_minutes(lasted: float, alone: bool) -> None:
    assert (rules.flaps_alone_since(seen(turning(), now=after(lasted))) is not None) is alone


@pytest.mark.parametrize(("vouched", "concluded"), [(0, False), (0.1, True)])
def test_only_a_voucher_from_within_the_flapping_tells_it_from_an_outage(vouched: float, concluded: bool) -> None:
    neighbours = Neighbours(fresh=True, warm=True, vouched_at=after(vouched))

    found = rules.has_unusable_credentials(seen(turning(), now=after(600), neighbours=neighbours))

    assert (found is not None) is concluded


@pytest.mark.parametrize(("hours", "concluded"), [(6, True), (5.99, False)])
def test_flapping_that_nobody_vouches_against_is_its_own_after_the_last_resort(hours: float, concluded: bool) -> None:
    now = START + timedelta(hours=hours)

    found = rules.has_unusable_credentials(seen(turning(sampled_at=now), now=now))

    assert (found is not None) is concluded


@pytest.mark.parametrize(("ago", "flaps"), [(1200, True), (1200.1, False)])
def test_turns_that_a_sample_saw_hold_for_twenty_minutes(ago: float, flaps: bool) -> None:
    assert (rules.is_flapping(seen(turning(), now=after(ago))) is not None) is flaps


@pytest.mark.parametrize(("turns", "last_ago", "flaps"), [(4, 120, True), (3, 120, False), (4, 120.1, False)])
def test_single_reads_show_flapping_by_four_turns_of_late(turns: int, last_ago: float, flaps: bool) -> None:
    words = [(after(10 * number), (CLOSE, CONNECTING)[number % 2]) for number in range(turns)]
    one = replace(turning(), sample=None, changes=tuple(words))

    now = words[-1][0] + timedelta(seconds=last_ago)

    assert (rules.is_flapping(seen(one, now=now)) is not None) is flaps


def test_turns_from_before_the_flapping_do_not_count() -> None:
    words = tuple((after(10 * number), (CLOSE, CONNECTING)[number % 2]) for number in range(4))
    one = replace(turning(), sample=None, changes=words, turning_since=after(5))

    assert rules.is_flapping(seen(one, now=after(40))) is None


def test_turns_are_counted_from_the_very_first() -> None:
    words = tuple((after(10 * number), (CLOSE, CONNECTING)[number % 2]) for number in range(4))
    one = replace(turning(), sample=None, changes=words, turning_since=after(0))

    assert rules.is_flapping(seen(one, now=after(40))) is not None


def hanging(*, lasted: float = 30, reads: int = 2, listed: float = 0) -> Seen:
    """Connecting since the beginning, sampled, and no code that explains it."""
    one = records.Record(
        memory=memory("connecting", until=after(lasted), reads=reads),
        database=database(a_row("open", owner=True), at=after(listed)),
        sample=Sample(taken_at=START, states=frozenset({CONNECTING})),
        paired=True,
    )
    return seen(one, now=after(lasted))


@pytest.mark.parametrize(("lasted", "reads", "stuck"), [(30, 2, True), (29.9, 2, False), (30, 1, False)])
def test_connecting_is_stuck_after_the_time_that_the_policy_says(lasted: float, reads: int, stuck: bool) -> None:
    assert (rules.is_stuck_connecting(hanging(lasted=lasted, reads=reads)) is not None) is stuck


@pytest.mark.parametrize(("listed", "stuck"), [(0, True), (-0.1, False)])
def test_row_from_before_the_state_contradicts_nothing(listed: float, stuck: bool) -> None:
    assert (rules.is_stuck_connecting(hanging(listed=listed)) is not None) is stuck


SETTLING = Verdict(HealthState.DEGRADED, Reason.SETTLING)


@pytest.mark.parametrize(("ago", "again"), [(600, False), (600.1, True)])
def test_sample_of_turns_is_taken_again_after_ten_minutes(ago: float, again: bool) -> None:
    assert stability.is_called_for(seen(turning(), now=after(ago)), SETTLING) is again


@pytest.mark.parametrize(("ago", "again"), [(600, False), (600.1, True)])
def test_replacement_is_sampled_again_after_ten_minutes(ago: float, again: bool) -> None:
    one = replace(turning(), reopened_at=START, sample=None)

    replaced = Verdict(HealthState.DEGRADED, Reason.REPLACED)

    assert stability.is_called_for(seen(one, now=after(ago)), replaced) is again


@pytest.mark.parametrize(("later", "paired"), [(5, True), (5.1, False)])
def test_code_that_was_written_within_seconds_of_a_login_is_of_before_it(later: float, paired: bool) -> None:
    record = records.saw_database(records.Record(), a_row("open", owner=True), at=START)
    record = records.saw_memory(record, evidence.InMemory(OPEN), at=START)
    record = records.saw_memory(record, evidence.InMemory(CONNECTING), at=after(later))

    record = records.saw_database(record, a_row("connecting", owner=True), at=after(later))

    assert record.paired is paired


def test_end_that_was_there_before_the_pairing_is_no_new_one() -> None:
    row = a_row("close", owner=True, code=401, ended=EARLIER)
    one = records.Record(database=database(row), baseline=EARLIER)

    assert one.new_code is None
    assert replace(one, baseline=EARLIER - timedelta(seconds=1)).new_code == 401


@pytest.mark.parametrize(("apart", "goes_on"), [(120, True), (120.1, False)])
def test_turns_that_are_far_apart_are_none(apart: float, goes_on: bool) -> None:
    record = records.saw_memory(records.Record(paired=True), evidence.InMemory(CLOSE), at=START)

    record = records.saw_memory(record, evidence.InMemory(CONNECTING), at=after(apart))

    assert (record.turning_since == START) is goes_on


def test_thirty_two_changes_are_remembered_the_latest_ones() -> None:
    record = records.Record(paired=True)
    for number in range(40):
        record = records.saw_memory(record, evidence.InMemory((CLOSE, CONNECTING)[number % 2]), at=after(number))

    assert [at for at, _ in record.changes] == [after(number) for number in range(8, 40)]


def test_turns_that_were_remembered_count_from_whichever_began_first() -> None:
    row = a_row("open", updated=EARLIER)
    one = replace(turning(), turned=Turning(since=after(-60), row_updated_at=EARLIER), database=database(row))

    assert one.turns_since == after(-60)
    assert replace(one, turned=Turning(since=after(60), row_updated_at=EARLIER)).turns_since == START
    assert replace(one, turning_since=None).turns_since is None


def test_nothing_of_ours_is_pending_unless_somebody_says_so() -> None:
    assert rules.our_own_delete_is_pending(seen(records.Record())) is None
