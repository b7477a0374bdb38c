"""From what is known of a server to its conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from support import servers
from support.world import START
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.server_presentation import present_server, reasons
from whatsapp_operator.health import opinion as opinions
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery.guard import Guard
from whatsapp_operator.resources.conditions import Condition, ConditionStatus, ConditionType
from whatsapp_operator.resources.pause import Pause, PausedBy, PauseInForce, PauseOfEverything
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState


def conditions(one: Server, *, pause: PauseInForce | None = None) -> Mapping[str, Condition]:
    shown = present_server(one, guard=Guard(), refusals=(), pause=pause, now=START)
    return {condition.type: condition for condition in shown.conditions}


def spoilt(one: Server) -> Server:
    """Its spec is understood no longer, as after a change that a newer version of the definition admits."""
    one.update({**one.body, "spec": {"url": 4711}})
    assert one.problem is not None
    return one


def test_server_whose_new_spec_is_not_understood_is_shown_as_it_is_still_read() -> None:
    shown = conditions(spoilt(servers.a_server()))

    for kind in (ConditionType.READY, ConditionType.STALLED, ConditionType.REMEDIATION_ALLOWED):
        assert shown[kind].reason is Reason.INVALID_SPEC
    assert shown[ConditionType.READY].status is ConditionStatus.FALSE
    assert shown[ConditionType.REACHABLE].status is ConditionStatus.TRUE
    assert shown[ConditionType.IDENTITY_CONFIRMED].status is ConditionStatus.TRUE


def test_server_whose_spec_was_never_understood_was_never_read() -> None:
    one = spoilt(Server(key=servers.KEY, body={"metadata": {"name": "main", "namespace": "messaging"}}))

    shown = conditions(one)

    assert (shown[ConditionType.READY].status, shown[ConditionType.READY].reason) == ("False", Reason.INVALID_SPEC)
    assert shown[ConditionType.REACHABLE].status is ConditionStatus.UNKNOWN


@pytest.mark.parametrize(
    ("given", "kept"), [("evolution", "evolution"), ("another", "old"), (None, "old")], ids=["its own", "wrong", "none"]
)
def test_client_name_that_the_server_did_not_confirm_is_not_kept(given: str | None, kept: str) -> None:
    """Else it would be held to a slip of the pen after that was corrected."""
    spec: dict[str, Any] = {"clientName": given} if given else {}
    one = servers.a_server(status={"clientName": "old"}, **spec)
    one.observed.client_name = "evolution"

    assert present_server(one, guard=Guard(), refusals=(), pause=None, now=START).client_name == kept


@pytest.mark.parametrize(
    ("pause", "named"),
    [
        (PauseInForce(PausedBy.SERVER, Pause()), "spec.pause of the EvolutionServer messaging/main"),
        (PauseInForce(PausedBy.EVERYTHING, Pause()), "ConfigMap whatsapp-operator-pause"),
        (PauseInForce(PausedBy.EVERYTHING, PauseOfEverything(end_unread=True)), "`until` cannot be read"),
    ],
)
def test_pause_of_a_server_says_whose_it_is(pause: PauseInForce, named: str) -> None:
    shown = conditions(servers.a_server(), pause=pause)

    assert named in shown[ConditionType.PAUSED].message
    assert named in shown[ConditionType.REMEDIATION_ALLOWED].message


def test_instances_that_are_not_healthy_are_counted_by_reason() -> None:
    """A person who has to scan, or to open the phone, is told apart from what heals by itself."""
    one = servers.a_server(instances=4)
    held = list(one.subjects.values())
    verdicts = [
        Verdict(HealthState.HEALTHY, Reason.HEALTHY),
        Verdict(HealthState.DISCONNECTED, Reason.LOGGED_OUT),
        Verdict(HealthState.DISCONNECTED, Reason.AWAITING_SCAN),
    ]
    for subject, verdict in zip(held, verdicts, strict=False):
        subject.opinion = opinions.consider(None, verdict, reads=1, at=START)

    assert reasons(one) == {Reason.LOGGED_OUT: 1, Reason.AWAITING_SCAN: 1, Reason.NOT_OBSERVED: 1}
