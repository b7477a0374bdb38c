"""Nobody fights over a resource, and nothing is written that changes nothing."""

import json

import pytest
import yaml

from e2e import kube, stage

WRITTEN = "wai,evs,secrets,events"


def versions(house: stage.Stage) -> dict[str, str]:
    """The version of each object of the namespace that the operator may write."""
    found = house.kubectl.json("get", WRITTEN)["items"]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in found}


def settled(house: stage.Stage, *, seconds: float) -> dict[str, str]:
    """The versions once nothing was written for so long."""

    def unchanged() -> dict[str, str]:
        before = versions(house)
        house.quiet_for(seconds)
        return before if versions(house) == before else {}

    return kube.wait_until(unchanged, timeout=60, message="writing went on")


def wanted(**spec: object) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "whatsapp-operator.dev/v1alpha1",
            "kind": "WhatsAppInstance",
            "metadata": {"name": "user-1"},
            "spec": {"serverRef": {"name": "main"}} | spec,
        }
    )


def test_two_managers_apply_beside_the_operator_without_a_fight(staged: stage.Stage) -> None:
    teams = {
        "platform": wanted(recovery={"maxAttempts": 2}, deletionPolicy="Delete"),
        "shop": wanted(settings={"groupsIgnore": True}),
    }

    def apply(team: str) -> None:
        staged.kubectl.apply(teams[team], "--server-side", f"--field-manager={team}")

    apply("platform")
    staged.pair("user-1")
    apply("shop")
    kube.wait_until(
        lambda: staged.simulator.calls(instance="user-1", route="settingsSet"), message="no settings were set"
    )
    staged.wait_ready("user-1")
    before = settled(staged, seconds=3)

    for _ in range(2):
        apply("platform")
        apply("shop")

    assert settled(staged, seconds=3) == before
    spec = staged.kubectl.json("get", "wai", "user-1")["spec"]
    assert spec["recovery"]["maxAttempts"] == 2
    assert spec["settings"]["groupsIgnore"] is True


@pytest.mark.parametrize("flags", [[], ["--server-side"]], ids=["client-side", "server-side"])
def test_second_apply_changes_nothing(staged: stage.Stage, flags: list[str]) -> None:
    staged.kubectl.apply(wanted(webhook={"url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT"]}), *flags)
    staged.pair("user-1")
    before = settled(staged, seconds=3)
    staged.simulator.reset_calls()

    staged.kubectl.apply(wanted(webhook={"url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT"]}), *flags)

    assert settled(staged, seconds=3) == before
    assert staged.mutating_calls("user-1") == []


def test_at_rest_nothing_is_written_and_only_bulk_reads_are_made(staged: stage.Stage) -> None:
    staged.simulator.insert_row("foreign")
    staged.instance("foreign")
    staged.instance("idle", pairing={"mode": "Never"})
    staged.instance("nowhere", serverRef={"name": "nowhere"})
    staged.instance("well")
    staged.pair("well")
    staged.told("idle", "Ready", "NotStarted")
    before = settled(staged, seconds=6)
    staged.simulator.reset_calls()

    staged.quiet_for(8)

    assert versions(staged) == before
    assert staged.simulator.call_counts().keys() == {"metrics", "fetchInstances"}


def test_what_others_put_on_a_resource_is_left_there(staged: stage.Stage) -> None:
    staged.instance("user-1")
    foreign = [{"type": "Audited", "status": "True", "reason": "ByHand", "message": "", "lastTransitionTime": None}]
    foreign[0]["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    staged.wait_for_reason("user-1", "AwaitingScan")
    staged.kubectl("patch", "wai", "user-1", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    kube.wait_until(
        lambda: staged.kubectl.json("get", "wai", "user-1")["metadata"].get("finalizers"),
        message="our finalizer did not come back",
    )
    held = staged.status("user-1")["conditions"]
    patch = json.dumps({"status": {"conditions": [*held, *foreign]}})
    staged.kubectl("patch", "wai", "user-1", "--type=merge", "--subresource=status", "-p", patch)

    staged.simulator.pair("user-1")

    staged.wait_ready("user-1")
    assert staged.kubectl.condition("wai", "user-1", "Audited")["reason"] == "ByHand"
