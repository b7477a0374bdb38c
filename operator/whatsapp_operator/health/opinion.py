"""From verdicts to what is shown: bad news is believed when it was read twice.

A single read can catch an instance in the middle of a reconnect that is over in a second. So a verdict replaces the one
shown only when two observations gave it; good news, and the news that nothing can be read, are shown at once. A step
needs two observations in any case, see `Opinion.confirmed`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

OBSERVATIONS = 2

_SHOWN_AT_ONCE = frozenset({HealthState.HEALTHY, HealthState.UNKNOWN, HealthState.TERMINATING})


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is shown, and what is about to be."""

    verdict: Verdict
    since: datetime
    observations: int = 1
    pending: Verdict | None = None
    pending_observations: int = 0
    reads: int = -1
    """The record's count of reads when it was last considered."""

    @property
    def confirmed(self) -> bool:
        """Whether the verdict shown was observed often enough to act on, and nothing since speaks against it."""
        return self.pending is None and self.observations >= OBSERVATIONS


def consider(before: Opinion | None, verdict: Verdict, *, reads: int, at: datetime) -> Opinion:
    """The next opinion; a verdict counts as observed again only when there was a read in between."""
    if before is None or _replaces_at_once(before, verdict):
        return Opinion(verdict=verdict, since=at, reads=reads)
    if verdict.reason is Reason.NOT_OBSERVED:
        return replace(before, observations=0, pending=None, reads=reads)
    news = int(reads != before.reads)
    if verdict == before.verdict:
        return replace(before, observations=before.observations + news, pending=None, reads=reads)
    return _pend(before, verdict, news=news, reads=reads, at=at)


def _replaces_at_once(before: Opinion, verdict: Verdict) -> bool:
    if verdict == before.verdict or verdict.reason is Reason.NOT_OBSERVED:
        return False
    return verdict.state in _SHOWN_AT_ONCE or before.verdict.state is HealthState.UNKNOWN


def _pend(before: Opinion, verdict: Verdict, *, news: int, reads: int, at: datetime) -> Opinion:
    if verdict == before.pending:
        times = before.pending_observations + news
    else:
        # Bad news that becomes clearer is no new news: it is shown, but to act on it takes another observation of it.
        times = 1 + (news if before.pending is not None and before.pending.reason is Reason.SETTLING else 0)
    if times >= OBSERVATIONS:
        seen = times if verdict == before.pending else 1
        return Opinion(verdict=verdict, since=at, observations=seen, reads=reads)
    return replace(before, pending=verdict, pending_observations=times, reads=reads)
