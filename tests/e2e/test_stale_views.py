"""The operator sees the past: as it starts, since the watch cache that it lists from lags, or while it runs.

It must not do to what there is now what was wanted of what there was then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml

from e2e import kube, relay, relayed, stage, viewing

ACTS_WITHIN = 8.0
"""Seconds in which an operator that is ready has done all that it would do: it looks once a second."""
WEBHOOK = {"url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT"]}


@dataclass
class Lagging:
    """A stage on which the operator sees what `view` shows."""

    place: stage.Stage
    view: viewing.View
    wire: relay.Relay

    def now(self) -> viewing.Past:
        return viewing.seen_now(self.place.kubectl)

    def restart_in(self, past: viewing.Past) -> None:
        """Start the operator anew on a list of the past, and let it act on that."""
        self.place.operator.stop()
        self.place.simulator.reset_calls()
        self.view.show(past)
        self.place.operator.start()
        kube.wait_until(lambda: self.view.listings >= 2, timeout=30, message="the past was never listed")
        kube.wait_until(lambda: self.place.operator.ready()[0] == 200, timeout=30, message="it did not become ready")
        self.place.quiet_for(ACTS_WITHIN)

    def changed_nothing(self, name: str) -> None:
        """No call for the instance could have changed anything, as far as that is not reading a code."""
        assert self.place.steps_called(name) == []

    def uid(self, name: str) -> str:
        return str(self.place.kubectl.json("get", "wai", name)["metadata"]["uid"])


@pytest.fixture
def lagging(relayed_stage: Callable[..., relayed.Relayed]) -> Iterator[Lagging]:
    """An operator whose lists and watches go over a view, and its server."""
    view = viewing.View()
    opened = relayed_stage(view)
    opened.place.server()
    yield Lagging(opened.place, view, opened.kubernetes)
    view.catch_up()


def user_token(kubectl: kube.Kubectl) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": {"token": "MINE-1"}}
    kubectl.apply(yaml.safe_dump(secret))


def while_it_is_deleted(lagging: Lagging, name: str) -> viewing.Past:
    """Delete a resource; what was seen when its finalizer was still there."""
    place = lagging.place
    place.simulator.down()
    place.told(name, "Ready", "ServerUnreachable")
    place.delete(name)
    place.told(name, "Synced", "DeletionWaits")
    past = lagging.now()
    place.simulator.up()
    place.wait_gone(name)
    return past


@pytest.mark.parametrize("spec", [{}, {"tokenSecretRef": {"name": "mine"}}], ids=["generated", "of-the-user"])
def test_deletion_of_the_past_does_not_end_the_instance_that_was_created_since(
    lagging: Lagging, spec: dict[str, object]
) -> None:
    """Its token is of the user, and the same: only the resource tells the two apart."""
    place = lagging.place
    user_token(place.kubectl)
    place.paired_instance("again", **spec)
    past = while_it_is_deleted(lagging, "again")
    place.paired_instance("again", **spec)
    uid, identity = lagging.uid("again"), place.simulator.instance("again")["id"]

    lagging.restart_in(past)

    lagging.changed_nothing("again")
    found = place.kubectl.json("get", "wai", "again")["metadata"]
    assert (found["uid"], found["finalizers"]) == (uid, ["whatsapp-operator.dev/instance"])
    lagging.view.catch_up()
    place.wait_ready("again")
    inside = place.simulator.instance("again")
    assert (inside["id"], inside["memory"], inside["session"]) == (identity, "open", "paired")
    lagging.changed_nothing("again")


def test_instance_that_was_let_go_by_force_and_adopted_since_is_not_deleted(lagging: Lagging) -> None:
    place = lagging.place
    user_token(place.kubectl)
    place.paired_instance("kept", tokenSecretRef={"name": "mine"})
    place.simulator.down()
    place.told("kept", "Ready", "ServerUnreachable")
    place.delete("kept")
    past = lagging.now()
    place.kubectl("patch", "wai", "kept", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    place.wait_gone("kept")
    place.simulator.up()
    place.instance("kept", tokenSecretRef={"name": "mine"})
    place.wait_ready("kept")
    identity = place.simulator.instance("kept")["id"]

    lagging.restart_in(past)

    lagging.changed_nothing("kept")
    lagging.view.catch_up()
    place.wait_ready("kept")
    assert place.simulator.instance("kept")["id"] == identity


def test_resource_of_the_past_is_not_created_on_the_server(lagging: Lagging) -> None:
    """Seen with its finalizer and without a status; gone since, with its instance."""
    place = lagging.place
    held = place.simulator.fault("hold-before", route="create", count=1)
    place.instance("was")
    kube.wait_until(lambda: any(one["id"] == held and one["hits"] for one in place.simulator.faults()), timeout=30)
    past = lagging.now()
    place.simulator.release()
    place.wait_for_reason("was", "AwaitingScan")
    place.delete("was")
    place.wait_gone("was")

    lagging.restart_in(past)

    assert not place.lives("was")
    lagging.changed_nothing("was")
    lagging.view.catch_up()
    place.quiet_for(ACTS_WITHIN)
    assert not place.lives("was")
    assert place.simulator.calls(route="create") == []


def test_instance_of_the_past_is_not_healed_back_to_life(lagging: Lagging) -> None:
    """Seen well; gone since: what the list lacks looks like an instance that was lost."""
    place = lagging.place
    place.paired_instance("was")
    past = lagging.now()
    place.delete("was")
    place.wait_gone("was")

    lagging.restart_in(past)

    assert not place.lives("was")
    lagging.changed_nothing("was")
    lagging.view.catch_up()
    place.quiet_for(ACTS_WITHIN)
    assert not place.lives("was")
    assert not place.kubectl.exists("secret", "was-token")


def test_configuration_of_the_past_is_not_put_back(lagging: Lagging) -> None:
    place = lagging.place
    place.paired_instance("shop", webhook=WEBHOOK, settings={"rejectCall": False})
    past = lagging.now()
    place.update("shop", webhook={**WEBHOOK, "base64": True}, settings={"rejectCall": True})
    kube.wait_until(lambda: "webhookSet" in place.mutating_calls("shop"), timeout=30)
    place.wait_for_condition("shop", "Synced", "True", "Synced")

    lagging.restart_in(past)

    lagging.changed_nothing("shop")
    lagging.view.catch_up()
    place.wait_ready("shop")
    place.quiet_for(ACTS_WITHIN)
    lagging.changed_nothing("shop")


def test_pause_that_is_not_seen_yet_is_kept(lagging: Lagging) -> None:
    """While it runs, the watch lags: what it would do rests on a resource that is another by now."""
    place = lagging.place
    place.paired_instance("hung")
    lagging.view.show(lagging.now())
    place.update("hung", pause={"reason": "by hand"})

    place.simulator.break_("hung", "S17")

    place.wait_for_reason("hung", "Connecting", timeout=30)
    place.quiet_for(ACTS_WITHIN)
    lagging.changed_nothing("hung")
    lagging.view.catch_up()
    place.told("hung", "Paused", "Paused")
    place.update("hung", pause=None)
    place.wait_ready("hung", timeout=90)
    assert place.mutating_calls("hung") == ["restart"]


def test_resource_that_is_created_again_while_the_watch_lags_is_looked_after_in_the_end(lagging: Lagging) -> None:
    place = lagging.place
    place.paired_instance("again")
    lagging.view.show(lagging.now())
    place.kubectl("patch", "wai", "again", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    place.kubectl("delete", "wai", "again")
    place.instance("again", instanceName="other")
    place.quiet_for(ACTS_WITHIN)
    assert place.steps_called("again") == []

    lagging.view.catch_up()

    place.wait_for_reason("again", "AwaitingScan")
    assert place.status("again")["instanceID"] == place.simulator.instance("other")["id"]
    assert place.simulator.instance("again")["memory"] == "open"
