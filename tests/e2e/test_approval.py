"""Approval of a step that loses a pairing: one step, by someone who may, for a limited time."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from e2e import kube, stage

APPROVE = "whatsapp-operator.dev/approve"
POLICY = stage.ROOT / "manifests" / "approval"
ASKS = {"sessionLoss": "RequireApproval", "sessionLossDelaySeconds": 1, "lastResortDelaySeconds": 1}


@pytest.fixture
def ghost(staged: stage.Stage) -> stage.Stage:
    """A paired instance that only a Recreate is left for, which waits for an approval."""
    staged.paired_instances("linked", recovery=ASKS)
    staged.simulator.break_("linked", "S1")
    staged.wait_for_condition("linked", "RemediationAllowed", "False", "ApprovalRequired")
    return staged


def token(house: stage.Stage) -> str:
    """The value that approves the step that waits now."""
    return kube.wait_until(
        lambda: str(house.status("linked")["recovery"].get("approval", {}).get("token", "")),
        message="no token was shown",
    )


def approve(house: stage.Stage, value: str) -> None:
    house.kubectl("annotate", "--overwrite", "wai", "linked", f"{APPROVE}={value}")


def test_step_waits_for_approval_and_is_taken_once_it_is_given(ghost: stage.Stage) -> None:
    ghost.quiet_for(4)
    assert ghost.mutating_calls("linked") == []
    given = token(ghost)

    approve(ghost, given)

    ghost.wait_for_steps("linked", ("Recreate", "Ghost", "Succeeded"))
    ghost.wait_for_reason("linked", "AwaitingScan")
    assert ghost.steps_called("linked") == ["delete", "create"]
    assert ghost.status("linked")["lastHandled"]["approve"] == given
    assert "Approved" in {event["reason"] for event in ghost.events("linked")}


def test_used_approval_approves_nothing_more(ghost: stage.Stage) -> None:
    given = token(ghost)
    approve(ghost, given)
    ghost.wait_for_steps("linked", ("Recreate", "Ghost", "Succeeded"))
    ghost.simulator.pair("linked")
    ghost.wait_ready("linked")
    ghost.simulator.reset_calls()

    ghost.simulator.break_("linked", "S1")

    ghost.wait_for_condition("linked", "RemediationAllowed", "False", "ApprovalRequired")
    assert token(ghost) != given
    ghost.kubectl("annotate", "wai", "linked", f"{APPROVE}-")
    approve(ghost, given)
    ghost.quiet_for(4)
    assert ghost.mutating_calls("linked") == []


def test_approval_that_was_not_used_in_time_expires(staged: stage.Stage) -> None:
    staged.restart_operator("--approval-seconds=2")
    staged.paired_instances("linked", recovery=ASKS)
    staged.simulator.break_("linked", "S1")
    staged.wait_for_condition("linked", "RemediationAllowed", "False", "ApprovalRequired")
    first = token(staged)
    staged.server(pause={"reason": "moving the database"}, workloadRef=None)
    staged.wait_for_condition("linked", "Paused", "True", "Paused")

    approve(staged, first)

    kube.wait_until(lambda: token(staged) != first, message="the approval did not expire")
    staged.server(pause=None, workloadRef=None)
    staged.wait_for_condition("linked", "RemediationAllowed", "False", "ApprovalRequired")
    staged.quiet_for(4)
    assert staged.mutating_calls("linked") == []
    assert "ApprovalExpired" in {event["reason"] for event in staged.events("linked")}


def test_only_who_has_the_verb_may_approve(
    ghost: stage.Stage, cluster: kube.Cluster, kubeconfig_for: Callable[[str], Path]
) -> None:
    cluster.kubectl("apply", "--server-side", "-k", str(POLICY))
    give(ghost, "editor", ["get", "list", "patch", "update"])
    give(ghost, "approver", ["get", "list", "patch", "approve"])
    editor = kube.Kubectl(kubeconfig_for("editor")).within(ghost.namespace)
    approver = kube.Kubectl(kubeconfig_for("approver")).within(ghost.namespace)
    value = token(ghost)

    def is_denied() -> str:
        tried = editor.run("annotate", "--overwrite", "--dry-run=server", "wai", "linked", f"{APPROVE}={value}")
        return tried.stderr if tried.returncode else ""

    refusal = kube.wait_until(is_denied, message="the policy never came into force")
    assert "metadata.annotations[whatsapp-operator.dev/approve]" in refusal
    assert "whatsapp-operator-approver" in refusal
    editor("annotate", "wai", "linked", "example.com/note=seen")
    for looser in ("Automatic", None):
        denied = editor.run(*_sets_session_loss(looser))
        assert "spec.recovery.sessionLoss" in denied.stderr
        assert "whatsapp-operator-approver" in denied.stderr
    editor(*_sets_session_loss("Never"), "--dry-run=server")
    approver(*_sets_session_loss("Automatic"), "--dry-run=server")
    assert ghost.mutating_calls("linked") == []

    approver("annotate", "wai", "linked", f"{APPROVE}={value}")

    ghost.wait_for_steps("linked", ("Recreate", "Ghost", "Succeeded"))
    editor("annotate", "wai", "linked", f"{APPROVE}-")


def _sets_session_loss(value: str | None) -> list[str]:
    spec = {"spec": {"recovery": {"sessionLoss": value}}}
    return ["patch", "wai", "linked", "--type=merge", "-p", json.dumps(spec)]


def give(house: stage.Stage, account: str, verbs: list[str]) -> None:
    """A ServiceAccount that may do this to instances."""
    rule = {"apiGroups": ["whatsapp-operator.dev"], "resources": ["whatsappinstances"], "verbs": verbs}
    metadata = {"name": account, "namespace": house.namespace}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": house.namespace}],
    }
    service_account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    house.kubectl.apply(yaml.safe_dump_all([service_account, role, binding]))
