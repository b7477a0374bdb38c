"""When a conclusion waits for a sample of stability, since single reads cannot tell one state from another.

A sample is taken once in an incident, since it costs some three hundred reads. Only before unusable credentials cost a
pairing a second one has to agree: the first may have missed each of the short openings that tell S18, which a restart
of the server heals without a loss, from S7.
"""

from __future__ import annotations

from datetime import timedelta

from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health.assessment import Seen, Verdict, seconds
from whatsapp_operator.health.record import Record
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.resources.reasons import Reason

_CONCLUSIVE = frozenset({Reason.HEALTHY, Reason.AWAITING_SCAN, Reason.REPLACED, Reason.RESTRICTED})


_AGREE_AFTER = 2
"""Lengths of a sample between two that agree."""


def is_called_for(seen: Seen, verdict: Verdict) -> bool:
    """Whether a sample would tell more than what is known."""
    record = seen.record
    if not seen.baileys or record.memory is None or _is_concluded(seen, verdict) or not _is_old(seen, verdict):
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


def turns_agree(record: Record, spans: Spans) -> bool:
    """Whether two samples, some time apart, saw close and connecting in turn, and none in a row saw it open."""
    return record.agreement is not None and record.agreement.lasted(_apart(spans))


def _apart(spans: Spans) -> timedelta:
    return seconds(_AGREE_AFTER * spans.stable)


def _is_old(seen: Seen, verdict: Verdict) -> bool:
    """There is no sample, or what it showed is no longer how things are, or is not enough."""
    sample = seen.record.sample
    if sample is None or seen.record.memory is None:
        return True
    if sample.constant is not None:
        return sample.constant is not seen.memory
    is_alone = verdict.reason is Reason.CREDENTIALS and not turns_agree(seen.record, seen.spans)
    return seen.now - sample.taken_at > (_apart(seen.spans) if is_alone else seconds(seen.spans.flapping))
