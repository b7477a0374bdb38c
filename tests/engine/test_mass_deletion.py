"""A crash amid the deletion of many instances: what the operator deleted itself has not vanished."""

from __future__ import annotations

from typing import Any

import pytest

from support import servers
from support.world import a_row
from whatsapp_operator.engine.server import Server

DELETED, ASKED = "2026-11-23T10:00:00Z", "2026-11-23T10:00:05Z"


def says(one: Server, name: str, *, deleted: bool = False, **status: Any) -> None:
    """What the resource of an instance says besides."""
    body = one.subjects[name].body
    metadata = {**body["metadata"], **({"deletionTimestamp": DELETED} if deleted else {})}
    spec = {"serverRef": {"name": "main"}}
    one.subjects[name].update({"metadata": metadata, "spec": spec, "status": {**body["status"], **status}})
    assert one.subjects[name].instance is not None


def a_server(*, going: int, staying: int, asked: bool, deleted: bool = True) -> Server:
    """The first instances of a server are to go; `asked`: the server was asked to delete them, says their status."""
    one = servers.a_server(instances=going + staying)
    for name in list(one.subjects)[:going]:
        says(one, name, deleted=deleted, **({"deletionAskedAt": ASKED} if asked else {}))
    return one


def test_what_an_earlier_process_has_deleted_has_not_vanished() -> None:
    one = a_server(going=3, staying=1, asked=True)

    assert not one.vanished({"i3": a_row()})


def test_where_all_go_and_all_were_asked_for_nothing_has_vanished() -> None:
    assert not a_server(going=3, staying=0, asked=True).vanished({})


def test_database_that_is_exchanged_before_anything_was_deleted_is_noticed_though_all_are_to_go() -> None:
    assert a_server(going=3, staying=0, asked=False).vanished({})


def test_database_that_is_exchanged_amid_a_deletion_is_noticed_by_those_that_stay() -> None:
    assert a_server(going=3, staying=3, asked=True).vanished({})


@pytest.mark.parametrize("deleted", [True, False], ids=["is deleted", "is not deleted"])
def test_status_that_was_restored_from_a_backup_makes_nothing_of_a_resource_that_is_not_deleted(deleted: bool) -> None:
    one = a_server(going=3, staying=0, asked=True, deleted=deleted)

    assert one.vanished({}) is not deleted


def test_what_was_asked_to_go_and_is_there_is_one_more_that_has_not_vanished() -> None:
    one = a_server(going=1, staying=3, asked=True)

    assert not one.vanished({"i0": a_row(), "i1": a_row()})
    assert one.vanished({"i1": a_row()})


def test_what_is_being_recreated_and_is_there_is_one_more_that_has_not_vanished() -> None:
    one = servers.a_server(instances=4)
    says(one, "i0", recovery=in_flight("Recreate"))

    assert not one.vanished({"i0": a_row(), "i1": a_row()})
    assert one.vanished({"i1": a_row()})


def in_flight(step: str) -> dict[str, Any]:
    return {"inFlight": {"step": step, "class": "SessionLoss", "reason": "RowMissing", "since": ASKED}}


def past(*steps: tuple[str, str], incident: str = "20261123-7f3a") -> dict[str, Any]:
    """Steps that are over, with their verdicts; `incident` is the present one."""
    which = {"reason": "RowMissing", "incident": "20261123-7f3a", "startTime": DELETED, "endTime": ASKED}
    return {"incident": incident, "history": [which | {"step": step, "result": result} for step, result in steps]}


@pytest.mark.parametrize(
    ("recovery", "vanished"),
    [
        (in_flight("Recreate"), False),
        (past(("Recreate", "Failed")), False),
        (past(("Recreate", "Failed"), ("Create", "Failed")), False),
        (past(("Recreate", "Failed")) | in_flight("Create"), False),
        (past(("Recreate", "Succeeded")), True),
        (past(("Recreate", "Failed"), ("Restart", "Succeeded")), True),
        (past(("Recreate", "Failed"), incident="20261124-0001"), True),
        (in_flight("Relogin"), True),
    ],
    ids=[
        "begun",
        "failed",
        "so did the creation",
        "is being created",
        "succeeded",
        "lives on",
        "was of another incident",
        "is only logged out",
    ],
)
def test_what_a_recreate_may_have_deleted_has_not_vanished(recovery: dict[str, Any], *, vanished: bool) -> None:
    """Of three instances one is missing besides: with it they would be most."""
    one = servers.a_server(instances=3)
    says(one, "i0", recovery=recovery)

    assert one.vanished({"i2": a_row()}) is vanished


def test_database_that_is_exchanged_during_a_recreate_is_noticed_by_the_two_others() -> None:
    one = servers.a_server(instances=3)
    says(one, "i0", recovery=in_flight("Recreate"))

    assert one.vanished({})
