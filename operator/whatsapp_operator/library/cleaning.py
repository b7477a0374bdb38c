"""Cleanup: the operator's safe delete, and then nothing is remembered of the instance."""

from __future__ import annotations

import structlog

from whatsapp_operator.evolution import evidence
from whatsapp_operator.library import errors, vouching
from whatsapp_operator.library.case import Case
from whatsapp_operator.library.keeping import Keeper
from whatsapp_operator.library.results import word
from whatsapp_operator.recovery import gates, strategies
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.steps import Step

_log = structlog.get_logger(__name__)


async def clean_up(case: Case, keeper: Keeper, *, allow_session_loss: bool) -> None:
    """Delete an instance that was observed to be in need of it, and reset its record.

    Raises:
        errors.ServerUnknown: nothing could be read of it.
        errors.SessionLossNotAllowed: it is protected, and its loss is not allowed.
        errors.CleanupRefused: a cleanup is not called for, or is held back.
        errors.CleanupUnfinished: it is not proved gone.
    """
    refuse(case, allow_session_loss=allow_session_loss)
    if case.sight.record.protected and not await _is_vouched_for(case):
        raise _refused(case, Reason.NOT_VOUCHED_FOR)
    # Others were asked meanwhile, and a phone may have been linked, or the name be another instance's by now.
    if not await case.has_the_same_row() or not await case.is_still_so():
        raise _refused(case, Reason.AWAITING_OBSERVATION)
    case.announce(Step.DELETE)
    await keeper.keep_announced(case)
    _log.warning("cleaning the instance up", instance=case.name, protected=case.sight.record.protected)
    webhook = await case.client.find_webhook(case.name)
    try:
        done = await strategies.delete(case.work)
    finally:
        case.stepped()
    if done is not strategies.Done.DONE:
        await _give_back(case, webhook, done)
        _log.warning("the cleanup is not finished", instance=case.name, deletion=done.value.lower())
        raise errors.CleanupUnfinished(case.name, done=done)
    _log.info("the instance is deleted", instance=case.name)
    await keeper.reset(case.name)
    _log.info("cleanup is complete", instance=case.name)


async def _is_vouched_for(case: Case) -> bool:
    listed = await case.work.list_rows()
    if not isinstance(listed, evidence.DatabaseList):
        return False
    return not await vouching.may_be_an_outage(case.client, listed, case.name)


async def _give_back(case: Case, webhook: evidence.Webhook | evidence.Unknown | None, done: strategies.Done) -> None:
    """One that was spared goes on working: its webhook, which a safe delete switches off first, is on again."""
    if done is strategies.Done.REFUSED and isinstance(webhook, evidence.Webhook) and webhook.enabled:
        await case.client.set_webhook(case.name, webhook)


def refuse(case: Case, *, allow_session_loss: bool) -> None:
    """Raise what is against a cleanup; return where nothing is. No call is made for it."""
    if case.is_unknown:
        raise errors.ServerUnknown(case.name, reason=case.sight.reason)
    against = case.against_cleanup
    if against is not None:
        raise _refused(case, against)
    holds = gates.against(case.situation(approved=allow_session_loss), Step.RECREATE)
    reasons = tuple(dict.fromkeys(hold.reason for hold in holds))
    if Reason.APPROVAL_REQUIRED in reasons:
        state = word(case.sight.verdict.state)
        raise errors.SessionLossNotAllowed(
            case.name, state=state, paired=case.sight.record.paired is not False, data=case.sight.record.known_data
        )
    if reasons:
        raise _refused(case, *reasons)


def _refused(case: Case, *reasons: Reason) -> errors.CleanupRefused:
    return errors.CleanupRefused(case.name, state=word(case.sight.verdict.state), reasons=reasons)
