"""What must go on does, within its bound; and what would keep it from going on is found."""

from __future__ import annotations

from collections.abc import Mapping
from unittest import mock

import pytest
from simulation import deeds
from simulation import setup as setups
from simulation.invariants.liveness import STUCK_SECONDS
from simulation.kubernetes import kinds
from simulation.run import Sabotage, Scenario, run
from simulation.stage import Stage

from evolution_simulator import faults
from evolution_simulator.version import ConnectionState
from simulated.scenarios import (
    ON_MAIN,
    PAIRED,
    ROLLED_OUT,
    ROOMY,
    SOON,
    broken,
    created,
    named,
    of_server,
    refused,
    scenario,
    told,
)
from whatsapp_operator.engine import deletion
from whatsapp_operator.recovery import ladder, strategies
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepResult

DELETE = ("delete", {"namespace": setups.HOME, "name": "i0"})


async def sends_nothing(_: strategies.Work) -> strategies.Done:
    return strategies.Done.PENDING


def never_restarts_what_connects() -> mock._patch_dict:
    return mock.patch.dict(ladder.LADDERS, {Reason.CONNECTING: ()})


def deletes_nothing_and_says_nothing() -> mock._patch[object]:
    return mock.patch.multiple(
        deletion, strategies=mock.Mock(wraps=strategies, delete=sends_nothing), _REFUSED_AFTER=99
    )


STUCK = scenario((0, *broken("i0", "S17")), ends=30.0)
GOING = scenario((0, *DELETE), ends=30.0)

HELD_UP: Mapping[str, tuple[Scenario, Sabotage]] = {
    "stuck_instance_is_restarted_within_a_bound": (STUCK, never_restarts_what_connects),
    "deletion_ends_or_says_what_blocks_it": (GOING, deletes_nothing_and_says_nothing),
}


@pytest.mark.parametrize("invariant", HELD_UP)
def test_what_is_held_up_is_found_and_nothing_is_where_the_operator_is_as_it_should_be(invariant: str) -> None:
    scene, sabotage = HELD_UP[invariant]

    assert run(1, scenario=scene, sabotage=sabotage).broken == invariant
    assert run(1, scenario=scene).broken is None


def test_what_is_closed_without_a_code_after_a_restart_of_the_server_is_connected_and_paired_again() -> None:
    restart = ("server_down", {"server": "main", "seconds": 3.0, "listener_only": False})

    history = told(scenario((0, *broken("i0", "S19")), (120, *restart)))

    assert "announces Reconnect of i0 (Soft, UnexplainedClose)" in history
    assert history.rindex("tells of i0: Healthy") > history.index("tells of i0: UnexplainedClose")


def test_closed_without_a_code_is_not_connected_while_recovery_is_only_planned() -> None:
    restart = ("server_down", {"server": "main", "seconds": 3.0, "listener_only": False})

    history = told(scenario((0, *broken("i0", "S19")), (120, *restart), recovery={"mode": "DryRun"}))

    assert "UnexplainedClose plans Reconnect against [DryRun]" in history
    assert "announces Reconnect" not in history


def hang_all(instances: int) -> Scenario:
    """Nobody scans, and no instance gets a code: WhatsApp answers no login for a while, and each hangs from then on."""
    away = ("reach", {"server": "main", "how": "silent", "seconds": 150.0})
    return scenario((-78, *away), instances=instances, ends=1500.0, scans=5.0, budget={"maxInFlight": 1})


def test_where_no_instance_gets_a_code_one_is_restarted_after_a_while_and_then_the_others() -> None:
    history = told(hang_all(4))

    first = history.index("announces Restart of ")
    waited = history.rindex("NoQRCode plans Restart against [NotVouchedFor]", 0, first)
    assert waited < first
    assert "announces Relogin" not in history
    assert "announces Recreate" not in history
    assert all(f"tells of i{number}: Healthy" in history for number in range(4))


def test_instances_that_were_deleted_by_hand_can_be_let_go_and_then_the_others_are_looked_after_again() -> None:
    gone = ("i0", "i1", "i2")
    keep = (
        (60.0, "edit", {"namespace": setups.HOME, "name": one, "spec": {"deletionPolicy": "Retain"}}) for one in gone
    )
    let_go = ((70.0, "delete", {"namespace": setups.HOME, "name": one}) for one in gone)

    history = told(scenario((0, "wipe", {"server": "main", "names": gone}), *keep, *let_go, instances=4))

    assert history.rindex("tells of i3: Healthy") > history.index("tells of i3: InstancesVanished")
    assert "calls delete" not in history


def test_key_that_is_rotated_twice_at_once_is_the_server_s_in_the_end() -> None:
    twice = ((0, *of_server("rotate_key", seconds=30.0)), (20, *of_server("rotate_key", seconds=1.0)))

    assert told(scenario(*twice, ends=28.0)).count("deed: rotate_key") == 2


@deeds.doing.deed
def admit_everybody(stage: Stage, *, server: str) -> None:
    """The server's owner admits every namespace."""
    stage.user("patch", kinds.SERVERS, setups.HOME, server, {"spec": {"allowedNamespaces": ["*"]}})


@deeds.doing.deed
def create_elsewhere(stage: Stage, *, name: str) -> None:
    """A user of another namespace, which is not admitted yet, creates a resource of the same name."""
    spec = {"serverRef": {"name": "main", "namespace": setups.HOME}}
    stage.create(kinds.INSTANCES, setups.TENANT, name, spec=spec)


def test_instance_whose_resource_gave_way_to_an_older_one_goes_with_it_all_the_same() -> None:
    older, admitted = ("create_elsewhere", {"name": "n1"}), ("admit_everybody", {"server": "main"})

    text = told(scenario((0, *older), (10, *created("n1")), (100, *admitted), (160, *named("delete", "n1"))))

    assert "verdict on Delete of n1: Deleted" in text


@deeds.doing.deed
def note_synced(stage: Stage, *, name: str) -> None:
    """Write into the history what the status of an instance says of its configuration."""
    (found,) = (one for one in stage.api.all(kinds.INSTANCES) if one["metadata"]["name"] == name)
    (synced,) = (one for one in found["status"]["conditions"] if one["type"] == "Synced")
    stage.history.note(f"Synced of {name} is {synced['status']}/{synced['reason']}")


@deeds.doing.deed
def put_behind_a_proxy(stage: Stage, *, server: str, name: str) -> None:
    """Somebody gives an instance a proxy, which the server tests at each create; it cannot do so any more."""
    model = stage.hosts[server].model
    parts = {"host": "proxy", "port": "1080", "protocol": "http", "username": "", "password": ""}
    model.database.save_proxy(model.database.rows[name], now=model.scheduler.now(), values={"enabled": True, **parts})
    model.internet_down = True


def test_create_that_the_server_refuses_after_a_recreate_is_told() -> None:
    soon = {"sessionLossDelaySeconds": 60, "lastResortDelaySeconds": 60}
    proxied = ("put_behind_a_proxy", {"server": "main", "name": "i0"})

    late = (2900, "note_synced", {"name": "i0"})
    text = told(scenario((0, *proxied), (20, *broken("i0", "S4")), late, ends=3000.0, version="2.3.6", recovery=soon))

    assert "Synced of i0 is False/ConfigurationRefused" in text


@pytest.mark.parametrize(
    ("deed", "seconds", "verdict"),
    [("slow_rollout", 700.0, StepResult.FAILED), ("roll_out_in_restart", 0.5, StepResult.INTERRUPTED)],
)
def test_restart_of_a_server_that_fails_or_is_interrupted_leaves_nobody_behind(
    deed: str, seconds: float, verdict: StepResult
) -> None:
    outcome = run(
        1,
        scenario=scenario(
            (0, deed, {"server": "main", "name": "i0", "seconds": seconds}), ends=1200.0, workloadRef=ROLLED_OUT
        ),
    )

    assert outcome.broken is None
    assert outcome.coverage.steps[Step.RESTART_SERVER, verdict] == 1


def test_deletion_that_the_server_refuses_says_so_and_ends_once_it_has_restarted() -> None:
    given_up = {"server": "main", "namespace": setups.HOME, "name": "i0", "state": "S3", "seconds": 5.0}
    restart = ("server_down", {"server": "main", "seconds": 3.0, "listener_only": False})

    outcome = run(1, scenario=scenario((0, "break_and_delete", given_up), (300, *restart)))

    assert outcome.broken is None
    assert outcome.coverage.deletions[Reason.DELETION_REFUSED] == 1
    assert outcome.coverage.deletions["Ended"] == 1


def test_what_the_server_does_not_delete_is_waited_for_and_not_healed() -> None:
    given_up = {"server": "main", "namespace": setups.HOME, "name": "i0", "state": "S4", "seconds": 5.0}
    waits = {"lastResortDelaySeconds": 1800, "maxAttempts": 1}

    outcome = run(
        1,
        scenario=scenario(
            (0, "break_and_delete", given_up), (0, *broken("i1", "S2")), instances=2, ends=30.0, recovery=waits
        ),
    )

    assert outcome.broken is None
    assert outcome.seconds > 110.0 + STUCK_SECONDS
    assert outcome.coverage.deletions[Reason.DELETION_REFUSED] == 1
    assert "announces Restart of i0" not in outcome.history.text()


def test_deletion_is_told_once_however_often_its_finalizer_cannot_be_removed() -> None:
    history = told(scenario((0, *refused("500", "patch", "whatsappinstances", count=3)), (0.1, *DELETE), ends=60.0))

    assert history.count("verdict on Delete of i0: Deleted") == 1
    assert "DELETED WhatsAppInstance messaging/i0" in history


def test_deletion_that_the_server_refuses_goes_on_to_say_so_in_a_process_that_has_only_just_begun() -> None:
    given_up = {"server": "main", "namespace": setups.HOME, "name": "i0", "state": "S3", "seconds": 5.0}
    crash = ("crash", {"slot": 0, "points": 1})

    outcome = run(1, scenario=scenario((0, "break_and_delete", given_up), (200, *crash), ends=300.0))

    assert outcome.broken is None
    assert outcome.coverage.deletions == {Reason.DELETION_REFUSED: 1}


@deeds.doing.deed
def hears(stage: Stage, *, name: str, whether: bool) -> None:
    """Looks whether the webhook of an instance is on."""
    found = stage.hosts["main"].model.database.rows[name].webhook
    assert (found is not None and found.enabled) is whether


@pytest.mark.parametrize("state", ["S3", "S4"])
def test_zombie_that_the_server_does_not_delete_gets_its_webhook_back_where_it_is_retained_then(state: str) -> None:
    given_up = {"server": "main", "namespace": setups.HOME, "name": "i0", "state": state, "seconds": 1.0}
    webhook = {"url": "http://shop.example/hook", "events": ["MESSAGES_UPSERT"]}
    scene = scenario(
        (0, "break_and_delete", given_up),
        (100, "hears", {"name": "i0", "whether": False}),
        (200, *named("edit", "i0", spec={"deletionPolicy": "Retain"})),
        (260, "hears", {"name": "i0", "whether": True}),
        ends=300.0,
        wanted={"webhook": webhook},
    )

    assert "DELETED WhatsAppInstance messaging/i0" in told(scene)


def test_instances_of_a_server_that_comes_back_with_another_database_no_longer_say_that_it_does_not_answer() -> None:
    away = ("server_down", {"server": "main", "seconds": 60.0, "listener_only": True})

    history = told(scenario((0, *away), (30, "wipe", {"server": "main", "names": ("i0", "i1")}), ends=120.0))

    assert "tells of i2: ServerUnreachable" in history
    assert history.rindex("tells of i2: InstancesVanished") > history.rindex("tells of i2: ServerUnreachable")


def test_server_is_restarted_though_a_step_on_what_is_being_deleted_has_no_verdict() -> None:
    history = told(
        scenario(
            (0, *created("n1", integration="EVOLUTION")),
            (20, *broken("i0", "S4")),
            (75, *broken("n1", "S14")),
            (90, *DELETE),
            workloadRef=ROLLED_OUT,
            budget={"storm": {"percent": 100, "floor": 10, "cooldownSeconds": 60}},
            recovery={"stepTimeoutSeconds": 300},
        )
    )

    assert history.index("announces Restart of i0") < history.index("announces RestartServer of main")
    assert "verdict on Restart of i0" not in history


@deeds.doing.deed
def at_logout(stage: Stage, *, deed: str, args: Mapping[str, object]) -> None:
    """As soon as an instance was logged out by a step, something is done."""
    if stage.hosts["main"].model.database.rows["i0"].connection_status is ConnectionState.CLOSE:
        deeds.doing.DEEDS[deed](stage, **args)
    else:
        stage.loop.call_later(0.02, lambda: at_logout(stage, deed=deed, args=args))


@deeds.doing.deed
def drop_secret(stage: Stage, *, namespace: str, name: str) -> None:
    """A user deletes a Secret."""
    stage.user("delete", kinds.SECRETS, namespace, name)


def relogin(
    *before: tuple[float, str, Mapping[str, object]], then: tuple[str, Mapping[str, object]], **wanted: object
) -> list[str]:
    """What happens in a Relogin of an instance, from the moment on at which something is done in the middle of it."""
    deed, args = then
    of_i0 = (*before, (5, *broken("i0", "S7")), (6, "at_logout", {"deed": deed, "args": args}))
    history = told(scenario(*of_i0, ends=900.0, recovery=SOON, budget=ROOMY, wanted=wanted))
    return history.split("user MODIFIED WhatsAppInstance messaging/i0")[-1].splitlines()


def test_instance_that_is_retained_in_the_middle_of_a_relogin_gets_its_webhook_back_and_nothing_else() -> None:
    by_hand = (0, *of_server("hand_webhook", name="i0"))
    retain = (1, *named("edit", "i0", spec={"deletionPolicy": "Retain"}))

    after = relogin(by_hand, retain, then=DELETE)

    assert [line.split("calls ")[1] for line in after if "calls " in line] == ["webhookSet main/i0"]
    assert any("DELETED WhatsAppInstance messaging/i0" in line for line in after)


def test_webhook_that_leaves_the_spec_in_the_middle_of_a_relogin_is_on_again_afterwards() -> None:
    webhook = {"url": "http://shop.example/hook", "events": ["MESSAGES_UPSERT"]}

    after = relogin(then=named("edit", "i0", spec={"webhook": None}), webhook=webhook)

    assert sum("calls webhookSet main/i0" in line for line in after) == 1
    assert any("DELETED Secret messaging/i0-keepsake" in line for line in after)


def test_step_that_finds_no_room_for_what_it_takes_says_so_and_is_taken_once_there_is() -> None:
    theirs = {"namespace": setups.HOME, "name": "i0-keepsake"}
    made, gone = (0, "hand_secret", theirs | {"server": "main", "of": "i0"}), (800, "drop_secret", theirs)
    by_hand = (5, *of_server("hand_webhook", name="i0"))

    history = told(scenario(made, by_hand, (6, *broken("i0", "S7")), gone, ends=1200.0, recovery=SOON, budget=ROOMY))

    held = "tells of i0: Credentials Ready=False/Credentials plans Relogin against [KeepsakeNotOurs]"
    assert history.count(held) == 1
    assert history.index(held) < history.index("announces Relogin of i0")


@deeds.doing.deed
def create_in_a_round(stage: Stage, *, name: str) -> None:
    """Memory is read slowly for once, and in the middle of that a user creates the resource of an instance there."""
    slow = stage.hosts["main"].faults.add(faults.Kind.LATENCY, route="connectionState", count=1, seconds=4.0)

    def create_once_it_is_read() -> None:
        if slow.count:
            stage.loop.call_later(0.05, create_once_it_is_read)
        else:
            stage.create(kinds.INSTANCES, setups.HOME, name, spec=ON_MAIN)

    create_once_it_is_read()


@pytest.mark.parametrize("at", [500, 510, 520])
def test_instance_that_was_not_asked_for_makes_no_server_without_metrics_warm_up_again(at: int) -> None:
    outsider, ghost = (-60, *of_server("outsider_instance", name="a0")), (0, *broken("i0", "S1"))
    begins = (at, "create_in_a_round", {"name": "a0"})
    hangs = (550, *broken("i1", "S17"))

    history = told(scenario(outsider, ghost, begins, hangs, metrics=False, ends=900.0))

    (restarted,) = (float(line.split()[0]) for line in history.splitlines() if "announces Restart of i1" in line)
    assert restarted < PAIRED + 550 + 120


def test_instance_of_somebody_else_is_not_shown_as_ones_own_while_its_server_warms_up() -> None:
    anothers = ((-60, *of_server("outsider_instance", name="a0")), (0, *created("a0")))
    restart = (60, *of_server("server_down", seconds=5.0, listener_only=False))

    history = told(scenario(*anothers, restart, ends=300.0, load_seconds=20.0))

    assert "tells of a0: AlreadyExists" in history
    assert "tells of a0: Settling" not in history
    assert "tells of a0: Healthy" not in history
