"""Which QR code is offered, and what the status says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster
from support.world import a_row
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.codes import Codes
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records

CONNECTING = ConnectionState.CONNECTING
SECRET = ports.Key("messaging", "shop-pairing")


@dataclass
class Phone:
    """A server whose instance waits to be scanned, and an operator that looks at it."""

    time: simulated.Time
    cluster: Cluster
    server: Server
    subject: Subject
    context: contexts.Context
    code: str = "code-1"
    connects: list[float] = field(default_factory=list)

    async def read_memory(self, _name: str) -> evidence.InMemory:
        return evidence.InMemory(CONNECTING)

    async def connect(self, _name: str) -> evidence.QRCode:
        self.connects.append(self.time.seconds)
        return evidence.QRCode(code=self.code)

    async def look(self, *, after: float = 0.0) -> drafts.Draft:
        """A look, which begins from the status as it was written last: as it never was."""
        self.time.advance(after)
        now, one = self.time.now(), self.subject
        row = a_row("connecting")
        one.record = records.saw_database(
            records.saw_memory(one.record, evidence.InMemory(CONNECTING), at=now), row, at=now
        )
        self.server.observed.memory_at = self.server.observed.rows_at = now
        assert one.instance is not None
        draft = drafts.begin(one, one.instance, self.server, pause=None, now=now)
        await Codes(self.context).keep(self.server, draft)
        return draft

    def shown(self) -> bytes:
        """The code in the Secret."""
        return self.cluster.secrets[SECRET].values["code"]


@pytest.fixture
def phone() -> Phone:
    time, cluster, server = simulated.Time(), Cluster(), servers.a_server(instances=0)
    subject = servers.a_subject("shop", pairing={"mode": "Always"})
    subject.codes.history_known = True
    server.subjects["shop"] = subject
    one = Phone(time, cluster, server, subject, servers.a_context(time, server, cluster))
    client: Any = one
    server.client = client
    return one


async def test_code_in_the_secret_is_offered_while_no_status_says_so_yet(phone: Phone) -> None:
    first = await phone.look()
    assert first.code_offered

    again = await phone.look(after=1.0)

    assert again.code_offered
    assert again.pairing == first.pairing


async def test_code_that_could_not_be_stored_is_stored_at_a_later_look(phone: Phone) -> None:
    await phone.look()
    phone.code = "code-2"
    phone.cluster.fails["replace secret"] = ports.Conflict()
    with pytest.raises(ports.Conflict):
        await phone.look(after=12.0)
    phone.cluster.fails.clear()

    await phone.look(after=12.0)

    assert phone.shown() == b"code-2"


async def test_code_that_the_server_goes_on_to_show_is_withdrawn_at_the_end_of_its_life(phone: Phone) -> None:
    await phone.look()

    late = await phone.look(after=46.0)

    assert not late.code_offered
    assert SECRET not in phone.cluster.secrets
