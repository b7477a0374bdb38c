"""The installed plugins, found by their entry points, loaded and checked.

Everything that is wrong with any of them is told at once: each problem names the entry point and the cure. What could
be checked is checked here, so that a plugin's mistake is met at the start and not in the middle of an incident.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.plugins.declarations import State, Strategy
from whatsapp_operator.plugins.plugged import Origin, Plugged, PluggedState, PluggedStrategy
from whatsapp_operator.recovery import ladder
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step, StepClass

STATES = "whatsapp_operator.health_states"
STRATEGIES = "whatsapp_operator.recovery_strategies"

PLACEHOLDERS = ("name", "namespace", "server", "instance")
"""What a sentence may have filled in."""

_NAME = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
_LONGEST_NAME = 40
_LONGEST_SENTENCE = 500
_MOST_TIMES = 10
_BAD_STATES = (HealthState.DISCONNECTED, HealthState.DEGRADED, HealthState.STUCK, HealthState.CORRUPTED)

EntryPoints = Callable[..., Iterable[importlib.metadata.EntryPoint]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The plugins, or what is wrong with them: a sentence each, with its cure."""

    plugged: Plugged
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What an entry point names, unchecked."""

    origin: Origin
    named: Any


def load(entry_points: EntryPoints = importlib.metadata.entry_points) -> Loaded:
    """Load all installed plugins."""
    problems: list[str] = []
    states = [*_states(_found(entry_points, STATES, problems), problems)]
    reasons = {one.verdict.reason for one in states}
    strategies = [*_strategies(_found(entry_points, STRATEGIES, problems), reasons, problems)]
    return Loaded(Plugged(tuple(states), tuple(strategies)), tuple(problems))


def _found(entry_points: EntryPoints, group: str, problems: list[str]) -> Iterator[_Found]:
    points = ((point, _origin(point, group)) for point in entry_points(group=group))
    for point, origin in sorted(points, key=lambda pair: str(pair[1])):
        try:
            named = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin's module does when it is imported
            problems.append(
                f"The plugin {origin} cannot be loaded from {point.value}: {_told(error)}. Install what it needs, or "
                "uninstall it."
            )
        else:
            yield _Found(origin, named)


def _origin(point: importlib.metadata.EntryPoint, group: str) -> Origin:
    package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "of no package"
    return Origin(group=group, name=point.name, package=package)


def _told(error: BaseException) -> str:
    """The text of an error of the import system names modules; that of any other may hold anything."""
    quoted = isinstance(error, ImportError | AttributeError)
    return f"{type(error).__name__}: {error}" if quoted else type(error).__name__


def _states(found: Iterable[_Found], problems: list[str]) -> Iterator[PluggedState]:
    taken = {str(word).casefold(): "the operator" for word in Reason}
    for one in found:
        wrong = [*_wrong_with_state(one.named, taken)]
        problems += _problems(one.origin, wrong)
        if not wrong:
            state: State = one.named
            taken[state.reason.casefold()] = f"the plugin {one.origin}"
            verdict = Verdict(HealthState(state.state), Reason(state.reason))
            yield PluggedState(one.origin, verdict, state.sentence, state.matches)


def _strategies(found: Iterable[_Found], reasons: set[Reason], problems: list[str]) -> Iterator[PluggedStrategy]:
    taken = {str(word).casefold(): "the operator" for word in Step}
    for one in found:
        wrong = [*_wrong_with_strategy(one.named, taken, reasons)]
        problems += _problems(one.origin, wrong)
        if not wrong:
            strategy: Strategy = one.named
            taken[strategy.step.casefold()] = f"the plugin {one.origin}"
            yield PluggedStrategy(one.origin, _offer(strategy), strategy.run)


def _offer(strategy: Strategy) -> ladder.Offer:
    return ladder.Offer(
        step=Step(strategy.step),
        least=StepClass(strategy.step_class),
        reasons=frozenset(Reason(reason) for reason in strategy.reasons),
        times=strategy.times,
    )


def _problems(origin: Origin, wrong: Iterable[str]) -> list[str]:
    return [f"The plugin {origin} {what}." for what in wrong]


def _wrong_with_state(named: Any, taken: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(named, State):
        yield f"names a {type(named).__name__}: let it name a whatsapp_operator.plugins.State"
        return
    yield from _wrong_with_name("reason", named.reason, taken)
    if named.state not in _BAD_STATES:
        words = ", ".join(_BAD_STATES)
        yield f"has the state {_shown(named.state)}, which is none that a plugin may find: give one of {words}"
    yield from _wrong_with_sentence(named.sentence)
    if not callable(named.matches) or inspect.iscoroutinefunction(named.matches):
        yield "has a rule that is no function: let `matches` be one that takes the Evidence and returns True or False"


def _wrong_with_sentence(sentence: object) -> Iterator[str]:
    if not isinstance(sentence, str) or not sentence.strip() or "\n" in sentence or len(sentence) > _LONGEST_SENTENCE:
        yield f"has no usable sentence: give one line of at most {_LONGEST_SENTENCE} characters"
        return
    try:
        sentence.format(**dict.fromkeys(PLACEHOLDERS, ""))
    except (LookupError, ValueError, AttributeError):
        words = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
        yield f"has a sentence in which braces cannot be filled in: use {words} only, and write others twice"


def _wrong_with_strategy(named: Any, taken: Mapping[str, str], reasons: set[Reason]) -> Iterator[str]:
    if not isinstance(named, Strategy):
        yield f"names a {type(named).__name__}: let it name a whatsapp_operator.plugins.Strategy"
        return
    yield from _wrong_with_name("step", named.step, taken)
    if named.step_class not in tuple(StepClass):
        given, words = _shown(named.step_class), ", ".join(StepClass)
        yield f"has the class {given}, which does not exist: give one of {words}"
    yield from _wrong_with_reasons(named.reasons, reasons)
    if not inspect.iscoroutinefunction(named.run):
        yield "has a `run` that is no async function: let it be one that takes the Instance"
    if type(named.times) is not int or not 1 <= named.times <= _MOST_TIMES:
        yield f"is to be tried {_shown(named.times)} times: give a whole number from 1 to {_MOST_TIMES}"


def _wrong_with_reasons(given: object, plugged: set[Reason]) -> Iterator[str]:
    if not isinstance(given, tuple) or not given:
        yield "is offered for nothing: give a tuple of reasons"
        return
    for reason in given:
        if reason not in plugged and reason not in ladder.MAY_BE_OFFERED_FOR:
            words = ", ".join(sorted({*plugged, *ladder.MAY_BE_OFFERED_FOR}))
            yield f"is offered for {_shown(reason)}, for which no step may be offered: give some of {words}"


def _wrong_with_name(kind: str, given: object, taken: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(given, str) or not _NAME.fullmatch(given) or len(given) > _LONGEST_NAME:
        yield (
            f"has the {kind} {_shown(given)}, which is no name: give a word in CamelCase of letters and digits, at "
            f"most {_LONGEST_NAME} of them, such as NoWebhook"
        )
    elif given.casefold() in taken:
        yield f"has the {kind} {given}, which {taken[given.casefold()]} has already: give another one, or uninstall it"


def _shown(given: object) -> str:
    return repr(given if isinstance(given, int) else str(given))[:80]
