"""Approvals: one step, for one incident and one incarnation, for a limited time.

While a step waits that a person may approve, status shows a token; the annotation with that value approves it. The
token names the step, the incident, the instance's id and a number that grows with each approval used or expired, so
that a value from before approves nothing. Who may set the annotation is not decided here: the admission policy that
comes with the manifests asks for the verb `approve`.
"""

from __future__ import annotations

from datetime import timedelta

from whatsapp_operator.engine.draft import Draft
from whatsapp_operator.recovery.planner import Plan
from whatsapp_operator.resources import names
from whatsapp_operator.resources.overrides import SessionLoss
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import Approval
from whatsapp_operator.resources.steps import Step, StepClass

_CAN_BE_APPROVED = frozenset(
    {Reason.APPROVAL_REQUIRED, Reason.SESSION_LOSS_DELAY, Reason.NOT_VOUCHED_FOR, Reason.NEEDS_SERVER_RESTART}
)


def take_up(draft: Draft, *, life_seconds: float) -> Reason | None:
    """Note an approval that was given, or that has expired; returns which, when it is news."""
    approval = draft.recovery.approval
    if approval is None:
        return None
    if approval.expires is not None and approval.expires <= draft.now:
        _use_up(draft)
        return Reason.APPROVAL_EXPIRED
    given = draft.instance.metadata.annotations.get(names.APPROVE)
    if approval.expires is not None or given != approval.token:
        return None
    expires = draft.now + timedelta(seconds=life_seconds)
    draft.recovery = draft.recovery.replace(approval=Approval(token=approval.token, expires=expires))
    return Reason.APPROVED


def given(draft: Draft, step: Step | None) -> bool:
    """Whether this step of this incident, for this incarnation, is approved now."""
    approval = draft.recovery.approval
    if approval is None or approval.expires is None or step is None:
        return False
    return approval.token == _token(draft, step) and draft.now < approval.expires


def offer(draft: Draft, planned: Plan) -> None:
    """Show the token while a person may approve what is planned; take it back when that is past.

    What was given stays while nothing is planned, as when the instance is not understood for a moment.
    """
    approval, wanted = draft.recovery.approval, _wanted(draft, planned)
    if approval is not None and approval.expires is not None and wanted != approval:
        # Its annotation is still there: were the same token offered once more, it would be approved for another hour.
        _use_up(draft)
        wanted = _wanted(draft, planned)
    if wanted != draft.recovery.approval:
        draft.recovery = draft.recovery.replace(approval=wanted)


def _wanted(draft: Draft, planned: Plan) -> Approval | None:
    approval, step = draft.recovery.approval, planned.step
    if step is None:
        return approval if any(given(draft, one) for one in Step) else None
    if not _can_be_approved(draft, planned):
        return approval if given(draft, step) else None
    token = _token(draft, step)
    return approval if approval is not None and approval.token == token else Approval(token=token)


def used(draft: Draft) -> None:
    """The step is about to be taken: its approval, if it had one, approves nothing more."""
    approval = draft.recovery.approval
    if approval is None:
        return
    if approval.expires is not None:
        draft.handled = draft.handled.replace(approve=approval.token)
    _use_up(draft)


def _use_up(draft: Draft) -> None:
    draft.recovery = draft.recovery.replace(approval=None, approvals=draft.recovery.approvals + 1)


def _can_be_approved(draft: Draft, planned: Plan) -> bool:
    if planned.step_class is not StepClass.SESSION_LOSS or draft.recovery.incident is None:
        return False
    never = draft.policy.recovery.session_loss is SessionLoss.NEVER
    return not never and not _CAN_BE_APPROVED.isdisjoint(planned.blocked_by)


def _token(draft: Draft, step: Step) -> str:
    incarnation = (draft.instance_id or "none")[:8]
    return f"{step}-{draft.recovery.incident}-{incarnation}-{draft.recovery.approvals}"
