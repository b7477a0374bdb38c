"""RestartServer on a real rollout: once for all who wait for it, announced, safe, and the pairings survive."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e import holding, kube, planes, rights, stage, tls, workloads

pytestmark = planes.native_only

KIND, NAME = "Deployment", "evolution"
REFERENCE = {"kind": KIND, "name": NAME, "minInstances": 1}
QUIET = 4.0


def grant(house: stage.Stage) -> None:
    """The shipped Role, for the operator of this namespace."""
    house.kubectl.apply(yaml.safe_dump_all(rights.for_server_restart(house.namespace)))


@pytest.fixture
def workload(staged: stage.Stage) -> workloads.Workload:
    """A Deployment that runs, and whose pod the simulated server stands for."""
    found = workloads.Workload(staged.kubectl, KIND, NAME)
    found.apply()
    found.wait_rolled_out()
    return found


@pytest.fixture
def pod(staged: stage.Stage, workload: workloads.Workload) -> Iterator[workloads.PodFollower]:
    """The server lives and dies with the pod."""
    with workloads.PodFollower(workload, staged.simulator, load_seconds=0.05).following() as following:
        yield following


@pytest.fixture
def house(staged: stage.Stage, pod: workloads.PodFollower) -> stage.Stage:
    """A server that the operator may restart."""
    grant(staged)
    staged.server(workloadRef=REFERENCE)
    return staged


def recovery(house: stage.Stage) -> dict[str, object]:
    found: dict[str, object] = house.kubectl.json("get", "evs", "main")["status"].get("recovery", {})
    return found


def restarts(house: stage.Stage) -> list[tuple[str, str]]:
    """Reason and result of the restarts of the server that are over."""
    history = recovery(house).get("history", [])
    assert isinstance(history, list)
    return [(one["reason"], one["result"]) for one in history]


def refused_by(house: stage.Stage, reason: str) -> None:
    """Wait until the server says that it is not restarted, and why; it must not be, for a while."""

    def is_told() -> bool:
        against = recovery(house).get("blockedBy", ())
        assert isinstance(against, list | tuple)
        return reason in against

    kube.wait_until(is_told, message=f"{reason} was not told")
    house.quiet_for(QUIET)
    assert restarts(house) == []
    assert "inFlight" not in recovery(house)


def test_ghosts_and_zombies_are_healed_by_one_restart_and_keep_their_pairing(
    house: stage.Stage, pod: workloads.PodFollower
) -> None:
    house.instance("channel", integration="EVOLUTION")
    house.wait_ready("channel")
    house.paired_instances("ghost", "well", "rivals", recovery={"maxAttempts": 1})
    before = {name: house.simulator.instance(name)["id"] for name in ("ghost", "well", "rivals")}

    house.simulator.break_("channel", "S14")
    house.simulator.break_("rivals", "S18")
    house.simulator.break_("ghost", "S1")

    kube.wait_until(lambda: restarts(house), timeout=90, message="the server was not restarted")
    for name in ("ghost", "well", "rivals", "channel"):
        house.wait_ready(name, timeout=90)
        assert house.mutating_calls(name) == []
    assert {name: house.simulator.instance(name)["id"] for name in before} == before
    assert [result for _, result in restarts(house)] == ["Succeeded"]
    assert (pod.stops, pod.starts) == (1, 1)
    assert {"ServerRestarting", "ServerRestarted"} <= {event["reason"] for event in house.events("main")}


def test_paired_zombie_is_restarted_in_vain_and_then_healed_with_its_server(
    house: stage.Stage, pod: workloads.PodFollower
) -> None:
    house.paired_instances("zombie", "witness", recovery={"maxAttempts": 1, "lastResortDelaySeconds": 1})

    house.simulator.break_("zombie", "S4")

    house.wait_for_steps("zombie", ("Restart", "Connecting", "Failed"))
    kube.wait_until(lambda: restarts(house) == [("Connecting", "Succeeded")], timeout=90)
    house.wait_ready("zombie", timeout=60)
    assert house.mutating_calls("zombie") == ["restart"]
    assert house.mutating_calls("witness") == []
    assert pod.starts == 1


def test_session_that_another_server_holds_costs_one_restart_and_then_a_human_is_told(
    house: stage.Stage, pod: workloads.PodFollower
) -> None:
    lasting = stage.QUICK_HEALTH | {"minHealthySeconds": 600}
    house.paired_instances("shared", "well", health=lasting)

    house.simulator.break_("shared", "S15")

    kube.wait_until(lambda: restarts(house) == [("Replaced", "Succeeded")], timeout=90)
    house.wait_for_condition("shared", "Ready", "False", "RecoveryExhausted", timeout=90)
    house.quiet_for(3 * QUIET)
    assert house.reason("shared") == "Replaced"
    assert "planned" not in house.status("shared")["recovery"]
    assert restarts(house) == [("Replaced", "Succeeded")]
    assert (pod.stops, pod.starts) == (1, 1)
    assert house.mutating_calls("shared") == house.mutating_calls("well") == []


@pytest.mark.parametrize(
    "spec",
    [{"strategy": {"type": "RollingUpdate"}}, {"replicas": 2}, {"paused": True}],
    ids=["rolling update", "two replicas", "paused rollout"],
)
def test_workload_that_would_run_two_servers_at_once_is_not_restarted(
    staged: stage.Stage, workload: workloads.Workload, spec: dict[str, object]
) -> None:
    grant(staged)
    staged.kubectl("patch", "deployment", NAME, "--type=merge", "-p", json.dumps({"spec": spec}))
    staged.server(workloadRef=REFERENCE)
    staged.paired_instances("ghost")

    staged.simulator.break_("ghost", "S1")

    refused_by(staged, "UnsafeRollout")
    staged.wait_for_condition("ghost", "RemediationAllowed", "False", "UnsafeRollout")
    assert staged.mutating_calls("ghost") == []


def test_right_that_was_not_granted_and_workload_that_is_not_there_are_named(
    staged: stage.Stage, workload: workloads.Workload
) -> None:
    staged.server(workloadRef=REFERENCE)
    staged.paired_instances("ghost")
    staged.simulator.break_("ghost", "S1")

    refused_by(staged, "WorkloadForbidden")
    assert "whatsapp-operator-server-restart" in staged.told("ghost", "RemediationAllowed", "WorkloadForbidden")
    staged.server(workloadRef=REFERENCE | {"name": "another"})
    grant(staged)
    refused_by(staged, "WorkloadNotFound")


def test_server_is_not_restarted_while_that_would_cost_an_instance_its_pairing(
    house: stage.Stage, pod: workloads.PodFollower
) -> None:
    house.paired_instances("ghost", "sessionless")
    house.simulator.break_("sessionless", "S19")
    house.wait_for_reason("sessionless", "SessionMissing")

    house.simulator.break_("ghost", "S1")

    refused_by(house, "SessionMissing")
    assert pod.stops == 0
    house.delete("sessionless")
    house.wait_gone("sessionless")
    house.wait_ready("ghost", timeout=90)
    assert (pod.stops, pod.starts) == (1, 1)


def test_server_is_not_restarted_while_that_would_cost_an_instance_without_a_resource_its_pairing(
    house: stage.Stage, pod: workloads.PodFollower
) -> None:
    house.paired_instances("ghost")
    (stranger,) = house.simulator.seed(1, prefix="stranger")
    house.simulator.break_(stranger, "S19")

    def warned() -> list[str]:
        return [one["reason"] for one in house.kubectl.json("get", "evs", "main")["status"].get("warnings", ())]

    kube.wait_until(lambda: warned() == ["SessionMissing"], message="nobody was warned")

    house.simulator.break_("ghost", "S1")

    refused_by(house, "SessionMissing")
    assert "another instance" in house.told("ghost", "RemediationAllowed", "SessionMissing")
    assert pod.stops == 0
    assert house.mutating_calls(stranger) == house.mutating_calls("ghost") == []


def test_one_instance_waits_for_others_or_for_its_time(house: stage.Stage, pod: workloads.PodFollower) -> None:
    house.server(workloadRef=REFERENCE | {"minInstances": 2, "maxWaitSeconds": 600})
    house.paired_instances("ghost", "other", "third")

    house.simulator.break_("ghost", "S1")
    refused_by(house, "FewInstances")
    house.simulator.break_("other", "S1")

    house.wait_ready("ghost", timeout=90)
    house.wait_ready("other")
    assert (pod.stops, pod.starts) == (1, 1)


def test_budget_of_restarts_holds_over_a_restart_of_the_operator(
    house: stage.Stage, pod: workloads.PodFollower
) -> None:
    window = {"class": "ServerRestart", "max": 1, "periodSeconds": 3600}
    house.server(workloadRef=REFERENCE, budget={"windows": [window]})
    house.paired_instances("ghost", "other")
    house.simulator.break_("ghost", "S1")
    kube.wait_until(lambda: len(restarts(house)) == 1, timeout=90)
    house.wait_ready("ghost")

    house.restart_operator()
    house.simulator.break_("other", "S1")

    house.wait_for_condition("other", "RemediationAllowed", "False", "BudgetExhausted")
    house.quiet_for(QUIET)
    assert (pod.stops, pod.starts) == (1, 1)


def test_operator_that_dies_in_the_middle_goes_on_without_a_second_restart(
    house: stage.Stage, pod: workloads.PodFollower, workload: workloads.Workload
) -> None:
    workload.apply(ready_after="6s")
    workload.wait_rolled_out()
    house.paired_instances("ghost")
    stops = pod.stops

    house.simulator.break_("ghost", "S1")
    kube.wait_until(lambda: pod.stops == stops + 1, timeout=60, message="the rollout did not begin")
    house.operator.kill()
    time.sleep(1)
    house.operator.start()

    kube.wait_until(lambda: restarts(house) == [("Ghost", "Succeeded")], timeout=90)
    house.wait_ready("ghost", timeout=60)
    assert pod.stops == stops + 1
    assert house.mutating_calls("ghost") == []


def restarted_at(house: stage.Stage, kind: str = "deployment") -> str:
    """The annotation by which the workload was told to restart; empty where it never was."""
    metadata = house.kubectl.json("get", kind, NAME)["spec"]["template"]["metadata"]
    return str(metadata.get("annotations", {}).get(workloads.RESTARTED_AT, ""))


def test_operator_that_dies_before_it_changes_the_workload_begins_anew_and_restarts_it_once(
    house: stage.Stage, pod: workloads.PodFollower, tmp_path: Path
) -> None:
    house.paired_instances("ghost")
    trusted = tls.authority(tmp_path / "authority")
    with holding.workload_changes(house.kubectl, trusted, by="whatsapp-operator") as gate:
        house.simulator.break_("ghost", "S1")
        assert gate.arrived.wait(60), "the workload was never changed"
        house.operator.kill()
    assert recovery(house)["inFlight"]
    assert (restarted_at(house), pod.stops) == ("", 0)

    house.operator.start()

    wanted = [("Ghost", "Interrupted"), ("Ghost", "Succeeded")]
    kube.wait_until(lambda: restarts(house) == wanted, timeout=90, message="the restart was not made up for")
    house.wait_ready("ghost", timeout=60)
    house.quiet_for(QUIET)
    assert (pod.stops, pod.starts) == (1, 1)
    assert house.mutating_calls("ghost") == []


def test_stateful_set_is_restarted_by_its_annotation_and_its_instances_keep_their_pairing(staged: stage.Stage) -> None:
    grant(staged)
    workload = workloads.Workload(staged.kubectl, "StatefulSet", NAME)
    workload.apply(ready_after="1s", gone_after="1s")
    workload.wait_rolled_out()
    with workloads.PodFollower(workload, staged.simulator, load_seconds=0.2).following() as pod:
        staged.server(workloadRef=REFERENCE | {"kind": "StatefulSet"})
        staged.paired_instances("ghost", "well")
        owners = {name: staged.simulator.instance(name)["ownerJid"] for name in ("ghost", "well")}

        staged.simulator.break_("ghost", "S1")

        kube.wait_until(lambda: ("Ghost", "Succeeded") in restarts(staged), timeout=90)
        for name, owner in owners.items():
            staged.wait_ready(name)
            assert staged.simulator.instance(name)["ownerJid"] == owner
            assert staged.mutating_calls(name) == []
        history = recovery(staged)["history"]
        assert isinstance(history, list)
        assert restarted_at(staged, "statefulset") == history[-1]["startTime"]
        assert (pod.stops, pod.starts) == (1, 1)


def test_workload_is_restarted_once_its_rollout_is_made_safe(staged: stage.Stage, workload: workloads.Workload) -> None:
    grant(staged)
    workload.apply(strategy={"type": "RollingUpdate"})
    with workloads.PodFollower(workload, staged.simulator).following() as pod:
        staged.server(workloadRef=REFERENCE)
        staged.paired_instances("ghost")
        staged.simulator.break_("ghost", "S1")
        refused_by(staged, "UnsafeRollout")

        workload.apply(strategy={"type": "Recreate", "rollingUpdate": None})

        staged.wait_ready("ghost", timeout=90)
        assert (pod.stops, pod.starts) == (1, 1)
        assert staged.mutating_calls("ghost") == []


def test_few_instances_wait_no_longer_than_their_server_says(house: stage.Stage, pod: workloads.PodFollower) -> None:
    house.server(workloadRef=REFERENCE | {"minInstances": 2, "maxWaitSeconds": 20})
    house.paired_instances("ghost", "well")

    house.simulator.break_("ghost", "S1")

    refused_by(house, "FewInstances")
    planned = recovery(house)["planned"]
    kube.wait_until(lambda: ("Ghost", "Succeeded") in restarts(house), timeout=90)
    history = recovery(house)["history"]
    assert isinstance(planned, dict)
    assert isinstance(history, list)
    assert history[-1]["startTime"] >= planned["at"]
    assert (pod.stops, house.mutating_calls("ghost")) == (1, [])


def test_key_that_everybody_knows_is_warned_of(house: stage.Stage) -> None:
    public = "BQYHJGJHJ"
    house.simulator.set_api_key(public)
    secret = json.dumps({"stringData": {"apikey": public}})
    house.kubectl("patch", "secret", f"{stage.SERVER}-key", "--type=merge", "-p", secret)

    def warned() -> set[str]:
        return {one["reason"] for one in house.kubectl.json("get", "evs", "main")["status"].get("warnings", ())}

    kube.wait_until(lambda: warned() == {"DefaultAPIKey"}, timeout=60)


def test_warnings_name_what_will_lose_pairings_one_day(house: stage.Stage) -> None:
    variables = [{"name": "DEL_INSTANCE", "value": "5"}, {"name": "CACHE_REDIS_SAVE_INSTANCES", "value": "true"}]
    container = {"name": "api", "image": "evolution-api", "env": variables}
    template = {"spec": {"template": {"spec": {"containers": [container]}, "metadata": {"labels": {"app": NAME}}}}}
    house.kubectl("patch", "deployment", NAME, "--type=merge", "-p", json.dumps(template))

    def warned() -> set[str]:
        return {one["reason"] for one in house.kubectl.json("get", "evs", "main")["status"].get("warnings", ())}

    kube.wait_until(lambda: warned() == {"InstancesExpire", "InstancesInRedis"}, timeout=60)


def test_relogin_on_a_version_that_it_deafens_is_followed_by_a_restart_of_the_server(
    house: stage.Stage, pod: workloads.PodFollower
) -> None:
    house.restart_operator("--flapping-seconds=3")
    house.simulator.set_version("2.3.6")
    at_once = {"sessionLossDelaySeconds": 1, "maxAttempts": 1}
    house.paired_instances("spoilt", "witness", recovery=at_once)

    house.simulator.break_("spoilt", "S7")

    house.wait_for_steps("spoilt", ("Relogin", "Credentials", "Succeeded"), timeout=90)
    kube.wait_until(lambda: restarts(house) == [("Deaf", "Succeeded")], timeout=90, message="it was left deaf")
    house.wait_for_reason("spoilt", "AwaitingScan")
    house.simulator.scan("spoilt")
    house.wait_ready("spoilt")
    assert house.simulator.receive("spoilt") == 1
    assert (pod.stops, pod.starts) == (1, 1)
    assert {"delete", "create"}.isdisjoint(house.mutating_calls("spoilt"))


def test_unusable_credentials_are_recreated_where_a_relogin_would_leave_the_instance_deaf(staged: stage.Stage) -> None:
    staged.restart_operator("--flapping-seconds=3")
    staged.simulator.set_version("2.3.6")
    staged.paired_instances("spoilt", "witness", recovery={"sessionLossDelaySeconds": 1})

    staged.simulator.break_("spoilt", "S7")

    staged.wait_for_steps("spoilt", ("Recreate", "Credentials", "Succeeded"), timeout=90)
    staged.wait_for_reason("spoilt", "AwaitingScan")
    staged.simulator.scan("spoilt")
    staged.wait_ready("spoilt")
    assert staged.simulator.receive("spoilt") == 1
    assert staged.mutating_calls("witness") == []
