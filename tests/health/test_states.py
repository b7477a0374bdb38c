"""Every row of the table of health states: what is shown, and which steps are taken over an incident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from support import world
from support.world import EARLIER, START, World, given
from whatsapp_operator.health import record as records
from whatsapp_operator.health import rules, witnesses
from whatsapp_operator.health.assessment import Seen, Verdict
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState
from whatsapp_operator.resources.steps import Step

LATER = START - timedelta(seconds=30)
"""A `disconnectionAt` that was not there when the instance was last seen open."""

CREATE, RECONNECT, RESTART, RECREATE = Step.CREATE, Step.RECONNECT, Step.RESTART, Step.RECREATE
RELOGIN = Step.RELOGIN
Given = Callable[[], World]


def ended(code: int) -> World:
    return given().memory("close").database("open").paired().database("close", code=code, ended=LATER)


def flapping_alone() -> World:
    lone = given().memory("close", "connecting").database("open").paired()
    return lone.neighbour(vouched_at=START + timedelta(minutes=10))


UNHEALED: list[tuple[str, Given, HealthState, Reason]] = [
    (
        "nothing could be read",
        lambda: given().memory("open").database("close").neighbour(fresh=False, why_unknown=Reason.SERVER_UNREACHABLE),
        HealthState.UNKNOWN,
        Reason.SERVER_UNREACHABLE,
    ),
    ("open, and paired", lambda: given().memory("open").database("open").paired(), HealthState.HEALTHY, Reason.HEALTHY),
    (
        "open without a stored session",
        lambda: given().memory("open").database("close").paired(),
        HealthState.DEGRADED,
        Reason.SESSION_MISSING,
    ),
    ("refused with 402", lambda: ended(402), HealthState.DISCONNECTED, Reason.RESTRICTED),
    ("banned with 403", lambda: ended(403), HealthState.DISCONNECTED, Reason.RESTRICTED),
    ("refused with 406", lambda: ended(406), HealthState.DISCONNECTED, Reason.RESTRICTED),
    (
        "a QR code though a phone was linked",
        lambda: given().memory("connecting").database("connecting").with_owner().paired().issuing_codes(),
        HealthState.DISCONNECTED,
        Reason.CREDENTIALS_LOST,
    ),
    (
        "a QR code that waits",
        lambda: given().memory("connecting").database("connecting").issuing_codes(),
        HealthState.DISCONNECTED,
        Reason.AWAITING_SCAN,
    ),
    (
        "opened and replaced in turn",
        lambda: given().memory("open", "close", "connecting").database("open").paired(),
        HealthState.DEGRADED,
        Reason.REPLACED,
    ),
    (
        "flapping, as most of the server",
        lambda: flapping_alone().neighbour(mostly_flapping=True),
        HealthState.DEGRADED,
        Reason.FLAPPING,
    ),
    (
        "flapping, and nobody vouches for it",
        lambda: given().memory("close", "connecting").database("open").paired(),
        HealthState.DEGRADED,
        Reason.FLAPPING,
    ),
    (
        "flapping, never paired",
        lambda: given().memory("close", "connecting").database("close"),
        HealthState.DEGRADED,
        Reason.FLAPPING,
    ),
    ("flapping alone, and vouched for", flapping_alone, HealthState.CORRUPTED, Reason.CREDENTIALS),
    (
        "a channel that was logged out",
        lambda: given().other_integration().memory("close").database("open").paired(),
        HealthState.DEGRADED,
        Reason.CHANNEL_CLOSED,
    ),
    (
        "open in memory, another state in the database",
        lambda: given().memory("open").database("connecting"),
        HealthState.DEGRADED,
        Reason.SETTLING,
    ),
    (
        "a ghost, protected",
        lambda: given().memory(None).database("open").paired(),
        HealthState.CORRUPTED,
        Reason.GHOST,
    ),
    (
        "a row that is missing, protected",
        lambda: given().memory("close").database(None).paired().database(None),
        HealthState.CORRUPTED,
        Reason.ROW_MISSING,
    ),
]
"""Given, and what is shown; nothing is ever done."""


@pytest.mark.parametrize(("given_this", "state", "reason"), [pytest.param(*row[1:], id=row[0]) for row in UNHEALED])
def test_state_that_no_step_heals_is_shown_and_left_alone(
    given_this: Given, state: HealthState, reason: Reason
) -> None:
    one = given_this().watch(hours=1)

    assert one.shown == (state, reason)
    assert one.taken == []


HEALED: list[tuple[str, Given, HealthState, Reason, list[Step]]] = [
    ("absent from both", lambda: given().gone(), HealthState.NOT_FOUND, Reason.NOT_FOUND, [CREATE, CREATE]),
    (
        "a ghost",
        lambda: given().memory(None).database("close"),
        HealthState.CORRUPTED,
        Reason.GHOST,
        [RECREATE, RECREATE],
    ),
    (
        "a row that is missing",
        lambda: given().memory("close").database(None),
        HealthState.CORRUPTED,
        Reason.ROW_MISSING,
        [RECREATE, RECREATE],
    ),
    (
        "logged out by the phone",
        lambda: ended(401),
        HealthState.DISCONNECTED,
        Reason.LOGGED_OUT,
        [RECONNECT, RECONNECT],
    ),
    (
        "no QR code was ever issued",
        lambda: given().memory("connecting").database("close"),
        HealthState.STUCK,
        Reason.NO_QR_CODE,
        [RESTART, RESTART, RELOGIN, RECREATE, RECREATE],
    ),
    (
        "the QR code no longer changes",
        lambda: given().memory("connecting").database("connecting"),
        HealthState.STUCK,
        Reason.NO_QR_CODE,
        [RESTART, RESTART, RELOGIN, RECREATE, RECREATE],
    ),
    (
        "the QR code no longer changes, and there is data",
        lambda: given().memory("connecting").database("connecting").with_data(),
        HealthState.STUCK,
        Reason.NO_QR_CODE,
        [RESTART, RESTART],
    ),
    (
        "connecting for ever",
        lambda: given().memory("connecting").database("open").paired(),
        HealthState.STUCK,
        Reason.CONNECTING,
        [RESTART, RESTART, RESTART],
    ),
    (
        "QR codes that nobody scanned",
        lambda: given().memory("close").database("connecting"),
        HealthState.DISCONNECTED,
        Reason.QR_EXPIRED,
        [RECONNECT, RECONNECT],
    ),
    (
        "a close that was lost",
        lambda: given().memory("close").database("open").paired(),
        HealthState.DEGRADED,
        Reason.CLOSED_SOCKET,
        [RECONNECT],
    ),
    (
        "paired, closed in both, and no code says why",
        lambda: given().memory("close").database("close").paired(),
        HealthState.DISCONNECTED,
        Reason.UNEXPLAINED_CLOSE,
        [RECONNECT, RECONNECT],
    ),
    (
        "never started",
        lambda: given().memory("close").database("close"),
        HealthState.DISCONNECTED,
        Reason.NOT_STARTED,
        [RECONNECT, RECONNECT],
    ),
]
"""Given, what is shown, and the first steps of the ladder where none of them heals."""


@pytest.mark.parametrize(
    ("given_this", "state", "reason", "steps"), [pytest.param(*row[1:], id=row[0]) for row in HEALED]
)
def test_state_that_steps_heal_is_shown_and_its_ladder_climbed(
    given_this: Given, state: HealthState, reason: Reason, steps: list[Step]
) -> None:
    one = given_this().watch(minutes=40)

    assert (state, reason) in one.verdicts
    assert one.steps[: len(steps)] == steps


@pytest.mark.parametrize("given_this", [row[1] for row in HEALED], ids=[row[0] for row in HEALED])
def test_dry_run_plans_what_would_be_taken_and_takes_nothing(given_this: Given) -> None:
    enabled, dry = given_this(), given_this()
    dry.policy = world.dry_run()
    plans_differ = []
    while not enabled.taken:
        before = enabled.now
        enabled.watch(seconds=10)
        dry.watch(seconds=10)
        if not enabled.taken:
            plans_differ.append((enabled.plan.step, enabled.plan.at) != (dry.plan.step, dry.plan.at))
        assert before - START < timedelta(minutes=10)

    assert not any(plans_differ)
    assert dry.taken == []
    assert dry.plan.step is enabled.steps[0]
    assert dry.plan.blocked_by == (Reason.DRY_RUN,)


WITHOUT_A_STEP: list[tuple[str, Callable[[World], object]]] = [
    ("the server warms up", lambda one: one.neighbour(warm=False)),
    ("the server could not be read", lambda one: one.neighbour(fresh=False)),
    ("the version is only observed", lambda one: setattr(one, "acted_on", False)),
    ("it is paused", lambda one: setattr(one, "paused", True)),
    ("recovery is disabled", lambda one: setattr(one, "policy", world.disabled())),
    ("our own delete is pending", lambda one: setattr(one, "deleting", True)),
]


@pytest.mark.parametrize("prevents", [how for _, how in WITHOUT_A_STEP], ids=[name for name, _ in WITHOUT_A_STEP])
@pytest.mark.parametrize("given_this", [row[1] for row in HEALED], ids=[row[0] for row in HEALED])
def test_no_step_is_taken_while(given_this: Given, prevents: Callable[[World], object]) -> None:
    one = given_this()
    prevents(one)

    one.watch(hours=1, every=20)

    assert one.taken == []


@pytest.mark.parametrize("given_this", [row[1] for row in HEALED], ids=[row[0] for row in HEALED])
def test_no_step_is_taken_on_the_first_observation(given_this: Given) -> None:
    one = given_this().look()

    assert one.taken == []


@pytest.mark.parametrize(
    "reason_for_pairing",
    [
        lambda: ended(401),
        lambda: given().memory("close").database("connecting"),
        lambda: given().memory("close").database("close"),
        lambda: given().memory("connecting").database("close"),
    ],
    ids=["logged out", "QR expired", "not started", "no QR code"],
)
def test_nothing_is_done_for_a_qr_code_that_nobody_wants(reason_for_pairing: Given) -> None:
    one = reason_for_pairing()
    one.pairing_wanted = False

    assert one.watch(hours=1).taken == []


WEEK_LONG: list[tuple[str, Given]] = [
    ("a scan is awaited", lambda: given().memory("connecting").database("connecting").issuing_codes()),
    ("the account is banned", lambda: ended(403)),
    (
        "the account was banned once, before the pairing that is closed now",
        lambda: given().memory("close").database("close", code=403, ended=START).paired(),
    ),
    ("it flaps with all the others", lambda: flapping_alone().neighbour(mostly_flapping=True)),
    ("it is replaced", lambda: given().memory("open", "close", "connecting").database("open").paired()),
    ("its session is missing", lambda: given().memory("open").database("close").paired()),
    ("the server is away", lambda: given().memory("open").database("close").neighbour(fresh=False)),
    ("nothing is understood", lambda: given().memory("open").database("connecting").paired()),
]


@pytest.mark.parametrize("given_this", [row[1] for row in WEEK_LONG], ids=[row[0] for row in WEEK_LONG])
def test_a_week_takes_no_step_while(given_this: Given) -> None:
    one = given_this().watch(hours=24 * 7, every=50)

    assert one.taken == []


def test_scan_that_is_awaited_for_a_week_is_never_shown_as_anything_else() -> None:
    one = given().memory("connecting").database("connecting").issuing_codes().watch(hours=24 * 7, every=50)

    assert set(one.verdicts) == {(HealthState.DISCONNECTED, Reason.AWAITING_SCAN)}


def test_absence_is_shown_only_after_three_proofs_over_half_a_minute() -> None:
    one = given().gone()
    for _ in range(3):
        one.now += timedelta(seconds=14)
        one.look()
    assert Reason.NOT_FOUND not in {reason for _, reason in one.verdicts}

    one.watch(seconds=10)

    assert one.verdicts[-1] == (HealthState.NOT_FOUND, Reason.NOT_FOUND)


def test_two_proofs_of_absence_prove_nothing_however_far_apart() -> None:
    one = given().gone().look()
    one.now += timedelta(days=1)

    one.look()

    assert one.verdicts[-1] == (HealthState.DEGRADED, Reason.SETTLING)


@pytest.mark.parametrize("witness", ["memory", "database"])
def test_absence_counts_afresh_after_a_witness_had_it(witness: str) -> None:
    one = given().gone().watch(seconds=20)
    one.exists = True
    if witness == "memory":
        one.database(None).memory("close")
    else:
        one.memory(None).database("close")
    one.watch(seconds=10)
    one.gone().watch(seconds=20)

    assert Reason.NOT_FOUND not in {reason for _, reason in one.verdicts}


def test_ghost_is_none_while_the_server_still_loads() -> None:
    one = given().memory(None).database("open").neighbour(warm=False).watch(hours=1)

    assert one.shown == (HealthState.DEGRADED, Reason.SETTLING)


def test_row_is_missing_only_after_two_lists() -> None:
    one = given().memory("close").database(None)

    assert one.look().verdicts[-1] != (HealthState.CORRUPTED, Reason.ROW_MISSING)
    assert one.watch(seconds=10).verdicts[-1] == (HealthState.CORRUPTED, Reason.ROW_MISSING)


def test_session_is_missing_only_after_two_lists() -> None:
    one = given().memory("open").database("close").with_owner()

    assert one.look().verdicts[-1] != (HealthState.DEGRADED, Reason.SESSION_MISSING)
    assert one.watch(seconds=10).verdicts[-1] == (HealthState.DEGRADED, Reason.SESSION_MISSING)


def test_unscanned_pairing_code_that_ended_with_401_is_no_logout() -> None:
    one = given().memory("close").database("close", code=401, ended=LATER).watch(minutes=1)

    assert one.shown == (HealthState.DISCONNECTED, Reason.NOT_STARTED)


def test_stuck_connecting_is_not_concluded_before_its_time() -> None:
    one = given().memory("connecting").database("open").paired().watch(seconds=29)

    assert Reason.CONNECTING not in {reason for _, reason in one.verdicts}


def test_closed_socket_is_not_concluded_without_a_sample_of_stability() -> None:
    one = given().memory("close").database("open").paired().watch(seconds=29)

    assert Reason.CLOSED_SOCKET not in {reason for _, reason in one.verdicts}


def test_flapping_that_shows_close_in_almost_every_read_is_told_from_a_closed_socket_by_a_sample() -> None:
    one = given().memory(*["close"] * 56, "connecting").database("open").paired().watch(hours=2)

    assert (HealthState.DEGRADED, Reason.FLAPPING) in one.verdicts
    assert (HealthState.DEGRADED, Reason.CLOSED_SOCKET) not in one.verdicts
    assert one.taken == []


def reopening() -> World:
    """S18: open for a tenth of the time, which a poll each ten seconds hardly ever meets."""
    one = given().memory("connecting", "close").database("open").paired().watch(minutes=9)
    return one.neighbour(vouched_at=one.now).watch(minutes=3)


def test_sample_in_which_it_opens_again_and_again_tells_replacement_from_lost_credentials() -> None:
    one = reopening()
    assert one.shown == (HealthState.CORRUPTED, Reason.CREDENTIALS)

    states = frozenset({world.state("connecting"), world.state("open"), world.state("close")})
    one.record = records.saw_sample(one.record, witnesses.Sample(taken_at=one.now, states=states, openings=3))
    one.look().look()

    assert one.shown == (HealthState.DEGRADED, Reason.REPLACED)
    assert Step.RELOGIN not in [one.plan.step]


def test_single_opening_in_a_sample_is_no_replacement_and_ends_the_time_of_flapping() -> None:
    one = reopening()

    states = frozenset({world.state("connecting"), world.state("open")})
    one.record = records.saw_sample(one.record, witnesses.Sample(taken_at=one.now, states=states, openings=1))

    assert one.record.reopened_at is None
    assert one.record.turning_since is None


def test_instance_that_stays_open_after_a_sample_of_replacement_is_healthy() -> None:
    one = reopening()
    states = frozenset({world.state("open"), world.state("close")})
    one.record = records.saw_sample(one.record, witnesses.Sample(taken_at=one.now, states=states, openings=3))

    one.memory("open").watch(minutes=1)
    assert one.shown == (HealthState.DEGRADED, Reason.REPLACED)

    one.watch(minutes=3)
    assert one.shown == (HealthState.HEALTHY, Reason.HEALTHY)


def test_instance_that_lost_its_credentials_and_shows_no_code_is_restarted_once_one_is_wanted() -> None:
    one = given().memory("open").database("open").with_owner().watch(minutes=1)
    one.memory("connecting").database("connecting").issuing_codes().watch(minutes=3)
    assert one.shown == (HealthState.DISCONNECTED, Reason.CREDENTIALS_LOST)

    one.rotating = False
    one.pairing_wanted = False
    one.watch(minutes=10)
    assert one.shown == (HealthState.DISCONNECTED, Reason.CREDENTIALS_LOST)
    assert one.taken == []

    one.pairing_wanted = True
    one.watch(minutes=1)
    assert Step.RESTART in one.steps


def test_socket_that_shows_no_code_waits_for_nothing_while_nobody_wants_one() -> None:
    one = given().memory("connecting").database("connecting").unpaired()
    one.pairing_wanted = False

    one.watch(minutes=5)
    assert one.shown == (HealthState.DISCONNECTED, Reason.NOT_STARTED)
    assert one.taken == []

    one.pairing_wanted = True
    one.watch(minutes=1)
    assert Step.RESTART in one.steps


def test_codes_that_are_renewed_by_a_new_socket_are_no_flapping() -> None:
    """Every few reads the socket that offers QR codes is opened anew."""
    one = given().memory("connecting", "connecting", "close").database("connecting").issuing_codes()

    one.watch(hours=1)

    assert Reason.FLAPPING not in {one.shown[1]}
    assert one.taken == []


def test_old_code_of_a_pairing_that_was_renewed_is_no_logout() -> None:
    one = given().memory("open").database("open", code=401, ended=EARLIER).with_owner().watch(minutes=2)
    one.memory("close", "connecting", "close").watch(minutes=2)

    assert {Reason.LOGGED_OUT, Reason.RESTRICTED}.isdisjoint(reason for _, reason in one.verdicts)
    assert one.record.paired is True


@pytest.mark.parametrize(("code", "reason"), [(401, Reason.LOGGED_OUT), (403, Reason.RESTRICTED)])
def test_end_of_a_pairing_that_both_witnesses_show_at_once_is_noticed(code: int, reason: Reason) -> None:
    """The list is read just before memory, so the new code is folded while memory is still remembered as open."""
    one = given().memory("open").database("open", code=401, ended=EARLIER).with_owner().watch(minutes=2)
    one.memory("close").database("close", code=code, ended=LATER + timedelta(minutes=2))
    one.pairing_wanted = False

    one.watch(minutes=1)

    assert one.shown == (HealthState.DISCONNECTED, reason)
    assert one.record.paired is False


def test_end_of_a_pairing_that_memory_shows_first_is_noticed() -> None:
    one = given().memory("open").database("open").with_owner().watch(minutes=2)
    one.memory("close")
    one.now += timedelta(seconds=10)
    one.read_memory().database("close", code=401, ended=one.now).watch(minutes=1)

    assert (HealthState.DISCONNECTED, Reason.LOGGED_OUT) in one.verdicts
    assert one.record.paired is False


def test_flapping_that_is_seen_at_every_read_is_judged_by_how_long_it_lasts() -> None:
    one = flapping_alone().neighbour(vouched_at=START + timedelta(minutes=5))

    one.watch(minutes=9)
    assert one.shown == (HealthState.DEGRADED, Reason.FLAPPING)

    one.neighbour(vouched_at=one.now).watch(minutes=3)
    assert one.shown == (HealthState.CORRUPTED, Reason.CREDENTIALS)


def test_close_that_lasted_for_a_day_does_not_make_a_minute_of_flapping_a_day_old() -> None:
    one = given().memory("close").database("close").paired().watch(hours=24, every=60)

    one.memory("close", "connecting").neighbour(vouched_at=one.now - timedelta(hours=1)).watch(minutes=2)

    assert one.shown == (HealthState.DEGRADED, Reason.FLAPPING)


def test_flapping_that_ended_in_a_lost_close_is_not_shown_for_ever() -> None:
    one = given().memory("close", "connecting").database("open").paired().watch(minutes=5)

    one.memory("close").watch(hours=1)

    assert Step.RECONNECT in one.steps


def test_reconnect_does_not_rest_on_a_sample_that_later_reads_contradict() -> None:
    """A sample proved close; since then it connected, and what is shown now may be the gap of a loop."""
    one = given().memory("close").database("connecting")
    one.pairing_wanted = False
    one.watch(minutes=2)
    one.memory("connecting").watch(seconds=20)
    one.memory("close")
    one.pairing_wanted = True

    one.watch(seconds=20)

    assert one.shown == (HealthState.DISCONNECTED, Reason.QR_EXPIRED)
    assert one.taken == []


@pytest.mark.parametrize(
    ("memory", "reason"),
    [("close", Reason.CLOSED_SOCKET), ("connecting", Reason.CONNECTING)],
)
def test_row_read_before_memory_changed_contradicts_nothing(memory: str, reason: Reason) -> None:
    one = given().memory("open").database("open").with_owner().watch(minutes=1)
    one.memory(memory)

    for _ in range(12):
        one.now += timedelta(seconds=10)
        one.read_memory().assess()

    assert reason not in {shown for _, shown in one.verdicts}


def test_state_that_lasted_before_the_operator_started_counts_from_its_beginning() -> None:
    one = given().database("open").paired()
    since = START - timedelta(hours=1)
    one.record = world.remembering(one.record, "connecting", since)

    one.memory("connecting").watch(seconds=20)

    assert one.record.memory is not None
    assert one.record.memory.since == since


def test_beginning_from_before_the_start_counts_once() -> None:
    one = given().database("open").paired()
    one.record = world.remembering(one.record, "connecting", START - timedelta(hours=1))
    one.memory("connecting").look().gone().watch(seconds=10)
    one.exists = True

    one.watch(seconds=10)

    assert one.record.memory is not None
    assert one.record.memory.since == one.now


@pytest.mark.parametrize(
    ("given_this", "symptom"),
    [
        (flapping_alone, rules.Symptom.FLAPPING),
        (lambda: given().memory("connecting").database("close"), rules.Symptom.WITHOUT_CODE),
        (
            lambda: given().memory("connecting").database("connecting").issuing_codes(),
            rules.Symptom.SHOWS_CODE,
        ),
        (lambda: given().memory("connecting").database("open").paired(), None),
        (lambda: given().memory("open").database("open").paired(), None),
        (lambda: given().memory("close").database("close"), None),
    ],
)
def test_symptom_is_told_by_the_instances_own_evidence(given_this: Given, symptom: rules.Symptom | None) -> None:
    one = given_this()
    one.policy = world.disabled()

    assert rules.symptom(one.watch(minutes=2).seen) is symptom
    assert rules.symptom(one.neighbour(mostly_flapping=True).seen) is symptom


def flags_everything(_: Seen) -> Verdict:
    return Verdict(HealthState.STUCK, Reason("Flagged"))


def test_rule_of_a_plugin_is_asked_where_ours_find_an_instance_healthy_or_find_nothing() -> None:
    settling = given().memory("close").database("close").paired().look()
    healthy = given().memory("open").database("open").paired().look()

    for one in (settling, healthy):
        assert rules.assess(one.seen, plugged=flags_everything) == flags_everything(one.seen)
        assert rules.assess(one.seen, plugged=lambda _: None) == rules.assess(one.seen)


PROBLEMS = [
    pytest.param(given_this, id=name)
    for name, given_this, _, reason in (*UNHEALED, *(row[:4] for row in HEALED))
    if reason not in (Reason.HEALTHY, Reason.SETTLING)
]


@pytest.mark.parametrize("given_this", PROBLEMS)
def test_rule_of_a_plugin_hides_nothing_that_ours_find(given_this: Given) -> None:
    one = given_this()
    one.policy = world.disabled()
    one.watch(hours=1)

    assert rules.assess(one.seen).reason is not Reason.SETTLING
    assert rules.assess(one.seen, plugged=flags_everything) == rules.assess(one.seen)


def test_rule_of_a_plugin_is_not_asked_about_what_a_witness_does_not_have() -> None:
    loading = given().memory(None).database("open").paired().neighbour(warm=False).look()

    assert rules.assess(loading.seen, plugged=flags_everything).reason is Reason.SETTLING
