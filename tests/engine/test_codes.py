"""Which QR code is offered, and what the status says of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from support import servers, simulated
from support.servers import Cluster
from support.world import START, a_row
from whatsapp_operator.engine import context as contexts
from whatsapp_operator.engine import draft as drafts
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.reconciler import Reconciler
from whatsapp_operator.engine.server import Server
from whatsapp_operator.engine.status import StatusWriter
from whatsapp_operator.engine.subject import Subject
from whatsapp_operator.evolution import evidence
from whatsapp_operator.evolution.evidence import ConnectionState
from whatsapp_operator.health import record as records
from whatsapp_operator.resources.reasons import Reason
from whatsapp_operator.resources.status import PairingStatus

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

    async def look(self, *, after: float = 0.0, **status: Any) -> drafts.Draft:
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
        for name, value in status.items():
            setattr(draft, name, value)
        reconciler = Reconciler(self.context, StatusWriter(self.context))
        error = await reconciler._serve(self.server, draft, [])  # noqa: SLF001 - what else a look does is tested there
        if error is not None:
            raise error
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


A_CODE = PairingStatus(secret_name=SECRET.name, expires=START)
THEIRS = ports.SecretData(values={"mine": b"1"}, resource_version="1")


async def test_secret_of_somebody_else_is_left_alone_and_told_until_it_is_gone(phone: Phone) -> None:
    phone.cluster.secrets[SECRET] = THEIRS

    for seconds in (0.0, 1.0, 12.0, 46.0):
        draft = await phone.look(after=seconds, pairing=A_CODE)
        assert (draft.synced, draft.code_offered, draft.pairing) == (Reason.PAIRING_SECRET_NOT_OURS, False, None)
    assert phone.cluster.secrets == {SECRET: THEIRS}
    assert draft.configured_generation == 0, "all else is kept up"

    phone.cluster.secrets.clear()
    phone.code = "code-2"
    draft = await phone.look(after=12.0)
    assert (draft.synced, draft.code_offered) == (Reason.SYNCED, True)


async def test_secret_that_somebody_has_replaced_by_another_is_not_withdrawn(phone: Phone) -> None:
    await phone.look()
    phone.cluster.secrets[SECRET] = THEIRS
    phone.code = "code-2"

    await phone.look(after=12.0)
    await phone.look(after=46.0)

    assert phone.cluster.secrets == {SECRET: THEIRS}


async def test_secret_that_somebody_has_put_in_place_of_a_code_stays_when_the_code_is_withdrawn(phone: Phone) -> None:
    await phone.look()
    phone.cluster.secrets[SECRET] = THEIRS

    draft = await phone.look(after=1.0, instance=servers.a_subject("shop").instance, pairing=A_CODE)

    assert (draft.pairing, phone.cluster.secrets) == (None, {SECRET: THEIRS})


async def test_secret_of_somebody_else_is_of_no_interest_once_no_code_is_wanted(phone: Phone) -> None:
    phone.cluster.secrets[SECRET] = THEIRS
    await phone.look()

    draft = await phone.look(after=1.0, instance=servers.a_subject("shop").instance, pairing=A_CODE)

    assert (draft.synced, draft.pairing, phone.cluster.secrets) == (Reason.SYNCED, None, {SECRET: THEIRS})


async def test_secret_of_a_resource_of_the_name_that_has_just_gone_is_waited_for(phone: Phone) -> None:
    before = replace(THEIRS, owner_uids=frozenset({"before"}), owner_names=frozenset({"shop"}), managed=True)
    phone.cluster.secrets[SECRET] = before

    with pytest.raises(ports.Unavailable):
        await phone.look()

    assert not phone.subject.codes.barred


@pytest.mark.parametrize(
    ("owners", "name", "managed"),
    [(frozenset[str](), "shop", True), (frozenset({"before"}), "shop", False), (frozenset({"theirs"}), "other", True)],
    ids=["nobody's", "not made by us", "of a resource that is there"],
)
async def test_secret_that_nobody_collects_is_not_waited_for(
    phone: Phone, owners: frozenset[str], name: str, managed: bool
) -> None:
    names = frozenset({name}) if owners else frozenset[str]()
    phone.cluster.secrets[SECRET] = replace(THEIRS, owner_uids=owners, owner_names=names, managed=managed)

    assert (await phone.look()).synced is Reason.PAIRING_SECRET_NOT_OURS
