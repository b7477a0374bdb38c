"""What about a server will lose pairings one day is said on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from support import servers
from support.servers import SAFE
from support.world import a_row, state
from whatsapp_operator.engine import ports, server_warnings
from whatsapp_operator.resources.reasons import Reason


def reasons(workload: ports.Workload | None = SAFE, *, key: str = "canary-4711") -> list[str]:
    one = servers.a_server()
    one.endpoint, one.workload = ports.Endpoint(url="http://evolution-api:8080", api_key=key), workload
    return [str(warning.reason) for warning in server_warnings.warnings(one)]


def with_variables(variables: Mapping[str, str]) -> list[str]:
    return reasons(replace(SAFE, environment=variables))


def test_safe_server_has_no_warning() -> None:
    assert reasons() == []
    assert reasons(None) == []


def test_public_default_key_is_warned_of() -> None:
    assert reasons(None, key="BQYHJGJHJ") == [Reason.DEFAULT_API_KEY]


def test_server_whose_key_is_not_known_yet_has_no_warning() -> None:
    assert server_warnings.warnings(servers.a_server()) == ()


def test_replicas_and_rolling_updates_are_warned_of() -> None:
    assert reasons(replace(SAFE, replicas=2)) == [Reason.SEVERAL_REPLICAS]
    assert reasons(replace(SAFE, one_at_a_time=False)) == [Reason.ROLLING_UPDATE]
    assert reasons(replace(SAFE, replicas=0)) == []


@pytest.mark.parametrize("value", ["5", "60", "true", "TRUE", " 5 "])
def test_instances_that_expire_are_warned_of(value: str) -> None:
    assert with_variables({"DEL_INSTANCE": value}) == [Reason.INSTANCES_EXPIRE]


@pytest.mark.parametrize("value", ["false", "False", " false ", "", "0", "1"])
def test_instances_that_do_not_expire_are_not(value: str) -> None:
    assert with_variables({"DEL_INSTANCE": value}) == []


@pytest.mark.parametrize(("value", "warned"), [("true", True), ("TRUE", True), ("false", False), ("", False)])
def test_instances_in_redis_are_warned_of(value: str, warned: bool) -> None:
    assert with_variables({"CACHE_REDIS_SAVE_INSTANCES": value}) == ([Reason.INSTANCES_IN_REDIS] if warned else [])


@pytest.mark.parametrize(("value", "warned"), [("false", True), ("", True), ("true", False), ("True", False)])
def test_instances_that_are_not_saved_are_warned_of(value: str, warned: bool) -> None:
    assert with_variables({"DATABASE_SAVE_DATA_INSTANCE": value}) == ([Reason.INSTANCES_NOT_SAVED] if warned else [])


def test_all_warnings_are_told_with_their_cure_and_no_value() -> None:
    one = servers.a_server()
    one.endpoint = ports.Endpoint(url="http://evolution-api:8080", api_key=server_warnings.PUBLIC_KEY)
    variables = {"DEL_INSTANCE": "4711", "CACHE_REDIS_SAVE_INSTANCES": "true", "DATABASE_SAVE_DATA_INSTANCE": "false"}
    one.workload = replace(SAFE, replicas=3, one_at_a_time=False, environment=variables)

    found = server_warnings.warnings(one)

    not_set_by_a_variable = {
        Reason.WORKLOAD_NOT_FOUND,
        Reason.WORKLOAD_FORBIDDEN,
        Reason.SESSION_MISSING,
        Reason.SAME_URL,
    }
    assert {warning.reason for warning in found} == set(server_warnings.SENTENCES) - not_set_by_a_variable
    assert all("Set " in warning.message for warning in found)
    assert not any("4711" in warning.message or server_warnings.PUBLIC_KEY in warning.message for warning in found)


@pytest.mark.parametrize("problem", [Reason.WORKLOAD_NOT_FOUND, Reason.WORKLOAD_FORBIDDEN])
def test_workload_that_cannot_be_restarted_is_warned_of_before_it_is_needed(problem: Reason) -> None:
    one = servers.a_server()
    one.workload_problem = problem

    (warning,) = server_warnings.warnings(one)

    assert warning.reason is problem
    assert "workloadRef" in warning.message


def test_sessions_that_the_next_restart_loses_are_warned_of_once_two_lists_show_it() -> None:
    one = servers.a_server()
    row, is_open = {"stranger": replace(a_row("close"), owner_jid="1@s.whatsapp.net")}, {"stranger": state("open")}

    one.observed.sessionless = one.observed.sessionless.after(row, is_open)
    assert server_warnings.warnings(one) == ()
    one.observed.sessionless = one.observed.sessionless.after(row, is_open)
    assert [warning.reason for warning in server_warnings.warnings(one)] == [Reason.SESSION_MISSING]
    one.observed.sessionless = one.observed.sessionless.after({}, is_open)
    assert server_warnings.warnings(one) == ()
