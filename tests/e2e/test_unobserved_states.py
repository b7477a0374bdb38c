"""The operator is not told of what happens in between: it ends as if it had seen everything.

Events are swallowed for a while. Then either nobody says so, and the sweep has to find out, or the stream breaks with a
410, as after the restart of a watch cache, and what was deleted meanwhile is told by nobody.
"""

from collections.abc import Callable

import pytest

from e2e import kube, relayed, stage, viewing
from e2e.test_stale_views import WEBHOOK, Lagging

SETTLES_WITHIN = 18.0
Told = Callable[[], None]


@pytest.fixture(params=["sweep", "expired"])
def blinded(request: pytest.FixtureRequest, relayed_stage: Callable[..., relayed.Relayed]) -> tuple[Lagging, Told]:
    """An operator whose events can be swallowed, and what brings it up to date."""
    # A sweep must not come between two edits, which would then be seen: a busy machine takes seconds for each.
    view, sweep = viewing.View(), 15 if request.param == "sweep" else 20
    opened = relayed_stage(view, f"--sweep-period-seconds={sweep}")
    opened.place.server()

    def tell() -> None:
        assert view.missed
        view.hear()
        if request.param == "expired":
            view.expire()
            opened.kubernetes.break_off()

    return Lagging(opened.place, view, opened.kubernetes), tell


def let_go(place: stage.Stage, name: str) -> None:
    """Delete a resource past its finalizer."""
    place.kubectl("patch", "wai", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    place.kubectl("delete", "wai", name, "--ignore-not-found")


def test_resource_that_came_and_went_unseen_leaves_nothing(blinded: tuple[Lagging, Told]) -> None:
    (lagging, tell), place = blinded, blinded[0].place
    lagging.view.show(lagging.now())  # else a sweep could see it
    lagging.view.miss()
    place.instance("ghostly")
    place.kubectl("delete", "wai", "ghostly", "--timeout=10s")
    lagging.view.catch_up()
    kube.wait_until(lambda: lagging.view.missed, message="nothing was swallowed")

    tell()

    place.quiet_for(SETTLES_WITHIN)
    assert not place.lives("ghostly")
    assert place.mutating_calls("ghostly") == []


def test_resource_that_was_created_again_unseen_is_the_new_one(blinded: tuple[Lagging, Told]) -> None:
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instance("again", webhook=WEBHOOK)
    identity = place.simulator.instance("again")["id"]
    lagging.view.miss()
    let_go(place, "again")
    place.instance("again", instanceName="another")

    tell()

    place.wait_for_reason("again", "AwaitingScan")
    assert place.status("again")["instanceID"] == place.simulator.instance("another")["id"]
    assert place.mutating_calls("again") == []
    inside = place.simulator.instance("again")
    assert (inside["id"], inside["memory"]) == (identity, "open")


def test_deletion_that_began_unseen_is_carried_out(blinded: tuple[Lagging, Told]) -> None:
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instances("going", "staying")
    lagging.view.miss()
    place.delete("going")
    kube.wait_until(lambda: lagging.view.missed, message="nothing was swallowed")

    tell()

    place.wait_gone("going")
    assert not place.lives("going")
    assert place.mutating_calls("staying") == []


def test_spec_that_was_edited_forth_and_back_unseen_changes_nothing(blinded: tuple[Lagging, Told]) -> None:
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instance("shop", webhook=WEBHOOK, settings={"rejectCall": False})
    lagging.view.miss()
    place.update("shop", settings={"rejectCall": True}, deletionPolicy="Retain", pause={"reason": "for a moment"})
    place.update("shop", settings={"rejectCall": False}, deletionPolicy=None, pause=None)

    tell()

    generation = place.kubectl.json("get", "wai", "shop")["metadata"]["generation"]
    kube.wait_until(
        lambda: place.status("shop")["observedGeneration"] == generation, timeout=45, message="it was not observed"
    )
    place.wait_ready("shop")
    assert place.mutating_calls("shop") == []


def test_last_of_several_edits_that_nobody_saw_is_reached(blinded: tuple[Lagging, Told]) -> None:
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instance("shop", webhook=WEBHOOK)
    lagging.view.miss()
    for number in range(3):
        place.update("shop", webhook={**WEBHOOK, "url": f"http://127.0.0.1:9/hook-{number}"})

    tell()

    generation = place.kubectl.json("get", "wai", "shop")["metadata"]["generation"]
    kube.wait_until(lambda: place.status("shop")["observedGeneration"] == generation, timeout=45)
    place.wait_for_condition("shop", "Synced", "True", "Synced")
    place.quiet_for(2)
    assert place.mutating_calls("shop") == ["webhookSet"]


def test_server_that_was_created_again_unseen_is_the_new_one(
    blinded: tuple[Lagging, Told],
) -> None:
    """The same name, and another URL: what is known of the instances is known of another server."""
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instance("shop")
    lagging.view.miss()
    place.kubectl("patch", "evs", "main", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    place.kubectl("delete", "evs", "main")
    place.server(url="http://127.0.0.1:9")

    tell()

    place.told("shop", "Ready", "ServerUnreachable", timeout=45)
    place.quiet_for(3)
    assert place.mutating_calls("shop") == []
    place.server()
    place.wait_ready("shop")
    assert place.mutating_calls("shop") == []


def hanging_in_its_restart(place: stage.Stage, name: str) -> None:
    """Break it, and wait until the server holds the call that heals it."""
    held = place.simulator.fault("hold-before", route="restart", count=1)
    place.simulator.break_(name, "S17")
    kube.wait_until(
        lambda: any(one["id"] == held and one["hits"] for one in place.simulator.faults()),
        timeout=30,
        message="it was never restarted",
    )


def test_resource_that_is_edited_unseen_while_its_instance_is_healed_keeps_the_step_and_reaches_the_edit(
    blinded: tuple[Lagging, Told],
) -> None:
    """Neither is heard of: that the step is in flight, nor the edit, nor that the step is over."""
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instance("hung", webhook=WEBHOOK)
    lagging.view.miss()
    hanging_in_its_restart(place, "hung")
    place.update("hung", webhook={**WEBHOOK, "url": "http://127.0.0.1:9/other"})
    place.simulator.release()
    place.simulator.wait_for("hung", lambda one: one["memory"] == "open")

    tell()

    kube.wait_until(lambda: "webhookSet" in place.mutating_calls("hung"), timeout=45, message="the edit was lost")
    place.wait_ready("hung")
    place.wait_for_steps("hung", ("Restart", "Connecting", "Succeeded"))
    assert place.mutating_calls("hung") == ["restart", "webhookSet"]


def test_instance_whose_recovery_is_switched_off_unseen_is_not_healed(blinded: tuple[Lagging, Told]) -> None:
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instance("hung")
    lagging.view.miss()
    place.update("hung", recovery={"mode": "Disabled"})
    kube.wait_until(lambda: lagging.view.missed, message="nothing was swallowed")
    place.simulator.break_("hung", "S17")
    place.wait_for_reason("hung", "Connecting", timeout=30)

    tell()

    place.told("hung", "RemediationAllowed", "RecoveryDisabled", timeout=45)
    assert place.mutating_calls("hung") == []


def test_instance_that_heals_by_itself_while_nothing_is_heard_is_left_alone(blinded: tuple[Lagging, Told]) -> None:
    """Its step was to come, and is held by a pause: what is told afterwards is of an instance that needs none."""
    (lagging, tell), place = blinded, blinded[0].place
    place.paired_instance("ghost")
    place.update("ghost", pause={"reason": "by hand"})
    place.told("ghost", "Paused", "Paused")
    lagging.view.miss()
    place.simulator.break_("ghost", "S1")
    place.wait_for_reason("ghost", "Ghost", timeout=30)
    place.update("ghost", pause=None)
    place.simulator.restart_server()
    place.simulator.wait_for("ghost", lambda one: one["memory"] == "open")

    tell()

    place.wait_ready("ghost")
    place.told("ghost", "RemediationAllowed", "RemediationAllowed", timeout=45)
    assert place.mutating_calls("ghost") == []
