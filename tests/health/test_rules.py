"""What each rule takes: a situation in which it applies, and what must not be otherwise."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.world import EARLIER, START, a_row, state
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules
from whatsapp_operator.health.assessment import Neighbours, Seen, Verdict
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.health.witnesses import Absence, Database, Memory, Probe, Sample, Turning
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState

NOW = START + timedelta(minutes=10)
BEFORE = START - timedelta(minutes=10)
LATELY = NOW - timedelta(seconds=10)


def memory(word: str | None) -> Memory:
    return Memory(state(word) if word else None, since=START, seen_at=NOW, reads=5)


def database(word: str | None, *, moved: bool = False, **facts: Any) -> Database:
    row = a_row(word, **facts) if word else None
    return Database(row, since=START, seen_at=NOW, moved_at=LATELY if moved else START, reads=5)


def sample(*words: str) -> Sample:
    return Sample(taken_at=LATELY, states=frozenset(map(state, words)))


def seen(
    held: str | None,
    listed: Database | None,
    *,
    integration: str = records.BAILEYS,
    wanted: bool = True,
    warm: bool = True,
    fresh: bool = True,
    mostly_flapping: bool = False,
    deleting: bool = False,
    **facts: Any,
) -> Seen:
    """What memory holds, what the list shows, and anything else that a record can tell."""
    record = replace(records.Record(memory=memory(held), database=listed, paired=True), **facts)
    return Seen(
        now=NOW,
        record=record,
        spans=Spans(),
        neighbours=Neighbours(
            fresh=fresh,
            warm=warm,
            mostly_flapping=mostly_flapping,
            vouched_at=LATELY,
        ),
        integration=integration,
        stuck_timeout=timedelta(seconds=30),
        pairing_wanted=wanted,
        deleting=deleting,
        last_resort=timedelta(hours=6),
    )


OTHER = "EVOLUTION"
OWNED: dict[str, Any] = {"owner": True}
BANNED: dict[str, Any] = {"owner": True, "code": 403, "ended": START}
OUT: dict[str, Any] = {"owner": True, "code": 401, "ended": START}
TURNING: dict[str, Any] = {"turning_since": START, "sample": sample("close", "connecting")}
REOPENED: dict[str, Any] = {"reopened_at": LATELY}
DEAD = Probe(dead=2, dead_since=START, dead_at=NOW)

APPLIES: dict[str, tuple[Seen, HealthState]] = {
    "nothing_could_be_read": (seen("open", database("open", **OWNED), fresh=False), HealthState.UNKNOWN),
    "our_own_delete_is_pending": (seen("open", database("open", **OWNED), deleting=True), HealthState.TERMINATING),
    "is_absent": (seen("open", None, memory=None, absence=Absence(START, NOW, 3)), HealthState.NOT_FOUND),
    "was_never_read": (seen("open", None, memory=None), HealthState.UNKNOWN),
    "is_a_ghost": (seen(None, database("open", **OWNED)), HealthState.CORRUPTED),
    "has_no_row": (seen("open", database(None)), HealthState.CORRUPTED),
    "lost_its_stored_session": (seen("open", database("close", **OWNED)), HealthState.DEGRADED),
    "has_a_dead_socket": (seen("open", database("open", **OWNED), probe=DEAD), HealthState.DEGRADED),
    "is_healthy": (seen("open", database("open", **OWNED)), HealthState.HEALTHY),
    "is_restricted_by_whatsapp": (seen("close", database("close", **BANNED)), HealthState.DISCONNECTED),
    "was_logged_out": (seen("close", database("close", **OUT)), HealthState.DISCONNECTED),
    "lost_its_credentials": (seen("connecting", database("connecting", moved=True, **OWNED)), HealthState.DISCONNECTED),
    "waits_for_scan": (
        seen("connecting", database("connecting", moved=True), paired=False),
        HealthState.DISCONNECTED,
    ),
    "offers_no_code": (seen("connecting", database("close"), paired=False), HealthState.STUCK),
    "is_replaced_again_and_again": (seen("close", database("open", **OWNED), **REOPENED), HealthState.DEGRADED),
    "has_unusable_credentials": (seen("close", database("open", **OWNED), **TURNING), HealthState.CORRUPTED),
    "is_flapping": (seen("close", database("open", **OWNED), paired=False, **TURNING), HealthState.DEGRADED),
    "is_stuck_connecting": (
        seen("connecting", database("open", **OWNED), sample=sample("connecting")),
        HealthState.STUCK,
    ),
    "let_its_code_expire": (seen("close", database("connecting"), paired=False), HealthState.DISCONNECTED),
    "has_a_closed_socket": (seen("close", database("open", **OWNED), sample=sample("close")), HealthState.DEGRADED),
    "was_never_started": (seen("close", database("close"), paired=False), HealthState.DISCONNECTED),
    "closed_for_no_known_reason": (
        seen("close", database("close", **OWNED), sample=sample("close")),
        HealthState.DISCONNECTED,
    ),
    "shows_no_code_that_anybody_wants": (
        seen("connecting", database("close"), paired=False, wanted=False),
        HealthState.DISCONNECTED,
    ),
    "has_a_closed_channel": (seen("close", database("open"), integration=OTHER), HealthState.DEGRADED),
    "rests_amid_flapping": (
        seen("close", database("open", **OWNED), sample=sample("close"), mostly_flapping=True),
        HealthState.DEGRADED,
    ),
}
REASONS = {
    "nothing_could_be_read": Reason.SERVER_UNREACHABLE,
    "our_own_delete_is_pending": Reason.TERMINATING,
    "is_absent": Reason.NOT_FOUND,
    "was_never_read": Reason.NOT_OBSERVED,
    "is_a_ghost": Reason.GHOST,
    "has_no_row": Reason.ROW_MISSING,
    "lost_its_stored_session": Reason.SESSION_MISSING,
    "has_a_dead_socket": Reason.DEAD_SOCKET,
    "is_healthy": Reason.HEALTHY,
    "is_restricted_by_whatsapp": Reason.RESTRICTED,
    "was_logged_out": Reason.LOGGED_OUT,
    "lost_its_credentials": Reason.CREDENTIALS_LOST,
    "waits_for_scan": Reason.AWAITING_SCAN,
    "offers_no_code": Reason.NO_QR_CODE,
    "is_replaced_again_and_again": Reason.REPLACED,
    "has_unusable_credentials": Reason.CREDENTIALS,
    "is_flapping": Reason.FLAPPING,
    "is_stuck_connecting": Reason.CONNECTING,
    "let_its_code_expire": Reason.QR_EXPIRED,
    "has_a_closed_socket": Reason.CLOSED_SOCKET,
    "was_never_started": Reason.NOT_STARTED,
    "closed_for_no_known_reason": Reason.UNEXPLAINED_CLOSE,
    "shows_no_code_that_anybody_wants": Reason.NOT_STARTED,
    "has_a_closed_channel": Reason.CHANNEL_CLOSED,
    "rests_amid_flapping": Reason.FLAPPING,
}


def rule(name: str) -> rules.Rule:
    found: rules.Rule = getattr(rules, name)
    return found


@pytest.mark.parametrize("name", APPLIES)
def test_rule_applies_and_its_verdict_is_what_is_assessed(name: str) -> None:
    one, health = APPLIES[name]

    assert rule(name)(one) == Verdict(health, REASONS[name])
    assert rules.assess(one) == Verdict(health, REASONS[name])


def test_every_rule_has_its_situation() -> None:
    assert [one.__name__ for one in rules.RULES] == list(APPLIES)


ALSO = [
    ("is_healthy", seen("open", database("open"), integration=OTHER)),
    ("lost_its_credentials", seen("connecting", database("connecting", **OWNED))),
    ("is_replaced_again_and_again", seen("close", database("open", **OWNED), memory=None, **REOPENED)),
    ("is_flapping", seen("close", database("connecting", moved=True), paired=False, **TURNING)),
    ("is_flapping", seen("connecting", database("connecting"), paired=False, **TURNING)),
    ("rests_amid_flapping", seen("close", database("close", **OWNED), sample=sample("close"), mostly_flapping=True)),
]


@pytest.mark.parametrize(
    ("name", "one"),
    ALSO,
    ids=[
        "no phone, no owner",
        "frozen, and paired",
        "not read since",
        "closed after a code",
        "frozen in its turns",
        "closed for both",
    ],
)
def test_rule_applies_to_these_as_well(name: str, one: Seen) -> None:
    found = rule(name)(one)

    assert found is not None
    assert found.reason is REASONS[name]


def test_dead_socket_that_is_dead_again_after_a_step_is_worse() -> None:
    one = seen("open", database("open", **OWNED), probe=replace(DEAD, dead_before=True))

    assert rules.assess(one) == Verdict(HealthState.CORRUPTED, Reason.DEAD_SOCKET)


@pytest.mark.parametrize("code", [402, 403, 406])
def test_code_that_may_be_of_a_pairing_before_is_in_doubt_taken_for_a_refusal(code: int) -> None:
    one = seen("close", database("close", owner=True, code=code, ended=START), baseline=START, sample=sample("close"))

    assert one.record.new_code is None
    assert rules.assess(one) == Verdict(HealthState.DISCONNECTED, Reason.RESTRICTED)


def test_socket_that_was_dead_is_not_known_to_be_well_before_another_probe() -> None:
    one = seen("open", database("open", **OWNED), probe=Probe(dead_before=True))

    assert rules.assess(one) == Verdict(HealthState.DEGRADED, Reason.SETTLING)


LISTED = database("open", **OWNED)
MISSES: dict[str, list[Seen]] = {
    "nothing_could_be_read": [seen("open", LISTED)],
    "our_own_delete_is_pending": [seen("open", LISTED)],
    "is_absent": [seen("open", None)],
    "was_never_read": [seen("open", LISTED), seen("open", None, memory=None, absence=Absence(START, NOW))],
    "is_a_ghost": [
        seen("open", LISTED),
        seen(None, None),
        seen(None, database(None)),
        seen(None, LISTED, warm=False),
        seen("open", LISTED, memory=None),
    ],
    "has_no_row": [seen(None, database(None)), seen("open", None), seen("open", LISTED)],
    "lost_its_stored_session": [
        seen("open", database("close", **OWNED), integration=OTHER),
        seen("open", database("close")),
        seen("open", database("open", **OWNED)),
        seen("close", database("close", **OWNED)),
        seen("open", None),
    ],
    "has_a_dead_socket": [
        seen("open", LISTED, probe=DEAD, integration=OTHER),
        seen("close", LISTED, probe=DEAD),
        seen("open", database("close", **OWNED), probe=DEAD),
        seen("open", LISTED),
    ],
    "is_healthy": [
        seen("open", database("open")),
        seen("close", LISTED),
        seen("open", database("close", **OWNED)),
    ],
    "is_restricted_by_whatsapp": [
        seen("close", database("close", **BANNED), integration=OTHER),
        seen("connecting", database("close", **BANNED)),
        seen("close", database("open", **BANNED)),
        seen("close", database("close", **OUT)),
    ],
    "was_logged_out": [
        seen("close", database("close", **OUT), integration=OTHER),
        seen("connecting", database("close", **OUT)),
        seen("close", database("close", **BANNED)),
        seen("close", database("close", code=401, ended=START)),
    ],
    "lost_its_credentials": [
        seen("connecting", database("connecting", moved=True, **OWNED), integration=OTHER),
        seen("close", database("connecting", moved=True, **OWNED)),
        seen("connecting", database("connecting", moved=True)),
        seen("connecting", database("connecting", moved=True, **OUT)),
        seen("connecting", database("connecting", **OWNED), paired=False),
    ],
    "waits_for_scan": [
        seen("connecting", database("connecting", moved=True), integration=OTHER),
        seen("close", database("connecting", moved=True)),
        seen("connecting", database("close", moved=True)),
        seen("connecting", database("connecting")),
    ],
    "offers_no_code": [
        seen("connecting", database("close"), paired=False, integration=OTHER),
        seen("close", database("close"), paired=False),
        seen("connecting", database("close")),
        seen("connecting", database("close"), paired=False, wanted=False),
        seen("connecting", database("connecting", moved=True), paired=False),
        seen("connecting", None, paired=False),
    ],
    "is_replaced_again_and_again": [
        seen("close", LISTED, integration=OTHER, **REOPENED),
        seen("close", LISTED),
    ],
    "has_unusable_credentials": [
        seen("close", LISTED),
        seen("close", LISTED, paired=False, **TURNING),
        seen("close", LISTED, mostly_flapping=True, **TURNING),
    ],
    "is_flapping": [
        seen("close", LISTED, integration=OTHER, **TURNING),
        seen("open", LISTED, **TURNING),
        seen(None, LISTED, **TURNING),
        seen("connecting", database("connecting", moved=True), paired=False, **TURNING),
        seen("close", LISTED, turning_since=START, sample=sample("close")),
        seen("close", LISTED, turning_since=START),
    ],
    "is_stuck_connecting": [
        seen("connecting", LISTED, sample=sample("connecting"), integration=OTHER),
        seen("close", LISTED, sample=sample("connecting")),
        seen("connecting", LISTED, sample=sample("connecting"), paired=False),
        seen("connecting", database("connecting", **OWNED), sample=sample("connecting")),
        seen("connecting", database(None), sample=sample("connecting")),
        seen("connecting", LISTED, sample=sample("close", "connecting")),
    ],
    "let_its_code_expire": [
        seen("close", database("connecting"), paired=False, integration=OTHER),
        seen("close", database("connecting")),
        seen("close", database("close"), paired=False),
    ],
    "has_a_closed_socket": [
        seen("close", LISTED, sample=sample("close"), integration=OTHER),
        seen("connecting", LISTED, sample=sample("close")),
        seen("close", replace(LISTED, seen_at=BEFORE), sample=sample("close")),
        seen("close", LISTED),
        seen("close", LISTED, sample=sample("close"), mostly_flapping=True),
    ],
    "was_never_started": [
        seen("close", database("close"), paired=False, integration=OTHER),
        seen("close", database("close")),
        seen("connecting", database("close"), paired=False),
    ],
    "closed_for_no_known_reason": [
        seen("close", database("close", **OWNED), sample=sample("close"), integration=OTHER),
        seen("connecting", database("close", **OWNED), sample=sample("close")),
        seen("close", database("close", **OWNED), sample=sample("close"), paired=False),
        seen("close", replace(database("close", **OWNED), seen_at=BEFORE), sample=sample("close")),
        seen("close", database("close", **OWNED)),
        seen("close", database("close", **OWNED), sample=sample("close"), mostly_flapping=True),
    ],
    "shows_no_code_that_anybody_wants": [
        seen("connecting", database("close"), paired=False, wanted=False, integration=OTHER),
        seen("close", database("close"), paired=False, wanted=False),
        seen("connecting", database("close"), wanted=False),
        seen("connecting", database("close"), paired=False),
        seen("connecting", database("connecting", moved=True), paired=False, wanted=False),
    ],
    "has_a_closed_channel": [seen("close", database("open")), seen("close", database("close"), integration=OTHER)],
    "rests_amid_flapping": [
        seen("close", database("open"), sample=sample("close"), mostly_flapping=True, integration=OTHER),
        seen("connecting", LISTED, sample=sample("close"), mostly_flapping=True),
        seen("close", LISTED, sample=sample("close", "connecting"), mostly_flapping=True),
        seen("close", LISTED, sample=sample("connecting"), mostly_flapping=True),
        seen("close", LISTED, mostly_flapping=True),
        seen("close", LISTED, sample=sample("close")),
    ],
}


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, misses in MISSES.items() for number in range(len(misses))]
)
def test_rule_does_not_apply_when_one_thing_is_otherwise(name: str, number: int) -> None:
    assert rule(name)(MISSES[name][number]) is None


FIRST_OF_TWO = {
    ("nothing_could_be_read", "our_own_delete_is_pending"): seen("open", LISTED, fresh=False, deleting=True),
    ("our_own_delete_is_pending", "is_absent"): seen(
        "open", None, memory=None, absence=Absence(START, NOW, 3), deleting=True
    ),
    ("lost_its_stored_session", "has_a_dead_socket"): None,
    ("has_a_dead_socket", "is_healthy"): APPLIES["has_a_dead_socket"][0],
    ("lost_its_credentials", "waits_for_scan"): APPLIES["lost_its_credentials"][0],
    ("is_replaced_again_and_again", "has_unusable_credentials"): seen("close", LISTED, **TURNING, **REOPENED),
    ("has_unusable_credentials", "is_flapping"): APPLIES["has_unusable_credentials"][0],
}


@pytest.mark.parametrize("pair", [pair for pair, one in FIRST_OF_TWO.items() if one is not None])
def test_of_two_rules_that_apply_the_first_decides(pair: tuple[str, str]) -> None:
    one = FIRST_OF_TWO[pair]
    assert one is not None
    verdicts = [rule(name)(one) for name in pair]

    assert None not in verdicts
    assert rules.assess(one) == verdicts[0] != verdicts[1]


def test_neighbours_whose_order_is_not_fixed_here_never_apply_together() -> None:
    """So the order of those that stand beside each other means nothing."""
    every = [one for one, _ in APPLIES.values()] + list(itertools.chain.from_iterable(MISSES.values()))
    beside = [pair for pair in itertools.pairwise(APPLIES) if FIRST_OF_TWO.get(pair) is None]

    both = [(pair, one) for pair in beside for one in every if rule(pair[0])(one) and rule(pair[1])(one)]

    assert {pair for pair, _ in both} <= {("was_never_read", "is_a_ghost")}


@pytest.mark.parametrize(
    ("one", "symptom"),
    [
        (seen("close", LISTED, **TURNING), rules.Symptom.FLAPPING),
        (seen("connecting", database("close"), paired=False), rules.Symptom.WITHOUT_CODE),
        (seen("connecting", database("connecting", moved=True), paired=False), rules.Symptom.SHOWS_CODE),
        (seen("connecting", database("close"), paired=False, integration=OTHER), None),
        (seen("close", database("close"), paired=False), None),
        (seen("connecting", database("close")), None),
        (seen("connecting", database("close"), paired=False, wanted=False), None),
    ],
)
def test_symptom_is_counted_of_phones_that_want_to_be_paired(one: Seen, symptom: rules.Symptom | None) -> None:
    assert rules.symptom(one) is symptom


PLUGGED = Verdict(HealthState.DEGRADED, Reason.FLAPPING)


@pytest.mark.parametrize(
    ("one", "is_asked"),
    [
        (seen("open", LISTED), True),
        (seen("close", LISTED), True),
        (seen("connecting", database("connecting", moved=True), paired=False), False),
        (seen("open", None), False),
        (seen("open", database("open", **OWNED), memory=None), False),
    ],
    ids=["healthy", "nothing found", "something found", "no row", "not in memory"],
)
def test_plugin_is_asked_where_ours_find_nothing_and_both_witnesses_have_it(one: Seen, is_asked: bool) -> None:
    assert (rules.assess(one, plugged=lambda _: PLUGGED) == PLUGGED) is is_asked


def test_plugin_that_finds_nothing_changes_nothing() -> None:
    one = seen("open", LISTED)

    assert rules.assess(one, plugged=lambda _: None) == rules.assess(one)


@pytest.mark.parametrize(("ended", "lasts"), [(EARLIER, True), (None, False)])
def test_turns_from_before_this_process_count_for_the_last_resort(ended: object, lasts: bool) -> None:
    """Nobody vouches; the flapping of this process alone is too young."""
    row = a_row("open", owner=True, updated=EARLIER)
    listed = Database(row, since=START, seen_at=NOW, moved_at=START)
    turned = None if ended is None else Turning(since=EARLIER, row_updated_at=EARLIER)
    one = seen("close", listed, turned=turned, **TURNING)
    one = replace(one, neighbours=replace(one.neighbours, vouched_at=None))

    assert (rules.has_unusable_credentials(one) is not None) is lasts
