"""Why a step is not taken now: small functions, all of them asked, each of which states one precondition.

A gate's name is the sentence that it stands for. `against` collects every reason, so that each refusal can be shown.
Nothing here keeps anyone from observing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from whatsapp_operator.evolution.evidence import RESTRICTED_CODES, ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.health import stability
from whatsapp_operator.health.opinion import OBSERVATIONS, Opinion
from whatsapp_operator.health.spans import Spans
from whatsapp_operator.recovery import guard as guards
from whatsapp_operator.recovery import ladder
from whatsapp_operator.recovery.guard import Guard, Hold
from whatsapp_operator.resources.overrides import RecoveryMode, SessionLoss
from whatsapp_operator.resources.policy import RecoveryPolicy
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a gate may look at."""

    now: datetime
    opinion: Opinion
    record: records.Record
    history: RecoveryStatus
    policy: RecoveryPolicy
    spans: Spans
    warm: bool
    acted_on: bool
    """The server's version is one that may be acted on, and its spec is understood."""
    paused: bool
    pairing_wanted: bool
    restart_requested: bool = False
    server_valid: bool = True
    """The server's spec is understood; while it is not, nothing is done by what it said before."""
    guard: Guard = field(default_factory=Guard)
    others_without_code: bool = False
    """Most of the other instances that want a QR code get none."""
    vouched: bool = False
    """Another instance of the server has just proved that WhatsApp can be reached from there."""
    reachable_since: datetime | None = None
    """Since when others have proved it again and again, on this instance's way."""
    approved: bool = False
    """A person has approved the step that is left."""
    offers: ladder.Offers = field(default_factory=dict)
    """The steps of plugins."""

    @property
    def reason(self) -> Reason:
        """Why the instance is not well."""
        return self.opinion.verdict.reason

    @property
    def last_verdict_at(self) -> datetime | None:
        """When the verdict on the step before was known."""
        return self.history.history[-1].end_time if self.history.history else None

    @property
    def server_restarted(self) -> bool:
        """Whether the server was restarted in this incident."""
        began, restarted_at = self.history.started_at, self.guard.restarted_at
        return began is not None and restarted_at is not None and restarted_at >= began

    @property
    def deaf(self) -> bool:
        """Whether a Relogin left it deaf, and the server was not restarted since."""
        deaf_since, restarted_at = self.history.deaf_since, self.guard.restarted_at
        return deaf_since is not None and (restarted_at is None or restarted_at < deaf_since)

    @property
    def shares_its_lack_of_a_code(self) -> bool:
        """Whether most others get no QR code either, and neither a voucher nor time tells that it is their own fault.

        Until then a Restart, which costs nothing, is tried ever more rarely; what costs more would mostly be in vain.
        """
        if self.reason is not Reason.NO_QR_CODE or not self.others_without_code or self.vouched:
            return False
        last_resort = timedelta(seconds=self.policy.last_resort_delay_seconds)
        return self.now - (self.history.started_at or self.now) < last_resort

    def class_of(self, step: Step) -> StepClass:
        """What a step would cost here."""
        return ladder.class_of(step, protected=self.record.protected, offers=self.offers)

    def asked_for(self, step: Step) -> bool:
        """Whether a user has asked for this very step."""
        return self.restart_requested and step is Step.RESTART

    def loses(self, step: Step) -> bool:
        """Whether a step would lose a pairing or data."""
        return self.class_of(step) is StepClass.SESSION_LOSS

    def interrupts_all(self, step: Step) -> bool:
        """Whether a step costs every instance of the server some seconds."""
        return self.class_of(step) is StepClass.SERVER_RESTART


Gate = Callable[[Situation, Step], Hold | None]


def server_warms_up(situation: Situation, step: Step) -> Hold | None:  # noqa: ARG001 - a gate takes both
    """What is seen in the first minutes of a server, or of this operator, proves nothing."""
    return None if situation.warm else Hold(Reason.WARMING_UP)


def version_is_only_observed(situation: Situation, step: Step) -> Hold | None:  # noqa: ARG001 - a gate takes both
    """An unknown version may do anything when it is told to restart."""
    held = not situation.acted_on and situation.server_valid
    return Hold(Reason.UNSUPPORTED_VERSION) if held else None


def server_has_an_invalid_spec(situation: Situation, step: Step) -> Hold | None:  # noqa: ARG001 - a gate takes both
    """Half of a wish is not acted on."""
    return None if situation.server_valid else Hold(Reason.SERVER_INVALID)


def recovery_is_switched_off(situation: Situation, step: Step) -> Hold | None:
    """`Disabled` heals nothing; what a user asked for is still done."""
    if situation.policy.mode is not RecoveryMode.DISABLED or situation.asked_for(step):
        return None
    return Hold(Reason.RECOVERY_DISABLED)


def only_plans(situation: Situation, step: Step) -> Hold | None:  # noqa: ARG001 - a gate takes both
    """`DryRun` shows the step and takes none."""
    return Hold(Reason.DRY_RUN) if situation.policy.mode is RecoveryMode.DRY_RUN else None


def is_paused(situation: Situation, step: Step) -> Hold | None:  # noqa: ARG001 - a gate takes both
    """A person has asked for quiet."""
    return Hold(Reason.PAUSED) if situation.paused else None


def server_restarts(situation: Situation, step: Step) -> Hold | None:  # noqa: ARG001 - a gate takes both
    """What is done to a server that is being restarted is lost, or meets one that still loads."""
    return Hold(Reason.SERVER_RESTARTING) if situation.guard.restarting else None


def whatsapp_restricts_the_account(situation: Situation, step: Step) -> Hold | None:
    """To be paired again would not help an account that is refused, and trying may harm it."""
    pairs_anew = step in (Step.RELOGIN, Step.RECREATE) or step.foreign
    if not pairs_anew or situation.record.new_code not in RESTRICTED_CODES:
        return None
    return Hold(Reason.RESTRICTED)


def works_only_until_a_restart(situation: Situation, step: Step) -> Hold | None:
    """S19: any restart ends a session that is stored nowhere; a person with the phone has to be at hand first.

    A second list concludes it, or refutes it; until then nothing is restarted, whoever asks for it.
    """
    may_lack = records.may_lack_its_session(situation.record)
    if step.foreign:
        return Hold(Reason.SESSION_MISSING) if may_lack else None
    if step not in (Step.RESTART, Step.RESTART_SERVER):
        return None
    if situation.reason is Reason.SESSION_MISSING:
        return Hold(Reason.SESSION_MISSING)
    return Hold(Reason.AWAITING_OBSERVATION) if may_lack else None


def may_never_be_lost(situation: Situation, step: Step) -> Hold | None:
    """`sessionLoss: Never`: a lost pairing needs a human with a phone, lost data cannot be had back."""
    never = situation.policy.session_loss is SessionLoss.NEVER
    return Hold(Reason.PROTECTED_INSTANCE) if never and situation.loses(step) else None


def waits_for_approval(situation: Situation, step: Step) -> Hold | None:
    """`sessionLoss: RequireApproval`: each loss is approved, one by one."""
    asks = situation.policy.session_loss is SessionLoss.REQUIRE_APPROVAL
    if not asks or not situation.loses(step) or situation.approved:
        return None
    return Hold(Reason.APPROVAL_REQUIRED)


def incident_is_young(situation: Situation, step: Step) -> Hold | None:
    """Much heals by itself; after a storm that has to be seen anew."""
    began = situation.history.started_at or situation.now
    began = max(began, situation.guard.ledger.storm_ended_at or began)
    until = began + timedelta(seconds=situation.policy.session_loss_delay_seconds)
    if not situation.loses(step) or situation.approved or situation.now >= until:
        return None
    return Hold(Reason.SESSION_LOSS_DELAY, until)


def may_be_an_outage(situation: Situation, step: Step) -> Hold | None:
    """Nobody proves that WhatsApp can be reached: it may be away, and all of this heal when it is back."""
    looks_like_it = situation.interrupts_all(step) and situation.reason in ladder.LIKE_AN_OUTAGE
    if not looks_like_it and not situation.loses(step):
        return None
    if situation.approved and situation.loses(step):
        return None
    if situation.vouched and not situation.loses(step):
        return None
    hold = _last_resort(situation, Reason.NOT_VOUCHED_FOR)
    if hold is None or not situation.vouched or situation.reachable_since is None:
        return hold
    return _may_be_about_to_reopen(situation, situation.reachable_since)


def _may_be_about_to_reopen(situation: Situation, reachable_since: datetime) -> Hold | None:
    """The first to reopen after an outage vouches for the others, whose next tries are only due some seconds later."""
    since = max(reachable_since, situation.history.started_at or situation.now)
    until = since + timedelta(seconds=situation.spans.reachable)
    return Hold(Reason.NOT_VOUCHED_FOR, until) if situation.now < until else None


def others_get_no_code_either(situation: Situation, step: Step) -> Hold | None:
    """WhatsApp may be away, and all of this heal when it is back; but some hang from then on, and a Restart heals."""
    if not situation.shares_its_lack_of_a_code or situation.asked_for(step):
        return None
    until = (situation.history.started_at or situation.now) + timedelta(seconds=situation.spans.frozen)
    return Hold(Reason.NOT_VOUCHED_FOR, until) if situation.now < until else None


def needs_a_restart_of_the_server(situation: Situation, step: Step) -> Hold | None:
    """Only a restart of the server heals without a loss, and no workload is named that may be restarted."""
    if situation.guard.restartable:
        return None
    if situation.interrupts_all(step):
        return Hold(Reason.NEEDS_SERVER_RESTART)
    heals = any(rung.step is Step.RESTART_SERVER for rung in ladder.LADDERS.get(situation.reason, ()))
    if not heals or not situation.loses(step) or situation.approved:
        return None
    return _last_resort(situation, Reason.NEEDS_SERVER_RESTART)


def _last_resort(situation: Situation, reason: Reason) -> Hold | None:
    began = situation.history.last_resort_since or situation.now
    if situation.reason is Reason.CREDENTIALS:
        # No gentle step heals it, so there is none to count from.
        began = min(began, situation.record.turns_since or began)
    began = max(began, situation.guard.ledger.storm_ended_at or began)
    until = began + timedelta(seconds=situation.policy.last_resort_delay_seconds)
    return Hold(reason, until) if situation.now < until else None


def storm_is_on(situation: Situation, step: Step) -> Hold | None:
    """So many are bad at once that WhatsApp, the network or the database is down, not they."""
    if situation.asked_for(step):
        return None
    return guards.storm_holds(situation.guard, situation.class_of(step), now=situation.now)


def is_not_known_to_be_no_storm(situation: Situation, step: Step) -> Hold | None:
    """After a start the first instances that are looked at must not be judged before the others are."""
    return Hold(Reason.AWAITING_OBSERVATION) if situation.loses(step) and not situation.guard.surveyed else None


def budget_is_spent(situation: Situation, step: Step) -> Hold | None:
    """So many steps of a class may begin within a time."""
    if situation.asked_for(step):
        return None
    return guards.budget_holds(situation.guard, situation.class_of(step), now=situation.now)


def too_many_are_under_way(situation: Situation, step: Step) -> Hold | None:
    """So many steps may be under way at once; a restart of the server waits for all of them."""
    return guards.others_are_under_way(situation.guard, situation.class_of(step))


def is_outside_of_maintenance(situation: Situation, step: Step) -> Hold | None:
    """A user has said when recovery may disturb."""
    if situation.asked_for(step):
        return None
    return guards.maintenance_holds(situation.guard, situation.class_of(step), now=situation.now)


def was_seen_only_once(situation: Situation, step: Step) -> Hold | None:
    """No step on one observation, none on evidence older than the last step."""
    seen_twice = situation.opinion.confirmed and situation.record.observations >= OBSERVATIONS
    return None if seen_twice or situation.asked_for(step) else Hold(Reason.AWAITING_OBSERVATION)


def openings_may_have_been_missed(situation: Situation, step: Step) -> Hold | None:
    """S18, which a restart of the server heals, looks like S7 to a sample that meets none of its short openings."""
    if situation.reason is not Reason.CREDENTIALS or not situation.loses(step):
        return None
    agree = stability.turns_agree(situation.record, situation.spans)
    return None if agree else Hold(Reason.AWAITING_OBSERVATION)


def close_is_not_known_to_be_stable(situation: Situation, step: Step) -> Hold | None:
    """Connect in the short close gap of a flapping or restarting instance starts a second socket that never ends."""
    if step is not Step.RECONNECT or _stable_close(situation.record):
        return None
    return Hold(Reason.AWAITING_OBSERVATION)


def _stable_close(record: records.Record) -> bool:
    return record.sample is not None and record.sample.constant is ConnectionState.CLOSE


GATES: tuple[Gate, ...] = (
    server_warms_up,
    version_is_only_observed,
    server_has_an_invalid_spec,
    recovery_is_switched_off,
    only_plans,
    is_paused,
    server_restarts,
    whatsapp_restricts_the_account,
    works_only_until_a_restart,
    may_never_be_lost,
    storm_is_on,
    waits_for_approval,
    needs_a_restart_of_the_server,
    may_be_an_outage,
    others_get_no_code_either,
    incident_is_young,
    is_not_known_to_be_no_storm,
    is_outside_of_maintenance,
    budget_is_spent,
    too_many_are_under_way,
    was_seen_only_once,
    openings_may_have_been_missed,
    close_is_not_known_to_be_stable,
)


def against(situation: Situation, step: Step) -> tuple[Hold, ...]:
    """Everything that is against a step now."""
    holds = [hold for gate in GATES if (hold := gate(situation, step)) is not None]
    return (*holds, *_of_the_server(situation, step))


def _of_the_server(situation: Situation, step: Step) -> tuple[Hold, ...]:
    """What is against an interruption of all its instances; only our own restart is shared by those that wait."""
    if not situation.interrupts_all(step):
        return ()
    shared = step is Step.RESTART_SERVER
    return tuple(one for one in situation.guard.restart_holds if shared or one.reason is not Reason.FEW_INSTANCES)
