import json
from datetime import UTC, datetime

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.resources import conditions, parsing, server, status, steps
from whatsapp_operator.resources.conditions import ConditionStatus, ConditionType
from whatsapp_operator.resources.reasons import Reason

moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds take no zone
counts = st.integers(0, 50)
words = st.text("abc-123", min_size=1, max_size=20)
tokens = st.none() | words

condition_strategy = st.builds(
    conditions.Condition,
    type=st.sampled_from(ConditionType),
    status=st.sampled_from(ConditionStatus),
    reason=st.sampled_from(Reason),
    message=st.text(max_size=20),
    last_transition_time=moments,
    observed_generation=st.none() | counts,
)
condition_lists = st.lists(condition_strategy, max_size=4, unique_by=lambda one: one.type).map(tuple)

recoveries = st.builds(
    status.RecoveryStatus,
    incident=st.none() | words,
    started_at=st.none() | moments,
    attempts=counts,
    reconnects=counts,
    recreates=counts,
    healthy_since=st.none() | moments,
    in_flight=st.none()
    | st.builds(
        steps.StepInFlight,
        step=st.sampled_from(steps.Step),
        step_class=st.sampled_from(steps.StepClass),
        since=moments,
    ),
    planned=st.none() | st.builds(steps.PlannedStep, step=st.sampled_from(steps.Step), at=st.none() | moments),
    blocked_by=st.lists(st.sampled_from(Reason), max_size=3).map(tuple),
    history=st.lists(
        st.builds(
            steps.StepRecord,
            step=st.sampled_from(steps.Step),
            reason=st.sampled_from(Reason),
            incident=words,
            start_time=moments,
            end_time=st.none() | moments,
            result=st.sampled_from(steps.StepResult),
        ),
        max_size=status.HISTORY_LENGTH,
    ).map(tuple),
)

statuses = st.builds(
    status.WhatsAppInstanceStatus,
    observed_generation=st.integers(-1, 9),
    health_state=st.none() | st.sampled_from(status.HealthState),
    reason=st.none() | st.sampled_from(Reason),
    connection=st.none()
    | st.builds(
        status.ConnectionStatus,
        state=st.none() | st.sampled_from(ConnectionState),
        since=st.none() | moments,
        code=st.sampled_from([None, 401, 402, 403, 406]),
        disconnection_at=st.none() | moments,
    ),
    instance_id=st.none() | words,
    paired=st.none() | st.booleans(),
    pairing=st.none() | st.builds(status.PairingStatus, secret_name=words, expires=st.none() | moments),
    pairing_window_opened_at=st.none() | moments,
    configured_generation=st.none() | counts,
    adopted=st.none() | st.booleans(),
    recovery=st.none() | recoveries,
    last_handled=st.none()
    | st.builds(status.LastHandled, reconcile=tokens, restart=tokens, pairing=tokens, reset=tokens),
    conditions=condition_lists,
)


@given(statuses)
def test_status_is_read_back_as_it_was_written(written: status.WhatsAppInstanceStatus) -> None:
    body = json.loads(json.dumps(parsing.to_status_body(written)))

    read = parsing.parse_instance_status({"status": body})

    assert read == written
    assert parsing.to_status_body(read) == body


@given(
    st.builds(
        server.EvolutionServerStatus,
        observed_generation=st.integers(-1, 9),
        version=st.none() | words,
        client_name=st.none() | words,
        instances=st.none() | st.builds(server.InstanceCounts, managed=counts, not_found=counts, unmanaged=counts),
        conditions=condition_lists,
    )
)
def test_server_status_is_read_back_as_it_was_written(written: server.EvolutionServerStatus) -> None:
    assert parsing.parse_server_status({"status": parsing.to_status_body(written)}) == written


def test_status_is_written_in_the_words_of_kubernetes() -> None:
    written = status.WhatsAppInstanceStatus(
        observed_generation=7,
        instance_id="5f0c",
        connection=status.ConnectionStatus(
            state=ConnectionState.CLOSE,
            since=datetime(2026, 11, 23, 10, 0, 0, 999_999, UTC),
            disconnection_at=datetime(2026, 11, 23, 9, 59, 58, 123_456, UTC),
        ),
        recovery=status.RecoveryStatus(
            in_flight=steps.StepInFlight(
                step=steps.Step.RESTART,
                step_class=steps.StepClass.SOFT,
                since=datetime.fromisoformat("2026-11-23T12:00:01+02:00"),
            )
        ),
    )

    assert parsing.to_status_body(written) == {
        "observedGeneration": 7,
        "instanceID": "5f0c",
        "connection": {
            "state": "close",
            "since": "2026-11-23T10:00:00Z",
            "disconnectionAt": "2026-11-23T09:59:58.123Z",
        },
        "recovery": {
            "attempts": 0,
            "reconnects": 0,
            "relogins": 0,
            "recreates": 0,
            "approvals": 0,
            "inFlight": {"step": "Restart", "class": "Soft", "since": "2026-11-23T10:00:01Z"},
            "blockedBy": [],
            "history": [],
        },
        "conditions": [],
    }


def test_status_cannot_be_changed_in_place() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        setattr(status.WhatsAppInstanceStatus(), "paired", True)  # noqa: B010 - a type checker would refuse the plain form


def test_copy_with_other_values_is_checked_like_a_new_one() -> None:
    before = status.RecoveryStatus(attempts=2, incident="i-1")

    after = before.replace(started_at=datetime(2026, 11, 23, 10, 0, 0, 5, UTC))

    assert after.started_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert (after.attempts, after.incident) == (2, "i-1")
    assert before.started_at is None
    with pytest.raises(pydantic.ValidationError):
        before.replace(attempts=-1)
