"""A request is carried out once for each value of its annotation."""

from __future__ import annotations

import pytest

from support import servers, simulated
from support.simulated import START
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import requests
from whatsapp_operator.engine.subject import Configuring
from whatsapp_operator.resources.names import Request
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import LastHandled, RecoveryStatus

NOW = "2026-11-23T10:00:00Z"
LONGEST = "x" * 253


def a_draft(*asked: Request, value: str = NOW) -> drafts.Draft:
    subject = servers.a_subject("shop", annotations={what.annotation: value for what in asked})
    subject.configuring["settings"] = Configuring(
        generation=1, tries=3, outcome=Reason.CONFIGURATION_PENDING, next_at=9.0
    )
    assert subject.instance is not None
    draft = drafts.begin(subject, subject.instance, servers.a_server(), pause=None, now=simulated.Time().now())
    draft.recovery = RecoveryStatus(incident="20261123-7f3a", started_at=START, deaf_since=START)
    draft.configured_generation = 1
    return draft


@pytest.mark.parametrize("what", Request)
@pytest.mark.parametrize(("value", "is_asked"), [(NOW, True), (LONGEST, True), (f"{LONGEST}x", True), ("", False)])
def test_request_is_asked_by_any_value(what: Request, value: str, is_asked: bool) -> None:
    assert requests.asked(a_draft(what, value=value), what) is is_asked
    assert not any(requests.asked(a_draft(what, value=value), other) for other in Request if other is not what)


@pytest.mark.parametrize("what", Request)
def test_request_that_was_handled_is_asked_again_by_another_value_only(what: Request) -> None:
    draft = a_draft(what)

    requests.handled(draft, what)

    assert draft.handled == LastHandled.model_validate({what.value: NOW})
    assert not requests.asked(draft, what)
    again, removed = a_draft(what, value="2026-11-24T10:00:00Z"), a_draft()
    again.handled = removed.handled = draft.handled
    assert requests.asked(again, what)
    assert not requests.asked(removed, what)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(LONGEST, LONGEST), (f"{LONGEST}x", "sha256:af97a1a6ca66df0bc0d0ae024383edea1ea899f3715b4e016f6898296c5cade6")],
)
def test_value_that_is_longer_than_status_can_show_is_shown_by_its_digest(value: str, shown: str) -> None:
    draft, other = a_draft(Request.RESTART, value=value), a_draft(Request.RESTART, value=f"{value[:-1]}y")

    requests.handled(draft, Request.RESTART)

    assert draft.handled.restart == shown
    other.handled = draft.handled
    assert requests.asked(other, Request.RESTART), "another value, also where it differs at its end only"


@pytest.mark.parametrize("what", Request)
def test_request_does_what_it_says_and_nothing_else(what: Request) -> None:
    draft = a_draft(what)

    verifies = requests.take_up(draft)

    assert verifies is (what is Request.RECONCILE)
    assert draft.window_opened_at == (START if what is Request.PAIRING else None)
    assert draft.recovery.incident == (None if what is Request.RESET else "20261123-7f3a")
    assert draft.recovery.deaf_since == (None if what is Request.RESET else START)
    assert draft.configured_generation == (None if what is Request.RECONCILE else 1)
    assert bool(draft.subject.configuring) is (what is not Request.RECONCILE)
    assert requests.asked(draft, what) is (what is Request.RESTART), "a restart is a step, which is announced"
    assert not requests.take_up(draft)
