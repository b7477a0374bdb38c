"""Which instances are ours: nothing else on a server is ever changed."""

import httpx
import yaml

from e2e import kube, stage

MINE = "of-the-tenant"
FOREIGN = "of-somebody-else"


def create_by_hand(staged: stage.Stage, name: str, *, token: str, integration: str = "WHATSAPP-BAILEYS") -> None:
    """Create and pair an instance as somebody else would, and begin the journal after it."""
    body = {"instanceName": name, "integration": integration, "token": token}
    url = f"{staged.simulator.url}/instance/create"
    httpx.post(url, json=body, headers={"apikey": stage.API_KEY}, trust_env=False).raise_for_status()
    if integration == "WHATSAPP-BAILEYS":
        staged.simulator.pair(name)
    staged.simulator.reset_calls()


def secret(staged: stage.Stage, name: str, **values: str) -> None:
    staged.kubectl.apply(
        yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})
    )


def test_instance_with_another_token_is_not_touched(staged: stage.Stage) -> None:
    create_by_hand(staged, "user-1", token=FOREIGN)

    staged.instance("user-1", settings={"groupsIgnore": True}, deletionPolicy="Delete")

    told = staged.told("user-1", "Synced", "AlreadyExists")
    assert "user-1-token" in told
    assert staged.condition("user-1", "Ready") == ("False", "AlreadyExists")
    assert staged.condition("user-1", "Stalled") == ("True", "AlreadyExists")
    staged.delete("user-1")
    staged.wait_gone("user-1")
    assert staged.mutating_calls("user-1") == []
    assert staged.simulator.instance("user-1")["memory"] == "open"
    assert not staged.kubectl.exists("secret", "user-1-token")


def test_instance_is_adopted_with_its_token_and_survives_its_resource(staged: stage.Stage) -> None:
    create_by_hand(staged, "user-1", token=MINE)
    staged.instance("user-1")
    staged.told("user-1", "Synced", "AlreadyExists")

    secret(staged, "user-1-token", token=MINE)

    staged.wait_ready("user-1")
    assert staged.status("user-1")["adopted"] is True
    staged.delete("user-1")
    staged.wait_gone("user-1")
    assert staged.mutating_calls("user-1") == []
    assert staged.simulator.instance("user-1")["memory"] == "open"
    assert staged.kubectl.exists("secret", "user-1-token")


def test_instance_of_another_integration_is_not_adopted(staged: stage.Stage) -> None:
    create_by_hand(staged, "user-1", token=MINE, integration="EVOLUTION")
    secret(staged, "user-1-token", token=MINE)

    staged.instance("user-1", settings={"groupsIgnore": True}, deletionPolicy="Delete")

    assert "spec.integration" in staged.told("user-1", "Synced", "IntegrationDiffers")
    assert staged.condition("user-1", "Stalled") == ("True", "IntegrationDiffers")
    staged.delete("user-1")
    staged.wait_gone("user-1")
    assert staged.mutating_calls("user-1") == []
    assert staged.simulator.instance("user-1")["memory"] == "open"
    staged.instance("user-1", integration="EVOLUTION")
    staged.wait_ready("user-1")
    assert staged.status("user-1")["adopted"] is True


def test_adopted_instance_is_deleted_where_its_resource_says_so(staged: stage.Stage) -> None:
    create_by_hand(staged, "user-1", token=MINE)
    secret(staged, "tokens", mine=MINE)
    staged.instance("user-1", tokenSecretRef={"name": "tokens", "key": "mine"}, deletionPolicy="Delete")
    staged.wait_ready("user-1")

    staged.delete("user-1")

    staged.wait_gone("user-1")
    assert not staged.lives("user-1")
    assert staged.kubectl.exists("secret", "tokens")


def test_secret_of_a_user_is_not_overwritten_for_want_of_a_token(staged: stage.Stage) -> None:
    secret(staged, "user-1-token", other="precious")
    staged.instance("user-1")

    told = staged.told("user-1", "Synced", "SecretNotOurs")

    assert "user-1-token" in told
    assert "key token" in told
    assert not staged.lives("user-1")
    assert list(staged.kubectl.json("get", "secret", "user-1-token")["data"]) == ["other"]
    secret(staged, "user-1-token", token=MINE)
    staged.wait_for_reason("user-1", "AwaitingScan")
    assert staged.simulator.instance("user-1")["token"] == MINE


def test_of_two_resources_for_one_instance_the_older_acts_until_it_goes(staged: stage.Stage) -> None:
    staged.instance("b-older", instanceName="shared", deletionPolicy="Retain")
    kube.wait_until(lambda: staged.lives("shared"), message="the instance was not created")
    staged.simulator.pair("shared")
    staged.wait_ready("b-older")
    staged.simulator.reset_calls()

    staged.instance("a-younger", instanceName="shared", tokenSecretRef={"name": "b-older-token"})

    assert "shared" in staged.told("a-younger", "Ready", "Duplicate")
    assert staged.condition("a-younger", "Stalled") == ("True", "Duplicate")
    staged.delete("b-older")
    staged.wait_gone("b-older")
    staged.wait_ready("a-younger")
    assert staged.condition("a-younger", "Stalled") == ("", "")
    assert staged.mutating_calls("shared") == []


def test_duplicate_goes_without_a_call(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.instance("user-1-again", instanceName="user-1", tokenSecretRef={"name": "user-1-token"})
    staged.told("user-1-again", "Ready", "Duplicate")

    staged.delete("user-1-again")

    staged.wait_gone("user-1-again")
    assert staged.mutating_calls("user-1") == []
    staged.wait_ready("user-1")


def test_instance_that_another_hand_replaced_is_no_longer_ours(staged: stage.Stage) -> None:
    staged.paired_instance("user-1")
    staged.simulator.delete_row("user-1")
    staged.simulator.insert_row("user-1", token=FOREIGN)

    staged.told("user-1", "Synced", "AlreadyExists")

    staged.delete("user-1")
    staged.wait_gone("user-1")
    assert staged.mutating_calls("user-1") == []
    assert staged.lives("user-1")


def test_instances_without_a_resource_are_counted_and_never_changed(staged: stage.Stage) -> None:
    others = staged.simulator.seed(2, prefix="open") + staged.simulator.seed(2, prefix="idle", state="close")
    staged.simulator.insert_row("ghost")
    staged.paired_instance("user-1")

    kube.wait_until(
        lambda: staged.kubectl.json("get", "evs", "main")["status"]["instances"]["unmanaged"] == 5,
        message="the unmanaged were not counted",
    )
    staged.delete("user-1")
    staged.wait_gone("user-1")

    assert [staged.simulator.routes_called(name, mutating=None) for name in (*others, "ghost")] == [[]] * 5
