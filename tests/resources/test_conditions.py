from datetime import UTC, datetime, timedelta

from whatsapp_operator.resources import conditions
from whatsapp_operator.resources.conditions import ConditionStatus, ConditionType
from whatsapp_operator.resources.reasons import Reason

EARLIER = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NOW = EARLIER + timedelta(minutes=5)


def condition(
    kind: ConditionType = ConditionType.READY,
    status: ConditionStatus = ConditionStatus.TRUE,
    reason: Reason = Reason.HEALTHY,
    since: datetime | None = None,
) -> conditions.Condition:
    return conditions.Condition(
        type=kind, status=status, reason=reason, message="Said.", last_transition_time=since, observed_generation=1
    )


def test_new_condition_begins_now() -> None:
    (merged,) = conditions.merge([], [condition()], now=NOW)

    assert merged.last_transition_time == NOW


def test_condition_of_unchanged_status_keeps_its_time_and_takes_the_new_words() -> None:
    before = condition(status=ConditionStatus.FALSE, reason=Reason.CONNECTING, since=EARLIER)
    wanted = condition(status=ConditionStatus.FALSE, reason=Reason.FLAPPING)

    (merged,) = conditions.merge([before], [wanted], now=NOW)

    assert merged.last_transition_time == EARLIER
    assert merged.reason is Reason.FLAPPING


def test_condition_of_changed_status_begins_now() -> None:
    before = condition(status=ConditionStatus.FALSE, since=EARLIER)

    (merged,) = conditions.merge([before], [condition()], now=NOW)

    assert merged.last_transition_time == NOW


def test_condition_that_is_no_longer_wanted_is_gone() -> None:
    before = [condition(since=EARLIER), condition(ConditionType.STALLED, since=EARLIER)]

    merged = conditions.merge(before, [condition()], now=NOW)

    assert [one.type for one in merged] == [ConditionType.READY]


def test_merging_twice_changes_nothing() -> None:
    wanted = [condition(), condition(ConditionType.SETTLED, ConditionStatus.UNKNOWN)]
    once = conditions.merge([], wanted, now=EARLIER)

    assert conditions.merge(once, wanted, now=NOW) == once


def test_every_reason_is_a_word_that_the_api_server_takes() -> None:
    assert all(reason.value.isalnum() and reason.value[0].isupper() for reason in Reason)
