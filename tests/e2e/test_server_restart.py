"""The restart of a server's own workload: for whom, when, when not, and that it costs no pairing.

The workload is rolled out for real; the simulated server goes down with the old pod and starts with the new one.
"""

import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import holding, kube, planes, stage, tls
from e2e.workloads import RESTARTED_AT, PodFollower, Workload

pytestmark = planes.native_only
WORKLOAD = "evolution-api"
SETTLES_SECONDS = 4.0
LOAD_SECONDS = 0.2
NO_STORM = {"storm": {"floor": 100}}
RESTARTED = ("Ghost", "Succeeded")


def allow_restarts(staged: stage.Stage) -> None:
    """The shipped role, bound to the operator of this test."""
    rendered = staged.kubectl("kustomize", str(stage.ROOT / "manifests" / "server-restart"))
    wanted = list(yaml.safe_load_all(rendered))
    for one in wanted:
        for subject in one.get("subjects", ()):
            subject["namespace"] = staged.namespace
    staged.kubectl.apply(yaml.safe_dump_all(wanted))


def point_to(staged: stage.Stage, workload: Workload, *, budget: Any = None, recovery: Any = None, **more: Any) -> None:
    """Let the EvolutionServer name its workload; a restart is worth it for a single instance, unless said otherwise."""
    reference = {"kind": workload.kind, "name": workload.name, "minInstances": 1} | more
    staged.server(
        workloadRef=reference,
        budget=NO_STORM | (budget or {}),
        recovery=stage.QUICK_RECOVERY | {"maxAttempts": 1} | (recovery or {}),
    )


@contextlib.contextmanager
def running_as(staged: stage.Stage, kind: str = "Deployment", **spec: Any) -> Iterator[PodFollower]:
    """The simulated server runs as a workload for as long as the block lasts."""
    workload = Workload(staged.kubectl, kind, WORKLOAD)
    workload.apply(**spec)
    workload.wait_rolled_out()
    with PodFollower(workload, staged.simulator, load_seconds=LOAD_SECONDS).following() as follower:
        yield follower


@contextlib.contextmanager
def restartable(staged: stage.Stage, kind: str = "Deployment", **reference: Any) -> Iterator[PodFollower]:
    """The operator may restart the simulated server, which runs as a workload that is safe to restart."""
    allow_restarts(staged)
    with running_as(staged, kind, ready_after="1s", gone_after="1s") as follower:
        point_to(staged, follower.workload, **reference)
        yield follower


def recovery_of(staged: stage.Stage) -> dict[str, Any]:
    found: dict[str, Any] = staged.kubectl.json("get", "evs", stage.SERVER)["status"].get("recovery", {})
    return found


def restarts(staged: stage.Stage) -> list[tuple[str, str]]:
    """Reason and result of all restarts of the server that are over."""
    return [(one["reason"], one["result"]) for one in recovery_of(staged).get("history", [])]


def carried_out(staged: stage.Stage) -> list[tuple[str, str]]:
    """As `restarts`, but for those that somebody's write to the workload, in the same moment, kept from beginning."""
    return [one for one in restarts(staged) if one[1] != "Interrupted"]


def wait_for_restarts(staged: stage.Stage, *wanted: tuple[str, str], timeout: float = 60) -> None:
    kube.wait_until(lambda: carried_out(staged) == list(wanted), timeout=timeout, message=f"no restarts {wanted}")


def wait_until_blocked(staged: stage.Stage, reason: str) -> dict[str, Any]:
    """Wait until the server's restart is planned and held for a reason; returns its status of recovery."""

    def held() -> dict[str, Any]:
        found = recovery_of(staged)
        return found if reason in found.get("blockedBy", ()) else {}

    found = kube.wait_until(held, timeout=60, message=f"no restart was held by {reason}")
    assert found["planned"]["step"] == "RestartServer"
    return found


def annotation(staged: stage.Stage, kind: str = "deployment") -> str:
    """When the workload was restarted last, as its pod template has it."""
    template = staged.kubectl.json("get", kind, WORKLOAD)["spec"]["template"]
    return str(template["metadata"].get("annotations", {}).get(RESTARTED_AT, ""))


def vouch(staged: stage.Stage, witness: str) -> None:
    """Another instance proves that WhatsApp can be reached: it comes back from a lost connection."""
    staged.simulator.whatsapp("refused", instance=witness)
    kube.wait_until(lambda: staged.condition(witness, "Ready")[0] == "False", message="the witness stayed Ready")
    staged.simulator.whatsapp("reachable", instance=witness)
    staged.wait_ready(witness)


def parsed(moment: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(moment)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_server_is_restarted_once_for_all_that_only_this_heals(staged: stage.Stage, kind: str) -> None:
    bad = {"ghost": "S1", "zombie": "S4", "rivals": "S18", "channel": "S14"}
    with restartable(staged, kind, minInstances=len(bad)) as follower:
        staged.instance("channel", integration="EVOLUTION")
        staged.wait_ready("channel")
        staged.paired_instances("ghost", "zombie", "rivals", "witness")
        owners = {name: staged.simulator.instance(name)["ownerJid"] for name in bad}

        for name, state in bad.items():
            staged.simulator.break_(name, state)

        waiting = wait_until_blocked(staged, "FewInstances")
        assert 1 <= waiting["waiting"] < len(bad)
        assert waiting["planned"]["at"]
        staged.wait_for_steps("zombie", ("Restart", "Connecting", "Failed"))
        vouch(staged, "witness")
        kube.wait_until(lambda: len(carried_out(staged)) == 1, timeout=90, message="the server was not restarted")
        for name in (*bad, "witness"):
            staged.wait_ready(name)
        staged.quiet_for(SETTLES_SECONDS)

        assert (follower.stops, follower.starts) == (1, 1)
        assert carried_out(staged)[0][1] == "Succeeded"
        for name in bad:
            assert staged.mutating_calls(name) == (["restart"] if name == "zombie" else [])
            assert staged.simulator.instance(name)["ownerJid"] == owners[name]
        assert all(staged.status(name)["paired"] for name in bad if name != "channel")
        assert annotation(staged, kind.lower()) == recovery_of(staged)["history"][-1]["startTime"]
        told = {event["reason"] for event in staged.events(stage.SERVER)}
        assert {"ServerRestarting", "ServerRestarted"} <= told


@pytest.mark.parametrize(
    "unsafe",
    [{"strategy": {"type": "RollingUpdate"}}, {"replicas": 2}],
    ids=["rolling update", "two replicas"],
)
def test_workload_that_would_run_two_servers_at_once_is_not_restarted(
    staged: stage.Stage, unsafe: dict[str, Any]
) -> None:
    allow_restarts(staged)
    with running_as(staged, **unsafe) as follower:
        point_to(staged, follower.workload)
        staged.paired_instances("ghost")
        staged.simulator.break_("ghost", "S1")

        wait_until_blocked(staged, "UnsafeRollout")
        staged.wait_for_condition("ghost", "RemediationAllowed", "False", "UnsafeRollout")
        staged.quiet_for(SETTLES_SECONDS)
        assert (follower.stops, annotation(staged), staged.mutating_calls("ghost")) == (0, "", [])


def test_workload_is_restarted_once_its_rollout_is_made_safe(staged: stage.Stage) -> None:
    allow_restarts(staged)
    with running_as(staged, strategy={"type": "RollingUpdate"}) as follower:
        point_to(staged, follower.workload)
        staged.paired_instances("ghost")
        staged.simulator.break_("ghost", "S1")
        wait_until_blocked(staged, "UnsafeRollout")

        follower.workload.apply(strategy={"type": "Recreate", "rollingUpdate": None})

        wait_for_restarts(staged, RESTARTED)
        staged.wait_ready("ghost")
        assert (follower.stops, follower.starts) == (1, 1)
        assert staged.mutating_calls("ghost") == []


def test_workload_is_restarted_only_where_the_role_allows_it_and_it_exists(staged: stage.Stage) -> None:
    workload = Workload(staged.kubectl, "Deployment", WORKLOAD)
    point_to(staged, workload)
    staged.paired_instances("ghost")
    staged.simulator.break_("ghost", "S1")
    wait_until_blocked(staged, "WorkloadForbidden")
    staged.wait_for_condition("ghost", "RemediationAllowed", "False", "WorkloadForbidden")

    allow_restarts(staged)
    wait_until_blocked(staged, "WorkloadNotFound")
    staged.wait_for_condition("ghost", "RemediationAllowed", "False", "WorkloadNotFound")
    assert staged.mutating_calls("ghost") == []

    staged.update("ghost", pause={"reason": "the pod is not followed yet"})
    staged.wait_for_condition("ghost", "Paused", "True", "Paused")
    with running_as(staged) as follower:
        staged.update("ghost", pause=None)
        wait_for_restarts(staged, RESTARTED)
        staged.wait_ready("ghost")
        assert (follower.stops, follower.starts) == (1, 1)
        assert staged.mutating_calls("ghost") == []


def test_server_is_not_restarted_while_an_instance_would_lose_its_pairing_by_it(staged: stage.Stage) -> None:
    with restartable(staged) as follower:
        staged.paired_instances("ghost", "sessionless")
        staged.simulator.break_("sessionless", "S19")
        staged.wait_for_reason("sessionless", "SessionMissing")

        staged.simulator.break_("ghost", "S1")

        wait_until_blocked(staged, "SessionMissing")
        staged.wait_for_condition("ghost", "RemediationAllowed", "False", "SessionMissing")
        staged.quiet_for(SETTLES_SECONDS)
        assert (follower.stops, annotation(staged)) == (0, "")
        assert staged.mutating_calls("ghost") == []

        staged.delete("sessionless")

        staged.wait_gone("sessionless")
        wait_for_restarts(staged, RESTARTED)
        staged.wait_ready("ghost")
        assert staged.mutating_calls("ghost") == []


def test_server_is_restarted_for_few_only_after_they_have_waited(staged: stage.Stage) -> None:
    with restartable(staged, minInstances=2, maxWaitSeconds=20) as follower:
        staged.paired_instances("ghost", "well")
        staged.simulator.break_("ghost", "S1")

        planned = wait_until_blocked(staged, "FewInstances")["planned"]
        staged.wait_for_condition("ghost", "RemediationAllowed", "False", "FewInstances")
        assert follower.stops == 0

        wait_for_restarts(staged, RESTARTED, timeout=90)
        began = parsed(recovery_of(staged)["history"][-1]["startTime"])
        assert began >= parsed(planned["at"])
        staged.wait_ready("ghost")
        staged.wait_ready("well")
        assert staged.mutating_calls("ghost") == staged.mutating_calls("well") == []


def test_server_is_restarted_no_more_often_than_its_budget_says(staged: stage.Stage) -> None:
    once = {"windows": [{"class": "ServerRestart", "max": 1, "periodSeconds": 3600}]}
    with restartable(staged, budget=once) as follower:
        staged.paired_instances("first", "second")
        staged.simulator.break_("first", "S1")
        wait_for_restarts(staged, RESTARTED)
        staged.wait_ready("first")

        staged.simulator.break_("second", "S1")

        wait_until_blocked(staged, "BudgetExhausted")
        staged.wait_for_condition("second", "RemediationAllowed", "False", "BudgetExhausted")
        staged.quiet_for(SETTLES_SECONDS)
        assert (follower.stops, staged.mutating_calls("second")) == (1, [])
        used = {one["class"]: (one["used"], one["max"]) for one in recovery_of(staged)["budget"]}
        assert used["ServerRestart"] == (1, 1)


def test_operator_that_dies_before_it_changes_the_workload_begins_anew_and_restarts_it_once(
    staged: stage.Stage, tmp_path: Path
) -> None:
    with restartable(staged) as follower:
        staged.paired_instances("ghost")
        trusted = tls.authority(tmp_path / "authority")
        with holding.workload_changes(staged.kubectl, trusted, by="whatsapp-operator") as gate:
            staged.simulator.break_("ghost", "S1")
            assert gate.arrived.wait(60), "the workload was never changed"
            staged.operator.kill()
        assert recovery_of(staged)["inFlight"]["step"] == "RestartServer"
        assert (annotation(staged), follower.stops) == ("", 0)

        staged.operator.start()

        wait_for_restarts(staged, RESTARTED, timeout=90)
        staged.wait_ready("ghost")
        assert restarts(staged) == [("Ghost", "Interrupted"), RESTARTED]
        staged.quiet_for(SETTLES_SECONDS)
        assert (follower.stops, follower.starts) == (1, 1)
        assert staged.mutating_calls("ghost") == []


def test_operator_that_dies_while_the_workload_is_replaced_does_not_restart_it_again(staged: stage.Stage) -> None:
    with restartable(staged) as follower:
        follower.workload.apply(ready_after="3s", gone_after="3s")
        kube.wait_until(lambda: follower.starts == 1)
        staged.paired_instances("ghost")
        staged.simulator.break_("ghost", "S1")
        kube.wait_until(lambda: annotation(staged), timeout=60, message="the workload was not restarted", every=0.05)

        staged.operator.kill()
        assert recovery_of(staged)["inFlight"]["step"] == "RestartServer"
        at = annotation(staged)
        staged.operator.start()

        wait_for_restarts(staged, RESTARTED)
        staged.wait_ready("ghost")
        staged.quiet_for(SETTLES_SECONDS)
        assert annotation(staged) == at == recovery_of(staged)["history"][0]["startTime"]
        assert follower.stops == 2
        assert staged.mutating_calls("ghost") == []


def test_what_will_lose_pairings_one_day_is_told(staged: stage.Stage) -> None:
    allow_restarts(staged)
    workload = Workload(staged.kubectl, "Deployment", WORKLOAD)
    environment = [
        {"name": "DEL_INSTANCE", "value": "5"},
        {"name": "CACHE_REDIS_SAVE_INSTANCES", "value": "true"},
    ]
    container = {"name": "api", "image": "evolution-api", "env": environment}
    workload.apply(replicas=2, strategy={"type": "RollingUpdate"})
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    staged.kubectl("patch", "deployment", WORKLOAD, "--type=merge", "-p", json.dumps(change))

    def warned() -> set[str]:
        found = staged.kubectl.json("get", "evs", stage.SERVER)["status"].get("warnings", [])
        return {one["reason"] for one in found}

    assert warned() == set()

    point_to(staged, workload)

    expected = {"SeveralReplicas", "RollingUpdate", "InstancesExpire", "InstancesInRedis"}
    kube.wait_until(lambda: warned() == expected, message="the warnings were not shown")
    staged.simulator.set_api_key("BQYHJGJHJ")
    secret = {"stringData": {"apikey": "BQYHJGJHJ"}}
    staged.kubectl("patch", "secret", f"{stage.SERVER}-key", "--type=merge", "-p", json.dumps(secret))
    kube.wait_until(lambda: warned() == {*expected, "DefaultAPIKey"}, message="the public key was not told")
