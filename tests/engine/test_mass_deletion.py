"""A crash amid the deletion of many instances: what an earlier process deleted has not vanished."""

from __future__ import annotations

from typing import Any

import pytest

from support import servers
from support.world import a_row
from whatsapp_operator.engine.server import Server

DELETED, ASKED = "2026-11-23T10:00:00Z", "2026-11-23T10:00:05Z"


def a_server(*, going: int, staying: int, asked: bool, deleted: bool = True) -> Server:
    """The first instances of a server are to go; `asked`: the server was asked to delete them, says their status."""
    one = servers.a_server(instances=going + staying)
    for name in list(one.subjects)[:going]:
        body: dict[str, Any] = dict(one.subjects[name].body)
        metadata = {**body["metadata"], **({"deletionTimestamp": DELETED} if deleted else {})}
        status = {**body["status"], **({"deletionAskedAt": ASKED} if asked else {})}
        one.subjects[name].update({**body, "metadata": metadata, "status": status})
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
