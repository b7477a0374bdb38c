"""From `kubectl apply` to Ready."""

from e2e import kube, stage


def test_instance_is_created_shows_its_code_and_becomes_ready_once_scanned(staged: stage.Stage) -> None:
    staged.instance("user-1", settings={"groupsIgnore": True})

    staged.wait_for_reason("user-1", "AwaitingScan")
    kube.wait_until(lambda: staged.kubectl.exists("secret", "user-1-pairing"), message="no QR code was offered")
    staged.simulator.scan("user-1")
    staged.wait_ready("user-1")

    kube.wait_until(lambda: not staged.kubectl.exists("secret", "user-1-pairing"), message="the used code stayed")
    assert staged.mutating_calls("user-1").count("create") == 1
    assert staged.status("user-1")["paired"] is True
