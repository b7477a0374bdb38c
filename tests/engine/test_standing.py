"""How instances stand: what counts towards a storm, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import servers
from support.world import START, a_row, state
from support.world import given as given_world
from whatsapp_operator.engine import standing, treasury
from whatsapp_operator.engine.standing import Standing, Standings
from whatsapp_operator.evolution.evidence import Row
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.health.record import Record
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (HealthState.HEALTHY, Reason.HEALTHY, Standing.WELL),
        (HealthState.STUCK, Reason.CONNECTING, Standing.BAD),
        (HealthState.CORRUPTED, Reason.GHOST, Standing.BAD),
        (HealthState.DEGRADED, Reason.FLAPPING, Standing.BAD),
        (HealthState.DEGRADED, Reason.CLOSED_SOCKET, Standing.BAD),
        (HealthState.NOT_FOUND, Reason.NOT_FOUND, Standing.BAD),
        (HealthState.DEGRADED, Reason.SETTLING, Standing.WELL),
        (HealthState.UNKNOWN, Reason.SERVER_UNREACHABLE, Standing.WELL),
        (HealthState.DISCONNECTED, Reason.RESTRICTED, Standing.WELL),
        (HealthState.DISCONNECTED, Reason.LOGGED_OUT, Standing.WELL),
        (HealthState.DISCONNECTED, Reason.CREDENTIALS_LOST, Standing.WELL),
        (HealthState.DEGRADED, Reason.CHANNEL_CLOSED, Standing.WELL),
        (HealthState.DEGRADED, Reason.SESSION_MISSING, Standing.WITHOUT_SESSION),
    ],
)
def test_paired_instance_counts_as(state: HealthState, reason: Reason, expected: Standing) -> None:
    assert standing.of(Record(paired=True), Verdict(state, reason)) is expected
    assert standing.of(Record(paired=None), Verdict(state, reason)) is expected


@pytest.mark.parametrize("reason", [Reason.HEALTHY, Reason.CONNECTING, Reason.GHOST, Reason.SESSION_MISSING])
def test_unpaired_instance_counts_towards_nothing(reason: Reason) -> None:
    assert standing.of(Record(paired=False, known_data=1), Verdict(HealthState.STUCK, reason)) is Standing.APART


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.sampled_from(Standing)), max_size=50))
def test_counts_are_those_of_the_latest_standing_of_each(moves: list[tuple[int, Standing | None]]) -> None:
    counted, known = Standings(), dict[int, Standing | None]()
    for number, after in moves:
        counted.move(known.get(number), after)
        known[number] = after
    now = [one for one in known.values() if one is not None]

    assert counted.total == len(now)
    assert counted.bad == now.count(Standing.BAD)
    assert counted.without_session == now.count(Standing.WITHOUT_SESSION)
    assert counted.paired == len(now) - now.count(Standing.APART)


def test_first_list_that_lacks_a_session_spares_it_from_a_restart_of_the_server() -> None:
    one = given_world().memory("open").database("close").paired().read()

    settling = Verdict(HealthState.DEGRADED, Reason.SETTLING)
    assert standing.of(one.record, settling) is Standing.WITHOUT_SESSION


OWNED = replace(a_row("close"), owner_jid="1@s.whatsapp.net")


@pytest.mark.parametrize(
    ("row", "memory", "counts"),
    [
        (OWNED, "open", True),
        (OWNED, "close", False),
        (OWNED, "connecting", False),
        (OWNED, None, False),
        (replace(OWNED, owner_jid=None), "open", False),
        (replace(OWNED, state=state("open")), "open", False),
        (replace(OWNED, integration="EVOLUTION"), "open", False),
    ],
)
def test_instance_that_no_resource_stands_for_holds_a_restart_of_its_server_back(
    row: Row, memory: str | None, counts: bool
) -> None:
    one = servers.a_server(workloadRef={"kind": "Deployment", "name": "evolution"})
    states = {"stranger": state(memory)} if memory else {}
    assert "stranger" not in one.subjects

    one.observed.sessionless = one.observed.sessionless.after({"stranger": row}, states)

    assert one.without_session == int(counts)
    held = {hold.reason for hold in treasury.restart_holds(one, now=START)}
    assert (Reason.SESSION_MISSING in held) is counts
