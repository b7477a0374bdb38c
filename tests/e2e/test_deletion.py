"""What becomes of an instance when its resource is deleted.

The finalizer stays until both witnesses say that the instance is gone, or until nothing can be done any more.
"""

import httpx
import pytest

from e2e import kube, stage

DEAD = "http://127.0.0.1:9/nobody-listens"
ZOMBIE_SECONDS = 90


def deleted(staged: stage.Stage, name: str, *, timeout: float = 60) -> None:
    staged.delete(name)
    staged.wait_gone(name, timeout=timeout)


def test_paired_instance_is_silenced_logged_out_and_deleted_before_its_resource_goes(staged: stage.Stage) -> None:
    staged.paired_instance("user-1", webhook={"url": DEAD, "events": ["MESSAGES_UPSERT", "REMOVE_INSTANCE"]})

    deleted(staged, "user-1")

    assert not staged.lives("user-1")
    assert staged.mutating_calls("user-1") == ["webhookSet", "logout", "delete"]
    # The garbage collector looks for new kinds of owners each 30 s, and may only just know of ours.
    kube.wait_until(lambda: not staged.kubectl.exists("secret", "user-1-token"), timeout=90, message="the token stayed")


def test_instance_that_waits_for_its_scan_is_deleted_with_its_code(staged: stage.Stage) -> None:
    staged.instance("user-1")
    staged.wait_for_reason("user-1", "AwaitingScan")
    kube.wait_until(lambda: staged.kubectl.exists("secret", "user-1-pairing"), message="no QR code was offered")

    deleted(staged, "user-1")

    assert not staged.lives("user-1")
    kube.wait_until(lambda: not staged.kubectl.exists("secret", "user-1-pairing"), message="the code stayed")


def test_retained_instance_is_let_go_without_a_call(staged: stage.Stage) -> None:
    staged.paired_instance("user-1", deletionPolicy="Retain")

    deleted(staged, "user-1")

    assert staged.mutating_calls("user-1") == []
    assert staged.simulator.instance("user-1")["memory"] == "open"
    assert staged.kubectl.exists("secret", "user-1-token")


def test_deletion_is_held_by_no_dead_webhook_receiver(staged: stage.Stage) -> None:
    """S10: the receiver of REMOVE_INSTANCE would hold DELETE for twenty minutes."""
    staged.paired_instance("user-1")
    staged.simulator.break_("user-1", "S10")

    deleted(staged, "user-1")

    assert not staged.lives("user-1")
    assert staged.mutating_calls("user-1") == ["webhookSet", "logout", "delete"]


def test_delete_that_the_server_lost_is_sent_again_until_both_witnesses_agree(staged: stage.Stage) -> None:
    """S11: the server says that it is deleted, while its database was away."""
    staged.paired_instance("user-1")
    staged.simulator.break_("user-1", "S11")

    staged.delete("user-1")

    staged.wait_for_reason("user-1", "Terminating")
    assert staged.kubectl.json("get", "wai", "user-1")["metadata"]["finalizers"] == ["whatsapp-operator.dev/instance"]
    staged.wait_gone("user-1")
    assert not staged.lives("user-1")
    assert staged.mutating_calls("user-1").count("delete") >= 2
    assert "create" not in staged.mutating_calls("user-1")


def test_instance_that_somebody_creates_under_the_freed_name_is_left_alone(staged: stage.Stage) -> None:
    staged.paired_instances("going")
    staged.simulator.break_("going", "S11")
    staged.delete("going")
    kube.wait_until(lambda: "delete" in staged.mutating_calls("going"), message="DELETE was never sent")

    theirs = {"instanceName": "going", "integration": "WHATSAPP-BAILEYS", "token": "theirs"}
    with httpx.Client(base_url=staged.simulator.url, headers={"apikey": stage.API_KEY}, trust_env=False) as person:
        assert person.delete("/instance/delete/going").status_code == 200
        staged.simulator.wait_for("going", lambda one: one["memory"] is None and one["id"] is None, timeout=5)
        created = person.post("/instance/create", json=theirs)

    assert created.status_code == 201
    identity = created.json()["instance"]["instanceId"]
    staged.wait_gone("going")
    staged.quiet_for(5)
    assert staged.simulator.instance("going")["id"] == identity


def test_deletion_waits_for_a_database_that_is_down(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.simulator.database_down()
    staged.told("user-1", "Ready", "ServerUnreachable")

    staged.delete("user-1")
    staged.quiet_for(3)

    assert staged.mutating_calls("user-1") == []
    staged.simulator.database_up()
    staged.wait_gone("user-1")
    assert not staged.lives("user-1")


@pytest.mark.parametrize("paired", [True, False], ids=["open", "connecting"])
def test_races_of_logout_and_delete_end_in_a_deletion(staged: stage.Stage, paired: bool) -> None:
    """2.3.7 answers 500 to a logout and 400 to a delete that half happened."""
    staged.instance("user-1")
    staged.wait_for_reason("user-1", "AwaitingScan")
    if paired:
        staged.pair("user-1")
    staged.simulator.races(logoutOpen=1, logoutConnecting=1, deleteOpen=1, deleteConnecting=1)
    staged.simulator.reset_calls()

    deleted(staged, "user-1")

    assert not staged.lives("user-1")
    assert staged.steps_called("user-1")[0] == "logout"
    assert set(staged.steps_called("user-1")) == {"logout", "delete"}


@pytest.mark.timeout(300)
def test_zombie_that_refuses_its_deletion_is_kept_and_the_cure_is_told(staged: stage.Stage) -> None:
    """S3 on 2.3.7: logout answers 500 and DELETE 400, however often; only a restart of the server helps."""
    staged.paired_instance("user-1")
    staged.simulator.break_("user-1", "S3")

    staged.delete("user-1")

    told = staged.told("user-1", "Synced", "DeletionRefused", timeout=ZOMBIE_SECONDS)
    assert "Restart the Evolution API server" in told
    assert "Retain" in told
    assert staged.lives("user-1")
    staged.simulator.restart_server()
    staged.wait_gone("user-1", timeout=ZOMBIE_SECONDS)
    assert not staged.lives("user-1")


def test_resource_stays_while_its_server_is_away_and_says_how_to_let_it_go(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.simulator.down()
    staged.told("user-1", "Ready", "ServerUnreachable")

    staged.delete("user-1")

    told = staged.told("user-1", "Synced", "DeletionWaits")
    assert "EvolutionServer" in told
    assert '"deletionPolicy":"Retain"' in told
    staged.quiet_for(5)  # longer than the span after which a terminating namespace is let go
    assert staged.kubectl.exists("wai", "user-1")

    staged.update("user-1", deletionPolicy="Retain")

    staged.wait_gone("user-1")
    staged.simulator.up()
    assert staged.lives("user-1")
    assert staged.mutating_calls("user-1") == []


def test_deletion_goes_on_when_its_server_is_back(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.simulator.down()
    staged.told("user-1", "Ready", "ServerUnreachable")
    staged.delete("user-1")

    staged.simulator.up()

    staged.wait_gone("user-1")
    assert not staged.lives("user-1")


def test_nothing_is_deleted_on_a_server_that_turns_out_to_be_another(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.simulator.set_client_name("another")
    staged.told("user-1", "Ready", "OtherIdentity")

    staged.delete("user-1")
    staged.told("user-1", "Synced", "DeletionWaits")
    staged.quiet_for(3)

    assert staged.mutating_calls("user-1") == []
    staged.simulator.set_client_name("evolution_exchange")
    staged.wait_gone("user-1")
    assert not staged.lives("user-1")


def test_paused_instance_is_deleted_once_the_pause_is_over(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.update("user-1", pause={"reason": "investigating"})
    staged.told("user-1", "Paused", "Paused")

    staged.delete("user-1")
    staged.quiet_for(4)

    assert staged.mutating_calls("user-1") == []
    staged.update("user-1", pause=None)
    staged.wait_gone("user-1")
    assert not staged.lives("user-1")


def test_resource_whose_server_never_was_goes_at_once(staged: stage.Stage) -> None:
    staged.instance("user-1", serverRef={"name": "nowhere"})
    staged.told("user-1", "Ready", "ServerNotFound")

    deleted(staged, "user-1", timeout=10)


def test_server_stays_as_long_as_instances_are_to_be_deleted_with_it(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")

    staged.delete("main", "evs")
    staged.quiet_for(3)

    assert staged.kubectl.exists("evs", "main")
    assert staged.mutating_calls("user-1") == []
    deleted(staged, "user-1")
    assert not staged.lives("user-1")
    staged.wait_gone("main", "evs")


def test_server_that_is_being_deleted_takes_no_new_instance(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.delete("main", "evs")

    staged.instance("user-2")
    staged.instance("rival", instanceName="user-1")

    assert "being deleted" in staged.told("user-2", "Ready", "ServerTerminating")
    staged.told("rival", "Ready", "Duplicate")
    deleted(staged, "user-1")
    staged.wait_gone("main", "evs")
    assert staged.mutating_calls("user-2") == []
    assert not staged.lives("user-1")
    staged.told("rival", "Ready", "ServerNotFound")
    staged.server()
    for name in ("user-2", "rival"):
        staged.wait_for_condition(name, "Exists", "True", "Exists")


def test_server_goes_while_its_instances_are_retained(staged: stage.Stage) -> None:
    staged.paired_instance("user-1", deletionPolicy="Retain")

    staged.delete("main", "evs")

    staged.wait_gone("main", "evs")
    staged.told("user-1", "Ready", "ServerNotFound")
    assert staged.mutating_calls("user-1") == []
    deleted(staged, "user-1")
    assert staged.lives("user-1")


def test_token_outlives_a_resource_that_was_told_to_retain_its_instance(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")

    staged.update("user-1", deletionPolicy="Retain")
    staged.kubectl("delete", "wai", "user-1", "--timeout=30s")

    staged.quiet_for(3)  # the garbage collector would have taken it by now
    assert staged.kubectl.exists("secret", "user-1-token")
    assert staged.mutating_calls("user-1") == []
