"""The example plugin, installed beside the operator: its state is seen, its step is taken, and its class holds it."""

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

import bootstrap
from e2e import kube, stage
from support import plugins as installed

PLUGIN = stage.ROOT / "examples" / "plugin"
STATE, STEP = "PhoneSilenced", "GoOffline"
ONE_SOFT_STEP = {"windows": [{"class": "Soft", "max": 1, "periodSeconds": 3600}]}
SWITCHES = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")


def install(source: Path, target: Path) -> None:
    """Install a plugin into a folder of its own, from its source, without the network."""
    built_here = ("--no-deps", "--no-build-isolation", "--offline", f"--python={stage.PROGRAMS / 'python'}")
    bootstrap.uv("pip", "install", "--quiet", *built_here, f"--target={target}", str(source))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed plugins that every operator of the test finds."""
    target = tmp_path / "plugins"
    install(PLUGIN, target)
    monkeypatch.setenv("PYTHONPATH", str(target))
    return target


@pytest.fixture
def extended(plugins: Path, staged: stage.Stage) -> stage.Stage:
    """The stage, with an operator that has the example plugin."""
    assert "plugins" in os.environ["PYTHONPATH"]
    return staged


def settings_of(staged: stage.Stage, name: str) -> dict[str, Any]:
    answer = httpx.get(
        f"{staged.simulator.url}/instance/fetchInstances", headers={"apikey": stage.API_KEY}, trust_env=False
    )
    return next(row["Setting"] for row in answer.raise_for_status().json() if row["name"] == name)


def silence(staged: stage.Stage, *names: str) -> None:
    """What the example plugin finds."""
    switch_on(staged, "alwaysOnline", *names)


def switch_on(staged: stage.Stage, setting: str, *names: str) -> None:
    """Some other client of the server switches a setting on; the journal begins now."""
    for name in names:
        wanted = {switch: settings_of(staged, name)[switch] for switch in SWITCHES} | {setting: True}
        url, key = f"{staged.simulator.url}/settings/set/{name}", {"apikey": stage.API_KEY}
        httpx.post(url, json=wanted, headers=key, trust_env=False).raise_for_status()
    staged.simulator.reset_calls()


def audits(staged: stage.Stage, phase: str) -> list[dict[str, Any]]:
    """What the audit trail says of the plugin's step."""
    lines = (line for line in staged.log_lines() if line.get("logger") == "audit")
    return [line for line in lines if (line["phase"], line["step"]) == (phase, STEP)]


def sample(staged: stage.Stage, metric: str, **labels: str) -> float:
    """The value of a metric, 0 where it is not told."""
    for line in staged.operator.metrics().splitlines():
        if line.startswith(f"{metric}{{") and all(f'{name}="{value}"' in line for name, value in labels.items()):
            return float(line.rpartition(" ")[2])
    return 0


def test_state_of_a_plugin_is_shown_and_its_step_is_taken_and_told_like_any_other(extended: stage.Stage) -> None:
    staged = extended
    staged.paired_instances("sales")

    silence(staged, "sales")

    staged.wait_for_steps("sales", (STEP, STATE, "Succeeded"))
    staged.wait_ready("sales")
    assert settings_of(staged, "sales")["alwaysOnline"] is False
    assert staged.mutating_calls("sales") == ["settingsSet", "restart"]
    recovery = staged.status("sales")["recovery"]
    assert (recovery["pluginSteps"], recovery["attempts"]) == ([{"step": STEP, "times": 1}], 0)
    (intent,), (result,) = audits(staged, "intent"), audits(staged, "result")
    assert (intent["step_class"], intent["reason"], result["result"]) == ("Soft", STATE, "Succeeded")
    labels = {"step": STEP, "class": "Soft", "result": "Succeeded"}
    assert sample(staged, "whatsapp_operator_recoveries_total", **labels) == 1
    told = {event["reason"]: event["message"] for event in staged.events("sales")}
    assert "set spec.settings.alwaysOnline of sales to true" in told[STATE]
    assert told["StepStarted"].startswith(f"{STEP}, because of {STATE}.")


def test_spec_that_asks_for_the_setting_is_left_alone(extended: stage.Stage) -> None:
    extended.paired_instances("wanted", settings={"alwaysOnline": True})

    extended.quiet_for(4)

    assert extended.condition("wanted", "Ready") == ("True", "Healthy")
    assert extended.mutating_calls("wanted") == []


def test_spent_budget_of_its_class_holds_the_step_of_a_plugin_back(extended: stage.Stage) -> None:
    staged = extended
    staged.server(budget=ONE_SOFT_STEP)
    staged.paired_instances("first", "second")
    silence(staged, "first")
    staged.wait_for_steps("first", (STEP, STATE, "Succeeded"))

    silence(staged, "second")

    staged.wait_for_condition("second", "RemediationAllowed", "False", "BudgetExhausted")
    staged.wait_for_reason("second", STATE)
    staged.restart_operator()
    staged.quiet_for(5)
    staged.wait_for_condition("second", "RemediationAllowed", "False", "BudgetExhausted")
    assert staged.mutating_calls("second") == []
    recovery = staged.status("second")["recovery"]
    assert (recovery["planned"]["step"], recovery["blockedBy"]) == (STEP, ["BudgetExhausted"])
    assert sample(staged, "whatsapp_operator_budget_used", **{"class": "Soft"}) == 1
    assert "BudgetExhausted" in {reason for line in audits(staged, "refused") for reason in line["blocked_by"]}


def test_plugin_that_was_uninstalled_leaves_a_status_that_is_still_read_whole(
    plugins: Path, extended: stage.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = extended
    staged.server(budget={"windows": [{"class": "Soft", "max": 0, "periodSeconds": 3600}]})
    staged.paired_instances("sales")
    silence(staged, "sales")
    staged.wait_for_condition("sales", "RemediationAllowed", "False", "BudgetExhausted")
    before = staged.status("sales")
    assert (before["reason"], before["recovery"]["planned"]["step"]) == (STATE, STEP)

    monkeypatch.delenv("PYTHONPATH")
    staged.restart_operator()

    staged.wait_ready("sales")
    after = staged.status("sales")
    assert after["instanceID"] == before["instanceID"]
    assert (after["reason"], after["recovery"]["incident"]) == ("Healthy", before["recovery"]["incident"])
    assert staged.mutating_calls("sales") == []


BROKEN = """
import a_module_that_nobody_has
"""

MISTAKEN = """
async def run(instance): ...
HARD = Strategy(step="Harden", step_class="Hard", reasons=("Connecting",), run=run)
TAKEN = State(reason="Ghost", state=HealthState.STUCK, sentence="It is one.", matches=lambda seen: True)
"""


def test_operator_with_a_broken_plugin_names_entry_point_and_cure_and_begins_nothing(
    plugins: Path, extended: stage.Stage
) -> None:
    staged = extended
    staged.paired_instances("sales")
    staged.operator.stop()
    installed.place(plugins, "absent", BROKEN, states={"absent": "STATE"})
    installed.place(plugins, "mistaken", MISTAKEN, states={"taken": "TAKEN"}, strategies={"hard": "HARD"})

    staged.operator.start()
    silence(staged, "sales")

    told = kube.wait_until(lambda: staged.operator.ready()[1] if "absent" in staged.operator.ready()[1] else "")
    assert "No module named 'a_module_that_nobody_has'. Install what it needs, or uninstall it." in told
    assert "taken (whatsapp_operator.health_states, mistaken 1.0) has the reason Ghost, which the operator has" in told
    assert "has the class 'Hard', which does not exist: give one of Soft, ServerRestart, Recreate" in told
    assert len([line for line in staged.log_lines() if "plugin cannot be used" in line["message"]]) == 3
    staged.quiet_for(3)
    assert staged.simulator.calls() == []


FAILING = """
def matches(seen):
    raise LookupError("4915112345678")

STATE = State(reason="Stumbles", state=HealthState.STUCK, sentence="It stumbles.", matches=matches)
"""


def test_rule_of_a_plugin_that_raises_is_passed_over_and_told_once(plugins: Path, extended: stage.Stage) -> None:
    staged = extended
    staged.operator.stop()
    installed.place(plugins, "failing", FAILING, states={"a-failing": "STATE"})
    staged.operator.start()
    staged.paired_instances("sales", "support")

    staged.simulator.break_("support", "S5")
    silence(staged, "sales")

    staged.wait_for_steps("support", ("Reconnect", "ClosedSocket", "Succeeded"))
    staged.wait_for_steps("sales", (STEP, STATE, "Succeeded"))
    staged.wait_ready("sales")
    assert sample(staged, "whatsapp_operator_plugin_failures_total", part="rule", word="Stumbles") > 1
    (told,) = [line for line in staged.log_lines() if line.get("word") == "Stumbles" and line["level"] == "error"]
    assert told["plugin"] == "a-failing (whatsapp_operator.health_states, failing 1.0)"
    assert "4915112345678" not in staged.operator.log()


def test_dry_run_and_pause_hold_the_step_of_a_plugin_back(extended: stage.Stage) -> None:
    staged = extended
    staged.paired_instances("dry", recovery={"mode": "DryRun"})
    staged.paired_instances("paused")
    staged.update("paused", pause={"reason": "a person is looking"})
    staged.wait_for_condition("paused", "Paused", "True", "Paused")

    silence(staged, "dry", "paused")

    staged.wait_for_condition("dry", "RemediationAllowed", "False", "DryRun")
    staged.wait_for_condition("paused", "RemediationAllowed", "False", "Paused")
    staged.quiet_for(4)
    for name in ("dry", "paused"):
        assert (staged.reason(name), staged.mutating_calls(name)) == (STATE, [])
        assert staged.status(name)["recovery"]["planned"]["step"] == STEP


@pytest.mark.parametrize("hold", ["hold-before", "hold-after"])
def test_crash_in_the_step_of_a_plugin_is_known_afterwards_and_leads_to_no_second_one(
    extended: stage.Stage, hold: str
) -> None:
    staged = extended
    staged.paired_instances("sales")
    held = staged.simulator.fault(hold, route="restart", count=1)
    silence(staged, "sales")
    kube.wait_until(lambda: any(fault["id"] == held and fault["hits"] for fault in staged.simulator.faults()))
    flying = staged.status("sales")["recovery"]["inFlight"]
    assert (flying["step"], flying["class"], flying["reason"]) == (STEP, "Soft", STATE)

    staged.operator.kill()
    staged.simulator.release()
    staged.operator.start()

    staged.wait_for_steps("sales", (STEP, STATE, "Interrupted"))
    staged.wait_ready("sales")
    staged.quiet_for(4)
    assert staged.mutating_calls("sales") == ["settingsSet", "restart"]
    assert staged.steps("sales") == [(STEP, STATE, "Interrupted")]


GREEDY = """
async def wipe(instance):
    await instance.recreate()

STATE = State(
    reason="Busy",
    state=HealthState.STUCK,
    sentence="It rejects calls.",
    matches=lambda seen: seen.settings.get("rejectCall") is True,
)
STRATEGY = Strategy(step="Wipe", step_class=StepClass.SOFT, reasons=("Busy",), run=wipe)
"""


def test_gentle_step_of_a_plugin_that_would_delete_is_refused_before_anything_is_sent(
    plugins: Path, extended: stage.Stage
) -> None:
    staged = extended
    staged.operator.stop()
    installed.place(plugins, "greedy", GREEDY, states={"busy": "STATE"}, strategies={"wipe": "STRATEGY"})
    staged.operator.start()
    staged.paired_instances("sales")
    switch_on(staged, "rejectCall", "sales")

    kube.wait_until(lambda: ("Wipe", "Busy", "Failed") in staged.steps("sales"), timeout=60)

    assert staged.mutating_calls("sales") == []
    assert sample(staged, "whatsapp_operator_plugin_failures_total", part="strategy", word="Wipe") >= 1
    (told,) = [line for line in staged.log_lines() if line.get("word") == "Wipe" and line["level"] == "error"]
    assert told["plugin"] == "wipe (whatsapp_operator.recovery_strategies, greedy 1.0)"
    assert "CallNotAllowed" in told["exception"]
