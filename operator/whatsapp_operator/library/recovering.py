"""Gentle steps, one after another, each verified by what is observed after it.

Which step, and when, is the planner's to say. A step that could lose something is never taken here.
"""

from __future__ import annotations

import structlog

from whatsapp_operator.library.case import Case
from whatsapp_operator.library.keeping import Keeper
from whatsapp_operator.library.observation import Means
from whatsapp_operator.recovery import planner, strategies
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step, StepInFlight, StepResult

_log = structlog.get_logger(__name__)

_GENTLE = (Step.RECONNECT, Step.RESTART)
"""What can lose nothing, and makes nothing that was not there."""


class Recovery:
    """The recovery of one instance in one call."""

    def __init__(self, case: Case, means: Means, keeper: Keeper) -> None:
        self._case, self._means, self._keeper = case, means, keeper
        self._attempts = 0

    async def run(self) -> bool:
        """Take gentle steps until the instance is well, none is left, or one is held back; whether it is well."""
        patience = self._patience()
        while not self._case.is_well and self._attempts < self._means.settings.max_attempts:
            planned = planner.plan(self._case.situation())
            if planned.step not in _GENTLE:
                break
            if planned.due(self._means.around.now()):
                patience = self._patience() if await self._try(planned.step) else patience
            elif self._may_be_waited_for(planned):
                await self._wait(planned)
            else:
                patience = float("-inf")
            if self._means.around.monotonic() >= patience:
                self._tell_refusal(planned)
                break
        return self._case.is_well

    def _patience(self) -> float:
        """Until when, in monotonic seconds, a step is waited for: as long as its evidence may take."""
        settings = self._means.settings
        return self._means.around.monotonic() + settings.stuck_timeout_seconds + 2 * settings.spans.stable

    def _may_be_waited_for(self, planned: planner.Plan) -> bool:
        return set(planned.blocked_by) <= {Reason.AWAITING_OBSERVATION} and self._until(planned) <= (
            self._means.settings.stuck_timeout_seconds
        )

    def _until(self, planned: planner.Plan) -> float:
        return (planned.at - self._means.around.now()).total_seconds() if planned.at is not None else 0.0

    async def _wait(self, planned: planner.Plan) -> None:
        """For the planned moment, or for the observations that it still needs."""
        around = self._means.around
        pause = self._until(planned) - self._means.settings.poll_seconds
        if pause > 0:
            await around.sleep(pause)
        if not await self._case.sight.sample_if_called_for():
            await around.sleep(self._means.settings.poll_seconds)
        await self._case.look()

    async def _try(self, step: Step) -> bool:
        """Look once more, announce a step, carry it out, and see what became of it; whether it was taken."""
        case = self._case
        if not await case.is_still_so():
            await self._means.around.sleep(self._means.settings.poll_seconds)
            await case.look()
            return False
        self._attempts += 1
        attempt = {"instance": case.name, "attempt": self._attempts, "step": step.lower()}
        reason = case.sight.verdict.reason
        case.announce(step)
        await self._keeper.keep_announced(case)
        _log.info("trying to recover the instance", **attempt)
        try:
            await strategies.STRATEGIES[step](case.work)
        finally:
            case.stepped()
        await self._conclude()
        await case.observe(span=self._until_it_shows(reason))
        await self._keeper.keep(case)
        told = "the instance has recovered" if case.is_well else "the instance has not recovered"
        _log.info(told, **attempt, state=case.check().state)
        return True

    def _until_it_shows(self, reason: Reason) -> float:
        """Seconds after which a step that did not help is known not to have: codes come rarely, so this takes long."""
        settings = self._means.settings
        return settings.spans.frozen if reason is Reason.NO_QR_CODE else settings.stuck_timeout_seconds

    async def _conclude(self) -> None:
        flying = self._case.recovery.in_flight
        if flying is not None:
            self._case.conclude(flying, await self._verdict(flying))

    async def _verdict(self, flying: StepInFlight) -> StepResult:
        while True:
            await self._means.around.sleep(self._means.settings.poll_seconds)
            await self._case.look()
            if flying.reason is Reason.DEAD_SOCKET and self._case.sight.is_probe_due:
                await self._case.sight.probe()
            result = self._case.verdict_on(flying)
            if result is not None:
                return result

    def _tell_refusal(self, planned: planner.Plan) -> None:
        _log.warning(
            "a step is held back",
            instance=self._case.name,
            step=str(planned.step).lower(),
            reasons=[str(reason) for reason in planned.blocked_by] or [str(Reason.RETRY_DELAY)],
        )
