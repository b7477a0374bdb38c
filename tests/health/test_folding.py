"""What a record keeps of what was read, and what it lets go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.world import EARLIER, START, a_row, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import stability
from whatsapp_operator.health.assessment import HEALTHY, Neighbours, Seen, Verdict
from whatsapp_operator.health.opinion import Opinion, consider
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.health.witnesses import Absence, Database, Memory, Probe, Sample, Turning
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

OPEN, CONNECTING, CLOSE = (state(word) for word in ("open", "connecting", "close"))
LATER = START + timedelta(minutes=1)
ROW = a_row("open", owner=True, updated=EARLIER)


def held(word: str | None) -> Memory:
    return Memory(state(word) if word else None, since=START, seen_at=START)


def listed(row: evidence.Row | None) -> Database:
    return Database(row, since=START, seen_at=START, moved_at=START)


FULL = records.Record(
    memory=held("close"),
    database=listed(ROW),
    absence=Absence(START, START),
    sample=Sample(START, frozenset({CLOSE})),
    paired=True,
    opened_at=EARLIER,
    baseline=EARLIER,
    ended_at=EARLIER,
    changes=((START, CLOSE),),
    turning_since=START,
    turned=Turning(EARLIER, EARLIER),
    reopened_at=START,
    probe=Probe(dead=2, dead_since=START, dead_at=START),
    known_data=3,
    remembered=(CLOSE, EARLIER),
    reads=7,
    observed_at=START,
    observations=5,
)
"""A record in which everything is known."""


def changed(before: records.Record, after: records.Record) -> set[str]:
    """What is not as it was."""
    return {name for name in records.Record.__slots__ if getattr(before, name) != getattr(after, name)}


def test_step_makes_void_what_was_observed_and_keeps_what_is_latched() -> None:
    after = records.after_step(FULL)

    assert after == records.Record(
        database=FULL.database,
        paired=True,
        opened_at=EARLIER,
        baseline=EARLIER,
        ended_at=EARLIER,
        known_data=3,
        probe=Probe(dead_before=True),
    )
    assert (after.reads, after.observed_at, after.observations) == (7, None, 0)


def test_gap_leaves_an_open_connection_as_it_was_and_times_the_rest_anew() -> None:
    before = replace(FULL, memory=held("open"))

    after = records.after_gap(before)

    assert changed(before, after) == {"sample", "changes", "turning_since", "reopened_at", "probe"}
    assert (after.sample, after.changes, after.turning_since, after.reopened_at) == (None, (), None, None)
    assert after.probe == Probe(dead_before=True)


def test_gap_keeps_the_probe_that_found_an_open_connection_alive() -> None:
    alive = Probe(alive_at=START)

    assert records.after_gap(replace(FULL, memory=held("open"), probe=alive)).probe == alive


@pytest.mark.parametrize("memory", [held("close"), held(None), None])
def test_gap_is_as_a_step_for_what_was_not_open_but_for_turns_that_no_login_ended(memory: Memory | None) -> None:
    before = replace(FULL, memory=memory)

    assert records.after_gap(before) == replace(records.after_step(before), turned=Turning(EARLIER, EARLIER))


def test_suspicion_outlives_two_steps_and_one_dead_probe_raises_none() -> None:
    assert records.after_step(records.after_step(FULL)).probe.dead_before
    assert not records.after_step(replace(FULL, probe=Probe(dead=1))).probe.dead_before


def test_ghost_has_neither_absence_nor_sample_nor_probe_of_before() -> None:
    after = records.saw_memory(FULL, evidence.NotInMemory(), at=LATER)

    assert after.memory == Memory(None, since=LATER, seen_at=LATER)
    assert (after.absence, after.sample, after.probe) == (None, None, Probe())


@pytest.mark.parametrize("nothing", [evidence.Unknown(evidence.Ignorance.TIMEOUT), evidence.Absent()])
def test_read_that_shows_no_state_leaves_the_last_one_standing(nothing: evidence.MemoryReading) -> None:
    assert records.saw_memory(FULL, nothing, at=LATER) is FULL


def test_login_ends_turns_sample_and_the_end_of_the_pairing_before() -> None:
    after = records.saw_memory(FULL, evidence.InMemory(OPEN), at=LATER)

    assert (after.paired, after.opened_at, after.baseline, after.ended_at) == (True, LATER, None, None)
    assert (after.turning_since, after.turned, after.sample, after.absence) == (None, None, None, None)


def test_each_read_counts_as_one_and_what_is_read_at_one_moment_as_one_observation() -> None:
    once = records.saw_memory(records.Record(), evidence.InMemory(CLOSE), at=START)
    both = records.saw_database(once, ROW, at=START)
    later = records.saw_memory(both, evidence.InMemory(CLOSE), at=LATER)

    assert [one.reads for one in (once, both, later)] == [1, 2, 3]
    assert [one.observations for one in (once, both, later)] == [1, 1, 2]
    assert later.memory == Memory(CLOSE, since=START, seen_at=LATER, reads=2)


def test_state_is_as_old_as_an_earlier_process_wrote_only_where_it_is_the_same_and_nothing_was_read() -> None:
    fresh = records.Record(remembered=(CLOSE, EARLIER))

    assert records.saw_memory(fresh, evidence.InMemory(CLOSE), at=START).memory == Memory(CLOSE, EARLIER, START)
    assert records.saw_memory(fresh, evidence.InMemory(CONNECTING), at=START).memory == Memory(CONNECTING, START, START)
    known = replace(fresh, memory=held("connecting"))
    assert records.saw_memory(known, evidence.InMemory(CLOSE), at=LATER).memory == Memory(CLOSE, LATER, LATER)


def test_first_turn_after_what_had_lasted_begins_the_turns_anew() -> None:
    old = replace(FULL, sample=None, changes=((EARLIER, CLOSE),), turning_since=EARLIER)

    after = records.saw_memory(old, evidence.InMemory(CONNECTING), at=LATER)

    assert (after.turning_since, after.turned) == (LATER, None)


def test_first_state_that_a_process_sees_speaks_against_no_turns_that_were_remembered() -> None:
    fresh = records.Record(turned=Turning(EARLIER, EARLIER))

    after = records.saw_memory(fresh, evidence.InMemory(CLOSE), at=LATER)

    assert (after.turning_since, after.turned) == (LATER, Turning(EARLIER, EARLIER))


def test_turns_that_a_sample_saw_go_on_however_rarely_single_reads_catch_them() -> None:
    both = Sample(START, frozenset({CLOSE, CONNECTING}))
    old = replace(FULL, sample=both, changes=((EARLIER, CLOSE),), turning_since=EARLIER)

    assert records.saw_memory(old, evidence.InMemory(CONNECTING), at=LATER).turning_since == EARLIER


def test_turns_that_nobody_has_timed_begin_with_the_next_one() -> None:
    one = replace(FULL, sample=None, changes=((START, CLOSE),), turning_since=None)

    assert records.saw_memory(one, evidence.InMemory(CONNECTING), at=LATER).turning_since == LATER


@pytest.mark.parametrize(
    ("paired", "row", "ends"),
    [
        (True, a_row("close", owner=True, code=401, ended=START), True),
        (False, a_row("close", owner=True, code=401, ended=START), False),
        (True, a_row("open", owner=True, code=401, ended=START), False),
        (True, a_row("close", owner=True), False),
        (True, None, False),
    ],
)
def test_close_ends_the_pairing_where_the_last_list_has_told_why(
    paired: bool, row: evidence.Row | None, ends: bool
) -> None:
    before = replace(FULL, memory=held("open"), database=listed(row), paired=paired, baseline=EARLIER)

    after = records.saw_memory(before, evidence.InMemory(CLOSE), at=LATER)

    assert (after.paired, after.ended_at) == ((False, LATER) if ends else (paired, EARLIER))


def test_list_proves_that_it_exists_and_what_it_holds() -> None:
    after = records.saw_database(FULL, a_row("open", owner=True, data=9), at=LATER)

    assert (after.absence, after.known_data) == (None, 9)


def test_row_that_moves_is_told_from_one_that_is_the_same_or_has_just_come() -> None:
    before = replace(FULL, database=listed(ROW))
    moved = records.saw_database(before, replace(ROW, updated_at=LATER), at=LATER).database
    same = records.saw_database(before, ROW, at=LATER).database
    gone = records.saw_database(replace(FULL, database=listed(None)), None, at=LATER).database

    assert moved is not None
    assert (moved.moved_at, moved.since, moved.reads) == (LATER, START, 2)
    assert same is not None
    assert (same.moved_at, same.seen_at, same.reads) == (START, LATER, 2)
    assert gone == Database(None, since=START, seen_at=LATER, moved_at=START, reads=2)


def test_login_that_only_the_list_tells_is_a_pairing_with_its_old_end_as_known() -> None:
    row = a_row("open", owner=True, code=401, ended=EARLIER)
    before = replace(FULL, paired=False, baseline=None, ended_at=START)

    after = records.saw_database(before, row, at=LATER)

    assert (after.paired, after.baseline, after.ended_at) == (True, EARLIER, None)


def test_pairing_that_goes_on_keeps_what_was_there_at_its_beginning() -> None:
    row = a_row("open", owner=True, code=401, ended=START)

    after = records.saw_database(replace(FULL, paired=True), row, at=LATER)

    assert (after.baseline, after.ended_at) == (EARLIER, EARLIER)


def test_end_of_a_pairing_that_is_over_is_told_once() -> None:
    row = a_row("close", owner=True, code=401, ended=START)

    assert records.saw_database(replace(FULL, paired=False), row, at=LATER).ended_at == EARLIER


def test_what_is_nowhere_has_neither_a_state_nor_a_sample() -> None:
    after = records.lost_from_memory(FULL)

    assert changed(FULL, after) == {"memory", "sample"}
    assert (after.memory, after.sample) == (None, None)


def look(record: records.Record, **facts: object) -> records.Record:
    given = {"state": None, "row": None, "listed": True} | facts
    return records.saw_both(record, at=LATER, **given)  # type: ignore[arg-type]  # the names are the words


def test_look_at_the_whole_server_folds_what_each_witness_says() -> None:
    fresh = records.Record()

    both = look(fresh, state=OPEN, row=ROW)
    assert (both.memory, both.row) == (Memory(OPEN, LATER, LATER), ROW)
    assert look(fresh, state=OPEN, listed=False).row is None
    ghost = look(fresh, row=ROW)
    assert ghost.memory == Memory(None, LATER, LATER)
    assert look(FULL).memory is None
    assert look(FULL, listed=False) == records.lost_from_memory(FULL)
    assert look(ghost, listed=False) is ghost
    assert look(fresh, listed=False) is fresh


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        (None, OPEN, False),
        (held("open"), OPEN, False),
        (held("open"), CLOSE, True),
        (held("close"), OPEN, True),
        (held("close"), CONNECTING, False),
        (held("close"), None, True),
        (held(None), CLOSE, False),
    ],
)
def test_news_are_openings_closings_and_what_goes(
    before: Memory | None, now: evidence.ConnectionState | None, news: bool
) -> None:
    assert records.is_news(before, now) is news


@pytest.mark.parametrize(
    ("record", "reading", "agrees"),
    [
        (records.Record(memory=held("close")), evidence.InMemory(CLOSE), True),
        (records.Record(memory=held("open")), evidence.InMemory(CLOSE), False),
        (records.Record(), evidence.InMemory(CLOSE), False),
        (records.Record(memory=held(None)), evidence.NotInMemory(), True),
        (records.Record(memory=held("open")), evidence.NotInMemory(), False),
        (records.Record(), evidence.NotInMemory(), False),
        (records.Record(absence=Absence(START, START)), evidence.Absent(), True),
        (records.Record(memory=held("open")), evidence.Absent(), False),
        (FULL, evidence.Unknown(evidence.Ignorance.TIMEOUT), False),
    ],
)
def test_last_look_before_a_step_has_to_show_what_was_assessed(
    record: records.Record, reading: evidence.MemoryReading, agrees: bool
) -> None:
    assert records.agrees(record, reading) is agrees


SESSIONLESS = a_row("close", owner=True)


@pytest.mark.parametrize(
    ("memory", "row", "lacks"),
    [
        (held("open"), SESSIONLESS, True),
        (held("connecting"), SESSIONLESS, False),
        (None, SESSIONLESS, False),
        (held("open"), None, False),
        (held("open"), a_row("open", owner=True), False),
        (held("open"), a_row("close"), False),
        (held("open"), a_row("close", owner=True, integration="EVOLUTION"), False),
    ],
)
def test_works_without_a_stored_session_only_what_is_open_and_closed_in_the_list(
    memory: Memory | None, row: evidence.Row | None, lacks: bool
) -> None:
    one = records.Record(memory=memory, database=listed(row) if row is not None else None)

    assert records.may_lack_its_session(one) is lacks


@pytest.mark.parametrize(
    ("memory", "database", "broken"),
    [
        (held(None), listed(ROW), True),
        (held("open"), listed(None), True),
        (held("open"), listed(ROW), False),
        (held("open"), None, False),
        (None, listed(ROW), False),
    ],
)
def test_record_is_broken_where_one_witness_has_it_and_the_other_does_not(
    memory: Memory | None, database: Database | None, broken: bool
) -> None:
    assert records.Record(memory=memory, database=database).broken is broken


PROXY = evidence.Proxy("host", "1080", "http")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (None, None, True),
        (ROW, ROW, True),
        (ROW, replace(ROW, updated_at=LATER), True),
        (ROW, None, False),
        (None, ROW, False),
        (ROW, replace(ROW, id="another"), False),
        (ROW, replace(ROW, settings={"rejectCall": True}), False),
        (ROW, replace(ROW, proxy=PROXY), False),
    ],
)
def test_rows_say_the_same_unless_something_that_counts_differs(
    one: evidence.Row | None, other: evidence.Row | None, same: bool
) -> None:
    assert records.same_facts(one, other) is same


@pytest.mark.parametrize(
    ("word", "row", "listed_now", "same"),
    [
        ("close", ROW, True, True),
        ("close", replace(ROW, updated_at=LATER), True, True),
        ("close", replace(ROW, id="another"), True, False),
        ("close", None, True, False),
        ("close", None, False, True),
        ("open", ROW, True, False),
        ("open", None, False, False),
        (None, ROW, True, False),
    ],
)
def test_instance_is_as_before_when_memory_and_the_row_that_was_listed_are(
    word: str | None, row: evidence.Row | None, listed_now: bool, same: bool
) -> None:
    now = state(word) if word else None

    assert records.is_as_before(FULL, state=now, row=row, listed=listed_now) is same
    assert not records.is_as_before(replace(FULL, memory=None), state=now, row=row, listed=listed_now)


def test_instance_that_is_held_nowhere_still_is_as_before() -> None:
    nowhere = replace(FULL, memory=held(None), database=listed(None))

    assert records.is_as_before(nowhere, state=None, row=None, listed=True)


def test_sample_that_saw_it_open_three_times_tells_of_replacement_and_ends_turns() -> None:
    taken = Sample(LATER, frozenset({OPEN, CLOSE}), openings=3)

    after = records.saw_sample(FULL, taken)

    assert (after.sample, after.reopened_at, after.turning_since, after.turned) == (taken, LATER, None, None)
    assert records.saw_sample(FULL, replace(taken, openings=2)).reopened_at is None


def test_sample_of_one_state_ends_turns_and_one_of_turns_begins_them() -> None:
    constant = records.saw_sample(FULL, Sample(LATER, frozenset({CLOSE})))
    assert (constant.turning_since, constant.turned, constant.reopened_at) == (None, None, None)

    turns = Sample(LATER, frozenset({CLOSE, CONNECTING}))
    assert records.saw_sample(FULL, turns).turning_since == START
    assert records.saw_sample(replace(FULL, turning_since=None), turns).turning_since == LATER


def test_probe_that_meets_a_dead_socket_takes_back_that_it_was_alive() -> None:
    alive = replace(FULL, probe=Probe(alive_at=START))

    after = records.saw_probe(alive, evidence.ProbeResult.DEAD, at=LATER)

    assert after.probe == Probe(dead=1, dead_since=LATER, dead_at=LATER, taken=True)


def test_turns_are_remembered_with_the_row_that_proves_them() -> None:
    assert FULL.turning == Turning(EARLIER, EARLIER)
    assert replace(FULL, turned=None).turning == Turning(START, EARLIER)
    assert replace(FULL, turned=None, turning_since=None).turning is None
    assert replace(FULL, turned=None, database=None).turning is None
    assert replace(FULL, turning_since=None, turned=Turning(EARLIER, LATER)).turning is None
    assert replace(FULL, database=None).turned_still is None


def test_spans_are_those_that_the_docs_and_the_flags_give() -> None:
    assert Spans() == Spans(
        absence=30,
        stable=30,
        stable_samples=300,
        flapping=600,
        probe_again=5,
        qr_wait=30,
        frozen=120,
        warm_up_growth=300,
        orphan_release=600,
        delete_retry=60,
        recreate_wait=600,
        recreate_wait_max=3600,
        qr_life=45,
    )


def test_what_is_seen_for_the_first_time_was_seen_once() -> None:
    assert (held("close").reads, listed(ROW).reads, Absence(START, START).times) == (1, 1, 1)
    assert (Sample(START, frozenset()).openings, Probe().taken) == (0, False)
    assert Opinion(HEALTHY, START) == Opinion(HEALTHY, START, pending_observations=0)
    assert Neighbours(fresh=False, warm=True).why_unknown is Reason.SERVER_UNREACHABLE


def test_probes_that_nobody_has_dated_prove_nothing() -> None:
    assert not Probe(dead=2, dead_at=START).lasted(timedelta())
    assert not Probe(dead=2, dead_since=START).lasted(timedelta())


BAD = Verdict(HealthState.STUCK, Reason.CONNECTING)
WORSE = Verdict(HealthState.CORRUPTED, Reason.GHOST)
SETTLING = Verdict(HealthState.DEGRADED, Reason.SETTLING)
UNSEEN = Verdict(HealthState.UNKNOWN, Reason.NOT_OBSERVED)


def test_news_that_nothing_was_read_of_it_take_back_what_was_about_to_be_shown() -> None:
    before = Opinion(HEALTHY, START, observations=4, pending=BAD, pending_observations=1, reads=3)

    after = consider(before, UNSEEN, reads=9, at=LATER)

    assert (after.verdict, after.observations, after.pending, after.reads) == (HEALTHY, 0, None, 9)


def test_verdict_that_is_seen_again_takes_back_what_was_about_to_replace_it() -> None:
    before = Opinion(BAD, START, observations=4, pending=WORSE, pending_observations=1, reads=3)

    after = consider(before, BAD, reads=4, at=LATER)

    assert (after.verdict, after.since, after.observations, after.pending, after.reads) == (BAD, START, 5, None, 4)
    assert consider(after, BAD, reads=4, at=LATER).observations == 5


def test_health_that_goes_on_is_shown_since_it_began() -> None:
    after = consider(Opinion(HEALTHY, START, observations=4, reads=3), HEALTHY, reads=4, at=LATER)

    assert (after.since, after.observations) == (START, 5)


def test_bad_news_are_shown_when_they_were_read_twice_and_have_then_been_observed_twice() -> None:
    once = consider(Opinion(HEALTHY, START, observations=4, reads=3), BAD, reads=4, at=LATER)
    assert (once.verdict, once.pending, once.pending_observations) == (HEALTHY, BAD, 1)
    assert consider(once, BAD, reads=4, at=LATER).verdict == HEALTHY

    twice = consider(once, BAD, reads=5, at=LATER)

    assert (twice.verdict, twice.observations, twice.confirmed) == (BAD, 2, True)


def test_settling_that_becomes_clearer_is_shown_at_once_and_acted_on_after_another_observation() -> None:
    settling = Opinion(HEALTHY, START, pending=SETTLING, pending_observations=1, reads=3)

    after = consider(settling, BAD, reads=4, at=LATER)
    assert (after.verdict, after.observations, after.confirmed) == (BAD, 1, False)
    assert consider(settling, BAD, reads=3, at=LATER).verdict == HEALTHY

    other = replace(settling, pending=WORSE)
    assert consider(other, BAD, reads=4, at=LATER).verdict == HEALTHY


def asked(record: records.Record, verdict: Verdict, *, wanted: bool = True, integration: str = records.BAILEYS) -> bool:
    """Whether a sample of stability is called for."""
    one = Seen(
        now=LATER,
        record=record,
        spans=Spans(),
        neighbours=Neighbours(fresh=True, warm=True),
        integration=integration,
        stuck_timeout=timedelta(seconds=30),
        pairing_wanted=wanted,
    )
    return stability.is_called_for(one, verdict)


def unsampled(word: str, *, paired: bool | None = True) -> records.Record:
    return records.Record(memory=held(word), paired=paired)


@pytest.mark.parametrize(
    ("record", "wanted", "called_for"),
    [
        (unsampled("close"), False, True),
        (unsampled("close", paired=None), False, True),
        (unsampled("close", paired=False), True, True),
        (unsampled("close", paired=False), False, False),
        (unsampled("connecting"), False, True),
        (unsampled("connecting", paired=None), True, True),
        (unsampled("connecting", paired=False), True, False),
        (unsampled("open"), True, False),
        (records.Record(memory=held(None)), True, False),
        (records.Record(), True, False),
        (replace(unsampled("close"), sample=Sample(START, frozenset({CLOSE}))), True, False),
        (replace(unsampled("close"), sample=Sample(START, frozenset({CONNECTING}))), True, True),
    ],
)
def test_sample_is_taken_where_single_reads_cannot_tell(record: records.Record, wanted: bool, called_for: bool) -> None:
    assert asked(record, SETTLING, wanted=wanted) is called_for


def test_channels_without_a_phone_are_not_sampled() -> None:
    assert not asked(unsampled("close"), SETTLING, integration="EVOLUTION")


@pytest.mark.parametrize("reason", [Reason.HEALTHY, Reason.AWAITING_SCAN, Reason.RESTRICTED, Reason.REPLACED])
def test_what_is_concluded_is_not_sampled(reason: Reason) -> None:
    assert not asked(unsampled("close"), Verdict(HealthState.DEGRADED, reason))


def test_lost_credentials_are_no_riddle_while_it_connects() -> None:
    lost = Verdict(HealthState.DISCONNECTED, Reason.CREDENTIALS_LOST)

    assert not asked(unsampled("connecting"), lost)
    assert asked(unsampled("close"), lost)


def test_only_a_replacement_is_sampled_again_because_it_was_long_ago() -> None:
    long_ago = replace(unsampled("close"), reopened_at=EARLIER)

    assert asked(long_ago, Verdict(HealthState.DEGRADED, Reason.REPLACED))
    assert not asked(long_ago, Verdict(HealthState.DISCONNECTED, Reason.RESTRICTED))
