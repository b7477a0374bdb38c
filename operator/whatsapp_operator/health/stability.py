"""When a conclusion waits for a sample of stability, since single reads cannot tell one state from another."""

from __future__ import annotations

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health.assessment import Seen, Verdict, seconds
from whatsapp_operator.resources.reasons import Reason

_CONCLUSIVE = frozenset({Reason.HEALTHY, Reason.AWAITING_SCAN, Reason.REPLACED, Reason.RESTRICTED})


def is_called_for(seen: Seen, verdict: Verdict) -> bool:
    """Whether a sample would tell more than what is known."""
    record = seen.record
    if not seen.baileys or record.memory is None or _is_concluded(seen, verdict) or not _is_old(seen):
        return False
    match record.memory.state:
        case ConnectionState.CLOSE:
            return record.paired is not False or seen.pairing_wanted
        case ConnectionState.CONNECTING:
            return record.paired is not False and verdict.reason is not Reason.CREDENTIALS_LOST
        case _:
            return False


def _is_concluded(seen: Seen, verdict: Verdict) -> bool:
    """What a sample told of replacement holds only for a while: it has to be seen again, or is over."""
    reopened_at = seen.record.reopened_at
    if verdict.reason is not Reason.REPLACED or reopened_at is None:
        return verdict.reason in _CONCLUSIVE
    return seen.now - reopened_at <= seconds(seen.spans.flapping)


def _is_old(seen: Seen) -> bool:
    """There is no sample, or what it showed is no longer how things are."""
    sample = seen.record.sample
    if sample is None or seen.record.memory is None:
        return True
    if sample.constant is not None:
        return sample.constant is not seen.memory
    return seen.now - sample.taken_at > seconds(seen.spans.flapping)
