"""What a list of the database proves to a step, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from support import simulated
from support.world import a_row
from whatsapp_operator.evolution import evidence
from whatsapp_operator.health import record as records
from whatsapp_operator.library.settings import Settings, Surroundings
from whatsapp_operator.library.witnesses import Witnesses

ROWS = {name: a_row(identity=name) for name in ("one", "two", "three")}


@dataclass
class Evolution:
    """A server without `/metrics` that holds whatever it lists."""

    rows: dict[str, evidence.Row] = field(default_factory=lambda: dict(ROWS))
    client_name: str = "evolution"

    async def list_database(self) -> evidence.DatabaseList:
        return evidence.DatabaseList(self.rows)

    async def list_memory(self) -> evidence.Unknown:
        return evidence.Unknown(evidence.Ignorance.NO_SUCH_ROUTE)

    async def read_memory(self, _name: str) -> evidence.InMemory:
        return evidence.InMemory(evidence.ConnectionState.OPEN)

    async def identify(self) -> evidence.ServerIdentity:
        return evidence.ServerIdentity(version="2.3.7", client_name=self.client_name)


async def looked_at(server: Evolution) -> Witnesses:
    """The witnesses of a server that was looked at once."""
    time, client = simulated.Time(), server
    around = Surroundings(now=time.now, monotonic=time.monotonic, sleep=time.sleep, random=lambda: 0.5)
    given: Any = client
    found = Witnesses(given, settings=Settings(), around=around, client_name=None)
    await found.look("one", records.Record(), listed=True)
    return found


@pytest.mark.parametrize(
    ("rows", "is_proof"),
    [
        ({name: ROWS[name] for name in ("two", "three")}, True),
        ({"three": ROWS["three"]}, False),
        ({}, False),
        ({name: replace(row, client_name="another") for name, row in ROWS.items()}, False),
    ],
    ids=["it alone is gone", "most are gone", "all are gone", "another server's"],
)
async def test_list_of_a_database_that_was_exchanged_proves_nothing_to_a_step(
    rows: dict[str, evidence.Row], is_proof: bool
) -> None:
    server = Evolution()
    witnesses = await looked_at(server)
    server.rows = rows

    listed = await witnesses.list_for_a_step()

    expected: object = evidence.Unknown(evidence.Ignorance.OTHER_IDENTITY)
    assert listed == (evidence.DatabaseList(rows) if is_proof else expected)


async def test_empty_list_is_a_proof_only_of_the_server_that_calls_itself_as_before() -> None:
    server = Evolution(rows={"one": ROWS["one"]})
    witnesses = await looked_at(server)
    server.rows = {}
    assert await witnesses.list_for_a_step() == evidence.DatabaseList({})

    server.client_name = "another"

    assert await witnesses.list_for_a_step() == evidence.Unknown(evidence.Ignorance.OTHER_IDENTITY)


async def test_those_that_go_one_after_another_are_gone() -> None:
    server = Evolution()
    witnesses = await looked_at(server)

    for name in tuple(ROWS):
        del server.rows[name]
        assert await witnesses.list_for_a_step() == evidence.DatabaseList(dict(server.rows))
