"""QR codes as a person gets them: in a Secret, fresh, and only while one is of use."""

import base64
from collections.abc import Iterator

import pytest

from e2e import kube, stage
from evolution_simulator.control_client import Simulator

ROTATIONS = 2


def code(staged: stage.Stage, name: str) -> str:
    """The QR code that is offered; empty where there is none."""
    template = "go-template={{.data.code|base64decode}}"
    return staged.kubectl("get", "secret", f"{name}-pairing", "--ignore-not-found", "-o", template)


def wait_for_code(staged: stage.Stage, name: str, *, other_than: str = "") -> str:
    def new_code() -> str:
        found = code(staged, name)
        return found if found != other_than else ""

    return kube.wait_until(new_code, timeout=90, message="no new QR code was offered")


def wait_for_no_code(staged: stage.Stage, name: str) -> None:
    kube.wait_until(lambda: not code(staged, name), timeout=60, message="the QR code stayed")


def test_code_is_offered_as_text_and_pictures_in_a_secret_that_goes_with_its_owner(staged: stage.Stage) -> None:
    staged.instance("user-1")

    wait_for_code(staged, "user-1")

    secret = staged.kubectl.json("get", "secret", "user-1-pairing")
    values = {key: base64.b64decode(value) for key, value in secret["data"].items()}
    assert values["code"].startswith(b"2@")
    assert values["qr.png"].startswith(b"\x89PNG")
    assert b"<svg" in values["qr.svg"]
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("WhatsAppInstance", "user-1")
    kube.wait_until(lambda: staged.status("user-1").get("pairing", {}).get("secretName") == "user-1-pairing")
    assert values["expires"].decode() == staged.status("user-1")["pairing"]["expires"]

    staged.simulator.scan("user-1")

    wait_for_no_code(staged, "user-1")
    staged.wait_ready("user-1")
    assert "pairing" not in staged.status("user-1")


def test_code_is_gone_when_the_window_ends_and_back_on_request(staged: stage.Stage) -> None:
    staged.instance("user-1", pairing={"mode": "OnDemand", "windowSeconds": 12})
    first = wait_for_code(staged, "user-1")
    wait_for_no_code(staged, "user-1")
    staged.quiet_for(4)
    assert code(staged, "user-1") == ""

    staged.request("user-1", "pairing", "1")

    again = wait_for_code(staged, "user-1")
    assert staged.status("user-1")["lastHandled"]["pairing"] == "1"
    assert again == first or staged.simulator.instance("user-1")["qrCount"] > 1


def test_used_code_is_not_offered_after_a_logout_that_cannot_reach_whatsapp(staged: stage.Stage) -> None:
    staged.instance("user-1", pairing={"mode": "Always"}, recovery={"mode": "DryRun"})
    used = wait_for_code(staged, "user-1")
    staged.simulator.scan("user-1")
    staged.wait_ready("user-1")

    staged.simulator.log_out("user-1")
    staged.simulator.whatsapp("silent")
    staged.update("user-1", recovery={"mode": "Enabled"})
    staged.wait_for_steps("user-1", ("Reconnect", "LoggedOut", "Succeeded"))
    staged.update("user-1", recovery={"mode": "DryRun"})

    staged.quiet_for(4)
    assert code(staged, "user-1") == ""
    staged.restart_operator()  # a new process does not know which codes were used
    staged.wait_for_reason("user-1", "NoQRCode")
    staged.quiet_for(3)
    assert code(staged, "user-1") == ""
    staged.simulator.whatsapp("reachable")
    staged.update("user-1", recovery={"mode": "Enabled"})
    assert wait_for_code(staged, "user-1") != used


def test_code_of_before_a_restart_is_withdrawn(staged: stage.Stage) -> None:
    staged.instance("user-1", pairing={"mode": "Always"})
    before = wait_for_code(staged, "user-1")
    staged.simulator.whatsapp("silent")

    staged.request("user-1", "restart", "1")

    wait_for_no_code(staged, "user-1")
    staged.quiet_for(8)
    assert code(staged, "user-1") == ""
    staged.simulator.whatsapp("reachable")
    staged.request("user-1", "restart", "2")
    assert wait_for_code(staged, "user-1") != before


class TestFastCodes:
    """A server on which time runs fifteen times faster: a code lives for three seconds."""

    @pytest.fixture
    def simulator(self) -> Iterator[Simulator]:
        yield from stage.open_simulator(speed=15)

    def test_rotated_code_replaces_the_old_one_for_as_long_as_nobody_scans(self, staged: stage.Stage) -> None:
        staged.instance("user-1", pairing={"mode": "Always"})
        seen = [wait_for_code(staged, "user-1")]

        while len(seen) <= ROTATIONS:
            seen.append(wait_for_code(staged, "user-1", other_than=seen[-1]))

        assert len(set(seen)) == len(seen)
        staged.quiet_for(10)
        assert staged.reason("user-1") == "AwaitingScan"
        assert staged.steps_called("user-1") == ["create"]
        assert staged.steps("user-1") == []
        staged.simulator.scan("user-1")
        staged.wait_ready("user-1")
