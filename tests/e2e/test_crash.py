"""The operator dies in the middle of a step and is started again.

The simulator holds the request, before its effect or after it, so that the operator dies while it waits for the answer.
"""

from collections.abc import Callable

import pytest

from e2e import kube, stage

HOLDS = ("hold-before", "hold-after")


def crash_while_held(staged: stage.Stage, route: str, hold: str, *, begin: Callable[[], object]) -> None:
    """Let a request begin, kill the operator while it waits for the answer, let the request go, start again."""
    held = staged.simulator.fault(hold, route=route, count=1)
    begin()
    kube.wait_until(
        lambda: any(fault["id"] == held and fault["hits"] for fault in staged.simulator.faults()),
        timeout=90,
        message=f"{route} was never called",
    )
    staged.operator.kill()
    staged.simulator.release()
    staged.operator.start()


@pytest.mark.parametrize("hold", HOLDS)
def test_crash_in_a_create_leads_to_one_instance_with_its_token(staged: stage.Stage, hold: str) -> None:
    crash_while_held(staged, "create", hold, begin=lambda: staged.instance("born"))

    staged.pair("born")
    succeeded = [call["status"] for call in staged.simulator.calls(route="create")].count(201)
    assert succeeded <= 1
    assert len(staged.simulator.calls(route="create")) <= 2
    assert staged.mutating_calls("born").count("delete") == 0
    assert staged.status("born")["instanceID"] == staged.simulator.instance("born")["id"]
    token = staged.kubectl("get", "secret", "born-token", "-o", "go-template={{.data.token|base64decode}}")
    assert token == staged.simulator.instance("born")["token"]


@pytest.mark.parametrize("hold", HOLDS)
def test_crash_in_a_restart_leads_to_at_most_one_more(staged: stage.Stage, hold: str) -> None:
    staged.paired_instances("hung")

    crash_while_held(staged, "restart", hold, begin=lambda: staged.simulator.break_("hung", "S17"))

    staged.wait_ready("hung", timeout=90)
    assert staged.mutating_calls("hung") in (["restart"], ["restart", "restart"])
    assert staged.steps("hung")[0] == ("Restart", "Connecting", "Interrupted")
    assert staged.status("hung")["recovery"]["attempts"] <= 2


@pytest.mark.parametrize(
    ("route", "hold"), [("delete", "hold-before"), ("delete", "hold-after"), ("create", "hold-before")]
)
def test_crash_in_a_recreate_ends_with_one_instance_and_no_needless_step(
    staged: stage.Stage, route: str, hold: str
) -> None:
    staged.unpaired_instance("ghost")

    crash_while_held(staged, route, hold, begin=lambda: staged.simulator.break_("ghost", "S1"))

    staged.wait_for_reason("ghost", "AwaitingScan", timeout=90)
    assert staged.steps("ghost")[0] == ("Recreate", "Ghost", "Interrupted")
    created = [call["status"] for call in staged.simulator.calls(route="create")]
    assert created.count(201) == 1
    assert staged.mutating_calls("ghost").count("delete") <= 2
    staged.simulator.scan("ghost")
    staged.wait_ready("ghost")


def test_restart_of_the_operator_takes_no_step_and_forgets_no_attempt(staged: stage.Stage) -> None:
    staged.paired_instances("zombie", recovery={"maxAttempts": 2})
    staged.simulator.break_("zombie", "S4")
    staged.wait_for_condition("zombie", "RemediationAllowed", "False", "NeedsServerRestart", timeout=90)
    incident = staged.status("zombie")["recovery"]["incident"]
    staged.simulator.reset_calls()

    staged.operator.kill()
    staged.operator.start()

    staged.kubectl("wait", "evs/main", "--for=condition=WarmedUp", "--timeout=55s")
    staged.quiet_for(8)
    staged.wait_for_reason("zombie", "Connecting")
    assert staged.mutating_calls("zombie") == []
    recovery = staged.status("zombie")["recovery"]
    assert (recovery["incident"], recovery["attempts"]) == (incident, 2)
