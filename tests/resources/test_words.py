"""Vocabularies list our words and take others, each of them once."""

import copy
import pickle
from typing import Any

import pytest

from whatsapp_operator.resources import parsing
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepClass

MOMENT = "2026-11-26T10:00:00Z"
UNINSTALLED = {
    "observedGeneration": 2,
    "healthState": "Degraded",
    "reason": "PhoneSilenced",
    "recovery": {
        "incident": "20261126-7f3a",
        "attempts": 2,
        "pluginSteps": [{"step": "GoOffline", "times": 3}],
        "inFlight": {"step": "GoOffline", "class": "Soft", "reason": "PhoneSilenced", "since": MOMENT},
        "planned": {"step": "GoOffline"},
        "blockedBy": ["TooLoud"],
        "history": [
            {
                "step": "GoOffline",
                "reason": "PhoneSilenced",
                "incident": "20261126-7f3a",
                "startTime": MOMENT,
                "result": "Failed",
            }
        ],
    },
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "PhoneSilenced",
            "message": "It is always online.",
            "lastTransitionTime": MOMENT,
        }
    ],
}


def test_word_that_is_not_listed_is_one_and_the_same_each_time() -> None:
    word = Reason("PhoneSilenced")

    assert word is Reason("PhoneSilenced")
    assert copy.deepcopy(word) is word
    assert pickle.loads(pickle.dumps(word)) is word  # noqa: S301 - pickled in this line
    assert (str(word), f"{word}", word.value) == ("PhoneSilenced",) * 3
    assert word.foreign
    assert word not in list(Reason)


def test_word_that_is_listed_is_ours_and_no_look_alike_is() -> None:
    assert Reason("Ghost") is Reason.GHOST
    assert not Reason.GHOST.foreign
    assert Reason("GHOST").foreign
    assert Reason("GHOST") is not Reason.GHOST


@pytest.mark.parametrize("given", ["", "two words", "Tail\n", "-Dash", "x" * 317, 7, None])
def test_what_is_no_word_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="not a valid Reason"):
        Reason(given)


def test_class_that_does_not_exist_is_still_refused() -> None:
    with pytest.raises(ValueError, match="not a valid StepClass"):
        StepClass("Gentle")


@pytest.mark.parametrize("step", [Step.RESTART, Step("GoOffline")])
def test_step_of_a_plugin_may_have_restarted_the_instance(step: Step) -> None:
    assert step.may_restart
    assert not Step.RECONNECT.may_restart


def test_status_with_words_of_a_plugin_that_is_gone_is_read_and_written_whole() -> None:
    status = parsing.parse_instance_status({"status": UNINSTALLED})

    written = parsing.to_status_body(status)

    assert status.recovery is not None
    assert status.recovery.history[0].step is Step("GoOffline")
    for part in ("healthState", "reason", "conditions"):
        assert written[part] == UNINSTALLED[part]
    before = UNINSTALLED["recovery"]
    assert isinstance(before, dict)
    assert {name: written["recovery"][name] for name in before} == before


def test_status_without_plugins_is_written_as_before_there_were_any() -> None:
    status = parsing.parse_instance_status({"status": {"recovery": {"incident": "20261126-7f3a"}}})

    assert "pluginSteps" not in parsing.to_status_body(status)["recovery"]
