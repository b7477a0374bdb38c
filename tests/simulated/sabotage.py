"""Bugs of the kinds that operators really had, each put into the operator for the time of a run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from whatsapp_operator.engine import deletion, existence, leadership, ports, subject, tokens
from whatsapp_operator.recovery import gates, guard, strategies
from whatsapp_operator.resources.instance import DeletionPolicy

Sabotage = Callable[[], AbstractContextManager[Any]]


def without_gate(gate: gates.Gate) -> Sabotage:
    """The planner does not ask one of its gates."""
    left = tuple(one for one in gates.GATES if one is not gate)
    return lambda: mock.patch.object(gates, "GATES", left)


def without_hold(name: str) -> Sabotage:
    """What a server as a whole says to a step is not heard, neither when it is planned nor when it is taken."""
    return lambda: mock.patch.object(guard, name, return_value=None)


def lapse_goes_unnoticed() -> AbstractContextManager[Any]:
    """Whoever could not renew its Lease goes on as if it had."""
    return mock.patch.object(leadership.Leadership, "_notice_a_lapse", return_value=None)


def finalizer_goes_early() -> AbstractContextManager[Any]:
    """DELETE was answered with success, so it is taken to be gone."""

    async def is_gone(_: strategies.Work) -> bool:
        return True

    return mock.patch.object(strategies, "is_gone", is_gone)


def creates_again_at_once() -> AbstractContextManager[Any]:
    """A create that got no answer is posted again."""
    return mock.patch.object(existence.Existence, "_list_is_newer_than_last_try", return_value=True)


def retain_is_forgotten() -> AbstractContextManager[Any]:
    """`deletionPolicy` is not read."""

    def makes_no_call(server: Any, draft: Any) -> bool:
        del server
        return bool(draft.deletion_policy is DeletionPolicy.RETAIN and draft.instance_id is None)

    return mock.patch.object(deletion.Deletions, "_makes_no_call", staticmethod(makes_no_call))


def takes_the_token_of_the_resource_before() -> AbstractContextManager[Any]:
    """As it was before the simulation found it: the Secret of a resource that is gone goes with it."""

    async def find(context: Any, draft: Any) -> subject.Token | None:
        reference, key = draft.instance.token_secret, draft.subject.key
        try:
            secret = await context.kubernetes.read_secret(type(key)(key.namespace, reference.name))
        except ports.NotFound:
            return None
        return subject.Token(value=secret.values[reference.key].decode(), generated=secret.managed)

    return mock.patch.object(tokens, "find", find)


SABOTAGES: dict[str, Sabotage] = {
    "no budget": without_hold("budget_holds"),
    "no limit at once": without_hold("others_are_under_way"),
    "no storm": without_hold("storm_holds"),
    "no voucher": without_gate(gates.may_be_an_outage),
    "no sessionLoss Never": without_gate(gates.may_never_be_lost),
    "no approval": without_gate(gates.waits_for_approval),
    "no delay": without_gate(gates.incident_is_young),
    "no dry run": without_gate(gates.only_plans),
    "no fence": lapse_goes_unnoticed,
    "finalizer goes early": finalizer_goes_early,
    "creates again": creates_again_at_once,
    "retain is forgotten": retain_is_forgotten,
    "token of the one before": takes_the_token_of_the_resource_before,
}
