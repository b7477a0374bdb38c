"""Who works on which server, when replicas come, go, are cut off, stand still, or have clocks that are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from support import simulated
from support.leases import LeaseServer, Replica, replica
from whatsapp_operator.engine import assignment, ports

MAIN = ports.Key("messaging", "main")
FLEET = [ports.Key("messaging", f"server-{number}") for number in range(20)]


class House:
    """Replicas on one API server, on a clock that only `pass_` moves."""

    def __init__(self, servers: Sequence[ports.Key] = (MAIN,)) -> None:
        self.time, self.server, self.servers = simulated.Time(), LeaseServer(), servers
        self.stopped: set[str] = set()
        self.replicas: list[Replica] = []

    def join(self, name: str, *, skew: float = 0.0) -> Replica:
        one = replica(name, self.time, self.server, self.servers, skew=skew)
        self.replicas.append(one)
        return one

    async def pass_(self, seconds: float) -> None:
        """Let time pass, in which each replica that runs does what its two loops do: each 4 s, and each 2 s."""
        for _ in range(int(seconds)):
            self.time.advance(1)
            for one in [one for one in self.replicas if one.name not in self.stopped]:
                if self.time.seconds % 4 == 0 or not one.leads.live:
                    await one.leads.renew()
                if self.time.seconds % 2 == 0:
                    await one.leads.share(one)

    def owners(self) -> dict[ports.Key, str]:
        """Who holds what; two who hold the same fail the test."""
        pairs = [(server, one.name) for one in self.replicas for server in one.held]
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)


async def two(house: House) -> tuple[Replica, Replica]:
    """The one that holds `main`, and the one that stands by."""
    house.join("a")
    house.join("b")
    await house.pass_(8)
    first, second = house.replicas
    return (first, second) if first.held else (second, first)


async def test_only_one_of_two_holds_a_server() -> None:
    house = House()
    leader, standby = await two(house)
    assert leader.held == {MAIN}
    assert standby.held == set()
    assert house.server.holder(MAIN) == leader.name
    assert (leader.told.held, standby.told.held) == (1, 0)
    assert leader.told.live
    assert standby.told.live


async def test_at_rest_nothing_is_written_but_one_renewal_for_all_servers() -> None:
    house = House(FLEET)
    one = house.join("a")
    await house.pass_(12)
    one.connection.verbs.clear()
    await house.pass_(40)
    assert Counter(one.connection.verbs) == {"update": 10, "list": 20}


async def test_dead_replica_is_followed_after_the_lease_duration_and_not_before() -> None:
    house = House()
    leader, standby = await two(house)
    house.stopped.add(leader.name)
    await house.pass_(13)
    assert standby.held == set()
    await house.pass_(6)
    assert standby.held == {MAIN}


@pytest.mark.parametrize("skew", [-8 * 3600.0, 8 * 3600.0])
async def test_clock_that_is_wrong_by_hours_changes_nothing(skew: float) -> None:
    house = House()
    house.join("a", skew=skew)
    house.join("b")
    await house.pass_(60)
    before = house.owners()
    assert set(before) == {MAIN}
    house.stopped.add(before[MAIN])
    await house.pass_(13)
    assert house.server.holder(MAIN) == before[MAIN]
    await house.pass_(6)
    assert house.server.holder(MAIN) != before[MAIN]


async def test_replica_that_is_cut_off_stops_before_the_other_takes_over() -> None:
    house = House()
    leader, standby = await two(house)
    leader.connection.cut = True
    ended = begun = None
    for _ in range(30):
        await house.pass_(1)
        house.owners()
        ended = house.time.seconds if ended is None and not leader.held else ended
        begun = house.time.seconds if begun is None and standby.held else begun
    assert ended is not None
    assert begun is not None
    assert ended < begun
    assert set(leader.told.lost) == {"Lapsed"}
    assert ("lost", MAIN) in leader.happened
    assert len(leader.told.problems) == 1


async def test_cut_shorter_than_the_deadline_costs_nothing() -> None:
    house = House()
    leader, _ = await two(house)
    leader.connection.cut = True
    await house.pass_(5)
    leader.connection.cut = False
    await house.pass_(10)
    assert leader.held == {MAIN}
    assert leader.told.lost == []


async def test_process_that_stood_still_holds_nothing_when_it_goes_on() -> None:
    house = House()
    leader, standby = await two(house)
    house.stopped.add(leader.name)
    await house.pass_(30)
    assert standby.held == {MAIN}
    assert not leader.leads.holds(MAIN)
    house.stopped.clear()
    await house.pass_(1)
    assert house.owners() == {MAIN: standby.name}


async def test_renewal_after_a_lapse_brings_no_claim_back_unless_it_is_taken_again() -> None:
    house = House()
    leader, _ = await two(house)
    house.time.advance(11)
    await leader.leads.renew()
    assert leader.leads.live
    assert not leader.leads.holds(MAIN)
    version = house.server.claim(MAIN).resource_version
    await leader.leads.share(leader)
    assert leader.leads.holds(MAIN)
    assert house.server.claim(MAIN).resource_version != version


async def test_work_from_before_a_lapse_keeps_the_claim_from_being_taken_again() -> None:
    house = House()
    leader, _ = await two(house)
    with leader.leads.work(MAIN) as begun:
        assert begun
        house.time.advance(11)
        await leader.leads.renew()
        await leader.leads.share(leader)
        assert not leader.leads.holds(MAIN)
    await leader.leads.share(leader)
    assert leader.leads.holds(MAIN)


async def test_member_lease_that_somebody_deletes_is_written_again_and_nothing_is_lost() -> None:
    house = House()
    leader, standby = await two(house)
    del house.server.stored[leader.name]
    await house.pass_(40)
    assert leader.held == {MAIN}
    assert leader.told.lost == []
    assert standby.held == set()


async def test_member_lease_that_vanished_with_its_replica_is_no_earlier_death() -> None:
    house = House()
    leader, standby = await two(house)
    house.stopped.add(leader.name)
    del house.server.stored[leader.name]
    await house.pass_(12)
    assert standby.held == set()
    await house.pass_(8)
    assert standby.held == {MAIN}


async def test_holder_that_was_never_seen_is_given_the_lease_duration() -> None:
    house = House()
    one = house.join("a")
    await house.pass_(8)
    claim = house.server.claim(MAIN)
    house.replicas.remove(one)
    house.server.stored.clear()
    house.server.stored[claim.name] = claim
    late = house.join("late")
    await house.pass_(12)
    assert late.held == set()
    await house.pass_(8)
    assert late.held == {MAIN}


async def test_claim_that_another_wrote_is_lost_at_the_next_look() -> None:
    house = House()
    leader, _ = await two(house)
    claim = house.server.claim(MAIN)
    house.server.write(ports.Lease(claim.name, claim.role, claim.subject, holder="stranger"), renewed="x")
    await leader.leads.share(leader)
    assert leader.held == set()
    assert leader.told.lost == ["Taken"]


async def test_claim_that_somebody_deletes_is_lost_and_taken_again_with_its_ledger() -> None:
    house = House()
    leader, _ = await two(house)
    await leader.leads.save_ledger(MAIN, "spent")
    del house.server.stored[house.server.claim(MAIN).name]
    await house.pass_(2)
    assert leader.told.lost == ["Vanished"]
    assert house.owners() == {MAIN: leader.name}
    assert leader.leads.ledger(MAIN) == "spent"


async def test_ledger_goes_over_to_whoever_takes_the_claim() -> None:
    house = House()
    leader, standby = await two(house)
    assert leader.leads.ledger(MAIN) is None
    await leader.leads.save_ledger(MAIN, "one")
    await leader.leads.save_ledger(MAIN, "two")
    house.stopped.add(leader.name)
    await house.pass_(24)
    assert standby.leads.ledger(MAIN) == "two"
    assert leader.leads.ledger(MAIN) == "two" or not leader.leads.holds(MAIN)


async def test_ledger_of_a_claim_that_another_took_is_refused_and_the_claim_dropped() -> None:
    house = House()
    leader, _ = await two(house)
    claim = house.server.claim(MAIN)
    house.server.write(ports.Lease(claim.name, claim.role, claim.subject, holder="b"), renewed="x")
    with pytest.raises(ports.Conflict):
        await leader.leads.save_ledger(MAIN, "spent")
    assert not leader.leads.holds(MAIN)
    assert house.server.claim(MAIN).ledger is None


async def test_standby_saves_no_ledger() -> None:
    house = House()
    _, standby = await two(house)
    with pytest.raises(ports.Conflict):
        await standby.leads.save_ledger(MAIN, "spent")


async def test_ledger_whose_answer_was_lost_is_known_after_the_next_look() -> None:
    house = House()
    leader, _ = await two(house)
    leader.connection.swallows_answers = True
    with pytest.raises(ports.Unavailable):
        await leader.leads.save_ledger(MAIN, "spent")
    leader.connection.swallows_answers = False
    await leader.leads.share(leader)
    assert leader.leads.ledger(MAIN) == "spent"
    await leader.leads.save_ledger(MAIN, "more")
    assert house.server.claim(MAIN).ledger == "more"


async def test_nothing_is_held_before_what_the_one_before_wrote_was_read() -> None:
    house = House()
    leader, standby = await two(house)
    house.stopped.add(leader.name)
    standby.listing_fails = True
    await house.pass_(24)
    assert house.server.holder(MAIN) == standby.name
    assert standby.held == set()
    standby.listing_fails = False
    await house.pass_(2)
    assert standby.held == {MAIN}


async def test_replica_that_ends_is_followed_at_the_next_look() -> None:
    house = House()
    leader, standby = await two(house)
    house.stopped.add(leader.name)
    await leader.leads.withdraw()
    await leader.leads.leave(leader)
    assert ("left", MAIN) in leader.happened
    assert leader.held == set()
    assert leader.name not in house.server.stored
    await house.pass_(2)
    assert standby.held == {MAIN}


async def test_replica_that_is_leaving_keeps_what_is_worked_on() -> None:
    house = House()
    leader, standby = await two(house)
    with leader.leads.work(MAIN):
        await leader.leads.withdraw()
        await house.pass_(20)
        assert leader.leads.holds(MAIN)
        assert standby.held == set()
    await house.pass_(4)
    assert standby.held == {MAIN}


async def test_work_that_outlives_the_shutdown_is_waited_for_by_the_others() -> None:
    house = House()
    leader, standby = await two(house)
    with leader.leads.work(MAIN):
        await leader.leads.withdraw()
        await leader.leads.leave(leader)
        house.stopped.add(leader.name)
        await house.pass_(12)
        assert standby.held == set()
    await house.pass_(8)
    assert standby.held == {MAIN}


async def test_replica_that_lapsed_while_it_was_alone_again_gives_up_what_is_another_s_now() -> None:
    house = House(FLEET)
    first = house.join("a")
    await house.pass_(8)
    first.connection.cut = True
    await house.pass_(12)
    assert first.held == set()
    second = house.join("b")
    first.connection.cut = False
    await house.pass_(20)
    assert len(first.held) == len(second.held) == 10
    house.owners()


async def shares(house: House) -> list[int]:
    """How many servers each replica holds, the fewest first; all are held."""
    owners = house.owners()
    assert set(owners) == set(house.servers)
    return sorted(Counter(owners.values()).values())


async def test_twenty_servers_are_shared_by_one_two_and_three_replicas_and_back() -> None:
    house = House(FLEET)
    house.join("a")
    await house.pass_(12)
    assert await shares(house) == [20]
    alone = house.owners()
    second = house.join("b")
    await house.pass_(16)
    assert await shares(house) == [10, 10]
    pair = house.owners()
    assert moved(alone, pair) == 10
    third = house.join("c")
    await house.pass_(16)
    assert await shares(house) == [6, 7, 7]
    assert moved(pair, house.owners()) <= 10
    for one in (third, second):
        await one.leads.withdraw()
        await one.leads.leave(one)
        house.stopped.add(one.name)
        await house.pass_(12)
    assert house.owners() == alone


def moved(before: dict[ports.Key, str], after: dict[ports.Key, str]) -> int:
    return sum(after[server] != owner for server, owner in before.items())


async def test_server_is_handed_over_only_when_no_work_on_it_is_under_way() -> None:
    house = House(FLEET)
    first = house.join("a")
    await house.pass_(12)
    works = {server: first.leads.work(server) for server in FLEET}
    for work in works.values():
        assert work.__enter__()
    second = house.join("b")
    await house.pass_(20)
    assert second.held == set()
    assert first.held == set(FLEET)
    begun = [server for server in FLEET if _may_begin(first, server)]
    assert len(begun) == 10
    for work in works.values():
        work.__exit__(None, None, None)
    await house.pass_(6)
    assert second.held == set(FLEET) - set(begun)


def _may_begin(one: Replica, server: ports.Key) -> bool:
    with one.leads.work(server) as begun:
        return begun


async def test_deleted_server_is_given_up_and_its_claim_removed_after_an_hour() -> None:
    house = House()
    one = house.join("a")
    await house.pass_(8)
    await one.leads.save_ledger(MAIN, "spent")
    one.known.clear()
    await house.pass_(60)
    assert house.server.holder(MAIN) is None
    assert house.server.claim(MAIN).ledger == "spent"
    await house.pass_(3590)
    with pytest.raises(KeyError):
        house.server.claim(MAIN)


async def test_server_that_is_created_again_within_the_hour_finds_its_ledger() -> None:
    house = House()
    one = house.join("a")
    await house.pass_(8)
    await one.leads.save_ledger(MAIN, "spent")
    one.known.clear()
    await house.pass_(3000)
    one.known.add(MAIN)
    await house.pass_(1000)
    assert one.held == {MAIN}
    assert one.leads.ledger(MAIN) == "spent"


async def test_member_lease_of_a_dead_replica_is_removed_in_the_end() -> None:
    house = House()
    leader, standby = await two(house)
    house.stopped.add(leader.name)
    await house.pass_(50)
    assert leader.name in house.server.stored
    await house.pass_(20)
    assert leader.name not in house.server.stored
    assert standby.held == {MAIN}


async def test_resources_without_a_server_are_one_replica_s() -> None:
    house = House([])
    house.join("a")
    house.join("b")
    await house.pass_(8)
    assert [one.leads.holds(ports.REST) for one in house.replicas].count(True) == 1


@pytest.mark.parametrize("members", [1, 2, 3, 7, 30])
def test_shares_differ_by_one_server_at_most(members: int) -> None:
    assigned = assignment.assign(FLEET, [f"member-{number}" for number in range(members)])
    load = Counter(assigned.values())
    counts = [load[f"member-{number}"] for number in range(members)]
    assert set(assigned) == set(FLEET)
    assert max(counts) - min(counts) <= 1


def test_without_members_nothing_is_assigned() -> None:
    assert assignment.assign(FLEET, []) == {}
    assert assignment.preferred(ports.REST, []) is None


async def test_claims_are_taken_in_one_order_whatever_the_process_hashes_to() -> None:
    time, server = simulated.Time(), LeaseServer()
    servers = [ports.Key("messaging", f"server-{number}") for number in range(12)]
    one = replica("first", time, server, servers)

    await one.leads.renew()
    await one.leads.share(one)

    taken = [key for what, key in one.happened if what == "gained"]
    assert taken == sorted(taken)
    assert set(servers) < set(taken)
