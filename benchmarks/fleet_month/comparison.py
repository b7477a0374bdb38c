"""A month with skipping beside the same one without: what differs, and whether it may.

Polls come at other moments of their ten seconds, and find what happened a few seconds sooner or later: so times are
compared by how far they are apart. A dead socket is found by a probe, whose place in its half hour is another as well.
In an outage that reaches many, restarts of instances go on one at a time, and chance decides whose: there, only how
many of a kind there were is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.truth import Heal

POLL_SECONDS = 60.0
"""Within which a number is seen as it is, by two polls and the lists between them."""
PROBE_SECONDS = 1800.0
_FOUND_BY_PROBE = "(S3)"
_COUNTED = ("lost_avoidably", "lost_to_faults", "asked", "never_healed", "server_restarts")
_BY_CHANCE = 3
_BY_CHANCE_SHARE = 0.1


def differences(skipped: Outcome, polled: Outcome) -> list[str]:
    """What skipping has changed that it must not change, in words; nothing where all is well."""
    counted = [
        f"{name}: {getattr(skipped, name)} with skipping, {getattr(polled, name)} without"
        for name in _COUNTED
        if getattr(skipped, name) != getattr(polled, name)
    ]
    return [*counted, *_steps(skipped, polled), *_heals(skipped, polled), *_connected(skipped, polled)]


def told(skipped: Outcome, polled: Outcome) -> str:
    """How far the two are apart, and in how many calls."""
    near, far = (_apart(skipped, polled, probed=probed) for probed in (False, True))
    share = 1.0 - skipped.simulated / polled.simulated
    return (
        f"{share:.0%} of the time was skipped. {len(polled.steps)} steps, {polled.server_restarts} restarts of a "
        f"server, {polled.asked} scans asked; {len(near)} heals without a probe at most {max(near, default=0.0):.0f} s "
        f"apart, {len(far)} by a probe at most {max(far, default=0.0) / 60:.0f} min; connected "
        f"{_seconds_apart(skipped, polled):.0f} s apart of {sum(polled.connected_by_day):.0f} s; "
        f"{skipped.calls:,} calls with skipping, {polled.calls:,} without."
    )


def _pairs(skipped: Outcome, polled: Outcome) -> Iterator[tuple[Heal, Heal]]:
    return zip(
        *(sorted(one.healed, key=lambda heal: (heal.name, heal.fault)) for one in (skipped, polled)), strict=False
    )


def _apart(skipped: Outcome, polled: Outcome, *, probed: bool) -> list[float]:
    """Seconds between the two of each heal, of those that a probe finds or of the others."""
    return [
        abs(one.seconds - other.seconds)
        for one, other in _pairs(skipped, polled)
        if (_FOUND_BY_PROBE in one.fault) is probed
    ]


def _steps(skipped: Outcome, polled: Outcome) -> Iterator[str]:
    struck = {heal.name for heal in polled.healed}
    parts = [[step.partition(": ") for step in one.steps] for one in (skipped, polled)]
    own = [[part for part in one if part[0] in struck] for one in parts]
    if own[0] != own[1]:
        yield f"steps at the numbers that needed one: {own[0]} with skipping, {own[1]} without"
    others = [Counter(part[2] for part in one if part[0] not in struck) for one in parts]
    for kind in others[0] | others[1]:
        few, many = sorted(one[kind] for one in others)
        if many - few > _BY_CHANCE + _BY_CHANCE_SHARE * many:
            yield f"{kind} at other numbers: {others[0][kind]} with skipping, {others[1][kind]} without"


def _heals(skipped: Outcome, polled: Outcome) -> Iterator[str]:
    if sorted((one.name, one.fault) for one in skipped.healed) != sorted(
        (one.name, one.fault) for one in polled.healed
    ):
        yield "others were healed"
        return
    for probed, limit in ((False, POLL_SECONDS), (True, PROBE_SECONDS + POLL_SECONDS)):
        far = max(_apart(skipped, polled, probed=probed), default=0.0)
        if far > limit:
            yield f"a time to heal is {far:.0f} s off"


def _connected(skipped: Outcome, polled: Outcome) -> Iterator[str]:
    steps = len(polled.steps) + polled.asked + polled.server_restarts * polled.numbers
    probed = sum(_FOUND_BY_PROBE in heal.fault for heal in polled.healed)
    limit = POLL_SECONDS * steps + PROBE_SECONDS * probed
    far = _seconds_apart(skipped, polled)
    if far > limit:
        yield f"connected: {far:.0f} s off, of which {limit:.0f} s may be the place of polls and probes"


def _seconds_apart(skipped: Outcome, polled: Outcome) -> float:
    return abs(sum(skipped.connected_by_day) - sum(polled.connected_by_day))
