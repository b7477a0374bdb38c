"""A replica lives by its renewals: how often it renews, until when it lives, and what it loses when it lapses."""

from __future__ import annotations

import pytest

from engine.test_leadership import FLEET, MAIN, House, two
from support import simulated
from support.leases import LeaseServer, Replica, replica
from whatsapp_operator.engine import leadership, ports


class Enough(Exception):  # noqa: N818 - no error
    """The test has seen enough."""


class Loop:
    """A replica whose loops go round so many times; what happens before each sleep is told by its number."""

    def __init__(self, *, turns: int, terms: leadership.Terms | None = None) -> None:
        self.time, self.turns, self.slept = simulated.Time(), turns, list[float]()
        self.before: dict[int, tuple[str, bool]] = {}
        self.one = replica("a", self.time, LeaseServer(), [MAIN], terms=terms, sleep=self._sleep)

    async def _sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        self.time.advance(seconds)
        if len(self.slept) == self.turns:
            raise Enough
        match self.before.get(len(self.slept)):
            case ("ready", value):
                self.one.is_ready = value
            case ("cut", value):
                self.one.connection.cut = value
            case _:
                pass

    async def renew(self) -> None:
        with pytest.raises(Enough):
            await self.one.leads.run_renewals(self.one)

    async def share(self) -> None:
        with pytest.raises(Enough):
            await self.one.leads.run_sharing(self.one)


async def alone() -> tuple[House, Replica]:
    """The only replica, which holds what there is."""
    house = House()
    one = house.join("a")
    await one.leads.renew()
    await one.leads.share(one)
    assert one.held == {MAIN}
    return house, one


async def test_replica_renews_from_when_it_is_ready_on_also_when_it_is_not_any_more() -> None:
    loop = Loop(turns=5)
    loop.one.is_ready = False
    loop.before = {2: ("ready", True), 3: ("ready", False)}

    await loop.renew()

    assert loop.slept == [1.0, 1.0, 4, 4, 4]
    assert loop.one.connection.verbs == ["update", "create", "update", "update"]


@pytest.mark.parametrize(("period", "retry"), [(2, 0.5), (4, 1.0), (8, 1.0)])
async def test_renewal_that_failed_is_tried_again_soon(period: float, retry: float) -> None:
    loop = Loop(turns=4, terms=leadership.Terms(renew_period=period))
    loop.before = {1: ("cut", True), 3: ("cut", False)}

    await loop.renew()

    assert loop.slept == [period, retry, retry, period]


async def test_leases_are_looked_at_twice_for_each_renewal() -> None:
    loop = Loop(turns=3)

    await loop.share()

    assert loop.slept == [2, 2, 2]
    assert loop.one.connection.verbs == ["list"] * 3


async def test_replica_lives_for_ten_seconds_from_when_its_renewal_began() -> None:
    house, one = await alone()

    house.time.advance(9.5)
    assert one.leads.live
    assert one.leads.holds(MAIN)
    house.time.advance(0.5)
    assert not one.leads.live
    assert not one.leads.holds(MAIN)


async def test_replica_that_never_renewed_does_not_live() -> None:
    house = House()

    assert not house.join("a").leads.live


async def test_dead_replica_is_followed_after_fifteen_seconds() -> None:
    house = House()
    leader, standby = await two(house)
    house.stopped.add(leader.name)
    await standby.leads.share(standby)  # and sees the last sign of life
    await house.pass_(14)
    assert house.server.holder(MAIN) == leader.name

    house.time.advance(0.5)
    await standby.leads.share(standby)
    assert house.server.holder(MAIN) == leader.name
    house.time.advance(0.5)
    await standby.leads.share(standby)

    assert house.server.holder(MAIN) == standby.name


async def test_renewal_says_whether_it_succeeded() -> None:
    house = House()
    one = house.join("a")

    assert await one.leads.renew() is True
    one.connection.cut = True
    assert await one.leads.renew() is False


async def test_trouble_is_told_once_from_the_first_time_on() -> None:
    house = House()
    one = house.join("a")
    one.connection.cut = True

    await one.leads.renew()
    await one.leads.renew()
    assert len(one.told.problems) == 1
    one.connection.cut = False
    await one.leads.renew()
    one.connection.cut = True
    await one.leads.share(one)

    assert len(one.told.problems) == 2


async def test_lapse_is_told_before_a_renewal_is_sent_that_may_take_long() -> None:
    house, one = await alone()
    house.time.advance(11)
    told = list[list[str]]()
    one.connection.during["update"] = lambda: told.append(list(one.told.lost))

    await one.leads.renew()

    assert told == [["Lapsed", "Lapsed"]]


async def test_renewal_that_fails_so_late_that_the_one_before_has_lapsed_loses_everything() -> None:
    house, one = await alone()
    house.time.advance(6)

    def fail() -> None:
        house.time.advance(5)
        raise ports.Unavailable

    one.connection.during["update"] = fail
    await one.leads.renew()

    assert set(one.told.lost) == {"Lapsed"}


async def test_renewal_that_is_answered_so_late_that_the_one_before_has_lapsed_loses_everything() -> None:
    house, one = await alone()
    house.time.advance(6)
    one.connection.during["update"] = lambda: house.time.advance(5)

    await one.leads.renew()

    assert set(one.told.lost) == {"Lapsed"}
    assert one.leads.live
    assert one.held == set()


async def test_lapse_is_noticed_by_a_look_at_the_leases_that_fails() -> None:
    house, one = await alone()
    house.time.advance(11)
    one.connection.cut = True

    await one.leads.share(one)

    assert set(one.told.lost) == {"Lapsed"}


async def test_lapse_of_a_replica_that_holds_nothing_is_told_as_well() -> None:
    house = House([])
    one = house.join("a")
    await one.leads.renew()
    assert one.told.live
    house.time.advance(11)

    assert not one.leads.holds(MAIN)

    assert not one.told.live


async def test_replica_that_does_not_live_writes_no_claim() -> None:
    house = House(FLEET)
    one = house.join("a")
    await house.pass_(8)
    other = house.join("b")
    await other.leads.renew()
    house.time.advance(11)
    one.connection.verbs.clear()

    await one.leads.share(one)

    assert one.connection.verbs == ["list"]


async def test_replica_that_is_not_ready_takes_nothing() -> None:
    house = House()
    one = house.join("a")
    one.is_ready = False

    await house.pass_(8)

    assert one.held == set()
    assert one.leads.live


async def test_replica_that_leaves_says_so_at_once() -> None:
    house, one = await alone()

    await one.leads.withdraw()

    assert house.server.stored["a"].holder is None


async def test_replica_that_lapsed_does_not_come_back_to_say_that_it_leaves() -> None:
    house, one = await alone()
    house.time.advance(11)
    assert not one.leads.holds(MAIN)
    one.connection.verbs.clear()

    await one.leads.withdraw()
    await one.leads.leave(one)

    assert one.connection.verbs == []


async def test_replica_that_never_joined_leaves_in_silence() -> None:
    house = House()
    one = house.join("a")

    await one.leads.withdraw()
    await one.leads.leave(one)

    assert (one.connection.verbs, one.told.problems) == ([], [])


async def test_replica_that_still_works_stays_a_member() -> None:
    house, one = await alone()

    with one.leads.work(MAIN):
        await one.leads.leave(one)

    assert "a" in house.server.stored


async def test_replica_that_is_cut_off_tells_that_it_could_not_leave() -> None:
    _, one = await alone()
    one.connection.cut = True

    await one.leads.leave(one)

    assert len(one.told.problems) == 1


async def test_replica_that_leaves_deletes_its_own_member_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    _, one = await alone()
    deleted = list[ports.Lease]()

    async def delete(lease: ports.Lease, /) -> None:
        deleted.append(lease)

    monkeypatch.setattr(one.connection, "delete", delete)
    await one.leads.leave(one)

    assert deleted == [ports.Lease("a", ports.LeaseRole.MEMBER, "")]
