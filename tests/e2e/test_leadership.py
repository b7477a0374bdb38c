"""Several replicas on one API server: who works on which server, and who does not any more.

The simulator's journal does not tell replicas apart, so what each did is told by what it counts: each operator's own
metrics say how many calls it made, and its audit log says which steps.
"""

import contextlib
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e import kube, partition, stage
from evolution_simulator.control_client import Simulator

TERMS = ("--lease-duration-seconds=15", "--renew-deadline-seconds=10", "--renew-period-seconds=4")
"""The defaults: the times that are promised are promised for them."""
ANSWERED_AFTER_ALL = 4
"""Calls that were under way when it stopped; a call is counted when it ends."""
MEMBER = "whatsapp-operator-member-"


class House:
    """Replicas in one namespace; their logs are kept apart."""

    def __init__(self, place: stage.Stage, flags: tuple[str, ...], folder: Path) -> None:
        self.place, self.flags, self.folder = place, flags, folder
        self.replicas: list[stage.Operator] = []

    def start(self, kubeconfig: Path | None = None) -> stage.Operator:
        """Start one more, and wait until it is ready."""
        log = self.folder / f"operator-{len(self.replicas)}.log"
        one = stage.Operator(kubeconfig or self.place.operator.kubeconfig, log, self.flags)
        self.replicas.append(one)
        one.start()
        kube.wait_until(lambda: one.ready() == (200, "ok\n"), timeout=30, message="a replica did not become ready")
        return one

    def stop(self) -> None:
        for one in self.replicas:
            with contextlib.suppress(ProcessLookupError):
                if one.process is not None:
                    one.process.send_signal(signal.SIGCONT)
            one.stop()
            stage.show_log(one)
        self.replicas = []

    def holder(self, server: str = stage.SERVER) -> str:
        """The member that a server's claim names; empty when it is free."""
        for lease in self.place.kubectl.json("get", "leases")["items"]:
            notes = lease["metadata"].get("annotations", {})
            if notes.get("whatsapp-operator.dev/server") == f"{self.place.namespace}/{server}":
                return str(lease["spec"].get("holderIdentity") or "")
        return ""

    def members(self) -> int:
        """How many member Leases there are."""
        return self.place.kubectl("get", "leases", "-o", "name").count(MEMBER)


def number(one: stage.Operator, metric: str) -> float:
    """The sum of a metric over its labels."""
    found = re.findall(rf"^whatsapp_operator_{metric}(?:{{[^}}]*}})? (\S+)$", one.metrics(), re.MULTILINE)
    return sum(float(value) for value in found)


def claims(one: stage.Operator) -> float:
    return number(one, "claims")


def steps(one: stage.Operator) -> list[str]:
    """The steps that a replica began, by its audit log."""
    records = (json.loads(line) for line in one.log().splitlines() if line.startswith("{"))
    return [str(record["step"]) for record in records if record.get("phase") == "intent"]


@pytest.fixture
def house(
    namespace: str,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig_for: Callable[[str], Path],
    tmp_path: Path,
) -> Iterator[House]:
    """A server, and no replica yet."""
    stage.install_roles(kubectl, namespace)
    unused = stage.Operator(kubeconfig=kubeconfig_for("whatsapp-operator"), log_file=tmp_path / "unused.log")
    place = stage.Stage(namespace=namespace, kubectl=kubectl, simulator=simulator, operator=unused)
    place.server()
    built = House(place, stage.quick(*TERMS, f"--namespace={namespace}"), tmp_path)
    yield built
    built.stop()


Wires = dict[Path, partition.Wire]


@pytest.fixture
def wires(house: House, tmp_path: Path) -> Iterator[Wires]:
    """Two kubeconfigs, each with a wire of its own to the API server."""
    with contextlib.ExitStack() as opened:
        paths = [tmp_path / "wired-0", tmp_path / "wired-1"]
        plain = house.place.operator.kubeconfig
        found = {path: opened.enter_context(partition.wired(plain, path)) for path in paths}
        yield found
        for wire in found.values():
            wire.mend()
        house.stop()


def pair_up(house: House, *kubeconfigs: Path) -> tuple[stage.Operator, stage.Operator]:
    """The replica that works on the server, and the one that stands by."""
    first, second = kubeconfigs or (None, None)
    one, other = house.start(first), house.start(second)
    kube.wait_until(lambda: house.members() == 2, message="they did not both become members")
    kube.wait_until(lambda: claims(one) + claims(other) == 1, timeout=40, message="nobody took the server")
    house.place.kubectl("wait", "evs/main", "--for=condition=Ready", "--timeout=55s")
    time.sleep(5)  # it may go over to the second one once that is seen
    kube.wait_until(lambda: claims(one) + claims(other) == 1, message="nobody has the server")
    return (one, other) if claims(one) else (other, one)


def seconds_until(done: Callable[[], object], *, timeout: float) -> float:
    began = time.monotonic()
    kube.wait_until(done, timeout=timeout, every=0.1, message="the server was not taken over")
    return time.monotonic() - began


def test_standby_is_ready_and_makes_no_call(house: House) -> None:
    leader, standby = pair_up(house)
    house.place.paired_instances("user-1")
    before = number(standby, "evolution_calls_total")
    house.place.quiet_for(6)
    assert standby.ready() == (200, "ok\n")
    assert number(standby, "evolution_calls_total") == before
    assert number(leader, "evolution_calls_total") > 0
    assert number(standby, "member_live") == number(leader, "member_live") == 1


def test_replica_that_is_told_to_end_is_followed_within_five_seconds(house: House) -> None:
    leader, standby = pair_up(house)
    house.place.paired_instances("user-1")
    assert leader.process is not None
    leader.process.send_signal(signal.SIGTERM)
    house.place.simulator.break_("user-1", "S17")

    took = seconds_until(lambda: claims(standby) == 1, timeout=30)

    assert took < 5
    house.place.wait_ready("user-1", timeout=60)
    assert house.place.mutating_calls("user-1") == ["restart"]
    assert (steps(leader), steps(standby)) == (["Create"], ["Restart"])
    assert leader.process.wait(20) == 0
    assert house.members() == 1


def test_replica_that_is_killed_is_followed_within_twenty_seconds(house: House) -> None:
    leader, standby = pair_up(house)
    house.place.paired_instances("user-1")
    leader.kill()
    house.place.simulator.break_("user-1", "S17")

    took = seconds_until(lambda: claims(standby) == 1, timeout=40)

    assert 10 < took < 20
    house.place.wait_ready("user-1", timeout=60)
    assert house.place.mutating_calls("user-1") == ["restart"]
    assert steps(standby) == ["Restart"]


def hold(simulator: Simulator, route: str, begin: Callable[[], object]) -> None:
    """Begin something, and return when a request of it is held by the server, before its effect."""
    held = simulator.fault("hold-before", route=route, count=1)
    begin()
    kube.wait_until(
        lambda: any(fault["id"] == held and fault["hits"] for fault in simulator.faults()),
        timeout=90,
        message=f"{route} was never called",
    )


def wait_for_recovery(house: House, name: str) -> None:
    house.place.wait_for_reason(name, "AwaitingScan", timeout=90)
    house.place.simulator.scan(name)
    house.place.wait_ready(name)


def recreated_once(house: House, name: str) -> None:
    """One instance came of it, by one create that did something."""
    created = [call["status"] for call in house.place.simulator.calls(route="create", instance=name)]
    assert created.count(201) <= 1
    assert house.place.status(name)["instanceID"] == house.place.simulator.instance(name)["id"]


def test_replica_that_stood_still_in_the_middle_of_a_step_makes_no_further_call(house: House, wires: Wires) -> None:
    leader, standby = pair_up(house, *wires)
    simulator = house.place.simulator
    house.place.unpaired_instance("ghost")
    hold(simulator, "delete", lambda: simulator.break_("ghost", "S1"))
    assert leader.process is not None
    made = number(leader, "evolution_calls_total")
    leader.process.send_signal(signal.SIGSTOP)
    kube.wait_until(lambda: claims(standby) == 1, timeout=40, message="the server was not taken over")

    # Cut off as well, so that it gets nothing back: once it is seen to live, it may have the server again.
    wires[leader.kubeconfig].cut()
    simulator.release()
    leader.process.send_signal(signal.SIGCONT)

    kube.wait_until(lambda: number(leader, "claims_lost_total") >= 1, message="it noticed nothing")
    went_on_elsewhere(house, leader, "ghost", made=made)


def went_on_elsewhere(house: House, leader: stage.Operator, name: str, *, made: float) -> None:
    """The other has finished what the leader began; beyond the request that was held, the leader called nothing."""
    house.place.wait_for_reason(name, "AwaitingScan", timeout=90)
    house.place.simulator.scan(name)
    house.place.wait_ready(name)
    assert number(leader, "evolution_calls_total") <= made + ANSWERED_AFTER_ALL
    assert steps(leader) == ["Create", "Recreate"]
    created = [call["status"] for call in house.place.simulator.calls(route="create", instance=name)]
    assert created.count(201) <= 1
    assert house.place.status(name)["instanceID"] == house.place.simulator.instance(name)["id"]
    history = house.place.status(name)["recovery"]["history"]
    assert (history[0]["step"], history[0]["result"]) == ("Recreate", "Interrupted")


def test_replica_that_is_cut_off_in_the_middle_of_a_step_stops_and_the_other_goes_on(
    house: House, wires: Wires
) -> None:
    leader, standby = pair_up(house, *wires)
    simulator = house.place.simulator
    house.place.unpaired_instance("ghost")
    hold(simulator, "delete", lambda: simulator.break_("ghost", "S1"))

    wires[leader.kubeconfig].cut()

    kube.wait_until(lambda: claims(leader) == 0, timeout=20, message="it did not stop")
    made = number(leader, "evolution_calls_total")
    simulator.release()
    kube.wait_until(lambda: claims(standby) == 1, timeout=30, message="the server was not taken over")
    went_on_elsewhere(house, leader, "ghost", made=made)
    assert number(leader, "member_live") == 0
    wires[leader.kubeconfig].mend()
    kube.wait_until(lambda: number(leader, "member_live") == 1, timeout=60, message="it did not come back")
    kube.wait_until(lambda: claims(leader) + claims(standby) == 1, timeout=60, message="nobody has the server")


def test_server_that_is_handed_over_and_back_within_a_minute_is_healed_by_whoever_has_it(
    house: House, wires: Wires
) -> None:
    house.flags = stage.quick(f"--namespace={house.place.namespace}")
    leader, standby = pair_up(house, *wires)
    house.place.paired_instances("user-1")

    for _ in range(3):
        wires[leader.kubeconfig].cut()
        kube.wait_until(lambda: claims(standby) == 1, timeout=20, message="it was not taken over")
        wires[leader.kubeconfig].mend()
        kube.wait_until(lambda: (claims(leader), claims(standby)) == (1, 0), timeout=20, message="it did not go back")
        healed_within_seconds(house, 20)

    assert set(steps(standby)) <= {"Restart"}


def healed_within_seconds(house: House, seconds: float) -> None:
    """Whoever has the server sees what broke, and heals it by one restart."""
    house.place.simulator.reset_calls()
    house.place.simulator.break_("user-1", "S17")
    began = time.monotonic()
    kube.wait_until(
        lambda: house.place.simulator.instance("user-1")["memory"] == "open", timeout=90, message="it was not healed"
    )
    assert time.monotonic() - began < seconds
    house.place.wait_ready("user-1", timeout=30)
    assert house.place.mutating_calls("user-1") == ["restart"]


@pytest.fixture
def fleet(house: House) -> Iterator[list[Simulator]]:
    """Three more simulated servers."""
    with contextlib.ExitStack() as opened:
        more = []
        for name in ("second", "third", "fourth"):
            found = opened.enter_context(contextlib.contextmanager(stage.open_simulator)())
            house.place.server(name, url=found.url)
            more.append(found)
        yield more


def test_replicas_share_the_servers_and_take_over_those_of_one_that_is_killed(
    house: House, fleet: list[Simulator]
) -> None:
    first, second = house.start(), house.start()
    kube.wait_until(lambda: (claims(first), claims(second)) == (2, 2), timeout=40, message="they did not share")
    for server in ("main", "second", "third", "fourth"):
        house.place.kubectl("wait", f"evs/{server}", "--for=condition=Ready", "--timeout=55s")

    second.kill()

    took = seconds_until(lambda: claims(first) == 4, timeout=40)
    assert took < 20
    for one in fleet:
        one.reset_calls()
    kube.wait_until(lambda: all(one.calls() for one in fleet), message="a server was not read any more")
    assert number(first, "claims_lost_total") == 0
