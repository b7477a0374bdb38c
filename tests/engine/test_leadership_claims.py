"""Claims are taken, kept, given up and tidied away: what is written for that, and what must not be."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from engine.test_leadership import FLEET, MAIN, House, two
from engine.test_leadership_renewals import alone
from support import simulated
from support.leases import LeaseServer, Replica, replica
from whatsapp_operator.engine import ports
from whatsapp_operator.engine.leadership import claim_name

MANY = [ports.Key("messaging", f"server-{number:03}") for number in range(150)]


def claim(server: ports.Key, *, holder: str | None = None, scope: str = "") -> ports.Lease:
    subject = f"{server.namespace}/{server.name}"
    return ports.Lease(claim_name(server, scope=scope), ports.LeaseRole.CLAIM, subject, holder=holder)


def claims_of(house: House, one: Replica) -> int:
    """How many claims name it."""
    leases = house.server.stored.values()
    return sum(lease.role is ports.LeaseRole.CLAIM and lease.holder == one.name for lease in leases)


async def look(house: House, one: Replica, seconds: float = 2) -> None:
    """Let time pass for one replica alone, which lives."""
    house.time.advance(seconds)
    await one.leads.renew()
    await one.leads.share(one)


async def test_work_on_what_is_another_s_does_not_begin() -> None:
    _, standby = await two(House())

    with standby.leads.work(MAIN) as begun:
        assert not begun


async def test_hundred_claims_are_taken_between_two_looks_at_all_leases() -> None:
    house = House(MANY)
    one = house.join("a")

    await look(house, one)
    assert claims_of(house, one) == 100
    await look(house, one)

    assert claims_of(house, one) == 151, "and that of what has no server"


async def test_hundred_claims_are_given_up_between_two_looks_at_all_leases_and_the_others_are_kept_until_then() -> None:
    house = House(MANY)
    one = house.join("a")
    await look(house, one)
    await look(house, one)
    one.known.clear()

    await look(house, one)
    assert len([what for what, _ in one.happened if what == "left"]) == 100
    assert claims_of(house, one) == 51
    await look(house, one)

    assert claims_of(house, one) == 1
    assert one.told.lost == []


async def test_claims_are_told_as_soon_as_they_are_taken_lost_or_given_up() -> None:
    house, one = await alone()
    assert one.told.held == 1

    house.server.write(replace(house.server.claim(MAIN), holder="stranger"), renewed="x")
    await one.leads.share(one)
    assert one.told.held == 0
    house.server.write(replace(house.server.claim(MAIN), holder=None), renewed="x")
    await one.leads.share(one)
    assert one.told.held == 1
    one.known.clear()
    await one.leads.share(one)

    assert one.told.held == 0


async def test_what_the_one_before_wrote_is_read_only_where_something_is_taken() -> None:
    house, one = await alone()
    before = one.listings

    await house.pass_(20)

    assert one.listings == before == 1


async def test_servers_are_not_shared_with_replicas_that_watch_other_namespaces() -> None:
    house = House(FLEET)
    house.server.write(ports.Lease("b", ports.LeaseRole.MEMBER, "shop", holder="b"), renewed="x")
    one = house.join("a")

    await house.pass_(8)

    assert one.held == set(FLEET)


async def test_server_that_is_to_be_handed_over_is_handed_over_also_where_the_other_goes_meanwhile() -> None:
    house = House(FLEET)
    first = house.join("a")
    await house.pass_(12)
    works = [first.leads.work(server) for server in FLEET]
    assert all(work.__enter__() for work in works)
    second = house.join("b")
    await house.pass_(8)
    await second.leads.withdraw()
    await second.leads.leave(second)
    house.stopped.add(second.name)
    await house.pass_(8)

    assert [_begins(first, server) for server in FLEET].count(False) == 10

    for work in works:
        work.__exit__(None, None, None)
    await house.pass_(8)
    assert all(_begins(first, server) for server in FLEET)
    assert len([what for what, _ in first.happened if what == "left"]) == 10


def _begins(one: Replica, server: ports.Key) -> bool:
    with one.leads.work(server) as begun:
        return begun


async def test_claim_that_was_given_up_and_deleted_is_taken_again_with_its_ledger() -> None:
    house, one = await alone()
    await one.leads.save_ledger(MAIN, "spent")
    one.known.clear()
    await look(house, one)
    del house.server.stored[house.server.claim(MAIN).name]
    one.known.add(MAIN)

    await look(house, one)

    assert one.leads.ledger(MAIN) == "spent"


async def test_claim_from_before_a_lapse_is_not_given_up_while_that_work_goes_on() -> None:
    house = House(FLEET)
    first = house.join("a")
    await house.pass_(12)
    works = [first.leads.work(server) for server in FLEET]
    assert all(work.__enter__() for work in works)
    second = house.join("b")
    await second.leads.renew()
    house.time.advance(11)
    await second.leads.renew()
    await first.leads.renew()

    await first.leads.share(first)

    assert claims_of(house, first) == 21
    for work in works:
        work.__exit__(None, None, None)
    await first.leads.share(first)
    assert claims_of(house, first) == 11


async def test_nothing_is_held_that_was_taken_before_a_lapse() -> None:
    house = House()
    one = house.join("a")
    await one.leads.renew()

    def lapse() -> None:
        house.time.advance(11)
        assert not one.leads.holds(MAIN)

    one.meanwhile = lapse
    await one.leads.share(one)

    assert (one.happened, one.told.held) == ([], 0)


async def test_nothing_is_held_that_was_taken_before_a_lapse_that_a_renewal_has_ended() -> None:
    house = House()
    one = house.join("a")
    await one.leads.renew()
    refreshing, going_on = asyncio.Event(), asyncio.Event()

    async def refresh() -> None:
        refreshing.set()
        await going_on.wait()

    one.refresh = refresh  # type: ignore[method-assign] # one that waits
    sharing = asyncio.ensure_future(one.leads.share(one))
    await refreshing.wait()
    house.time.advance(11)
    await one.leads.renew()
    going_on.set()
    await sharing

    assert one.leads.live
    assert (one.happened, one.told.held) == ([], 0)


async def test_claim_is_not_asked_for_once_the_replica_lives_no_more() -> None:
    house = House(FLEET)
    one = house.join("a")
    await one.leads.renew()
    one.connection.during["create"] = lambda: house.time.advance(11)

    await one.leads.share(one)

    assert one.connection.verbs.count("create") == 2, "its own, and the first claim"
    assert one.held == set()


class Slow:
    """Holds the answer to the first ledger back."""

    def __init__(self, one: Replica) -> None:
        self.asked, self.answers, self._update = asyncio.Event(), asyncio.Event(), one.connection.update
        one.connection.update = self.update

    async def update(self, lease: ports.Lease, /) -> ports.Lease:
        answer: ports.Lease = await self._update(lease)
        if answer.ledger is not None and not self.asked.is_set():
            self.asked.set()
            await self.answers.wait()
        return answer


async def saving_two() -> tuple[House, Replica, Slow, asyncio.Task[None], asyncio.Task[None]]:
    house, one = await alone()
    slow = Slow(one)
    first = asyncio.ensure_future(one.leads.save_ledger(MAIN, "first"))
    await slow.asked.wait()
    second = asyncio.ensure_future(one.leads.save_ledger(MAIN, "second"))
    await asyncio.sleep(0)
    return house, one, slow, first, second


@pytest.mark.parametrize("is_taken_again", [False, True])
async def test_ledger_that_waited_for_the_one_before_is_not_saved_after_a_lapse(is_taken_again: bool) -> None:
    house, one, slow, first, second = await saving_two()
    house.time.advance(11)
    if is_taken_again:
        await one.leads.renew()
        await one.leads.share(one)
        assert one.leads.holds(MAIN)
    slow.answers.set()
    await first

    with pytest.raises(ports.Conflict):
        await second

    assert house.server.claim(MAIN).ledger == "first"
    assert one.leads.holds(MAIN) is is_taken_again


async def test_ledger_that_is_refused_after_a_lapse_says_that_the_claim_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, one = await alone()

    async def update(_lease: ports.Lease, /) -> ports.Lease:
        house.time.advance(11)
        assert not one.leads.holds(MAIN)
        raise ports.Conflict

    monkeypatch.setattr(one.connection, "update", update)
    with pytest.raises(ports.Conflict):
        await one.leads.save_ledger(MAIN, "spent")

    assert set(one.told.lost) == {"Lapsed"}


# What dead replicas and deleted servers have left.


async def test_claims_of_servers_that_there_are_and_of_all_that_have_none_are_kept() -> None:
    house, one = await alone()

    await house.pass_(3700)

    assert one.told.lost == []
    assert "delete" not in one.connection.verbs


async def test_claim_of_a_deleted_server_is_kept_for_an_hour() -> None:
    house, one = await alone()
    one.known.clear()
    await look(house, one)
    for _ in range(1200):
        await look(house, one, 3)
        assert one.connection.verbs.count("delete") == (house.time.seconds >= 3602)

    assert house.time.seconds == 3602


async def test_server_that_was_there_meanwhile_is_kept_for_another_hour() -> None:
    house, one = await alone()
    stranger = ports.Key("messaging", "other")
    house.server.write(claim(stranger), renewed="x")
    for known, minutes in ((False, 40), (True, 1), (False, 40)):
        one.known = {MAIN, stranger} if known else {MAIN}
        await house.pass_(60 * minutes)

    assert house.server.claim(stranger).holder is None
    assert "delete" not in one.connection.verbs


async def test_claim_that_another_living_replica_has_is_kept_though_its_server_is_not_known_here() -> None:
    house, one = await alone()
    stranger = ports.Key("messaging", "other")
    house.server.write(claim(stranger, holder="b"), renewed="x")
    for second in range(0, 4000, 2):
        house.server.write(ports.Lease("b", ports.LeaseRole.MEMBER, "shop", holder="b"), renewed=str(second))
        await look(house, one)

    assert house.server.holder(stranger) == "b"


async def test_claim_that_changed_while_it_was_removed_is_kept_for_another_hour() -> None:
    house, one = await alone()
    one.known.clear()
    await look(house, one)

    def change() -> None:
        house.server.write(house.server.claim(MAIN), renewed="x")

    one.connection.during["delete"] = change
    await house.pass_(3610)
    assert one.connection.verbs.count("delete") == 1
    assert house.server.claim(MAIN).holder is None
    await house.pass_(3610)

    assert one.connection.verbs.count("delete") == 2


async def test_claims_in_namespaces_that_are_not_watched_are_not_tidied_away() -> None:
    time, server = simulated.Time(), LeaseServer()
    one = replica("a", time, server, [], scope="messaging,shop")
    mine, theirs = ports.Key("shop", "gone"), ports.Key("elsewhere", "other")
    for key in (mine, theirs):
        server.write(claim(key), renewed="x")
    for _ in range(1000):
        time.advance(4)
        await one.leads.renew()
        await one.leads.share(one)

    assert claim(mine).name not in server.stored
    assert claim(theirs).name in server.stored


async def test_member_lease_of_a_dead_replica_is_removed_after_a_minute_by_the_one_that_has_what_has_no_server() -> (
    None
):
    house = House([])
    tidy, other = house.join("a"), house.join("b")
    await house.pass_(8)
    if not tidy.leads.holds(ports.REST):
        tidy, other = other, tidy
    house.server.write(ports.Lease("dead", ports.LeaseRole.MEMBER, "", holder=None), renewed="x")
    for one in (tidy, other):
        await one.leads.share(one)
    for _ in range(59):
        house.time.advance(1)
        for one in (tidy, other):
            await one.leads.renew()
            await one.leads.share(one)
    house.time.advance(1)

    await other.leads.share(other)
    assert "dead" in house.server.stored
    await tidy.leads.share(tidy)

    assert "dead" not in house.server.stored
    assert "delete" not in other.connection.verbs


async def test_replica_whose_wall_clock_stands_still_keeps_its_member_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    house, one = await alone()
    monkeypatch.setattr(one.connection, "_now", lambda: "always")

    await house.pass_(90)

    assert "delete" not in one.connection.verbs
    assert one.held == {MAIN}
