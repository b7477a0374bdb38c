"""A pause keeps everything as it is: for one instance, a server, or all, until it ends, over every restart."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from e2e import kube, stage

PAUSE = "whatsapp-operator-pause"


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def instance(house: stage.Stage, until: str | None) -> Callable[[], object]:
    house.update("hung", pause={"reason": "under repair"} | ({"until": until} if until else {}))
    return lambda: house.update("hung", pause=None)


def server(house: stage.Stage, until: str | None) -> Callable[[], object]:
    house.server(pause={"reason": "under repair"} | ({"until": until} if until else {}))
    return house.server


def everything(house: stage.Stage, until: str | None) -> Callable[[], object]:
    literals = ["--from-literal=reason=under repair", *([f"--from-literal=until={until}"] if until else [])]
    house.kubectl("create", "configmap", PAUSE, *literals)
    return lambda: house.kubectl("delete", "configmap", PAUSE)


SCOPES = [instance, server, everything]


@pytest.mark.parametrize("pause", SCOPES)
def test_pause_holds_over_a_restart_and_ends_when_it_is_taken_away(
    staged: stage.Stage, pause: Callable[[stage.Stage, str | None], Callable[[], object]]
) -> None:
    staged.paired_instances("hung")
    resume = pause(staged, None)
    staged.wait_for_condition("hung", "Paused", "True", "Paused")

    staged.simulator.break_("hung", "S17")
    staged.wait_for_reason("hung", "Connecting")
    staged.restart_operator()
    staged.quiet_for(8)
    assert staged.mutating_calls("hung") == []

    resume()
    staged.wait_ready("hung")
    assert staged.mutating_calls("hung") == ["restart"]


@pytest.mark.parametrize("pause", SCOPES)
def test_pause_ends_by_itself(
    staged: stage.Stage, pause: Callable[[stage.Stage, str | None], Callable[[], object]]
) -> None:
    staged.paired_instances("hung")
    pause(staged, in_seconds(20))
    staged.wait_for_condition("hung", "Paused", "True", "Paused", timeout=15)
    staged.simulator.break_("hung", "S17")

    staged.wait_ready("hung", timeout=90)
    kube.wait_until(lambda: staged.mutating_calls("hung") == ["restart"], message="it was not healed once")


def test_pause_of_everything_creates_and_deletes_nothing(staged: stage.Stage) -> None:
    staged.paired_instances("old")
    resume = everything(staged, None)
    staged.wait_for_condition("old", "Paused", "True", "Paused")

    staged.instance("new")
    staged.delete("old")
    staged.quiet_for(6)
    assert [call for call in staged.simulator.calls(mutating=True) if call["route"] != "verify-creds"] == []

    resume()
    staged.wait_gone("old")
    staged.wait_for_reason("new", "AwaitingScan")
