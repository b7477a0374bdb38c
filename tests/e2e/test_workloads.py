"""What the tests of a restart take for granted: real rollouts, and a server that restarts with its pod."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from e2e import kube, planes
from e2e.workloads import PodFollower, Workload
from evolution_simulator.control_client import Simulator

pytestmark = planes.native_only
KINDS = ("Deployment", "StatefulSet")
NAMES = ("instance-00000", "instance-00001", "instance-00002")


@contextlib.contextmanager
def listening(simulator: Simulator) -> Iterator[list[bool]]:
    """How the server's port went between open and closed while the block lasted, first and last state included."""
    seen = [bool(simulator.state()["listening"])]
    over = threading.Event()
    looker = Simulator(simulator.control)

    def look() -> None:
        if (now := bool(looker.state()["listening"])) is not seen[-1]:
            seen.append(now)

    def keep_looking() -> None:
        while not over.wait(0.02):
            look()

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        look()
        looker.close()


def rolled_out(kubectl: kube.Kubectl, kind: str, *, ready_after: str = "0s", gone_after: str = "0s") -> Workload:
    workload = Workload(kubectl, kind, "evolution-api")
    workload.apply(ready_after=ready_after, gone_after=gone_after)
    workload.wait_rolled_out()
    return workload


@pytest.mark.parametrize("kind", KINDS)
def test_rollout_brings_a_new_pod_and_restarts_its_server_once(
    kind: str, kubectl: kube.Kubectl, simulator: Simulator
) -> None:
    simulator.seed(len(NAMES))
    workload = rolled_out(kubectl, kind, ready_after="1s", gone_after="1s")
    (old,) = workload.pod_uids()

    with PodFollower(workload, simulator).following() as follower, listening(simulator) as port:
        workload.restart("2026-01-01T00:00:00Z")
        workload.wait_rolled_out()
        kube.wait_until(lambda: follower.starts == 1)

    (new,) = workload.pod_uids()
    assert new != old
    assert port == [True, False, True]
    assert (follower.stops, follower.starts) == (1, 1)
    for name in NAMES:
        simulator.wait_for(name, lambda found: found["memory"] == "open")


@pytest.mark.parametrize("kind", KINDS)
def test_old_pod_is_gone_before_the_new_one_is_created(kind: str, kubectl: kube.Kubectl, simulator: Simulator) -> None:
    workload = rolled_out(kubectl, kind, gone_after="1s")
    (old,) = workload.pod_uids()

    with PodFollower(workload, simulator).following() as follower:
        workload.restart("2026-01-01T00:00:00Z")
        kube.wait_until(lambda: follower.starts == 1)

    new = follower.happened("created")[-1]
    order = [(step.what, step.uid) for step in follower.steps]
    assert order.index(("ending", old)) < order.index(("deleted", old)) < order.index(("created", new))
    assert follower.happened("created") == [old, new]


def test_rows_load_one_after_another_once_the_new_pod_is_ready(kubectl: kube.Kubectl, simulator: Simulator) -> None:
    simulator.seed(len(NAMES))
    workload = rolled_out(kubectl, "Deployment")

    with PodFollower(workload, simulator, load_seconds=1).following() as follower:
        workload.restart("2026-01-01T00:00:00Z")
        kube.wait_until(lambda: follower.starts == 1)
        states = [simulator.instance(name)["memory"] for name in NAMES]
        simulator.wait_for(NAMES[-1], lambda found: found["memory"] == "open")

    assert states[-1] is None


def test_server_stays_down_while_the_new_pod_does_not_get_ready(kubectl: kube.Kubectl, simulator: Simulator) -> None:
    workload = rolled_out(kubectl, "Deployment")

    with PodFollower(workload, simulator).following() as follower:
        workload.apply(ready_after="1h")
        kube.wait_until(lambda: len(follower.happened("created")) == 2)
        time.sleep(2)

    old, new = follower.happened("created")
    assert follower.happened("deleted") == [old]
    assert new not in follower.happened("ready")
    assert (follower.stops, follower.starts) == (1, 0)
    assert simulator.state()["listening"] is False
    assert kubectl.condition("deployment", workload.name, "Available")["status"] == "False"


def test_pod_that_is_deleted_by_hand_restarts_its_server_too(kubectl: kube.Kubectl, simulator: Simulator) -> None:
    workload = rolled_out(kubectl, "StatefulSet")
    (old,) = workload.pods()

    with PodFollower(workload, simulator, down_seconds=1).following() as follower:
        kubectl("delete", "pod", old["metadata"]["name"])
        kube.wait_until(lambda: follower.starts == 1)

    assert follower.happened("deleted") == [old["metadata"]["uid"]]
    assert follower.stops == 1
    assert simulator.state()["listening"] is True


def test_same_restart_patched_again_replaces_no_pod(kubectl: kube.Kubectl, simulator: Simulator) -> None:
    workload = rolled_out(kubectl, "Deployment")
    workload.restart("2026-01-01T00:00:00Z")
    workload.wait_rolled_out()
    before = workload.pod_uids()

    with PodFollower(workload, simulator).following() as follower:
        workload.restart("2026-01-01T00:00:00Z")
        time.sleep(2)

    assert workload.pod_uids() == before
    assert (follower.stops, follower.starts) == (0, 0)


def test_pod_that_names_no_node_stays_pending(kubectl: kube.Kubectl) -> None:
    kubectl("run", "homeless", "--image=evolution-api")

    time.sleep(2)

    assert kubectl.json("get", "pod", "homeless")["status"]["phase"] == "Pending"
