"""A server that is away is left alone, and looked at at once when it is back; a broken instance is no burden."""

import collections
import re
import time

import pytest

from e2e import kube, stage

NAMES = tuple(f"shop-{number:02}" for number in range(20))
SILENCE_SECONDS = 12.0
LOOKED_AT_WITHIN = 8.0
ALLOWANCE = 2
"""Reads that were on their way when the counting began."""


def circuit_is_open(staged: stage.Stage) -> bool:
    return 'circuit_open{server="' + f"{staged.namespace}/{stage.SERVER}" + '"} 1.0' in staged.operator.metrics()


def attempts(staged: stage.Stage) -> collections.Counter[str]:
    """How many calls the operator made, by route, whether or not anyone was there."""
    counted: collections.Counter[str] = collections.Counter()
    pattern = r'evolution_calls_total{[^}]*route="([^"]+)"} (\S+)'
    for route, count in re.findall(pattern, staged.operator.metrics()):
        counted[route] += int(float(count))
    return counted


def test_server_that_is_down_is_left_alone_and_looked_at_at_once_when_it_is_back(staged: stage.Stage) -> None:
    staged.paired_instances(*NAMES)

    staged.simulator.down()
    kube.wait_until(lambda: circuit_is_open(staged), timeout=30, message="the circuit never opened")
    before = attempts(staged)
    staged.quiet_for(SILENCE_SECONDS)
    made = attempts(staged) - before

    # A period of one second, doubling: at most four trials in the time.
    assert set(made) <= {"/metrics", "/instance/fetchInstances"}
    assert sum(made.values()) <= 4
    assert staged.condition(NAMES[0], "Ready") == ("Unknown", "ServerUnreachable")

    staged.simulator.up()
    kube.wait_until(lambda: not circuit_is_open(staged), timeout=45, message="the circuit never closed")
    closed = time.monotonic()
    for name in NAMES:
        staged.wait_ready(name, timeout=LOOKED_AT_WITHIN)
    assert time.monotonic() - closed < LOOKED_AT_WITHIN + SILENCE_SECONDS
    for name in NAMES:
        assert staged.mutating_calls(name) == []


def calls_by_instance(staged: stage.Stage, *, seconds: float) -> collections.Counter[str]:
    staged.simulator.reset_calls()
    staged.quiet_for(seconds)
    return collections.Counter(call["instance"] or "" for call in staged.simulator.calls())


@pytest.mark.parametrize("mode", ["Disabled", "DryRun"])
def test_broken_instance_causes_no_more_calls_than_a_healthy_one(staged: stage.Stage, mode: str) -> None:
    stuck, gone, well = NAMES[0], NAMES[1], NAMES[2:]
    staged.paired_instances(*NAMES, recovery={"mode": mode})
    healthy = calls_by_instance(staged, seconds=SILENCE_SECONDS)

    staged.simulator.break_(stuck, "S4")
    staged.simulator.break_(gone, "S1")
    staged.wait_for_reason(stuck, "Connecting")
    staged.wait_for_reason(gone, "Ghost")
    broken = calls_by_instance(staged, seconds=SILENCE_SECONDS)

    assert max(broken[stuck], broken[gone]) <= max(broken[name] for name in well)
    assert sum(broken.values()) <= sum(healthy.values()) + ALLOWANCE
