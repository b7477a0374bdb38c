"""Recovery as its users steer it: switched off, paused, asked for; and what a Recreate puts back."""

import datetime
from typing import Any

import httpx

from e2e import kube, stage

HOOK = "http://receiver.invalid/hook"
CANARY = "canary-proxy-password-77ae"


def call(staged: stage.Stage, method: str, path: str, **arguments: Any) -> Any:
    """A call to the Evolution API past the operator."""
    key = {"apikey": stage.API_KEY}
    answer = httpx.request(method, f"{staged.simulator.url}/{path}", headers=key, trust_env=False, **arguments)
    return answer.raise_for_status().json()


def settings_of(staged: stage.Stage, name: str) -> dict[str, Any]:
    rows = call(staged, "GET", "instance/fetchInstances")
    return next(row["Setting"] for row in rows if row["name"] == name)


def handled(staged: stage.Stage, name: str, what: str) -> str:
    """The request of a kind that was carried out last."""
    return str(staged.status(name).get("lastHandled", {}).get(what, ""))


def in_seconds(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_switched_off_or_paused_recovery_shows_what_it_would_do_and_does_it_once_switched_on(
    staged: stage.Stage,
) -> None:
    staged.paired_instances("dry", recovery={"mode": "DryRun"})
    staged.paired_instances("off", recovery={"mode": "Disabled"})
    staged.paired_instances("paused")
    staged.update("paused", pause={"reason": "a person is looking"})
    staged.wait_for_condition("paused", "Paused", "True", "Paused")

    for name in ("dry", "off", "paused"):
        staged.simulator.break_(name, "S5")

    staged.wait_for_condition("dry", "RemediationAllowed", "False", "DryRun")
    staged.wait_for_condition("off", "RemediationAllowed", "False", "RecoveryDisabled")
    staged.wait_for_condition("paused", "RemediationAllowed", "False", "Paused")
    staged.quiet_for(4)
    for name in ("dry", "off", "paused"):
        assert staged.mutating_calls(name) == []
        assert staged.reason(name) == "ClosedSocket"
    assert staged.status("dry")["recovery"]["planned"]["step"] == "Reconnect"
    assert staged.status("dry")["recovery"]["blockedBy"] == ["DryRun"]
    assert staged.condition("paused", "Paused") == ("True", "Paused")

    staged.update("dry", recovery={"mode": None})
    staged.update("off", recovery={"mode": "Enabled"})
    staged.update("paused", pause=None)

    for name in ("dry", "off", "paused"):
        staged.wait_ready(name)
        assert staged.mutating_calls(name) == ["connect"]
    assert staged.condition("paused", "Paused") == ("", "")


def test_pause_ends_by_itself(staged: stage.Stage) -> None:
    staged.paired_instances("shut")
    until = in_seconds(15)
    staged.update("shut", pause={"reason": "maintenance", "until": until})
    staged.wait_for_condition("shut", "Paused", "True", "Paused")

    staged.simulator.break_("shut", "S5")

    staged.wait_for_reason("shut", "ClosedSocket")
    staged.wait_ready("shut")
    assert staged.mutating_calls("shut") == ["connect"]
    staged.wait_for_steps("shut", ("Reconnect", "ClosedSocket", "Succeeded"))
    assert staged.status("shut")["recovery"]["history"][-1]["startTime"] >= until


def test_restart_that_was_asked_for_is_done_once(staged: stage.Stage) -> None:
    staged.paired_instances("asked")

    staged.request("asked", "restart", "1")

    kube.wait_until(lambda: staged.mutating_calls("asked") == ["restart"], timeout=60)
    kube.wait_until(lambda: handled(staged, "asked", "restart") == "1", timeout=60)
    staged.restart_operator()
    staged.wait_ready("asked")
    staged.quiet_for(4)
    assert staged.mutating_calls("asked") == ["restart"]
    staged.request("asked", "restart", "2")
    kube.wait_until(lambda: staged.mutating_calls("asked") == ["restart"] * 2, timeout=60)
    staged.wait_ready("asked")


def test_reset_that_was_asked_for_begins_the_ladder_anew(staged: stage.Stage) -> None:
    staged.paired_instances("zombie", recovery={"maxAttempts": 1})
    staged.simulator.break_("zombie", "S4")
    staged.wait_for_condition("zombie", "RemediationAllowed", "False", "NeedsServerRestart")

    staged.request("zombie", "reset", "1")

    staged.wait_for_steps("zombie", *[("Restart", "Connecting", "Failed")] * 2)
    staged.wait_for_condition("zombie", "RemediationAllowed", "False", "NeedsServerRestart")
    assert handled(staged, "zombie", "reset") == "1"
    staged.quiet_for(4)
    assert staged.mutating_calls("zombie") == ["restart", "restart"]


def test_attempts_count_from_zero_only_after_lasting_health(staged: stage.Stage) -> None:
    staged.paired_instances("hung", health={"minHealthySeconds": 8})
    staged.simulator.break_("hung", "S17")

    staged.wait_for_steps("hung", ("Restart", "Connecting", "Succeeded"))

    recovery = staged.status("hung")["recovery"]
    assert (recovery["attempts"], bool(recovery["incident"])) == (1, True)
    staged.wait_ready("hung")
    kube.wait_until(lambda: "incident" not in staged.status("hung")["recovery"], timeout=60)
    recovery = staged.status("hung")["recovery"]
    assert recovery["attempts"] == 0
    assert [one["step"] for one in recovery["history"]] == ["Restart"]


def test_drift_of_settings_is_repaired_and_that_of_the_webhook_on_request(staged: stage.Stage) -> None:
    webhook = {"url": HOOK, "events": ["MESSAGES_UPSERT"]}
    staged.paired_instances("kept", settings={"groupsIgnore": True, "msgCall": "busy"}, webhook=webhook)
    assert call(staged, "GET", "webhook/find/kept")["url"] == HOOK

    drifted = settings_of(staged, "kept") | {"groupsIgnore": False}
    names = ("rejectCall", "msgCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
    call(staged, "POST", "settings/set/kept", json={name: drifted[name] for name in names})
    kube.wait_until(lambda: settings_of(staged, "kept")["groupsIgnore"], timeout=60)
    assert settings_of(staged, "kept")["msgCall"] == "busy"

    changed = {"enabled": True, "url": "http://other.invalid/", "events": ["MESSAGES_UPSERT"]}
    call(staged, "POST", "webhook/set/kept", json={"webhook": changed})
    staged.request("kept", "reconcile", "1")
    kube.wait_until(lambda: call(staged, "GET", "webhook/find/kept")["url"] == HOOK, timeout=60)
    kube.wait_until(lambda: handled(staged, "kept", "reconcile") == "1", timeout=60)
    staged.simulator.reset_calls()
    staged.quiet_for(4)
    assert staged.mutating_calls("kept") == []


def test_recreate_is_not_held_by_a_dead_receiver_and_puts_settings_webhook_and_token_back(
    staged: stage.Stage,
) -> None:
    staged.simulator.dead_receiver(HOOK)
    staged.instance(
        "mute",
        pairing={"mode": "Never"},
        recovery={"maxAttempts": 1},
        settings={"rejectCall": True, "msgCall": "busy"},
        webhook={"url": HOOK, "events": ["REMOVE_INSTANCE", "MESSAGES_UPSERT"], "byEvents": True},
    )
    staged.wait_for_reason("mute", "NotStarted")
    staged.wait_for_condition("mute", "Synced", "True", "Synced")
    before = staged.simulator.instance("mute")
    staged.simulator.break_("mute", "S4")

    staged.update("mute", pairing={"mode": "Always"})

    gentle = [("Restart", "NoQRCode", "Failed"), ("Relogin", "NoQRCode", "Failed")]
    staged.wait_for_steps("mute", *gentle, ("Recreate", "NoQRCode", "Succeeded"))
    staged.wait_for_reason("mute", "AwaitingScan")
    staged.wait_for_condition("mute", "Synced", "True", "Synced")
    after = staged.simulator.instance("mute")
    assert after["id"] != before["id"]
    assert after["token"] == before["token"]
    put_back = call(staged, "GET", "webhook/find/mute")
    assert (put_back["url"], put_back["enabled"], put_back["webhookByEvents"]) == (HOOK, True, True)
    assert set(put_back["events"]) == {"REMOVE_INSTANCE", "MESSAGES_UPSERT"}
    assert (settings_of(staged, "mute")["rejectCall"], settings_of(staged, "mute")["msgCall"]) == (True, "busy")


def test_recreate_keeps_the_way_to_whatsapp_that_no_spec_speaks_of(staged: stage.Stage) -> None:
    staged.unpaired_instance("fresh", pairing={"mode": "Always"})
    proxy = {"host": "proxy.example.com", "port": "3128", "protocol": "http", "username": "shop", "password": CANARY}
    call(staged, "POST", "proxy/set/fresh", json={"enabled": True, **proxy})
    before = staged.simulator.instance("fresh")["id"]

    staged.simulator.break_("fresh", "S1")

    staged.wait_for_steps("fresh", ("Recreate", "Ghost", "Succeeded"))
    staged.wait_for_reason("fresh", "AwaitingScan")
    assert staged.simulator.instance("fresh")["id"] != before
    put_back = call(staged, "GET", "proxy/find/fresh")
    assert {part: put_back[part] for part in proxy} == proxy
    kube.wait_until(lambda: "keepsake" not in staged.status("fresh"), message="it was kept for ever")
    assert CANARY not in staged.operator.log()
    assert CANARY not in staged.kubectl("get", "wai,evs,events", "-o", "yaml")
