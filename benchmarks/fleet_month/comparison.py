"""The month of one server with skipping beside the same one without: what differs, and whether it may.

Nothing that is reported may differ but the number of calls, of which those of the skipped time are counted by a rate:
one that was measured over a period of the probes, of which parts are skipped. Times are compared to the second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from benchmarks.fleet_month.month import Outcome
from benchmarks.fleet_month.truth import Heal

HEAL_SECONDS = 1.0
"""By which a time to heal, and the time for which one number was connected, may differ."""
CALLS_SHARE = 0.01
_COUNTED = ("lost_avoidably", "lost_to_faults", "asked", "never_healed", "server_restarts")


def differences(skipped: Outcome, polled: Outcome) -> list[str]:
    """What skipping has changed that it must not change, in words; nothing where all is well."""
    counted = [
        f"{name}: {getattr(skipped, name)} with skipping, {getattr(polled, name)} without"
        for name in _COUNTED
        if getattr(skipped, name) != getattr(polled, name)
    ]
    return [
        *counted,
        *_steps(skipped, polled),
        *_heals(skipped, polled),
        *_connected(skipped, polled),
        *_calls(skipped, polled),
    ]


def told(skipped: Outcome, polled: Outcome) -> str:
    """How far the two are apart, and in how many calls; also of several servers together."""
    apart = [abs(one.seconds - other.seconds) for one, other in _pairs(skipped, polled)]
    share = 1.0 - skipped.simulated / polled.simulated
    return (
        f"{share:.0%} of the time was skipped. {len(polled.steps)} steps, {polled.server_restarts} restarts of a "
        f"server, {polled.asked} scans asked; {len(apart)} heals at most {max(apart, default=0.0):.3f} s apart; "
        f"connected {_seconds_apart(skipped, polled):.3f} s apart of {sum(polled.connected_by_day):.0f} s; "
        f"{skipped.calls:,} calls with skipping, {polled.calls:,} without."
    )


def _steps(skipped: Outcome, polled: Outcome) -> Iterator[str]:
    """What was done to each number, in its order."""
    of = [_by_name(one.steps) for one in (skipped, polled)]
    for name in sorted(of[0].keys() | of[1].keys()):
        few, many = (one.get(name, []) for one in of)
        if few != many:
            yield f"steps at {name}: {', '.join(few) or 'none'} with skipping, {', '.join(many) or 'none'} without"


def _by_name(steps: tuple[str, ...]) -> dict[str, list[str]]:
    found = dict[str, list[str]]()
    for step in steps:
        name, _, kind = step.partition(": ")
        found.setdefault(name, []).append(kind)
    return found


def _heals(skipped: Outcome, polled: Outcome) -> Iterator[str]:
    few, many = (Counter(map(_key, one.healed)) for one in (skipped, polled))
    for name, fault in sorted(((few - many) + (many - few)).keys()):
        yield f"{name}, {fault}: healed {few[name, fault]} times with skipping, {many[name, fault]} without"
    for one, other in _pairs(skipped, polled):
        if abs(one.seconds - other.seconds) > HEAL_SECONDS:
            yield f"{one.name}, {one.fault}: healed in {one.seconds:.1f} s with skipping, {other.seconds:.1f} s without"


def _pairs(skipped: Outcome, polled: Outcome) -> Iterator[tuple[Heal, Heal]]:
    """The heals of one number from one fault, in their order; what only one of the two has is told elsewhere."""
    of = [dict[tuple[str, str], list[Heal]](), dict[tuple[str, str], list[Heal]]()]
    for found, outcome in zip(of, (skipped, polled), strict=True):
        for heal in outcome.healed:
            found.setdefault(_key(heal), []).append(heal)
    for key in of[0].keys() & of[1].keys():
        if len(of[0][key]) == len(of[1][key]):
            yield from zip(of[0][key], of[1][key], strict=True)


def _key(heal: Heal) -> tuple[str, str]:
    return heal.name, heal.fault


def _connected(skipped: Outcome, polled: Outcome) -> Iterator[str]:
    far, limit = _seconds_apart(skipped, polled), HEAL_SECONDS * len(polled.healed)
    if far > limit:
        yield f"connected: {far:.1f} s off, of which {limit:.0f} s may be"


def _seconds_apart(skipped: Outcome, polled: Outcome) -> float:
    return abs(sum(skipped.connected_by_day) - sum(polled.connected_by_day))


def _calls(skipped: Outcome, polled: Outcome) -> Iterator[str]:
    if abs(skipped.calls - polled.calls) > CALLS_SHARE * polled.calls:
        yield f"calls: {skipped.calls:,} with skipping, {polled.calls:,} without"
