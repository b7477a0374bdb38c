"""What was noted before the wall clock went back is of the future: it was now, once, and not anew at each look."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from support import servers
from support.simulated import START
from whatsapp_operator.engine import draft as drafts

AHEAD = START + timedelta(days=1)
LATER = START + timedelta(seconds=10)


def begun(subject: Any, *, at: datetime) -> drafts.Draft:
    return drafts.begin(subject, subject.instance, servers.a_server(), pause=None, now=at)


def test_window_that_this_process_opened_was_opened_at_the_first_look() -> None:
    subject = servers.a_subject("shop")
    subject.born_at = AHEAD

    assert [begun(subject, at=at).window_opened_at for at in (START, LATER)] == [START, START]


@pytest.mark.parametrize(
    ("told", "shown"),
    [("pairingWindowOpenedAt", "window_opened_at"), ("deletionAskedAt", "deletion_asked_at")],
)
def test_moment_of_a_status_was_now(told: str, shown: str) -> None:
    ahead, before = (servers.a_subject("shop", status={told: f"{at:%Y-%m-%dT%H:%M:%SZ}"}) for at in (AHEAD, START))

    assert getattr(begun(ahead, at=LATER), shown) == LATER
    assert getattr(begun(before, at=LATER), shown) == START


def test_incident_of_the_future_began_now() -> None:
    recovery = {"incident": "i", "startedAt": f"{AHEAD:%Y-%m-%dT%H:%M:%SZ}"}
    subject = servers.a_subject("shop", status={"recovery": recovery})

    assert begun(subject, at=LATER).recovery.started_at == LATER
