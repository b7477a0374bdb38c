"""What the runs have not reached is told beside what they have."""

from __future__ import annotations

from simulation.coverage import Coverage

from whatsapp_operator.resources.reasons import Reason


def gone_through(*transitions: tuple[Reason, Reason]) -> Coverage:
    found = Coverage()
    found.transitions.update((before.value, after.value) for before, after in transitions)
    return found


def test_transition_between_states_that_were_reached_is_missed_where_nobody_went_through_it() -> None:
    found = gone_through((Reason.HEALTHY, Reason.DUPLICATE), (Reason.GHOST, Reason.LOGGED_OUT))

    missing = found.missing_transitions()

    assert ("Healthy", "LoggedOut") in missing
    assert ("Ghost", "Duplicate") in missing
    assert not missing & found.transitions.keys()
    assert ("Duplicate", "Ghost") not in missing


def test_an_outage_is_missed_in_each_state_in_which_none_struck() -> None:
    found = gone_through((Reason.GHOST, Reason.SERVER_UNREACHABLE))

    report = found.report(["server_down"])

    assert "CredentialsLost -> ServerUnreachable" in report
    assert "Ghost -> ServerUnreachable" not in report
    assert "no transition CredentialsLost -> ServerUnreachable" in found.details(["server_down"])
