"""Invariants of steps, judged at the moment at which one is announced: written to the status of an instance.

Each is a function whose name is the sentence, and returns what is wrong with the announcement, or None.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from evolution_simulator.version import ConnectionState
from simulation.invariants import storms
from simulation.kubernetes import server
from simulation.sight import Announced, Body, Sight
from simulation.stage import status_of
from simulation.system import BEGIN
from whatsapp_operator.resources.overrides import RecoveryMode, SessionLoss
from whatsapp_operator.resources.steps import Step, StepClass

Check = Callable[[Sight, Announced, server.Change], str | None]

_SLACK_SECONDS = 15.0
_VOUCHED_SECONDS = 60.0 + 2 * _SLACK_SECONDS
_LISTED_SECONDS = 75.0
"""A proxy that somebody set so short a time ago may not be in a list that was read."""
_NOTICE_SECONDS = 15.0
"""A server that restarted so short a time ago may not have been looked at since."""
_ANNOUNCED_SECONDS = 30.0
_CLOSED_WITHIN_SECONDS = 40.0
_REOPENS_WITHIN_SECONDS = 60.0
"""What can be reached again reopens by then (a login that stalls is tried again each half minute), or is broken."""
_NOTICED_SECONDS = 30.0
"""A connection that hears nothing for so long is taken for ended."""
_ENDERS = (Step.RELOGIN, Step.RECREATE)
_OF_A_STABLE_CLOSE = 25 / 30
"""The share of the sample's length that has to be seen from outside."""
_LOSES = (StepClass.SESSION_LOSS, StepClass.RECREATE)
LEDGER = "whatsapp-operator.dev/ledger"


def _now(sight: Sight) -> float:
    return sight.stage.loop.time()


def _requested(one: Announced) -> bool:
    return one.reason == "Requested"


def _recovery(body: Body | None) -> dict[str, Any]:
    return dict(status_of(body).get("recovery") or {}) if body is not None else {}


def seconds_of(text: str | None) -> float | None:
    """A moment of a status, in seconds from the beginning."""
    if text is None:
        return None
    return (datetime.fromisoformat(text) - BEGIN).total_seconds()


def rests_on_two_observations(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Invariants 3 and 6: two observations by this very process since the last call of a step, and one last look."""
    if _requested(one):
        return None
    seen = sight.read_since(one.by, one.remote, sight.acted_at.get(one.remote, 0.0))
    return None if seen >= 3 else f"{seen} readings since the last call"


def rests_on_what_lasted_since(sight: Sight, one: Announced, change: server.Change) -> str | None:
    """Invariant 3: what has to last for a while has to last as long again after the step before."""
    if one.reason != "Connecting" or _requested(one) or one.remote not in sight.acted_at:
        return None
    lasted = _now(sight) - sight.acted_at[one.remote]
    wanted = sight.policy(change.after).health.stuck_timeout_seconds
    return f"the last call was {lasted:.0f} s ago" if lasted < wanted else None


def rests_on_fresh_evidence(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Invariant 1: an outage of the Evolution API or its database, of any length, causes no step."""
    reads, now = sight.reads[one.by, one.remote[0]], _now(sight)
    memory = max((*reads.memory, *reads.single[one.remote[1]]), default=float("-inf"))
    database = max(reads.database, default=float("-inf"))
    if now - memory > 30.0 + _SLACK_SECONDS:
        return f"memory was last read {now - memory:.0f} s ago"
    # Lists are read at most a tenth of the time: one that a standstill has drawn out is followed by a long pause.
    stale = now - database > 90.0 + _SLACK_SECONDS and "freeze" not in sight.stage.fault_times
    return f"the database was last read {now - database:.0f} s ago" if stale else None


def is_the_only_one_of_its_instance(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Invariant 3: never two steps at once on one instance."""
    others = [each for each in sight.announced if each is not one and each.remote == one.remote]
    return "another is under way" if others and others[-1].over_at is None else None


def keeps_to_the_number_at_once(sight: Sight, one: Announced, _: server.Change | None = None) -> str | None:
    """Invariant 4: steps in flight."""
    others = {
        each.key
        for each in sight.announced
        if each.remote[0] == one.remote[0]
        and each.key != one.key
        and each.over_at is None
        and each.begun
        and not sight.goes(each.remote)
    }
    limit = sight.budget(one.remote[0]).max_in_flight
    return f"{len(others)} others are under way, of {limit}" if len(others) >= limit else None


def keeps_to_the_budget(sight: Sight, one: Announced, _: server.Change | None = None) -> str | None:
    """Invariant 4: steps per window, over crashes and two operators. Clocks that are wrong by s are given s."""
    if _requested(one):
        return None
    clocks = sight.stage.clocks
    slack = 2.0 + sight.stage.jumped + max(each.skew for each in clocks) - min(each.skew for each in clocks)
    return _over(sight, one, slack=slack)


def known_since(sight: Sight, name: str) -> float:
    """From when on what is spent of a server's budget is kept: somebody may have deleted where it was.

    What was entered right before that may be announced some seconds later.
    """
    return sight.forgotten.get(name, float("-inf")) + _ANNOUNCED_SECONDS


def _over(sight: Sight, one: Announced, *, slack: float) -> str | None:
    name = one.remote[0]
    for window in sight.budget(name).windows_of(one.step_class):
        begin = max(_now(sight) - window.period_seconds + slack, known_since(sight, name))
        same = [each for each in sight.announced if each.remote[0] == name and each.step_class is one.step_class]
        # One whose announcement was written and not answered is not taken, and its place is free again.
        used = sum(each.at > begin for each in same if each.begun or each is one)
        if used > window.max:
            return f"{used} of class {one.step_class} in {window.period_seconds} s, of {window.max}"
    return None


def meets_no_storm(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Invariant 5: nothing that loses anything in a storm."""
    claim = sight.claim(one.remote[0])
    text = claim["metadata"].get("annotations", {}).get(LEDGER) if claim is not None else None
    if one.step_class not in _LOSES:
        return None
    if text is not None and "storm" in json.loads(text):
        return "a storm is on"
    return storms.told(sight, one.remote[0], by=one.by)


def loses_a_session_only_as_allowed(sight: Sight, one: Announced, change: server.Change) -> str | None:
    """Invariant 5: `sessionLoss`."""
    if one.step_class is not StepClass.SESSION_LOSS:
        return None
    allowed = sight.policy(change.after).recovery.session_loss
    if allowed is SessionLoss.NEVER:
        return "sessionLoss is Never"
    if allowed is SessionLoss.REQUIRE_APPROVAL and one.approval is None:
        return "nobody has approved it"
    return None


def uses_each_approval_once(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Invariant 5: each loss is approved, one by one."""
    used = (each for each in sight.announced if each is not one and each.key == one.key)
    again = one.approval is not None and any(each.approval == one.approval for each in used)
    return "its approval was used before" if again else None


def loses_a_session_only_late_in_an_incident(sight: Sight, one: Announced, change: server.Change) -> str | None:
    """`sessionLossDelaySeconds` from the incident's start."""
    if one.step_class is not StepClass.SESSION_LOSS or one.approval is not None:
        return None
    began = seconds_of(_recovery(change.after).get("startedAt"))
    delay, slack = sight.policy(change.after).recovery.session_loss_delay_seconds, _clock_slack(sight)
    if began is None or _now(sight) - began < delay - slack:
        return f"the incident began at {began}"
    return None


def _clock_slack(sight: Sight) -> float:
    return 2.0 + sight.stage.jumped + 2 * max(abs(each.skew) for each in sight.stage.clocks)


def loses_a_session_only_when_vouched_for(sight: Sight, one: Announced, change: server.Change) -> str | None:
    """Invariants 1 and 5: another with the same proxy proves that WhatsApp can be reached, or the long wait is over."""
    if one.step_class is not StepClass.SESSION_LOSS or one.approval is not None:
        return None
    now, any_way = _now(sight), _has_a_new_proxy(sight)
    late = [each for each in sight.vouched[one.remote[0]] if now - each[0] < _VOUCHED_SECONDS]
    if any(name != one.remote[1] and (any_way or way == sight.way(one.remote)) for _, name, way in late):
        return None
    began = _last_resort_since(sight, one, change)
    return None if _is_over(sight, change, began) else f"nobody vouches for it, and the last resort began at {began}"


def _has_a_new_proxy(sight: Sight) -> bool:
    since = sight.stage.fault_times.get("hand_proxy", float("-inf"))
    return _now(sight) - since < _VOUCHED_SECONDS + _LISTED_SECONDS


def _last_resort_since(sight: Sight, one: Announced, change: server.Change) -> float | None:
    began = seconds_of(_recovery(change.before).get("lastResortSince"))
    if one.reason != "Credentials":
        return began
    # No gentle step heals it: the wait counts from the beginning of the flapping.
    return min(filter(None, (began, sight.left_open.get(one.remote))), default=began)


def _is_over(sight: Sight, change: server.Change, began: float | None) -> bool:
    delay = sight.policy(change.after).recovery.last_resort_delay_seconds
    return began is not None and _now(sight) - began >= delay - _clock_slack(sight)


def gives_what_was_cut_off_time_to_come_back(sight: Sight, one: Announced, change: server.Change) -> str | None:
    """Invariant 1: an outage of WhatsApp that has just ended costs no pairing; the next try may be seconds away."""
    loses = one.step_class is StepClass.SESSION_LOSS or (one.step in _ENDERS and sight.protected(one.remote))
    if not loses or one.approval is not None or one.remote not in sight.reachable_again:
        return None
    back_for = _now(sight) - sight.reachable_again[one.remote]
    if back_for >= _REOPENS_WITHIN_SECONDS or _is_over(sight, change, _last_resort_since(sight, one, change)):
        return None
    is_excused = _was_cut_off_unnoticed(sight, one, change)
    return None if is_excused else f"WhatsApp can be reached again for {back_for:.0f} s"


def _was_cut_off_unnoticed(sight: Sight, one: Announced, change: server.Change) -> bool:
    """It was bad before, and stayed so for the whole wait; the outage fits between two proofs.

    The time of the outage does not count, unless it was over before a silent connection would have been noticed.
    """
    began, ended = sight.unreachable_since.get(one.remote), sight.reachable_again[one.remote]
    seen = seconds_of(_recovery(change.before).get("startedAt"))
    bad_since = min(filter(None, (seen, sight.left_open.get(one.remote))), default=None)
    wait = sight.stage.setup.options.spans.reachable
    if began is None or bad_since is None or bad_since >= began or ended - began > wait:
        return False
    away = ended - began if ended - began > _NOTICED_SECONDS else 0.0
    return _now(sight) - bad_since - away >= wait


def waits_after_a_recreate(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """A second one in an incident waits for what the first has begun, and longer each time."""
    if one.step is not Step.RECREATE:
        return None
    same = [each for each in sight.announced if each.key == one.key and each.step is Step.RECREATE and each is not one]
    if not same or same[-1].incident != one.incident:
        return None
    wait = sight.stage.setup.options.spans.recreate_wait - _clock_slack(sight)
    waited = one.at - (same[-1].over_at or same[-1].at)
    return f"the one before was over {waited:.0f} s ago" if waited < wait else None


def reconnects_only_what_stays_closed(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Connect in the close gap of a flapping or restarting instance starts a second socket that never ends."""
    if one.step is not Step.RECONNECT:
        return None
    closed = sight.spent(one.remote, ConnectionState.CLOSE, within=_CLOSED_WITHIN_SECONDS)
    enough = sight.stage.setup.options.stable_close_seconds * _OF_A_STABLE_CLOSE
    return f"it was closed for {closed:.0f} s of the last {_CLOSED_WITHIN_SECONDS:.0f}" if closed < enough else None


def is_not_for_a_refused_account(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Invariant 5: never for 402, 403, 406."""
    row = sight.row(one.remote)
    if one.step not in _ENDERS or row is None:
        return None
    refused = row.disconnection_reason_code in (402, 403, 406) and row.connection_status is ConnectionState.CLOSE
    return f"WhatsApp refuses the account with {row.disconnection_reason_code}" if refused else None


def is_wanted(sight: Sight, one: Announced, change: server.Change) -> str | None:
    """`DryRun` and `Disabled` take no step; `Disabled` takes what a user asks for. Nor is any taken for what goes."""
    if "deletionTimestamp" in change.after["metadata"]:
        return "the resource is being deleted"
    mode = sight.policy(change.after).recovery.mode
    if mode is RecoveryMode.DRY_RUN or (mode is RecoveryMode.DISABLED and not _requested(one)):
        return f"recovery is {mode}"
    return None


def waits_for_the_server_to_load(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Warm-up: what a server that still loads shows proves nothing."""
    began, until = sight.stage.loading_until.get(one.remote[0], (0.0, 0.0))
    if not began + _NOTICE_SECONDS < _now(sight) < until:
        return None
    return f"the server loads until {until:.0f} s"


def spares_what_works_only_until_a_restart(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """S19: a restart of anything would cost the pairing."""
    memory, row = sight.memory(one.remote), sight.row(one.remote)
    if one.step is not Step.RESTART or _requested(one) or memory is None or row is None:
        return None
    open_without = memory.state is ConnectionState.OPEN and row.connection_status is ConnectionState.CLOSE
    since = sight.state_since(one.remote)[0]
    lasting = open_without and row.owner_jid and _now(sight) - max(since, row.updated_at - _epoch()) > 75.0
    return "it has no session that is stored" if lasting else None


def _epoch() -> float:
    return BEGIN.timestamp()


def is_taken_by_the_oldest(sight: Sight, one: Announced, _: server.Change) -> str | None:
    """Invariant 7: of two resources on one name the oldest acts."""
    acting = sight.standing_for(one.remote)
    if not acting or acting[0]["metadata"]["name"] == one.key.name:
        return None
    young = _now(sight) - (seconds_of(acting[-1]["metadata"]["creationTimestamp"]) or 0.0) < _SLACK_SECONDS
    return None if young else "an older resource stands for it"


CHECKS: tuple[Check, ...] = (
    rests_on_two_observations,
    rests_on_what_lasted_since,
    rests_on_fresh_evidence,
    is_the_only_one_of_its_instance,
    keeps_to_the_number_at_once,
    keeps_to_the_budget,
    meets_no_storm,
    loses_a_session_only_as_allowed,
    uses_each_approval_once,
    waits_after_a_recreate,
    reconnects_only_what_stays_closed,
    loses_a_session_only_late_in_an_incident,
    loses_a_session_only_when_vouched_for,
    gives_what_was_cut_off_time_to_come_back,
    is_not_for_a_refused_account,
    is_wanted,
    waits_for_the_server_to_load,
    spares_what_works_only_until_a_restart,
    is_taken_by_the_oldest,
)
BEGINNING: tuple[Callable[[Sight, Announced], str | None], ...] = (keeps_to_the_number_at_once, keeps_to_the_budget)
"""Asked once more when the first call of a step arrives: of two announced side by side neither had begun before."""
