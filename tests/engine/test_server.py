"""What the reads of a server allow to be concluded about its instances."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.servers import SAFE
from support.simulated import START
from support.world import a_row, state
from whatsapp_operator.engine.loaded import Loaded
from whatsapp_operator.engine.ports import Key
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Deletion, Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health.rules import Symptom
from whatsapp_operator.resources.reasons import Reason


def a_server(*, instances: int = 0, **spec: Any) -> Server:
    metadata = {"name": "main", "namespace": "messaging", "uid": "u-1"}
    least = {"url": "http://evolution-api:8080", "apiKeySecretRef": {"name": "evolution-api"}}
    body = {"metadata": metadata, "spec": least | spec, "status": {"clientName": "evolution"}}
    one = Server(key=Key("messaging", "main"), body=body)
    one.update(body)
    one.observed.client_name = "evolution"
    for number in range(instances):
        one.subjects[f"i{number}"] = a_subject(f"i{number}")
    return one


def a_subject(name: str) -> Subject:
    metadata = {"name": name, "namespace": "messaging", "uid": name}
    body = {"metadata": metadata, "spec": {"serverRef": {"name": "main"}}, "status": {"instanceID": f"id-of-{name}"}}
    one = Subject(key=Key("messaging", name), body=body)
    one.update(body)
    return one


def read(one: Server, *, ago: float) -> Server:
    """Both witnesses were read some seconds ago."""
    one.observed.memory_at = one.observed.rows_at = START - timedelta(seconds=ago)
    one.observed.ever_read = True
    return one


@pytest.mark.parametrize(("ago", "fresh"), [(0, True), (30, True), (31, False), (3600, False)])
def test_reads_speak_of_now_for_three_periods(ago: float, fresh: bool) -> None:
    assert read(a_server(health={"databasePeriodSeconds": 10}), ago=ago).fresh(START) is fresh


@pytest.mark.parametrize("missing", ["memory_at", "rows_at"])
def test_one_witness_alone_is_not_fresh(missing: str) -> None:
    one = read(a_server(), ago=0)
    setattr(one.observed, missing, None)

    assert not one.fresh(START)


def test_reads_of_another_database_are_not_fresh() -> None:
    one = read(a_server(), ago=0)
    one.observed.client_name = "somebody_else"

    assert not one.fresh(START)
    assert one.why_unknown() is Reason.OTHER_IDENTITY


def test_reads_in_which_most_instances_vanished_are_not_fresh() -> None:
    one = read(a_server(), ago=0)
    one.observed.vanished = True

    assert not one.fresh(START)
    assert one.why_unknown() is Reason.INSTANCES_VANISHED


@pytest.mark.parametrize(
    ("known", "left", "vanished"),
    [(2, 0, False), (3, 2, False), (3, 1, True), (4, 2, False), (4, 1, True), (3, 0, True)],
)
def test_more_than_half_of_three_or_more_at_once_have_vanished(known: int, left: int, vanished: bool) -> None:
    rows = {f"i{number}": a_row() for number in range(left)}

    assert a_server(instances=known).vanished(rows) is vanished


def test_instances_that_are_being_deleted_do_not_vanish() -> None:
    one = a_server(instances=4)
    for number in range(3):
        one.subjects[f"i{number}"].deletion = Deletion(since=START)

    assert not one.vanished({})


@pytest.mark.parametrize(
    ("flapping", "instances", "mostly"), [(1, 1, False), (1, 2, False), (2, 2, True), (1, 3, False), (2, 3, True)]
)
def test_flapping_is_the_servers_trouble_when_most_of_several_show_it(
    flapping: int, instances: int, mostly: bool
) -> None:
    one = a_server(instances=instances)
    for number in range(flapping):
        one.note_symptom(one.subjects[f"i{number}"], Symptom.FLAPPING)

    assert one.neighbours(one.subjects["i0"], name="i0", now=START).mostly_flapping is mostly


def test_symptom_that_is_over_no_longer_counts() -> None:
    one = a_server(instances=2)
    for subject in one.subjects.values():
        one.note_symptom(subject, Symptom.FLAPPING)

    one.note_symptom(one.subjects["i0"], None)

    assert not one.neighbours(one.subjects["i1"], name="i1", now=START).mostly_flapping


def test_instance_alone_without_a_code_is_not_the_servers_trouble() -> None:
    one = a_server(instances=3)
    one.note_symptom(one.subjects["i0"], Symptom.WITHOUT_CODE)

    assert not one.mostly_without_code(one.subjects["i0"])


def test_instances_without_a_code_are_the_servers_trouble_when_most_lack_one() -> None:
    one = a_server(instances=4)
    for number in range(4):
        one.note_symptom(one.subjects[f"i{number}"], Symptom.WITHOUT_CODE if number else Symptom.SHOWS_CODE)

    assert one.mostly_without_code(one.subjects["i1"])


def test_nobody_vouches_for_itself() -> None:
    one = a_server(instances=2)
    one.observed.vouchers.note("i0", None, at=START, unbroken=timedelta())

    assert one.neighbours(one.subjects["i0"], name="i0", now=START).vouched_at is None
    assert one.neighbours(one.subjects["i1"], name="i1", now=START).vouched_at == START


@pytest.mark.parametrize(
    ("version", "acted_on"),
    [("2.3.7", True), ("2.3.6", True), ("2.3.3", True), ("2.3.2", False), ("2.4.0", False), (None, False)],
)
def test_only_known_versions_are_acted_on(version: str | None, acted_on: bool) -> None:
    one = a_server()
    one.observed.version = version

    assert one.acted_on is acted_on


@pytest.mark.parametrize(
    ("namespace", "allowed", "admitted"),
    [
        ("messaging", [], True),
        ("shop", [], False),
        ("shop", ["shop"], True),
        ("shop", ["*"], True),
        ("sho", ["shop"], False),
    ],
)
def test_namespaces_are_admitted_by_name(namespace: str, allowed: list[str], admitted: bool) -> None:
    assert a_server(allowedNamespaces=allowed).admits(namespace) is admitted


def test_server_is_not_warm_while_its_last_read_proved_nothing() -> None:
    one = read(a_server(), ago=0)
    one.warm_up = type(one.warm_up)(done=True)
    assert one.warm

    one.observed.unknown = evidence.Ignorance.TIMEOUT
    assert not one.warm


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, Reason.NOT_OBSERVED),
        ({"unknown": evidence.Ignorance.TIMEOUT}, Reason.SERVER_UNREACHABLE),
        ({"ever_read": True}, Reason.SERVER_UNREACHABLE),
        ({"unknown": evidence.Ignorance.KEY_REJECTED}, Reason.KEY_REJECTED),
        ({"unknown": evidence.Ignorance.METRICS_REFUSED}, Reason.METRICS_REFUSED),
        ({"ever_read": True, "client_name": "other"}, Reason.OTHER_IDENTITY),
    ],
)
def test_ignorance_has_the_reason_that_a_person_can_act_on(facts: dict[str, Any], reason: Reason) -> None:
    one = a_server()
    for name, value in facts.items():
        setattr(one.observed, name, value)

    assert one.why_unknown() is reason


def test_invalid_spec_explains_more_than_what_follows_from_it() -> None:
    one = a_server()
    one.observed.unknown = evidence.Ignorance.TIMEOUT
    one.update({**one.body, "spec": {"url": "ftp://nowhere"}})

    assert one.why_unknown() is Reason.SERVER_INVALID


def test_missing_secret_explains_more_than_what_follows_from_it() -> None:
    one = a_server()
    one.observed.unknown = evidence.Ignorance.KEY_REJECTED
    one.secret_problem = (Reason.SECRET_NOT_FOUND, "evolution-api")

    assert one.why_unknown() is Reason.SECRET_NOT_FOUND


def test_not_having_read_yet_says_nothing_for_three_periods() -> None:
    one = a_server()
    one.observed.unknown = evidence.Ignorance.TIMEOUT
    one.observed.began_at = START

    assert one.just_begun(START + timedelta(seconds=30))
    assert not one.just_begun(START + timedelta(seconds=31))


def test_server_that_was_read_has_not_just_begun() -> None:
    one = read(a_server(), ago=3600)
    one.observed.unknown = evidence.Ignorance.TIMEOUT

    assert not one.just_begun(START)


@pytest.mark.parametrize("why", [evidence.Ignorance.KEY_REJECTED, evidence.Ignorance.METRICS_REFUSED])
def test_refusal_is_told_at_once(why: evidence.Ignorance) -> None:
    one = a_server()
    one.observed.unknown = why
    one.observed.began_at = START

    assert not one.just_begun(START)


BEFORE, AFTER = START - timedelta(seconds=1), START + timedelta(seconds=1)


@pytest.mark.parametrize(("since", "proved"), [(None, False), (BEFORE, False), (START, True), (AFTER, True)])
def test_server_has_restarted_where_it_loaded_what_it_held_after_that_moment(
    since: datetime | None, proved: bool
) -> None:
    one = a_server()
    one.observed.loaded = Loaded(since=since)

    assert one.has_restarted_since(START) is proved


@pytest.mark.parametrize(
    ("since", "rolled_out", "proved"),
    [(None, True, False), (BEFORE, True, False), (START, True, True), (AFTER, True, True), (AFTER, False, False)],
)
def test_server_has_restarted_where_its_workload_was_rolled_out_after_that_moment(
    since: datetime | None, rolled_out: bool, proved: bool
) -> None:
    one = a_server()
    one.workload, one.replaced_since = replace(SAFE, rolled_out=rolled_out), since

    assert one.has_restarted_since(START) is proved


def test_workload_that_is_not_known_proves_no_restart() -> None:
    one = a_server()
    one.replaced_since = AFTER

    assert not one.has_restarted_since(START)


def test_what_cannot_be_read_is_not_taken_for_what_a_restart_has_taken_away() -> None:
    one = a_server()
    rows = {"i0": a_row("open")}
    for number, states in enumerate(({"i0": state("open")}, {}, {"i0": state("open")})):
        one.observed.unread = {} if states else {"i0": START}
        one.observed.listed(rows, states, begun=1.0, at=START + timedelta(seconds=number))
    assert one.observed.loaded.since is None

    for number, states in enumerate(({}, {"i0": state("open")}), start=3):
        one.observed.unread = {}
        one.observed.listed(rows, states, begun=2.0, at=START + timedelta(seconds=number))

    assert one.observed.loaded.since == START + timedelta(seconds=2)
    assert (one.observed.rows, one.observed.rows_at) == (rows, START + timedelta(seconds=4))
    assert one.observed.rows_begun == 2.0
