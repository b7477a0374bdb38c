"""Plugins as they are installed: found, loaded and checked, and every mistake told with its entry point and cure."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from support import plugins as installed
from whatsapp_operator.plugins import loading
from whatsapp_operator.recovery import ladder
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepClass

GOOD = """
async def run(instance): ...

def state(**changes):
    given = {"reason": "TooLoud", "state": HealthState.STUCK, "sentence": "{name} is loud.", "matches": lambda _: True}
    return State(**given | changes)

def strategy(**changes):
    given = {"step": "Hush", "step_class": StepClass.SOFT, "reasons": ("TooLoud",), "run": run}
    return Strategy(**given | changes)

STATE, STRATEGY = state(), strategy()
"""
Install = Callable[..., loading.Loaded]
_modules = itertools.count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a plugin whose module ends with these lines, and loads all there are."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(source: str = "", *, states: object = None, strategies: object = None) -> loading.Loaded:
        points = {"states": states or {"loud": "STATE"}, "strategies": strategies or {"hush": "STRATEGY"}}
        installed.place(tmp_path, f"plugin_{next(_modules)}", f"{GOOD}\n{source}", **points)  # type: ignore[arg-type]
        importlib.invalidate_caches()
        return loading.load()

    return put


def test_without_plugins_there_is_nothing_and_nothing_is_wrong() -> None:
    loaded = loading.load()

    assert (loaded.plugged.states, loaded.plugged.strategies, loaded.problems) == ((), (), ())


def test_state_and_strategy_are_taken_as_they_are_declared(install: Install) -> None:
    loaded = install()

    assert loaded.problems == ()
    (state,), (strategy,) = loaded.plugged.states, loaded.plugged.strategies
    assert (state.verdict.state, state.verdict.reason) == (HealthState.STUCK, Reason("TooLoud"))
    assert loaded.plugged.sentences == {Reason("TooLoud"): "{name} is loud."}
    expected = ladder.Offer(Step("Hush"), StepClass.SOFT, frozenset({Reason("TooLoud")}))
    assert loaded.plugged.offers == {Step("Hush"): expected}
    assert loaded.plugged.by_step[Step("Hush")] is strategy
    assert str(strategy.origin).startswith("hush (whatsapp_operator.recovery_strategies, plugin")


@pytest.mark.parametrize("reason", sorted(ladder.MAY_BE_OFFERED_FOR))
def test_strategy_may_be_offered_for_what_the_operator_has_steps_for(install: Install, reason: Reason) -> None:
    assert install(f'STRATEGY = strategy(reasons=("{reason}",))').problems == ()


MISTAKES = {
    "no state": ("STATE = 7", "names a int: let it name a whatsapp_operator.plugins.State"),
    "no strategy": ("STRATEGY = run", "names a function: let it name a whatsapp_operator.plugins.Strategy"),
    "no name": (
        'STATE = state(reason="too loud")',
        "has the reason 'too loud', which is no name: give a word in Camel",
    ),
    "a long name": (f'STATE = state(reason="L{"o" * 40}")', "which is no name"),
    "no text": ("STRATEGY = strategy(step=None)", "has the step 'None', which is no name"),
    "our reason": ('STATE = state(reason="Ghost")', "has the reason Ghost, which the operator has already: give anoth"),
    "almost ours": ('STATE = state(reason="GhosT")', "has the reason GhosT, which the operator has already"),
    "our step": ('STRATEGY = strategy(step="Recreate")', "has the step Recreate, which the operator has already"),
    "no such class": ('STRATEGY = strategy(step_class="Gentle")', "has the class 'Gentle', which does not exist: give"),
    "health": ("STATE = state(state=HealthState.HEALTHY)", "has the state 'Healthy', which is none that a plugin may"),
    "unknown": ("STATE = state(state=HealthState.UNKNOWN)", "give one of Disconnected, Degraded, Stuck, Corrupted"),
    "no sentence": ('STATE = state(sentence=" ")', "has no usable sentence: give one line of at most 500 characters"),
    "two lines": (r'STATE = state(sentence="a\nb")', "has no usable sentence"),
    "unknown braces": ('STATE = state(sentence="{token}")', "has a sentence in which braces cannot be filled in"),
    "hidden braces": ('STATE = state(sentence="{name.x}")', "has a sentence in which braces cannot be filled in"),
    "no rule": ("STATE = state(matches=True)", "has a rule that is no function"),
    "async rule": ("STATE = state(matches=run)", "has a rule that is no function"),
    "no async run": ("STRATEGY = strategy(run=lambda _: None)", "has a `run` that is no async function"),
    "for nothing": ("STRATEGY = strategy(reasons=())", "is offered for nothing: give a tuple of reasons"),
    "for letters": ('STRATEGY = strategy(reasons="TooLoud")', "is offered for nothing"),
    "for no reason": ('STRATEGY = strategy(reasons=("Boredom",))', "is offered for 'Boredom', for which no step may"),
    "no times": ("STRATEGY = strategy(times=0)", "is to be tried 0 times: give a whole number from 1 to 10"),
    "many times": ("STRATEGY = strategy(times=True)", "is to be tried True times"),
}


@pytest.mark.parametrize(("source", "told"), [pytest.param(*row, id=name) for name, row in MISTAKES.items()])
def test_mistake_is_told_with_entry_point_and_cure_and_adds_nothing(install: Install, source: str, told: str) -> None:
    loaded = install(source)

    of_state = source.startswith("STATE")
    (problem,) = [one for one in loaded.problems if told in one]
    assert problem.startswith(f"The plugin {'loud (whatsapp_operator.health' if of_state else 'hush (whatsapp_oper'}")
    assert (loaded.plugged.states if of_state else loaded.plugged.strategies) == ()


@pytest.mark.parametrize("reason", ["Restricted", "SessionMissing", "Flapping", "AwaitingScan", "Settling", "NotFound"])
def test_no_strategy_is_offered_where_no_step_may_be_taken(install: Install, reason: str) -> None:
    (problem,) = install(f'STRATEGY = strategy(reasons=("{reason}",))').problems

    assert f"is offered for '{reason}', for which no step may be offered" in problem


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nobody_has_this", "ModuleNotFoundError: No module named 'nobody_has_this'. Install what it needs"),
        ("del STATE", "AttributeError"),
        ("raise SystemExit", "SystemExit"),
        ("raise ValueError('4915112345678')", "ValueError. Install"),
    ],
)
def test_plugin_that_cannot_be_imported_is_told_without_what_it_may_quote(
    install: Install, source: str, told: str
) -> None:
    loaded = install(source, strategies={"hush": "STATE"})

    assert all("cannot be loaded from plugin_" in problem for problem in loaded.problems)
    assert told in loaded.problems[0]
    assert "4915112345678" not in str(loaded.problems)


def test_second_plugin_with_a_name_is_refused_and_says_who_has_it(install: Install) -> None:
    install()

    loaded = install(states={"other": "STATE"}, strategies={"other": "STRATEGY"})

    (state,), (strategy,) = loaded.plugged.states, loaded.plugged.strategies
    assert (state.origin.name, strategy.origin.name) == ("loud", "hush")
    of_state, of_strategy = loaded.problems
    assert of_state.startswith("The plugin other (")
    assert f"has the reason TooLoud, which the plugin {state.origin} has already: give another one" in of_state
    assert f"has the step Hush, which the plugin {strategy.origin} has already: give another one" in of_strategy


def test_strategy_for_the_reason_of_a_refused_state_is_refused_too(install: Install) -> None:
    loaded = install('STATE = state(reason="too loud")')

    assert len(loaded.problems) == 2
    assert (loaded.plugged.states, loaded.plugged.strategies) == ((), ())
