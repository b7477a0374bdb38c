"""What the installed plugins add, once it has been checked: values that the engine holds."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.plugins.port import Instance
from whatsapp_operator.plugins.view import Evidence
from whatsapp_operator.recovery.ladder import Offer, Offers
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step


@dataclass(frozen=True, slots=True)
class Origin:
    """The entry point that something comes from."""

    group: str
    name: str
    package: str
    """Name and version of the distribution."""

    def __str__(self) -> str:
        return f"{self.name} ({self.group}, {self.package})"


@dataclass(frozen=True, slots=True)
class PluggedState:
    """A health state of a plugin."""

    origin: Origin
    verdict: Verdict
    sentence: str
    matches: Callable[[Evidence], object]


@dataclass(frozen=True, slots=True)
class PluggedStrategy:
    """A recovery strategy of a plugin."""

    origin: Origin
    offer: Offer
    run: Callable[[Instance], Awaitable[object]]


@dataclass(frozen=True)
class Plugged:
    """All of it; nothing where no plugin is installed."""

    states: tuple[PluggedState, ...] = ()
    """In the order in which they are asked."""
    strategies: tuple[PluggedStrategy, ...] = ()

    @functools.cached_property
    def sentences(self) -> Mapping[Reason, str]:
        """What each reason means, and what to do next."""
        return {one.verdict.reason: one.sentence for one in self.states}

    @functools.cached_property
    def offers(self) -> Offers:
        """The steps, as the ladder offers them."""
        return {one.offer.step: one.offer for one in self.strategies}

    @functools.cached_property
    def by_step(self) -> Mapping[Step, PluggedStrategy]:
        """The strategies, by their steps."""
        return {one.offer.step: one for one in self.strategies}


NOTHING = Plugged()
