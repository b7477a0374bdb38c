"""When a verdict is shown, and when it may be acted on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.world import START
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health.assessment import HEALTHY, Verdict
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

STUCK = Verdict(HealthState.STUCK, Reason.CONNECTING)
SETTLING = Verdict(HealthState.DEGRADED, Reason.SETTLING)
UNREACHABLE = Verdict(HealthState.UNKNOWN, Reason.SERVER_UNREACHABLE)
UNOBSERVED = Verdict(HealthState.UNKNOWN, Reason.NOT_OBSERVED)
TERMINATING = Verdict(HealthState.TERMINATING, Reason.TERMINATING)


def after(*seen: tuple[Verdict, int]) -> opinions.Opinion:
    """The opinion after verdicts, each beside the count of reads that it rests on."""
    opinion = None
    for second, (verdict, reads) in enumerate(seen):
        opinion = opinions.consider(opinion, verdict, reads=reads, at=START + timedelta(seconds=second))
    assert opinion is not None
    return opinion


def test_bad_news_is_shown_when_it_was_read_twice() -> None:
    assert after((HEALTHY, 1), (STUCK, 2)).verdict == HEALTHY
    assert after((HEALTHY, 1), (STUCK, 2), (STUCK, 3)).verdict == STUCK


def test_looking_again_at_the_same_read_proves_nothing_more() -> None:
    again = after((HEALTHY, 1), (STUCK, 2), (STUCK, 2), (STUCK, 2))

    assert again.verdict == HEALTHY
    assert not again.confirmed


@pytest.mark.parametrize("news", [HEALTHY, UNREACHABLE, TERMINATING])
def test_good_news_and_ignorance_are_shown_at_once(news: Verdict) -> None:
    assert after((STUCK, 1), (STUCK, 2), (news, 3)).verdict == news


def test_first_verdict_after_ignorance_is_shown_but_not_acted_on() -> None:
    opinion = after((UNREACHABLE, 1), (STUCK, 2))

    assert opinion.verdict == STUCK
    assert not opinion.confirmed


def test_verdict_that_one_read_contradicts_is_shown_and_not_acted_on() -> None:
    opinion = after((STUCK, 1), (STUCK, 2), (SETTLING, 3))

    assert opinion.verdict == STUCK
    assert not opinion.confirmed


def test_two_different_doubts_do_not_add_up() -> None:
    ghost = Verdict(HealthState.CORRUPTED, Reason.GHOST)

    assert after((HEALTHY, 1), (STUCK, 2), (ghost, 3)).verdict == HEALTHY


def test_not_having_read_it_lately_keeps_what_is_shown_and_asks_for_two_more_reads() -> None:
    forgot = after((STUCK, 1), (STUCK, 2), (UNOBSERVED, 2))
    assert forgot.verdict == STUCK
    assert not forgot.confirmed

    assert not after((STUCK, 1), (STUCK, 2), (UNOBSERVED, 2), (STUCK, 3)).confirmed
    assert after((STUCK, 1), (STUCK, 2), (UNOBSERVED, 2), (STUCK, 3), (STUCK, 4)).confirmed


def test_time_of_a_verdict_is_when_it_was_first_shown() -> None:
    opinion = after((HEALTHY, 1), (STUCK, 2), (STUCK, 3), (STUCK, 4))

    assert opinion.since == START + timedelta(seconds=2)


VERDICTS = st.sampled_from([HEALTHY, STUCK, SETTLING, UNREACHABLE, UNOBSERVED, TERMINATING])


@given(st.lists(st.tuples(VERDICTS, st.integers(min_value=0, max_value=2)), min_size=1, max_size=30))
def test_verdict_is_confirmed_only_after_two_distinct_reads_that_gave_it(seen: list[tuple[Verdict, int]]) -> None:
    reads = 0
    opinion, distinct = None, set[int]()
    for verdict, new in seen:
        reads += new
        opinion = opinions.consider(opinion, verdict, reads=reads, at=START)
        distinct = distinct | {reads} if verdict in (opinion.verdict, opinion.pending) else set()
        if opinion.confirmed:
            assert verdict == opinion.verdict
            assert len(distinct) >= 2
