"""What is latched, what is timed, and what a step makes void."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.world import EARLIER, START, a_row, state
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.health import witnesses

LATER = START + timedelta(minutes=10)


def opened(*, code: int | None = None, ended: bool = False) -> records.Record:
    """Seen open, with whatever the row kept of an earlier end."""
    row = a_row("open", owner=True, code=code, ended=EARLIER if ended else None)
    record = records.saw_database(records.Record(), row, at=START)
    return records.saw_memory(record, evidence.InMemory(state("open")), at=START)


@pytest.mark.parametrize(
    ("row", "paired"),
    [
        (a_row("open", owner=True), True),
        (a_row("open", owner=True, code=401, ended=EARLIER), True),
        (a_row("connecting", owner=True), False),
        (a_row("connecting"), False),
        (a_row("close"), False),
        (a_row("close", owner=True), True),
        (a_row("close", owner=True, code=401, ended=EARLIER), False),
        (a_row("close", owner=True, code=403, ended=EARLIER), False),
        (a_row("close", owner=True, code=408, ended=EARLIER), True),
        (a_row("close", owner=True, code=401), True),
        (a_row("close", integration="EVOLUTION"), True),
    ],
)
def test_row_alone_counts_as_paired_in_doubt(row: evidence.Row, paired: bool) -> None:
    assert records.saw_database(records.Record(), row, at=START).paired is paired


def test_instance_of_which_nothing_was_proved_is_protected() -> None:
    assert records.Record().protected


def test_new_instance_can_lose_nothing() -> None:
    assert not records.created().protected


def test_data_alone_protects() -> None:
    record = records.saw_database(records.created(), a_row("close", data=1), at=START)

    assert record.paired is False
    assert record.protected


def test_data_protects_also_while_the_row_is_missing() -> None:
    record = records.saw_database(records.created(), a_row("close", data=1), at=START)

    assert records.saw_database(record, None, at=START).protected


@pytest.mark.parametrize("code", [401, 402, 403, 406])
def test_new_end_of_a_pairing_clears_it(code: int) -> None:
    record = records.saw_memory(opened(), evidence.InMemory(state("close")), at=LATER)

    record = records.saw_database(record, a_row("close", owner=True, code=code, ended=LATER), at=LATER)

    assert record.paired is False
    assert record.ended_at == LATER
    assert record.new_code == code


@pytest.mark.parametrize(
    "row",
    [
        a_row("close", owner=True, code=401, ended=EARLIER),
        a_row("close", owner=True, code=401),
        a_row("close", owner=True, code=401, ended=EARLIER - timedelta(days=1)),
        a_row("close", owner=True, code=408, ended=LATER),
        a_row("close", owner=True, code=440, ended=LATER),
        a_row("close", owner=True),
        a_row("open", owner=True, code=401, ended=LATER),
    ],
    ids=["the old one", "without a moment", "an older one", "lost", "replaced", "no code", "but open"],
)
def test_what_is_no_new_end_of_a_pairing_keeps_it(row: evidence.Row) -> None:
    record = records.saw_memory(opened(code=401, ended=True), evidence.InMemory(state("close")), at=LATER)

    assert records.saw_database(record, row, at=LATER).paired is True


def test_pairing_is_kept_while_memory_says_open_whatever_the_row_says() -> None:
    record = records.saw_database(opened(), a_row("close", owner=True, code=401, ended=LATER), at=LATER)

    assert record.paired is True


def test_new_pairing_makes_the_code_of_the_one_before_an_old_one() -> None:
    closed = records.saw_memory(opened(), evidence.InMemory(state("close")), at=LATER)
    ended = records.saw_database(closed, a_row("close", owner=True, code=401, ended=LATER), at=LATER)
    again = records.saw_memory(ended, evidence.InMemory(state("open")), at=LATER + timedelta(minutes=5))

    assert again.paired is True
    assert again.new_code is None
    assert again.ended_at is None


@pytest.mark.parametrize("reading", [evidence.InMemory(state("close")), evidence.NotInMemory()])
def test_login_that_nobody_saw_in_memory_makes_it_paired(reading: evidence.MemoryReading) -> None:
    """Scanned, and lost from memory, while no operator looked: a Recreate would lose what a restart keeps."""
    record = records.saw_memory(records.Record(paired=False), reading, at=START)

    record = records.saw_database(record, a_row("open", owner=True, code=401, ended=EARLIER), at=LATER)

    assert record.paired
    assert record.protected
    assert record.new_code is None


@pytest.mark.parametrize("row", [a_row("close", owner=True), a_row("connecting", owner=True)])
def test_row_that_no_login_has_written_makes_nothing_paired(row: evidence.Row) -> None:
    record = records.saw_database(records.Record(paired=False), row, at=START)

    assert record.paired is False


def test_qr_code_that_was_issued_after_open_ends_the_pairing() -> None:
    record = records.saw_memory(opened(), evidence.InMemory(state("connecting")), at=LATER)

    assert records.saw_database(record, a_row("connecting", owner=True), at=LATER).paired is False


def test_row_from_before_a_login_does_not_end_the_pairing_that_began_with_it() -> None:
    row = a_row("connecting", updated=START)
    record = records.saw_database(records.created(), row, at=START)
    record = records.saw_memory(record, evidence.InMemory(state("open")), at=START + timedelta(seconds=10))
    record = records.saw_memory(record, evidence.InMemory(state("close")), at=START + timedelta(seconds=20))

    assert records.saw_database(record, row, at=START + timedelta(seconds=30)).paired is True


def test_unknown_reads_change_nothing() -> None:
    record = opened()

    assert records.saw_memory(record, evidence.Unknown(evidence.Ignorance.TIMEOUT), at=LATER) is record


def test_404_in_memory_alone_changes_nothing() -> None:
    record = opened()

    assert records.saw_memory(record, evidence.Absent(), at=LATER) is record


def test_step_makes_void_what_was_seen_and_keeps_what_is_latched() -> None:
    sample = witnesses.Sample(taken_at=LATER, states=frozenset({state("close")}))
    before = records.saw_sample(opened(code=401, ended=True), sample)
    before = records.saw_absence(before, at=LATER)

    record = records.after_step(before)

    assert (record.memory, record.absence, record.sample, record.changes) == (None, None, None, ())
    assert (record.paired, record.baseline) == (True, EARLIER)
    assert record.observations == 0


def test_gap_times_anew_what_lasts_but_an_open_connection() -> None:
    closed = records.saw_memory(records.created(), evidence.InMemory(state("close")), at=START)

    assert records.after_gap(closed).memory is None
    assert records.after_gap(opened()).memory == opened().memory


def test_both_witnesses_read_at_once_are_one_observation() -> None:
    record = records.saw_database(records.created(), a_row("close"), at=START)
    record = records.saw_memory(record, evidence.InMemory(state("close")), at=START)
    assert record.observations == 1

    record = records.saw_memory(record, evidence.InMemory(state("close")), at=LATER)
    assert record.observations == 2


def test_sample_of_another_state_is_void_and_one_of_turns_stays() -> None:
    close = witnesses.Sample(taken_at=START, states=frozenset({state("close")}))
    turns = witnesses.Sample(taken_at=START, states=frozenset({state("close"), state("connecting")}))
    connecting = evidence.InMemory(state("connecting"))

    assert records.saw_memory(records.saw_sample(records.created(), close), connecting, at=LATER).sample is None
    assert records.saw_memory(records.saw_sample(records.created(), turns), connecting, at=LATER).sample == turns


def test_sample_of_close_is_believed_only_at_the_second_time_where_turns_were_seen_before() -> None:
    shown = frozenset({state("close")})
    turns = witnesses.Sample(taken_at=START, states=shown | {state("connecting")})
    turning = records.saw_sample(records.created(), turns)

    once = records.saw_sample(turning, witnesses.Sample(taken_at=LATER, states=shown))
    assert once.sample == replace(turns, contradicted=True)
    assert (once.turning_since, once.reads) == (turning.turning_since, turning.reads + 1)
    again = replace(turns, taken_at=LATER)
    assert records.saw_sample(once, again).sample == again

    twice = records.saw_sample(once, witnesses.Sample(taken_at=LATER, states=shown))
    assert twice.sample is not None
    assert (twice.sample.constant, twice.turning_since) == (state("close"), None)


def test_sample_of_connecting_is_believed_also_where_turns_were_seen_before() -> None:
    turns = witnesses.Sample(taken_at=START, states=frozenset({state("close"), state("connecting")}))
    hangs = witnesses.Sample(taken_at=LATER, states=frozenset({state("connecting")}))

    assert records.saw_sample(records.saw_sample(records.created(), turns), hangs).sample == hangs


def test_sample_is_void_once_it_is_open() -> None:
    turns = witnesses.Sample(taken_at=START, states=frozenset({state("close"), state("connecting")}))
    record = records.saw_sample(records.created(), turns)

    assert records.saw_memory(record, evidence.InMemory(state("open")), at=LATER).sample is None


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"updated_at": LATER}, True),
        ({"data_count": 7}, True),
        ({"state": state("open")}, False),
        ({"owner_jid": "owner"}, False),
        ({"disconnection_at": LATER}, False),
        ({"id": "id-2"}, False),
        ({"settings": {"rejectCall": True}}, False),
    ],
)
def test_rows_say_the_same_unless_a_conclusion_could_differ(change: dict[str, object], same: bool) -> None:
    row = a_row("close")

    assert records.same_facts(row, replace(row, **change)) is same  # type: ignore[arg-type] # names of its fields


@pytest.mark.parametrize("before", [records.created(), records.Record(paired=False)])
def test_row_that_turned_open_while_nobody_looked_is_a_new_pairing(before: records.Record) -> None:
    waits = records.saw_database(before, a_row("connecting"), at=START)

    paired = records.saw_database(waits, a_row("open", owner=True, code=401, ended=EARLIER), at=LATER)

    assert paired.paired
    closed = records.saw_database(paired, a_row("close", owner=True, code=401, ended=EARLIER), at=LATER)
    assert closed.paired, "the code is that of the pairing before"


def test_row_that_a_logout_left_open_is_no_new_pairing_before_the_next_login() -> None:
    closing = records.saw_memory(opened(), evidence.InMemory(state("close")), at=LATER)

    ended = records.saw_database(closing, a_row("close", owner=True, code=401, ended=LATER), at=LATER)

    assert ended.paired is False
