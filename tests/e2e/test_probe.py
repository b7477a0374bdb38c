"""Probes: what one round trip to WhatsApp tells of the instance that is asked, and of the way there for the others."""

import pytest

from e2e import kube, stage

PROBE = "fetchBusinessProfile"
SETTLES_SECONDS = 4.0
HOOK = "http://127.0.0.1:9/hook"
LOSES_SOON = {"sessionLossDelaySeconds": 1}
PROBED = {"probe": {"mode": "Enabled", "periodSeconds": 4}}


def probes(staged: stage.Stage, *names: str) -> int:
    """Round trips to WhatsApp through any of these instances."""
    return sum(len(staged.simulator.calls(instance=name, route=PROBE)) for name in names)


@pytest.fixture
def flapping_counts_soon(staged: stage.Stage) -> stage.Stage:
    """Three seconds of flapping are more than a bad network."""
    staged.restart_operator("--flapping-seconds=3")
    return staged


def test_unusable_credentials_are_relogged_in_when_a_neighbour_answers_a_probe(
    flapping_counts_soon: stage.Stage,
) -> None:
    staged = flapping_counts_soon
    webhook = {"url": HOOK, "events": ["MESSAGES_UPSERT", "LOGOUT_INSTANCE"]}
    staged.paired_instances("spoilt", webhook=webhook, recovery=LOSES_SOON)
    staged.paired_instances("witness")

    staged.simulator.break_("spoilt", "S7")

    staged.wait_for_steps("spoilt", ("Relogin", "Credentials", "Succeeded"), timeout=90)
    staged.wait_for_reason("spoilt", "AwaitingScan")
    assert probes(staged, "witness") in (1, 2)
    assert staged.mutating_calls("witness") == []
    assert probes(staged, "spoilt") == 0
    called = staged.mutating_calls("spoilt")
    assert called[:2] == ["webhookSet", "logout"]
    assert {"delete", "create", "restart"}.isdisjoint(called)
    kube.wait_until(lambda: staged.simulator.instance("spoilt")["webhook"], message="the webhook was not put back")
    called = staged.mutating_calls("spoilt")
    assert "connect" in called[called.index("logout") : _last(called, "webhookSet")]
    kube.wait_until(lambda: staged.kubectl.exists("secret", "spoilt-pairing"), message="no QR code was offered")
    staged.simulator.scan("spoilt")
    staged.wait_ready("spoilt")


def test_unusable_credentials_that_nobody_vouches_for_are_left_as_they_are(flapping_counts_soon: stage.Stage) -> None:
    staged = flapping_counts_soon
    staged.paired_instances("spoilt", recovery=LOSES_SOON)
    staged.paired_instances("witness", "other")
    staged.simulator.fault("half-open", route=PROBE)

    staged.simulator.break_("spoilt", "S7")

    staged.wait_for_reason("spoilt", "Flapping")
    kube.wait_until(lambda: probes(staged, "witness", "other") == 1, message="nobody was asked")
    staged.quiet_for(2 * SETTLES_SECONDS)
    assert staged.reason("spoilt") == "Flapping"
    assert probes(staged, "witness", "other") == 1
    assert staged.mutating_calls("spoilt") == []
    assert staged.steps("spoilt") == staged.steps("witness") == []


def test_dead_socket_is_found_restarted_once_and_left_to_a_restart_of_the_server(staged: stage.Stage) -> None:
    staged.paired_instances("zombie", "well", health=PROBED, recovery=LOSES_SOON)

    staged.simulator.break_("zombie", "S3")

    staged.wait_for_steps("zombie", ("Restart", "DeadSocket", "Failed"))
    staged.wait_for_reason("zombie", "DeadSocket")
    kube.wait_until(lambda: staged.status("zombie")["healthState"] == "Corrupted", message="it was not found worse")
    staged.wait_for_condition("zombie", "RemediationAllowed", "False", "NeedsServerRestart")
    staged.quiet_for(2 * SETTLES_SECONDS)
    assert "NeedsServerRestart" in staged.status("zombie")["recovery"]["blockedBy"]
    assert staged.condition("zombie", "Functional") == ("False", "DeadSocket")
    assert staged.mutating_calls("zombie") == ["restart"]
    assert staged.mutating_calls("well") == []
    assert staged.condition("well", "Functional") == ("True", "Answered")
    staged.simulator.restart_server()
    staged.wait_ready("zombie")
    staged.wait_for_condition("zombie", "Functional", "True", "Answered")
    assert staged.mutating_calls("zombie") == ["restart"]


def test_healthy_instance_is_probed_once_in_a_period_and_writes_nothing(staged: stage.Stage) -> None:
    staged.paired_instances("well", health={"probe": {"mode": "Enabled", "periodSeconds": 5}})
    staged.wait_for_condition("well", "Functional", "True", "Answered")
    staged.quiet_for(SETTLES_SECONDS)
    staged.simulator.reset_calls()
    before = staged.resource_version("wai", "well")

    staged.quiet_for(15)

    assert probes(staged, "well") == 3
    assert staged.resource_version("wai", "well") == before
    assert staged.mutating_calls("well") == []


def test_silence_is_no_evidence_and_what_nobody_wants_probed_is_not(staged: stage.Stage) -> None:
    staged.server(health={**stage.QUICK_HEALTH, "probe": {"mode": "Enabled", "periodSeconds": 2}})
    staged.paired_instances("mute")
    staged.paired_instances("off", health={"probe": {"mode": "Disabled"}})
    staged.wait_for_condition("mute", "Functional", "True", "Answered")
    staged.simulator.fault("half-open", route=PROBE)
    staged.simulator.reset_calls()

    staged.quiet_for(4 * SETTLES_SECONDS)

    assert probes(staged, "mute") > 2
    assert probes(staged, "off") == 0
    for name in ("mute", "off"):
        assert staged.condition(name, "Ready") == ("True", "Healthy")
        assert staged.mutating_calls(name) == []
    assert staged.condition("mute", "Functional") == ("True", "Answered")
    assert staged.condition("off", "Functional") == ("Unknown", "NotRequested")


def _last(called: list[str], route: str) -> int:
    return len(called) - 1 - called[::-1].index(route)
