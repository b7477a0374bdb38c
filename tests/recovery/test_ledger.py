"""What is spent, what is left, and the weather."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.world import START
from whatsapp_operator.recovery import ledger as ledgers
from whatsapp_operator.recovery.ledger import Ledger, Storm
from whatsapp_operator.resources.budgets import Budget, StormLimits, Window
from whatsapp_operator.resources.steps import StepClass

LOSS, SOFT = StepClass.SESSION_LOSS, StepClass.SOFT
THREE = Budget(windows=(Window(step_class=LOSS, max=3, period_seconds=3600),))
BURST_AND_DAY = Budget(
    windows=(
        Window(step_class=LOSS, max=1, period_seconds=60),
        Window(step_class=LOSS, max=3, period_seconds=86_400),
    )
)
NONE = Budget(windows=(Window(step_class=LOSS, max=0, period_seconds=60),))
LIMITS = StormLimits(percent=30, floor=3, cooldown_seconds=300)

moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
ledgers_of_all_kinds = st.builds(
    Ledger,
    spent=st.dictionaries(st.sampled_from(StepClass), st.lists(moments, min_size=1, max_size=5).map(tuple)),
    storm=st.none() | st.builds(Storm, since=moments),
    storm_ended_at=st.none() | moments,
    failed_at=st.none() | moments,
)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spent(*seconds: float, budget: Budget = THREE) -> Ledger:
    ledger = Ledger()
    for at in seconds:
        ledger = ledgers.spend(ledger, LOSS, budget=budget, now=after(at))
    return ledger


def free(ledger: Ledger, *, at: float, budget: Budget = THREE) -> datetime | None:
    return ledgers.free_at(ledger, LOSS, budget=budget, now=after(at))


def test_as_many_as_the_window_says_may_begin_and_then_none() -> None:
    assert free(spent(), at=0) is None
    assert free(spent(0, 10), at=20) is None
    assert free(spent(0, 10, 20), at=30) == after(3600)


def test_room_is_there_again_when_the_oldest_leaves_the_window() -> None:
    ledger = spent(0, 10, 20)

    assert free(ledger, at=3599) == after(3600)
    assert free(ledger, at=3600) is None
    assert free(ledgers.spend(ledger, LOSS, budget=THREE, now=after(3600)), at=3600) == after(3610)


def test_classes_do_not_share_a_window() -> None:
    assert ledgers.free_at(spent(0, 0, 0), SOFT, budget=THREE, now=START) is None


def test_all_windows_of_a_class_hold() -> None:
    assert free(spent(0, budget=BURST_AND_DAY), at=1, budget=BURST_AND_DAY) == after(60)
    assert free(spent(0, budget=BURST_AND_DAY), at=60, budget=BURST_AND_DAY) is None
    assert free(spent(0, 100, 200, budget=BURST_AND_DAY), at=201, budget=BURST_AND_DAY) == after(86_400)


def test_window_of_none_is_never_free() -> None:
    assert free(spent(budget=NONE), at=0, budget=NONE) == datetime.max.replace(tzinfo=UTC)


def test_use_is_counted_within_each_window_for_itself() -> None:
    ledger, (short, long) = spent(0, 100, 200, budget=BURST_AND_DAY), BURST_AND_DAY.windows

    assert ledgers.used(ledger, short, now=after(210)) == 1
    assert ledgers.used(ledger, long, now=after(210)) == 3


def test_what_no_window_looks_back_on_is_forgotten() -> None:
    assert spent(0, 5000).spent[LOSS] == (after(5000),)


@given(st.lists(st.integers(0, 200_000), max_size=200), st.sampled_from([THREE, BURST_AND_DAY]))
def test_no_window_ever_holds_more_than_its_most_and_the_ledger_stays_short(pauses: list[int], budget: Budget) -> None:
    ledger, taken = Ledger(), list[datetime]()
    now = START
    for pause in pauses:
        now += timedelta(seconds=pause % 4000)
        if ledgers.free_at(ledger, LOSS, budget=budget, now=now) is None:
            ledger = ledgers.spend(ledger, LOSS, budget=budget, now=now)
            taken.append(now)
    for window in budget.windows:
        span = timedelta(seconds=window.period_seconds)
        assert all(sum(at <= other < at + span for other in taken) <= window.max for at in taken)
    assert len(ledger.spent.get(LOSS, ())) <= max(window.max for window in budget.windows) + 1


def test_refund_takes_back_one_entry_of_that_moment() -> None:
    ledger = spent(0, 0, 10)

    assert ledgers.refund(ledger, LOSS, at=START).spent[LOSS] == (START, after(10))
    assert ledgers.refund(ledger, LOSS, at=after(5)) == ledger
    assert ledgers.refund(Ledger(), LOSS, at=START).spent == {LOSS: ()}


def test_exhausted_ledger_has_room_for_no_class_before_its_window_is_over() -> None:
    ledger = ledgers.exhausted(Budget(), now=START)

    for step_class in StepClass:
        seconds = Budget().windows_of(step_class)[0].period_seconds
        assert ledgers.free_at(ledger, step_class, budget=Budget(), now=START) == after(seconds)
        assert ledgers.free_at(ledger, step_class, budget=Budget(), now=after(seconds)) is None


def test_exhausted_ledger_fills_every_window_of_a_class() -> None:
    assert free(ledgers.exhausted(BURST_AND_DAY, now=START), at=0, budget=BURST_AND_DAY) == after(86_400)


def weathered(bad: int, *, paired: int = 10, ledger: Ledger | None = None, at: float = 0) -> Ledger:
    return ledgers.weathered(ledger or Ledger(), bad=bad, paired=paired, limits=LIMITS, now=after(at))


@pytest.mark.parametrize(
    ("bad", "paired", "storm"),
    [
        (0, 0, False),
        (3, 3, False),
        (3, 10, False),
        (4, 4, True),
        (4, 10, True),
        (30, 100, False),
        (31, 100, True),
        (300, 1000, False),
        (301, 1000, True),
    ],
)
def test_storm_is_more_than_the_floor_and_more_than_the_share(bad: int, paired: int, storm: bool) -> None:
    assert (weathered(bad, paired=paired).storm is not None) is storm


def test_storm_is_over_after_a_calm_that_lasts_and_notes_its_end() -> None:
    calm = weathered(0, ledger=weathered(9), at=10)

    assert calm.storm == Storm(since=START, calm_since=after(10))
    assert weathered(0, ledger=calm, at=309).storm is not None
    over = weathered(0, ledger=calm, at=310)
    assert (over.storm, over.storm_ended_at) == (None, after(310))


def test_calm_that_is_broken_counts_from_its_next_beginning() -> None:
    broken = weathered(9, ledger=weathered(0, ledger=weathered(9), at=10), at=200)

    assert broken.storm == Storm(since=START)
    calm = weathered(0, ledger=broken, at=210)
    assert weathered(0, ledger=calm, at=400).storm is not None
    assert weathered(0, ledger=calm, at=510).storm is None


def test_verdict_counts_in_a_storm_only_and_the_next_one_that_healed_takes_a_failure_back() -> None:
    storm = weathered(9)
    failed = ledgers.judged(storm, healed=False, now=after(20))

    assert failed.failed_at == after(20)
    assert ledgers.judged(failed, healed=True, now=after(30)).failed_at is None
    assert ledgers.judged(Ledger(), healed=False, now=after(20)) == Ledger()
    assert weathered(0, ledger=weathered(0, ledger=failed, at=30), at=400).failed_at is None


@given(ledgers_of_all_kinds)
def test_ledger_is_read_back_as_it_was_written(ledger: Ledger) -> None:
    assert ledgers.loads(ledgers.dumps(ledger)) == ledger


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        "1",
        "{}",
        '{"spent":[]}',
        '{"spent":{"Hard":[1]}}',
        '{"spent":{"Soft":1}}',
        '{"spent":{"Soft":["1"]}}',
        '{"spent":{"Soft":[1e300]}}',
        '{"spent":{"Soft":[NaN]}}',
        '{"spent":{"Soft":[Infinity]}}',
        '{"spent":{},"storm":1}',
        '{"spent":{},"storm":{}}',
        '{"spent":{},"storm":"now"}',
        '{"spent":{},"failedAt":"now"}',
        '{"spent":{},"stormEndedAt":[]}',
        "[" * 100_000,
    ],
    ids=range(19),
)
def test_text_that_is_no_ledger_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json raises its own kinds of it
        ledgers.loads(text)


def test_ledger_from_a_clock_that_was_ahead_holds_nothing_up_until_then() -> None:
    ahead = START + timedelta(days=3)
    kept = Ledger(
        spent={StepClass.SOFT: (START - timedelta(seconds=5), ahead)},
        storm=Storm(since=ahead, calm_since=ahead),
        storm_ended_at=ahead,
        failed_at=ahead,
    )

    found = ledgers.clamped(kept, now=START)

    assert found.spent == {StepClass.SOFT: (START - timedelta(seconds=5), START)}
    assert found.storm == Storm(since=START)
    assert (found.storm_ended_at, found.failed_at) == (START, START)


def test_ledger_without_a_future_is_the_same_and_so_is_the_calm_of_its_storm() -> None:
    calm = Ledger(spent={StepClass.SOFT: (START,)}, storm=Storm(since=START, calm_since=START), storm_ended_at=START)
    failed = replace(calm, failed_at=after(1))

    assert ledgers.clamped(calm, now=START) is calm
    assert ledgers.clamped(failed, now=START) == replace(calm, failed_at=START)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (Ledger(), Ledger()),
        (Ledger(spent={LOSS: (), SOFT: (after(-5), after(5))}), Ledger(spent={LOSS: (), SOFT: (after(-5), START)})),
        (Ledger(storm=Storm(since=after(5))), Ledger(storm=Storm(since=START))),
        (Ledger(storm=Storm(since=START, calm_since=after(5))), Ledger(storm=Storm(since=START))),
    ],
)
def test_each_moment_of_the_future_is_found_by_itself(kept: Ledger, expected: Ledger) -> None:
    assert ledgers.clamped(kept, now=START) == expected


def test_calm_of_a_storm_counts_anew_for_a_process_that_did_not_see_it_last() -> None:
    kept = ledgers.dumps(weathered(0, ledger=weathered(9), at=10))

    assert weathered(0, ledger=ledgers.loads(kept), at=310).storm == Storm(since=START, calm_since=after(310))


def test_ledger_is_kept_as_seconds_since_the_epoch_and_without_what_there_is_not() -> None:
    begin = int(START.timestamp())
    full = Ledger(
        spent={SOFT: (START,), LOSS: ()},
        storm=Storm(since=START, calm_since=after(1)),
        storm_ended_at=after(2),
        failed_at=after(3.25),
    )

    assert ledgers.dumps(Ledger()) == '{"spent":{}}'
    assert ledgers.dumps(full) == (
        f'{{"spent":{{"Soft":[{begin}.0]}},"storm":{{"since":{begin}.0}},'
        f'"stormEndedAt":{begin + 2}.0,"failedAt":{begin + 3}.25}}'
    )
    assert ledgers.loads(ledgers.dumps(full)) == Ledger(
        spent={SOFT: (START,)}, storm=Storm(since=START), storm_ended_at=after(2), failed_at=after(3.25)
    )


def test_step_that_is_exactly_as_old_as_the_longest_window_is_forgotten() -> None:
    assert ledgers.spend(spent(0), LOSS, budget=THREE, now=after(3600)).spent[LOSS] == (after(3600),)
    assert ledgers.spend(spent(0), LOSS, budget=THREE, now=after(3599)).spent[LOSS] == (after(0), after(3599))


def test_ledger_that_cannot_be_read_has_spent_as_much_as_any_window_allows() -> None:
    assert ledgers.exhausted(BURST_AND_DAY, now=START).spent[LOSS] == (START,) * 3
    assert ledgers.exhausted(NONE, now=START).spent[LOSS] == ()


def test_moments_are_kept_to_the_thousandth_of_a_second() -> None:
    kept = ledgers.loads(ledgers.dumps(Ledger(failed_at=after(0.12345))))

    assert kept.failed_at == after(0.123)
