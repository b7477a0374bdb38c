"""Cleanup: the operator's safe delete, and then nothing is remembered of the instance."""

from __future__ import annotations

from dataclasses import replace

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
    done = await _delete(case, keeper)
    if done is not strategies.Done.DONE:
        await _remember(case, keeper, done)
        _log.warning("the cleanup is not finished", instance=case.name, deletion=done.value.lower())
        raise errors.CleanupUnfinished(case.name, done=done)
    _log.info("the instance is deleted", instance=case.name)
    await keeper.reset(case.name)
    _log.info("cleanup is complete", instance=case.name)


async def _delete(case: Case, keeper: Keeper) -> strategies.Done:
    """The operator's safe delete; a crash at any point leaves the next call to know how far it came."""
    case.silences(await case.client.find_webhook(case.name))
    case.announce(Step.DELETE)
    await keeper.keep_announced(case)
    _log.warning("cleaning the instance up", instance=case.name, protected=case.sight.record.protected)
    work = case.work
    try:
        prepared = await strategies.prepare_delete(work)
        if prepared is not strategies.Done.DONE:
            return prepared
        case.deletes()
        await keeper.keep_announced(case)
        return await strategies.delete_prepared(work)
    finally:
        case.stepped()


async def _remember(case: Case, keeper: Keeper, done: strategies.Done) -> None:
    """One that was spared goes on working: its webhook, which a safe delete switches off first, is on again."""
    if done is strategies.Done.REFUSED:
        case.deletion_since = None
        await _give_back(case)
    await keeper.keep_announced(case)


async def settle(case: Case, keeper: Keeper) -> None:
    """Put the webhook back of an instance that a cleanup began to delete, and that is well."""
    if case.is_well and case.webhook_events is not None:
        await _give_back(case)
        await keeper.keep(case)


async def _give_back(case: Case) -> None:
    """Switched off, a webhook keeps all but its events; what somebody has switched on since is theirs."""
    found = await case.client.find_webhook(case.name)
    if isinstance(found, evidence.Unknown) or case.webhook_events is None:
        return
    if found is not None and not found.enabled:
        wanted = replace(found, enabled=True, events=frozenset(case.webhook_events))
        if not isinstance(await case.client.set_webhook(case.name, wanted), evidence.Accepted):
            return
        _log.info("the webhook is on again", instance=case.name)
    case.webhook_events = None


async def _is_vouched_for(case: Case) -> bool:
    listed = await case.work.list_rows()
    if not isinstance(listed, evidence.DatabaseList):
        return False
    return not await vouching.may_be_an_outage(case.client, listed, case.name)


def refuse(case: Case, *, allow_session_loss: bool) -> None:
    """Raise what is against a cleanup; return where nothing is. No call is made for it."""
    if case.is_unknown:
        raise errors.ServerUnknown(case.name, reason=case.sight.reason)
    against = case.against_cleanup
    if against is not None and not case.is_being_deleted:
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
