"""An approval allows one step, for one incident and one incarnation, and ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support import servers
from support.simulated import START
from whatsapp_operator.engine import approvals
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.recovery.planner import NOTHING, Plan
from whatsapp_operator.resources import names
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import RecoveryStatus
from whatsapp_operator.resources.steps import Step, StepClass

LIFE = 3600.0
ASKS = Plan(Step.RECREATE, StepClass.SESSION_LOSS, blocked_by=(Reason.APPROVAL_REQUIRED,))
ALLOWED = Plan(Step.RECREATE, StepClass.SESSION_LOSS)


def a_draft(
    recovery: RecoveryStatus | None = None, *, says: str = "", seconds: float = 0, loss: str = "RequireApproval"
) -> Draft:
    subject = servers.a_subject(
        "shop", annotations={names.APPROVE: says} if says else {}, recovery={"sessionLoss": loss}
    )
    assert subject.instance is not None
    now = START + timedelta(seconds=seconds)
    draft = drafts.begin(subject, subject.instance, servers.a_server(), pause=None, now=now)
    draft.recovery = recovery or RecoveryStatus(incident="20261123-7f3a", started_at=START)
    draft.instance_id = "id-1"
    return draft


def offered(plan: Plan = ASKS, **facts: Any) -> tuple[RecoveryStatus, str]:
    draft = a_draft(**facts)
    approvals.offer(draft, plan)
    assert draft.recovery.approval is not None
    return draft.recovery, draft.recovery.approval.token


def approved() -> RecoveryStatus:
    recovery, token = offered()
    draft = a_draft(recovery, says=token)
    assert approvals.take_up(draft, life_seconds=LIFE) is Reason.APPROVED
    return draft.recovery


def test_token_names_step_incident_and_incarnation() -> None:
    assert offered()[1] == "Recreate-20261123-7f3a-id-1-0"


@pytest.mark.parametrize(("identity", "shown"), [(None, "none"), ("0f8b2c41-aaaa", "0f8b2c41")])
def test_token_has_the_beginning_of_an_id_or_says_that_none_is_known(identity: str | None, shown: str) -> None:
    draft = a_draft()
    draft.instance_id = identity

    approvals.offer(draft, ASKS)

    assert draft.recovery.approval is not None
    assert draft.recovery.approval.token == f"Recreate-20261123-7f3a-{shown}-0"


def test_right_token_approves_the_step_once_it_is_shown() -> None:
    draft = a_draft(approved(), seconds=LIFE - 1)

    assert approvals.given(draft, Step.RECREATE)
    assert draft.recovery.approval is not None
    assert draft.recovery.approval.expires == START + timedelta(seconds=LIFE)


def test_approval_is_news_once_and_is_not_prolonged_by_its_annotation() -> None:
    recovery = approved()
    assert recovery.approval is not None
    draft = a_draft(recovery, says=recovery.approval.token, seconds=1800)

    assert approvals.take_up(draft, life_seconds=LIFE) is None
    assert draft.recovery == recovery


@pytest.mark.parametrize(
    "says", ["", "true", "Recreate", "Recreate-20261123-7f3a-id-1-1", "Recreate-20261123-7f3a-id-1-0 "]
)
def test_any_other_value_approves_nothing(says: str) -> None:
    recovery, _ = offered()
    draft = a_draft(recovery, says=says)

    assert approvals.take_up(draft, life_seconds=LIFE) is None
    assert not approvals.given(draft, Step.RECREATE)


def test_annotation_that_is_there_before_anything_is_offered_approves_nothing_then() -> None:
    draft = a_draft(says="Recreate-20261123-7f3a-id-1-0")

    assert approvals.take_up(draft, life_seconds=LIFE) is None
    assert draft.recovery.approval is None
    assert not approvals.given(draft, Step.RECREATE)


def test_approval_is_none_of_another_step() -> None:
    draft = a_draft(approved())

    assert not approvals.given(draft, Step.RELOGIN)
    assert not approvals.given(draft, Step.RESTART_SERVER)
    assert not approvals.given(draft, None)


def test_approval_is_none_of_another_incident() -> None:
    draft = a_draft(approved().replace(incident="20261124-0001"))

    assert not approvals.given(draft, Step.RECREATE)


def test_approval_is_none_of_another_incarnation() -> None:
    draft = a_draft(approved())
    draft.instance_id = "id-2"

    assert not approvals.given(draft, Step.RECREATE)


def test_approval_ends_unused_and_says_so() -> None:
    recovery = approved()
    assert recovery.approval is not None
    draft = a_draft(recovery, says=recovery.approval.token, seconds=LIFE)

    assert not approvals.given(draft, Step.RECREATE)
    assert approvals.take_up(draft, life_seconds=LIFE) is Reason.APPROVAL_EXPIRED
    assert (draft.recovery.approval, draft.recovery.approvals) == (None, 1)


@pytest.mark.parametrize("end", ["used", "expired"])
def test_annotation_that_stays_approves_nothing_more(end: str) -> None:
    recovery = approved()
    assert recovery.approval is not None
    says = recovery.approval.token
    draft = a_draft(recovery, says=says, seconds=LIFE if end == "expired" else 0)
    if end == "used":
        approvals.used(draft)
        assert draft.handled.approve == says
    else:
        approvals.take_up(draft, life_seconds=LIFE)

    approvals.offer(draft, ASKS)

    assert draft.recovery.approval is not None
    assert draft.recovery.approval.token != says
    assert approvals.take_up(draft, life_seconds=LIFE) is None
    assert not approvals.given(draft, Step.RECREATE)


def test_approval_is_kept_while_its_step_waits_for_something_else() -> None:
    draft = a_draft(approved())

    approvals.offer(draft, Plan(Step.RECREATE, StepClass.SESSION_LOSS, blocked_by=(Reason.STORM,)))
    assert approvals.given(draft, Step.RECREATE)
    approvals.offer(draft, ALLOWED)
    assert approvals.given(draft, Step.RECREATE)


def test_approval_is_kept_while_nothing_is_planned_and_no_longer() -> None:
    recovery = approved()
    assert recovery.approval is not None
    says = recovery.approval.token
    draft = a_draft(recovery, says=says, seconds=600)
    approvals.offer(draft, NOTHING)
    assert approvals.given(draft, Step.RECREATE)

    later = a_draft(draft.recovery, says=says, seconds=LIFE)
    assert approvals.take_up(later, life_seconds=LIFE) is Reason.APPROVAL_EXPIRED
    approvals.offer(later, ASKS)

    assert approvals.take_up(later, life_seconds=LIFE) is None
    assert not approvals.given(later, Step.RECREATE)


@pytest.mark.parametrize(
    "planned",
    [Plan(Step.RESTART, StepClass.SOFT), replace(ASKS, step=Step.RELOGIN)],
    ids=["a gentler step", "another step to approve"],
)
def test_approval_ends_with_the_plan_of_another_step_and_its_annotation_gives_it_no_more(planned: Plan) -> None:
    recovery = approved()
    assert recovery.approval is not None
    draft = a_draft(recovery, says=recovery.approval.token)

    approvals.offer(draft, planned)
    approvals.offer(draft, ASKS)

    assert draft.recovery.approvals == 1
    assert approvals.take_up(draft, life_seconds=LIFE) is None
    assert not approvals.given(draft, Step.RECREATE)


@pytest.mark.parametrize("changed", [{"incident": "20261124-0001"}, {"incident": None}])
def test_approval_ends_with_its_incident_also_while_nothing_is_planned(changed: dict[str, str | None]) -> None:
    draft = a_draft(approved().replace(**changed))

    approvals.offer(draft, NOTHING)

    assert (draft.recovery.approval, draft.recovery.approvals) == (None, 1)


def test_approval_stays_given_while_its_step_is_offered_once_more() -> None:
    draft = a_draft(approved())

    approvals.offer(draft, ASKS)

    assert approvals.given(draft, Step.RECREATE)


def test_offer_of_another_incident_takes_the_place_of_the_one_before() -> None:
    recovery, before = offered()
    draft = a_draft(recovery.replace(incident="20261124-0001"))

    approvals.offer(draft, ASKS)

    assert draft.recovery.approval is not None
    assert draft.recovery.approval.token == before.replace("20261123-7f3a", "20261124-0001")


def test_nothing_is_offered_before_there_is_an_incident() -> None:
    draft = a_draft(RecoveryStatus(last_incident_id="20261123-7f3a"))

    approvals.offer(draft, ASKS)

    assert draft.recovery.approval is None


@pytest.mark.parametrize("plan", [NOTHING, Plan(Step.RESTART, StepClass.SOFT), ALLOWED])
def test_offer_is_taken_back_when_nothing_waits_for_approval(plan: Plan) -> None:
    recovery, token = offered()
    draft = a_draft(recovery, says=token)

    approvals.offer(draft, plan)

    assert draft.recovery.approval is None


@pytest.mark.parametrize(
    "plan",
    [
        Plan(Step.RECREATE, StepClass.RECREATE, blocked_by=(Reason.APPROVAL_REQUIRED,)),
        Plan(Step.RESTART_SERVER, StepClass.SERVER_RESTART, blocked_by=(Reason.NOT_VOUCHED_FOR,)),
        Plan(Step.RECREATE, StepClass.SESSION_LOSS, blocked_by=(Reason.STORM, Reason.RESTRICTED)),
    ],
    ids=["no loss", "restart of the server", "nothing to approve"],
)
def test_nothing_is_offered_for(plan: Plan) -> None:
    draft = a_draft()

    approvals.offer(draft, plan)

    assert draft.recovery.approval is None


def test_nothing_is_offered_where_nothing_may_ever_be_lost() -> None:
    draft = a_draft(loss="Never")

    approvals.offer(draft, Plan(Step.RECREATE, StepClass.SESSION_LOSS, blocked_by=(Reason.NOT_VOUCHED_FOR,)))

    assert draft.recovery.approval is None


@pytest.mark.parametrize("reason", [Reason.SESSION_LOSS_DELAY, Reason.NOT_VOUCHED_FOR, Reason.NEEDS_SERVER_RESTART])
def test_wait_can_be_cut_short_also_where_no_approval_is_required(reason: Reason) -> None:
    plan = Plan(Step.RECREATE, StepClass.SESSION_LOSS, blocked_by=(reason,))

    assert offered(plan, loss="Automatic")[1] == "Recreate-20261123-7f3a-id-1-0"


def test_step_that_needed_no_approval_uses_none_up() -> None:
    draft = a_draft()

    approvals.used(draft)

    assert (draft.recovery.approvals, draft.handled.approve) == (0, None)
