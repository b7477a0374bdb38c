"""Steps that lose a pairing: each gate before them, what they put back, and that a storm stops them all."""

import json

import httpx

from e2e import kube, stage

HOOK = "http://127.0.0.1:9/hook"
AT_ONCE = {"sessionLossDelaySeconds": 1, "lastResortDelaySeconds": 1}
QUIET = 4.0


def call(staged: stage.Stage, method: str, path: str, **request: object) -> object:
    headers = {"apikey": stage.API_KEY}
    answer = httpx.request(method, f"{staged.simulator.url}/{path}", headers=headers, trust_env=False, **request)  # type: ignore[arg-type] # json and params
    answer.raise_for_status()
    return answer.json()


def blocked_by(staged: stage.Stage, name: str) -> set[str]:
    return set(staged.status(name).get("recovery", {}).get("blockedBy", ()))


def test_never_takes_no_step_that_loses_a_pairing_and_says_so(staged: stage.Stage) -> None:
    staged.paired_instances("linked", recovery={"sessionLoss": "Never"} | AT_ONCE)

    staged.simulator.break_("linked", "S1")

    staged.wait_for_condition("linked", "RemediationAllowed", "False", "ProtectedInstance")
    staged.quiet_for(QUIET)
    assert staged.mutating_calls("linked") == []
    assert staged.status("linked")["recovery"]["planned"]["step"] == "Recreate"
    assert "ProtectedInstance" in {event["reason"] for event in staged.events("linked")}


def test_automatic_waits_until_the_incident_is_old_enough(staged: stage.Stage) -> None:
    staged.paired_instances("linked", recovery={"sessionLossDelaySeconds": 600, "lastResortDelaySeconds": 1})

    staged.simulator.break_("linked", "S1")

    staged.wait_for_condition("linked", "RemediationAllowed", "False", "SessionLossDelay")
    assert staged.status("linked")["recovery"]["planned"]["at"]
    staged.quiet_for(QUIET)
    assert staged.mutating_calls("linked") == []


def test_automatic_waits_for_proof_that_whatsapp_can_be_reached_or_for_the_last_resort(staged: stage.Stage) -> None:
    staged.paired_instances("linked", recovery={"sessionLossDelaySeconds": 1, "lastResortDelaySeconds": 600})

    staged.simulator.break_("linked", "S1")

    kube.wait_until(lambda: {"NotVouchedFor", "NeedsServerRestart"} <= blocked_by(staged, "linked"))
    staged.quiet_for(QUIET)
    assert staged.mutating_calls("linked") == []


def test_recreated_instance_gets_its_settings_webhook_and_token_back_also_those_set_by_hand(
    staged: stage.Stage,
) -> None:
    staged.paired_instances("linked", recovery=AT_ONCE)
    webhook = {"enabled": True, "url": HOOK, "events": ["MESSAGES_UPSERT"], "headers": {"x-secret": "canary"}}
    call(staged, "POST", "webhook/set/linked", json={"webhook": webhook})
    names = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
    settings = dict.fromkeys(names, False) | {"groupsIgnore": True, "msgCall": "busy"}
    call(staged, "POST", "settings/set/linked", json=settings)
    before = staged.simulator.instance("linked")
    staged.simulator.reset_calls()

    # The row stays readable, and only a Recreate is left: its row in memory only would lose both.
    staged.simulator.break_("linked", "S1")

    staged.wait_for_steps("linked", ("Recreate", "Ghost", "Succeeded"), timeout=90)
    staged.wait_for_reason("linked", "AwaitingScan")
    staged.wait_for_condition("linked", "Synced", "True", "Synced")
    after = staged.simulator.instance("linked")
    assert after["id"] != before["id"]
    assert after["token"] == before["token"]
    found = call(staged, "GET", "settings/find/linked")
    assert isinstance(found, dict)
    assert (found["groupsIgnore"], found["msgCall"]) == (True, "busy")
    kube.wait_until(
        lambda: "keepsake" not in staged.status("linked") and not staged.kubectl.exists("secret", "linked-keepsake"),
        message="what was kept was not dropped",
    )


def test_keepsake_that_somebody_changed_is_not_put_back_and_waits_for_a_word(staged: stage.Stage) -> None:
    staged.unpaired_instance("fresh", pairing={"mode": "Always"})
    proxy = {"host": "proxy.example.com", "port": "3128", "protocol": "http", "username": "shop", "password": "canary"}
    call(staged, "POST", "proxy/set/fresh", json={"enabled": True, **proxy})
    staged.simulator.fault("status", route="create", status=500)
    staged.simulator.break_("fresh", "S1")
    kube.wait_until(lambda: "create" in staged.mutating_calls("fresh"), timeout=90, message="it was not recreated")
    staged.operator.kill()
    forged = json.dumps({"settings": None, "proxy": proxy | {"host": "eve.example.com"}})
    staged.kubectl("patch", "secret", "fresh-keepsake", "-p", json.dumps({"stringData": {"configuration": forged}}))
    staged.simulator.clear_faults()
    staged.simulator.reset_calls()

    staged.operator.start()

    told = staged.told("fresh", "Synced", "KeepsakeChanged", timeout=90)
    staged.quiet_for(QUIET)
    assert staged.mutating_calls("fresh") == []
    assert "kubectl delete secret fresh-keepsake" in told
    staged.kubectl("delete", "secret", "fresh-keepsake")
    staged.wait_for_reason("fresh", "AwaitingScan", timeout=90)
    assert call(staged, "GET", "proxy/find/fresh") is None
    kube.wait_until(lambda: "keepsake" not in staged.status("fresh"), message="it was kept for ever")


def test_window_of_session_losses_is_kept_and_the_second_waits(staged: stage.Stage) -> None:
    staged.server(budget={"windows": [{"class": "SessionLoss", "max": 1, "periodSeconds": 3600}]})
    staged.paired_instances("one", "two", recovery=AT_ONCE)

    staged.simulator.break_("one", "S1")
    staged.wait_for_steps("one", ("Recreate", "Ghost", "Succeeded"))
    staged.simulator.reset_calls()
    staged.simulator.break_("two", "S1")

    staged.wait_for_condition("two", "RemediationAllowed", "False", "BudgetExhausted")
    staged.restart_operator()
    staged.wait_for_condition("two", "RemediationAllowed", "False", "BudgetExhausted")
    staged.quiet_for(QUIET)
    assert staged.mutating_calls("two") == []
    used = {one["class"]: one for one in staged.kubectl.json("get", "evs", "main")["status"]["recovery"]["budget"]}
    assert used["SessionLoss"] == {"class": "SessionLoss", "used": 1, "max": 1}
    assert staged.kubectl.condition("evs", "main", "RemediationAllowed")["reason"] == "BudgetExhausted"


def test_storm_stops_every_loss_until_it_is_over_and_then_only_the_present_counts(staged: stage.Stage) -> None:
    staged.server(budget={"storm": {"percent": 30, "floor": 1, "cooldownSeconds": 4}})
    names = [f"number-{position}" for position in range(5)]
    staged.paired_instances(*names, recovery=AT_ONCE)

    for name in names[:3]:
        staged.simulator.break_(name, "S1")

    for name in names[:3]:
        kube.wait_until(lambda name=name: "Storm" in blocked_by(staged, name), message=f"{name} is in no storm")  # type: ignore[misc] # bound at once
    kube.wait_until(lambda: staged.kubectl.condition("evs", "main", "RemediationAllowed").get("reason") == "Storm")
    staged.quiet_for(3 * QUIET)
    assert [staged.mutating_calls(name) for name in names] == [[]] * 5
    assert staged.kubectl.json("get", "evs", "main")["status"]["recovery"]["storm"]["since"]

    staged.simulator.restart_server()

    for name in names:
        staged.wait_ready(name)
    kube.wait_until(
        lambda: "storm" not in staged.kubectl.json("get", "evs", "main")["status"].get("recovery", {}),
        message="the storm did not end",
    )
    assert [staged.mutating_calls(name) for name in names] == [[]] * 5
    told = [event["reason"] for event in staged.events("main")]
    assert (told.count("Storm"), told.count("StormOver")) == (1, 1)
    staged.simulator.break_(names[0], "S1")
    staged.wait_for_steps(names[0], ("Recreate", "Ghost", "Succeeded"))
    assert [staged.mutating_calls(name) for name in names[1:]] == [[]] * 4


def test_restricted_account_is_never_recreated(staged: stage.Stage) -> None:
    staged.paired_instances("banned", recovery=AT_ONCE, pairing={"mode": "Always"})

    staged.simulator.disconnect("banned", code=403)
    staged.wait_for_reason("banned", "Restricted")
    staged.quiet_for(2 * QUIET)

    assert staged.mutating_calls("banned") == []


def test_paired_zombie_is_never_recreated_on_a_version_that_refuses_it(staged: stage.Stage) -> None:
    staged.paired_instances("zombie", recovery=AT_ONCE | {"maxAttempts": 1})

    staged.simulator.break_("zombie", "S4")

    staged.wait_for_steps("zombie", ("Restart", "Connecting", "Failed"))
    staged.wait_for_condition("zombie", "RemediationAllowed", "False", "NeedsServerRestart")
    staged.quiet_for(2 * QUIET)
    assert staged.mutating_calls("zombie") == ["restart"]
