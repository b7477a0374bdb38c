"""The demonstration believes nothing that was not seen: its facts, its script, and what it makes of the examples."""

import io
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console
from rich.live import Live

from demonstration import facts, manifests, performance, screen, script, stage, transcript

URL = "http://127.0.0.1:8080"
WATCHED = ["NAME   READY   HEALTH   REASON   SERVER   AGE", "shop   True    Healthy  Healthy  main     3s"]


def scene(**seen: Any) -> facts.Scene:
    nothing = {"instances": {}, "servers": {}, "calls": [], "audit": [], "seconds": 0.0, "ids": {}}
    return facts.Scene(**{**nothing, **seen})


def call(route: str, name: str = "shop", *, mutating: bool = True) -> dict[str, Any]:
    path = f"/instance/{route}/{name}"
    return {"route": route, "instance": name, "mutating": mutating, "method": "GET", "path": path, "status": 200}


def record(phase: str, step: str = "Restart", reason: str = "Connecting", **more: str) -> dict[str, Any]:
    known = {"name": "shop", "evidence": "connecting/open"}
    return {"phase": phase, "step": step, "reason": reason, **known, **more}


def instance(ready: str, **status: Any) -> dict[str, Any]:
    return {"shop": {"status": {"conditions": [{"type": "Ready", "status": ready}], **status}}}


MENDED = facts.was_mended("shop", step="Restart", because="Connecting")
SUCCEEDED = record("result", result="Succeeded")


def test_step_that_was_proved_counts_as_mended() -> None:
    assert MENDED.holds(scene(audit=[record("intent"), SUCCEEDED]))


@pytest.mark.parametrize(
    "audit",
    [
        [],
        [record("intent")],
        [record("intent"), record("result", result="Failed")],
        [record("intent", reason="NoQRCode"), SUCCEEDED],
        [record("intent"), SUCCEEDED, record("intent", step="Recreate")],
    ],
    ids=["nothing", "no verdict", "failed", "another reason", "another step beside it"],
)
def test_anything_else_does_not_count_as_mended(audit: list[dict[str, Any]]) -> None:
    assert not MENDED.holds(scene(audit=audit))


def test_call_that_was_not_expected_is_noticed() -> None:
    claim = facts.was_called_for("shop", "restart")

    assert claim.holds(scene(calls=[call("restart"), call("connectionState", mutating=False), call("delete", "other")]))
    assert not claim.holds(scene(calls=[call("restart"), call("delete")]))


def test_outage_counts_only_after_its_time_without_call_and_without_step() -> None:
    claim = facts.nothing_is_touched(seconds=10)

    assert claim.holds(scene(seconds=11, calls=[call("connectionState", mutating=False)]))
    assert not claim.holds(scene(seconds=9))
    assert not claim.holds(scene(seconds=11, calls=[call("restart")]))
    assert not claim.holds(scene(seconds=11, audit=[record("intent")]))


def test_code_that_is_still_offered_is_no_readiness() -> None:
    assert facts.is_ready("shop").holds(scene(instances=instance("True")))
    assert not facts.is_ready("shop").holds(scene(instances=instance("True", pairing={"secretName": "shop-pairing"})))
    assert not facts.is_ready("shop").holds(scene(instances=instance("Unknown")))
    assert not facts.is_ready("shop").holds(scene())


def test_only_another_id_is_another_incarnation() -> None:
    claim = facts.is_another_incarnation("shop")

    assert claim.holds(scene(instances=instance("True", instanceID="b"), ids={"shop": "a"}))
    assert not claim.holds(scene(instances=instance("True", instanceID="a"), ids={"shop": "a"}))
    assert not claim.holds(scene(ids={"shop": "a"}))


def test_examples_are_adapted_at_their_edges_only() -> None:
    secret, server, shop = manifests.example("minimal.yaml", (), url=URL, key="key")
    (newsletter,) = manifests.example("two-servers-with-defaults.yaml", ("newsletter",), url=URL, key="key")
    webhook, support = manifests.example("webhook-and-settings.yaml", (), url=URL, key="key")

    assert secret["stringData"] == {"apikey": "key"}
    assert server["spec"]["url"] == URL
    assert shop["spec"] == {"serverRef": {"name": server["metadata"]["name"]}}
    assert "namespace" not in newsletter["metadata"]
    assert newsletter["spec"] == {"serverRef": {"name": "main"}, "pairing": {"mode": "Always"}}
    assert webhook["stringData"] == {"Authorization": "Bearer change-me"}
    assert {"settings", "webhook", "pairing"} < set(support["spec"])


@dataclass
class Witnessed:
    """A stage on which the same scene is seen for ever."""

    seen: facts.Scene
    watched: Any = field(default=lambda: WATCHED)

    def mark(self) -> object:
        return SimpleNamespace()

    def look(self, _mark: object) -> facts.Scene:
        return self.seen


def fact(sentence: str, *, held: bool) -> facts.Fact:
    return facts.Fact(sentence, lambda _: held)


def act(*sentences: tuple[str, bool]) -> script.Act:
    return script.Act("An act", (), [fact(sentence, held=held) for sentence, held in sentences])


def play(*acts: script.Act) -> None:
    performance.play(cast(stage.Stage, Witnessed(scene(seconds=61.0))), transcript.Transcript(), acts)


def test_story_ends_at_the_act_that_did_not_happen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(performance.PerformanceError, match=r"not seen within 60 s: the sun$"):
        play(act(("the moon", True)), act(("the moon", True), ("the sun", False)), act(("the stars", True)))

    told = capsys.readouterr().out
    assert "NOT SEEN | the sun" in told
    assert "the stars" not in told


@pytest.mark.parametrize("size", [(160, 45), (80, 24)], ids=["wide", "narrow"])
def test_newest_facts_are_on_the_screen_however_small_it_is(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "LINGER_SECONDS", 0)
    width, height = size
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    last = act(*((f"fact {number}", True) for number in range(6)))
    with Live(console=console, screen=True, auto_refresh=False) as live:
        shown = screen.Screen(console, live, [last, last])
        for one in (last, last):
            shown.begin(one)
            shown.tell([f"deed {number}" for number in range(12)])
            shown.look(performance.Progress(one, scene(), WATCHED, over=True))
        console.file = drawing = io.StringIO()
        live.refresh()
        drawn = drawing.getvalue()

    assert all(f"✔ fact {number}" in drawn for number in range(6))
    assert "shop   True" in drawn
    assert len(drawn.splitlines()) == height
