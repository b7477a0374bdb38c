"""What stands in the way of a creation is named, and tried ever more rarely; another server of a name is observed."""

import contextlib

import yaml

from e2e import stage


def test_refused_create_is_named_and_tried_ever_more_rarely(staged: stage.Stage) -> None:
    staged.simulator.fault("status", route="create", status=400)

    staged.instance("user-1")

    staged.wait_for_condition("user-1", "Synced", "False", "ConfigurationRefused")
    staged.simulator.reset_calls()
    staged.quiet_for(8)  # --absence-seconds=2: it waits 2, 4, 8 seconds and on
    assert len(staged.simulator.calls(route="create")) <= 3
    staged.simulator.clear_faults()
    staged.wait_for_reason("user-1", "AwaitingScan")


def test_missing_headers_are_named_before_anything_is_created(staged: stage.Stage) -> None:
    webhook = {"url": "http://127.0.0.1:9/hook", "events": ["MESSAGES_UPSERT"], "headersSecretRef": {"name": "hook"}}

    staged.instance("user-1", webhook=webhook)

    staged.wait_for_condition("user-1", "Synced", "False", "HeadersNotFound")
    assert staged.mutating_calls("user-1") == []
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"x-key": "v"}}
    staged.kubectl.apply(yaml.safe_dump(secret))
    staged.wait_for_reason("user-1", "AwaitingScan")


def test_server_that_was_deleted_and_created_again_is_observed(staged: stage.Stage) -> None:
    staged.kubectl("delete", "evs", "main", "--timeout=30s")

    staged.server()
    staged.instance("user-1")

    staged.wait_for_reason("user-1", "AwaitingScan")


def test_evidence_of_one_server_causes_no_call_to_another(staged: stage.Stage) -> None:
    staged.paired_instance("user-00000")

    with contextlib.contextmanager(stage.open_simulator)(seed=7) as other:
        assert other.seed(1, prefix="user", state="open") == ["user-00000"]
        staged.server(url=other.url)

        staged.wait_for_condition("user-00000", "Synced", "False", "AlreadyExists")
        staged.quiet_for(3)
        assert other.calls(mutating=True) == []
        assert staged.mutating_calls("user-00000") == []
