"""From what is known to the status that is shown."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import world
from support.world import START, World
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.presentation import NEEDS_THE_SPEC, View, present, present_invalid
from whatsapp_operator.engine.sentences import SENTENCES, sentence
from whatsapp_operator.engine.subject import Subject, restore
from whatsapp_operator.health import witnesses
from whatsapp_operator.health.assessment import Verdict
from whatsapp_operator.recovery import planner
from whatsapp_operator.resources import parsing
from whatsapp_operator.resources.conditions import Condition, ConditionStatus, ConditionType
from whatsapp_operator.resources.instance import WhatsAppInstance
from whatsapp_operator.resources.metadata import ObjectMeta
from whatsapp_operator.resources.overrides import SessionLoss
from whatsapp_operator.resources.pause import Pause, PausedBy, PauseInForce, PauseOfEverything
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import HealthState, PairingStatus, RecoveryStatus, WhatsAppInstanceStatus
from whatsapp_operator.resources.steps import Step

ALWAYS = {
    ConditionType.READY,
    ConditionType.SYNCED,
    ConditionType.EXISTS,
    ConditionType.CONNECTED,
    ConditionType.SETTLED,
    ConditionType.CONSISTENT,
    ConditionType.FUNCTIONAL,
    ConditionType.REMEDIATION_ALLOWED,
}
SECRET = "shop-pairing"  # noqa: S105 - the name of a Secret
SYNC_REASONS = [
    Reason.SYNCED,
    Reason.CONFIGURATION_PENDING,
    Reason.SERVER_NOT_FOUND,
    Reason.SERVER_TERMINATING,
    *sorted(NEEDS_THE_SPEC - {Reason.INVALID_SPEC}),
]


def an_instance(status: WhatsAppInstanceStatus | None = None) -> WhatsAppInstance:
    metadata = {"name": "shop", "namespace": "messaging", "uid": "u-1", "generation": 3}
    body = {"metadata": metadata, "spec": {"serverRef": {"name": "main"}}}
    shown = {"status": parsing.to_status_body(status)} if status else {}
    return parsing.parse_instance(body | shown)


def view_of(one: World, **facts: Any) -> View:
    """What is shown of a world; healthy, synced and at rest where nothing else is said."""
    known = View(
        instance=an_instance(),
        verdict=one.believed.verdict,
        since=one.believed.since,
        confirmed=one.believed.pending is None,
        record=one.record,
        plan=one.plan,
        recovery=one.recovery,
        exhausted=planner.exhausted(one.situation, one.plan),
        synced=Reason.SYNCED,
        pause=None,
        keepsake=None,
        code_offered=False,
        pairing=None,
        window_opened_at=None,
        instance_id="id-1",
        adopted=None,
        configured_generation=3,
        handled=None,
    )
    return replace(known, **facts)


def healthy() -> World:
    return world.given().memory("open").database("open").paired().watch(minutes=1)


def stuck() -> World:
    return world.given().memory("connecting").database("open").paired().watch(minutes=20)


def scan_awaited() -> World:
    return world.given().memory("connecting").database("connecting").issuing_codes().watch(minutes=2)


def conditions_of(view: View, *, now: datetime = START) -> dict[ConditionType, Condition]:
    return {condition.type: condition for condition in present(view, now=now).conditions}


def test_healthy_and_synced_instance_is_ready() -> None:
    shown = conditions_of(view_of(healthy()))

    assert shown[ConditionType.READY].status is ConditionStatus.TRUE
    assert set(shown) == ALWAYS


@pytest.mark.parametrize("synced", SYNC_REASONS[1:])
def test_healthy_instance_that_is_not_as_wanted_is_not_ready(synced: Reason) -> None:
    shown = conditions_of(view_of(healthy(), synced=synced))

    assert (shown[ConditionType.READY].status, shown[ConditionType.READY].reason) == (ConditionStatus.FALSE, synced)


def test_scan_that_is_awaited_is_reconciling_and_never_stalled() -> None:
    shown = conditions_of(view_of(scan_awaited()))

    assert shown[ConditionType.READY].reason is Reason.AWAITING_SCAN
    assert ConditionType.RECONCILING in shown
    assert ConditionType.STALLED not in shown


def test_scan_that_cannot_be_shown_since_its_secret_is_anothers_says_so_wherever_it_says_where_to_scan() -> None:
    shown = conditions_of(view_of(scan_awaited(), synced=Reason.PAIRING_SECRET_NOT_OURS)).values()

    told = {one.message for one in shown if one.reason in (Reason.AWAITING_SCAN, Reason.PAIRING_SECRET_NOT_OURS)}
    assert len(told) == 1
    assert "kubectl delete secret shop-pairing -n messaging" in told.pop()
    assert not any("jsonpath" in one.message for one in shown)


@pytest.mark.parametrize("synced", SYNC_REASONS)
def test_stalled_is_shown_only_where_a_human_must_change_the_spec(synced: Reason) -> None:
    assert (ConditionType.STALLED in conditions_of(view_of(healthy(), synced=synced))) is (synced in NEEDS_THE_SPEC)


def test_what_cannot_be_read_is_unknown_in_every_check() -> None:
    away = healthy().neighbour(fresh=False, why_unknown=Reason.SERVER_UNREACHABLE).watch(seconds=10)

    shown = conditions_of(view_of(away))

    for kind in (ConditionType.READY, ConditionType.EXISTS, ConditionType.CONNECTED, ConditionType.CONSISTENT):
        assert (shown[kind].status, shown[kind].reason) == (ConditionStatus.UNKNOWN, Reason.SERVER_UNREACHABLE)


def test_protected_instance_that_only_a_restart_of_the_server_heals_says_so() -> None:
    shown = conditions_of(view_of(stuck()))

    assert shown[ConditionType.REMEDIATION_ALLOWED].status is ConditionStatus.FALSE
    assert shown[ConditionType.REMEDIATION_ALLOWED].reason is Reason.NEEDS_SERVER_RESTART
    assert shown[ConditionType.READY].reason is Reason.CONNECTING


def test_restart_that_would_cost_another_instance_its_pairing_is_told_as_the_others_trouble() -> None:
    one = stuck()
    held = replace(one.plan, step=Step.RESTART_SERVER, blocked_by=(Reason.SESSION_MISSING,))

    shown = conditions_of(view_of(one, plan=held))

    assert shown[ConditionType.REMEDIATION_ALLOWED].reason is Reason.SESSION_MISSING
    assert "another instance" in shown[ConditionType.REMEDIATION_ALLOWED].message


@pytest.mark.parametrize(
    ("step", "reason", "told"),
    [
        (Step.RESTART_SERVER, Reason.NEEDS_SERVER_RESTART, True),
        (Step.RECREATE, Reason.NEEDS_SERVER_RESTART, False),
        (Step.RESTART_SERVER, Reason.UNSAFE_ROLLOUT, False),
    ],
)
def test_deaf_instance_says_what_ends_that_and_how_to_tell_that_it_has_ended(
    step: Step, reason: Reason, told: bool
) -> None:
    one = healthy()
    plan = replace(one.plan, step=step, blocked_by=(reason,))

    for since in (START, None):
        shown = conditions_of(view_of(one, plan=plan, recovery=RecoveryStatus(deaf_since=since)))
        said = shown[ConditionType.REMEDIATION_ALLOWED].message
        assert ("deaf to incoming messages" in said) is (told and since is not None)
        assert ("whatsapp-operator.dev/reset-requested-at=$(date +%s)" in said) is (told and since is not None)


def test_protected_instance_that_may_never_be_lost_says_so_when_it_needs_more() -> None:
    one = world.given().memory("connecting").database("open").paired()
    one.policy = RecoveryPolicy(session_loss=SessionLoss.NEVER)

    shown = conditions_of(view_of(one.watch(minutes=20)))

    assert shown[ConditionType.REMEDIATION_ALLOWED].status is ConditionStatus.FALSE
    assert shown[ConditionType.REMEDIATION_ALLOWED].reason is Reason.PROTECTED_INSTANCE
    assert shown[ConditionType.READY].reason is Reason.RECOVERY_EXHAUSTED
    assert ConditionType.RECONCILING not in shown


def test_dry_run_shows_the_step_and_why_it_is_not_taken() -> None:
    one = world.given().memory("close").database("open").paired()
    one.policy = world.dry_run()

    status = present(view_of(one.watch(minutes=2)), now=one.now)

    assert status.recovery is not None
    assert status.recovery.planned is not None
    assert status.recovery.planned.step is Step.RECONNECT
    assert status.recovery.blocked_by == (Reason.DRY_RUN,)


def test_restart_that_was_asked_for_and_dry_run_does_not_take_is_told_with_the_cure() -> None:
    one = world.given().memory("close").database("open").paired()
    one.policy, one.restart_requested = world.dry_run(), True

    watched = view_of(one.watch(minutes=2))
    told = conditions_of(watched)[ConditionType.REMEDIATION_ALLOWED]

    assert watched.plan.step is Step.RESTART
    assert (told.status, told.reason) == (ConditionStatus.FALSE, Reason.DRY_RUN)
    assert "also if it was asked for by annotation" in told.message
    assert "spec.recovery.mode here, or on the EvolutionServer" in told.message


def test_what_only_takes_time_does_not_forbid_remediation() -> None:
    plan = planner.Plan(step=Step.RESTART, at=START, blocked_by=(Reason.AWAITING_OBSERVATION,))

    shown = conditions_of(view_of(stuck(), plan=plan))

    assert shown[ConditionType.REMEDIATION_ALLOWED].status is ConditionStatus.TRUE
    assert ConditionType.RECONCILING in shown


def test_raw_state_is_shown_only_when_it_is_confirmed() -> None:
    before = healthy()
    shown = present(view_of(before), now=before.now)
    blip = before.memory("close")
    blip.now += timedelta(seconds=10)
    blip.look()

    status = present(view_of(blip, instance=an_instance(shown)), now=blip.now)

    assert status.connection == shown.connection
    assert status.health_state is HealthState.HEALTHY


def test_flapping_instance_does_not_move_its_status_at_every_read() -> None:
    one = world.given().memory("close", "connecting").database("open").paired().watch(minutes=8)
    first = present(view_of(one), now=one.now)
    one.watch(seconds=10)

    again = present(view_of(one, instance=an_instance(first)), now=one.now)

    assert first.connection is not None
    assert again.connection is not None
    assert again.connection.since == first.connection.since


def test_old_code_is_not_shown_while_it_is_open() -> None:
    one = world.given().memory("open").database("open", code=401, ended=world.EARLIER).with_owner().watch(minutes=1)

    status = present(view_of(one), now=one.now)

    assert status.connection is not None
    assert status.connection.code is None
    assert status.connection.disconnection_at == world.EARLIER


def test_invalid_spec_keeps_what_was_known_and_names_the_problem() -> None:
    before = present(view_of(healthy()), now=START)
    metadata = ObjectMeta(name="shop", namespace="messaging", generation=4)

    status = present_invalid(before, metadata, "spec.settings: must be an object", now=START)

    shown = {condition.type: condition for condition in status.conditions}
    assert status.observed_generation == 4
    assert (status.instance_id, status.paired) == (before.instance_id, before.paired)
    assert shown[ConditionType.STALLED].message == "spec.settings: must be an object"
    assert shown[ConditionType.READY].status is ConditionStatus.FALSE


def test_deletion_that_waits_for_the_spec_says_how_to_let_go() -> None:
    metadata = ObjectMeta(name="shop", namespace="messaging", generation=4, deletion_timestamp=START)

    status = present_invalid(WhatsAppInstanceStatus(), metadata, "spec.settings: must be an object", now=START)

    for condition in status.conditions:
        assert condition.message.startswith("spec.settings: must be an object. ")
        assert "remove the finalizer whatsapp-operator.dev/instance" in condition.message


@functools.cache
def situations() -> list[World]:
    return [healthy(), stuck(), scan_awaited(), world.given().gone().watch(minutes=2)]


VIEWS = st.builds(
    lambda which, facts: view_of(situations()[which], **facts),
    st.integers(min_value=0, max_value=3),
    st.fixed_dictionaries(
        {},
        optional={
            "verdict": st.builds(Verdict, st.sampled_from(HealthState), st.sampled_from(Reason)),
            "synced": st.sampled_from(SYNC_REASONS),
            "pause": st.sampled_from([None, *(PauseInForce(by, Pause(reason="moving")) for by in PausedBy)]),
            "exhausted": st.booleans(),
            "confirmed": st.booleans(),
            "code_offered": st.booleans(),
            "pairing": st.just(PairingStatus(secret_name=SECRET, expires=START)),
            "window_opened_at": st.just(START + timedelta(milliseconds=7)),
            "recovery": st.just(RecoveryStatus(incident="20261123-7f3a", attempts=2, healthy_since=START)),
            "adopted": st.booleans(),
        },
    ),
)


@pytest.mark.parametrize(
    ("by", "named"),
    [
        (PausedBy.INSTANCE, "spec.pause of this WhatsAppInstance"),
        (PausedBy.SERVER, "spec.pause of the EvolutionServer messaging/main"),
        (PausedBy.EVERYTHING, "ConfigMap whatsapp-operator-pause"),
    ],
)
def test_pause_says_whose_it_is_until_when_and_how_it_ends(by: PausedBy, named: str) -> None:
    one = stuck()
    held = replace(one.plan, blocked_by=(Reason.PAUSED,))
    shown = conditions_of(view_of(one, plan=held, pause=PauseInForce(by, Pause(until=START))))

    for kind in (ConditionType.PAUSED, ConditionType.REMEDIATION_ALLOWED):
        assert named in shown[kind].message
        assert f"{START:%Y-%m-%dT%H:%M:%SZ}" in shown[kind].message
        assert "to go on." in shown[kind].message


def test_end_of_a_pause_that_cannot_be_read_is_told_where_the_pause_is() -> None:
    forever = PauseInForce(PausedBy.EVERYTHING, PauseOfEverything(end_unread=True))

    shown = conditions_of(view_of(stuck(), pause=forever))

    assert "`until` cannot be read" in shown[ConditionType.PAUSED].message


def test_turns_of_close_and_connecting_are_written_down_and_taken_up_again() -> None:
    one = world.given().memory("close", "connecting").database("open").paired()
    assert one.row is not None
    one.row = replace(one.row, updated_at=START - timedelta(days=1))
    one.watch(minutes=20)
    status = present(view_of(one), now=one.now)
    subject = Subject(key=ports.Key("messaging", "shop"), body={"metadata": {"name": "shop"}})
    subject.instance = an_instance(status)

    restore(subject, now=one.now)

    assert subject.record.turned is not None
    assert subject.record.turned == one.record.turning
    assert subject.record.turns_since is None


@given(VIEWS)
def test_status_is_the_same_when_read_back(view: View) -> None:
    status = present(view, now=START)

    assert parsing.parse_instance_status({"status": parsing.to_status_body(status)}) == status


@given(VIEWS, st.integers(min_value=1, max_value=10**6))
def test_status_of_what_did_not_change_does_not_change(view: View, seconds: int) -> None:
    status = present(view, now=START)
    again = replace(view, instance=an_instance(status))

    assert present(again, now=START + timedelta(seconds=seconds)) == status


@given(VIEWS)
def test_ready_is_true_for_what_is_healthy_and_as_wanted_and_for_nothing_else(view: View) -> None:
    shown = conditions_of(view)

    well = view.verdict.state is HealthState.HEALTHY and view.synced is Reason.SYNCED
    assert (shown[ConditionType.READY].status is ConditionStatus.TRUE) is well


@given(VIEWS)
def test_every_condition_speaks_of_the_generation_that_was_looked_at(view: View) -> None:
    status = present(view, now=START)

    assert status.observed_generation == 3
    assert {condition.observed_generation for condition in status.conditions} == {3}
    assert {condition.type for condition in status.conditions} >= ALWAYS


TOKEN = "{.status.recovery.approval.token}"  # noqa: S105 - the path of one, not a token


@pytest.mark.parametrize("reason", sorted(SENTENCES))
def test_sentence_is_filled_in_and_leaves_no_blank(reason: Reason) -> None:
    text = sentence(reason, an_instance())

    assert text.endswith((".", "-d", ")", "'"))
    assert "{" not in text.replace("{.data.qr\\.txt}", "").replace('{"spec":{"deletionPolicy":"Retain"}}', "").replace(
        TOKEN, ""
    )


@given(VIEWS)
def test_every_condition_says_why_in_a_sentence(view: View) -> None:
    shown = conditions_of(replace(view, verdict=replace(view.verdict, reason=_assessable(view.verdict.reason))))

    assert all(" " in condition.message for condition in shown.values())


def _assessable(reason: Reason) -> Reason:
    """Reasons that no rule gives need no sentence as a verdict."""
    return reason if reason in SENTENCES else Reason.SETTLING


def functional(one: World, **facts: object) -> tuple[str, str]:
    """The condition Functional."""
    shown = {str(condition.type): condition for condition in present(view_of(one, **facts), now=one.now).conditions}
    return str(shown["Functional"].status), str(shown["Functional"].reason)


def probed(one: World, **facts: object) -> World:
    one.record = replace(one.record, probe=witnesses.Probe(**facts))  # type: ignore[arg-type] # the fields' names are the words
    return one


def test_open_instance_is_functional_only_when_a_probe_was_answered() -> None:
    assert functional(healthy()) == ("Unknown", "NotRequested")
    assert functional(healthy(), probed=True) == ("Unknown", "NotObserved")
    assert functional(probed(healthy(), alive_at=START), probed=True) == ("True", "Answered")


def test_dead_socket_is_not_functional() -> None:
    dead = probed(healthy(), dead=2, dead_since=START, dead_at=START + timedelta(seconds=10)).watch(seconds=20)

    assert functional(dead, probed=True) == ("False", "DeadSocket")


def test_answer_of_before_an_outage_is_not_shown_as_known_now() -> None:
    away = probed(healthy(), alive_at=START).neighbour(fresh=False).assess()

    assert functional(away, probed=True) == ("Unknown", "NotRequested")


def test_each_answer_of_a_probe_shows_the_same() -> None:
    one = probed(healthy(), alive_at=START)
    first = present(view_of(one), now=one.now)

    assert present(view_of(probed(one, alive_at=one.now)), now=one.now) == first


LOUD = Reason("TooLoud")


def said_of(view: View, kind: ConditionType) -> Condition:
    (found,) = [one for one in present(view, now=START).conditions if one.type is kind]
    return found


def test_state_of_a_plugin_is_shown_with_its_sentence_filled_in() -> None:
    well = world.given().memory("open").database("open").paired().watch(minutes=1)
    loud = Verdict(HealthState.DEGRADED, LOUD)
    view = view_of(well, verdict=loud, said={LOUD: "Turn {name} on {server} down, {{now}}."})

    ready = said_of(view, ConditionType.READY)

    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, LOUD)
    assert ready.message == "Turn shop on messaging/main down, {now}."
    assert said_of(view, ConditionType.CONNECTED).status is ConditionStatus.TRUE


def test_of_a_reason_that_nobody_knows_any_more_the_word_is_left() -> None:
    assert sentence(LOUD, an_instance()) == "TooLoud"


def test_plugin_cannot_speak_for_one_of_our_reasons() -> None:
    assert sentence(Reason.GHOST, an_instance(), said={Reason.GHOST: "Nothing."}) == sentence(
        Reason.GHOST, an_instance()
    )
