"""Where the code of plugins runs, and where its mistakes end.

A rule that fails is skipped: what the operator's own rules have found holds. A strategy that fails, or takes longer
than its step may, has done what it has done; observation judges it, as it judges any other. The limit is that of the
plugin's code: a Relogin or Recreate that it has asked for is the operator's own, and keeps to limits of its own.
Neither reaches more than it is handed, and neither stops the care for any instance.
"""

from __future__ import annotations

import asyncio

from whatsapp_operator.engine import seeing, treasury
from whatsapp_operator.engine.context import Context
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.engine.server import Server
from whatsapp_operator.health.assessment import Seen, Verdict
from whatsapp_operator.plugins import port
from whatsapp_operator.plugins.plugged import PluggedState, PluggedStrategy
from whatsapp_operator.plugins.view import Evidence, evidence_of
from whatsapp_operator.recovery.strategies import Work
from whatsapp_operator.resources.steps import StepClass


class Nonsense(Exception):  # noqa: N818 - a fact about what a plugin returned
    """A plugin returned what it must not."""


class Rules:
    """The rules of plugins, as one rule."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def verdict(self, draft: Draft, given: Seen) -> Verdict | None:
        """The verdict of the first rule that matches; None when none does."""
        states = self._context.plugged.states
        shown = _evidence(draft, given) if states else None
        if shown is None:
            return None
        return next((one.verdict for one in states if self._matches(one, shown)), None)

    def _matches(self, one: PluggedState, shown: Evidence) -> bool:
        answer, error = _answer(one, shown)
        if error is not None:
            self._context.telemetry.plugin_failed("rule", str(one.verdict.reason), str(one.origin), error)
        return answer


class Strategies:
    """Runs the strategies of plugins."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(
        self, one: PluggedStrategy, server: Server, draft: Draft, work: Work, *, step_class: StepClass
    ) -> port.Made:
        """Carry a step out, within its time; through what it was handed nothing can be done afterwards."""
        instance = port.Instance(
            port.hands_of(work, relogin_deafens=treasury.traits_of(server).relogin_deafens),
            step_class=step_class,
            reason=str(draft.verdict.reason),
            seen=_evidence(draft, seeing.seen(self._context, server, draft)),
            sleep=self._context.sleep,
            monotonic=self._context.clock.monotonic,
        )
        try:
            error = await self._within(one, instance, seconds=draft.policy.recovery.step_timeout_seconds)
            made = await instance.end()
        finally:
            instance.close()
        error = made.failure or error
        if error is not None:
            self._context.telemetry.plugin_failed("strategy", str(one.offer.step), str(one.origin), error)
        return made

    async def _within(self, one: PluggedStrategy, instance: port.Instance, *, seconds: float) -> BaseException | None:
        task = asyncio.create_task(_contained(one, instance), name="strategy-of-a-plugin")
        limit = asyncio.ensure_future(self._its_time_is_up(instance, seconds=seconds))
        try:
            await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else TimeoutError()
        finally:
            # One that does not let itself be cancelled is not waited for: it can do nothing any more.
            limit.cancel()
            task.cancel()

    async def _its_time_is_up(self, instance: port.Instance, *, seconds: float) -> None:
        """Return when the plugin's own code has had its time, to which a Relogin or Recreate does not count."""
        left, lent = seconds, 0.0
        while left > 0:
            await self._context.sleep(left)
            before, lent = lent, await instance.lull()
            left = lent - before


def _answer(one: PluggedState, shown: Evidence) -> tuple[bool, BaseException | None]:
    try:
        answer = one.matches(shown)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's mistake must not stop the care for anyone
        return False, error
    return (answer, None) if isinstance(answer, bool) else (False, Nonsense())


async def _contained(one: PluggedStrategy, instance: port.Instance) -> BaseException | None:
    """What a strategy failed with; a SystemExit in a task would end the operator."""
    try:
        answer = await one.run(instance)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's mistake must not stop the care for anyone
        return error
    return None if answer is None else Nonsense()


def _evidence(draft: Draft, given: Seen) -> Evidence | None:
    settings = draft.instance.spec.settings
    return evidence_of(given, wanted_settings=settings.model_dump(by_alias=True) if settings is not None else {})
