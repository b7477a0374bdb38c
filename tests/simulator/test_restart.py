"""A server restart: what starts, in which order, what it ends, and what it cannot end."""

from typing import Any

import httpx
import pytest

from evolution_simulator import database, webhooks
from simulator import repairs
from simulator.conftest import Bench, Start

HOOK = "http://127.0.0.1:9/dead-receiver"


class SlowReceiver:
    """Answers a webhook when the test wants."""

    def __init__(self) -> None:
        self.waiting: list[webhooks.Answered] = []

    def send(self, delivery: webhooks.Delivery, answered: webhooks.Answered) -> None:
        """Keep who waits."""
        del delivery
        self.waiting.append(answered)


async def down(bench: Bench) -> None:
    """The process ends."""
    await bench.control("POST", "/server/down", {})


async def up(bench: Bench, **body: Any) -> None:
    """A process starts."""
    await bench.control("POST", "/server/up", body)


async def mixed(bench: Bench) -> None:
    """One paired instance, one showing a code, one never connected, one logged out, one EVOLUTION channel."""
    for name in ("paired", "asking", "fresh", "left"):
        await bench.create(name)
    await bench.create("channel", integration="EVOLUTION")
    for name in ("paired", "left"):
        await bench.control("POST", f"/instances/{name}/pair", {})
    await bench.control("POST", "/instances/left/disconnect", {"code": 401})
    await bench.request("GET", "/instance/connect/asking")


async def states(bench: Bench) -> dict[str, tuple[str | None, str]]:
    """Memory and database of every row."""
    rows = (await bench.request("GET", "/instance/fetchInstances")).json()
    return {row["name"]: (await bench.state(row["name"]), row["connectionStatus"]) for row in rows}


async def test_2_3_6_connects_every_row_whatever_its_status(start: Start) -> None:
    bench = await start("2.3.6")
    await mixed(bench)

    await down(bench)
    await up(bench)
    bench.pass_time(2)

    asking = ("connecting", "connecting")
    assert await states(bench) == {
        "paired": ("open", "open"),
        "asking": asking,
        "fresh": asking,
        "left": asking,
        "channel": ("open", "open"),
    }
    assert (await bench.request("GET", "/instance/connect/left")).json()["count"] == 1


async def test_2_3_7_connects_open_and_connecting_rows_and_loads_closed_ones_idle(bench: Bench) -> None:
    await mixed(bench)

    await down(bench)
    await up(bench)
    bench.pass_time(3600)

    assert await states(bench) == {
        "paired": ("open", "open"),
        "asking": ("close", "connecting"),  # its codes ran out once more
        "fresh": ("close", "close"),
        "left": ("close", "close"),
        "channel": ("open", "open"),
    }
    assert [len(bench.baileys(name).own_connections) for name in ("fresh", "left")] == [0, 0]


@pytest.mark.parametrize("version", ["2.3.6", "2.3.7"])
async def test_api_answers_at_once_and_a_row_is_a_ghost_until_its_turn(start: Start, version: str) -> None:
    bench = await start(version)
    await mixed(bench)

    await down(bench)
    await up(bench, loadSeconds=10)

    assert {memory for memory, _ in (await states(bench)).values()} == {None}
    assert "evolution_instances_total 0" in (await bench.request("GET", "/metrics")).text
    assert (await bench.request("POST", "/verify-creds")).status_code == 200
    assert (await bench.request("GET", "/instance/fetchInstances?instanceName=paired")).status_code == 404
    assert (await bench.create("paired")).status_code == 403
    bench.pass_time(25)
    loaded = [memory is not None for memory, _ in (await states(bench)).values()]
    assert loaded == [True, True, False, False, False]


async def test_row_enters_memory_already_connecting_and_never_as_closed(bench: Bench) -> None:
    await bench.create_open()
    await down(bench)
    await up(bench, loadSeconds=1)

    seen: list[str | None] = [None]
    while seen[-1] != "open":
        bench.pass_time(0.01)
        one = bench.world.memory.get("one")
        seen.append(str(one.state) if one else None)

    assert list(dict.fromkeys(seen)) == [None, "connecting", "open"]


@pytest.mark.parametrize("version", ["2.3.6", "2.3.7"])
async def test_open_row_without_a_session_shows_a_code_and_turns_connecting(start: Start, version: str) -> None:
    bench = await start(version)
    await bench.create_open()
    await down(bench)
    bench.world.drop_session(bench.world.database.rows["one"].id)

    await up(bench)
    bench.pass_time(2)

    assert str(await repairs.look(bench)) == str(repairs.ASKING)
    row = await bench.row()
    assert row is not None
    assert row["ownerJid"] is not None
    assert (await bench.control("GET", "/instances/one"))["qrShown"] is True


@pytest.mark.parametrize(("version", "look"), [("2.3.6", repairs.ASKING), ("2.3.7", repairs.outside("close", "close"))])
async def test_session_that_a_late_cleanup_took_is_missed_at_the_next_start(
    start: Start, version: str, look: repairs.Look
) -> None:
    bench = await start(version)
    await bench.create_open()
    await bench.break_("one", "S19")

    await repairs.replace_process(bench)
    bench.pass_time(2)

    assert str(await repairs.look(bench)) == str(look)


async def test_dead_code_of_a_zombie_becomes_a_live_one(bench: Bench) -> None:
    await bench.create_showing_code()
    await bench.break_("one", "S4")

    await repairs.replace_process(bench)
    bench.pass_time(2)

    await repairs.scan(bench)
    bench.pass_time(2)
    assert str(await repairs.look(bench)) == str(repairs.HEALTHY)


async def test_pairing_of_every_instance_survives_without_a_code(bench: Bench) -> None:
    names = (await bench.control("POST", "/seed", {"count": 20}))["names"]
    owners = {row["name"]: row["ownerJid"] for row in (await bench.request("GET", "/instance/fetchInstances")).json()}

    await repairs.replace_process(bench)
    bench.pass_time(20)

    rows = (await bench.request("GET", "/instance/fetchInstances")).json()
    assert {row["name"]: row["ownerJid"] for row in rows if row["connectionStatus"] == "open"} == owners
    assert [await bench.state(name) for name in names] == ["open"] * 20
    assert {bench.baileys(name).qr.count for name in names} == {0}


async def test_row_written_while_the_process_is_away_is_loaded_and_one_deleted_is_not(bench: Bench) -> None:
    await bench.create("deleted")
    await down(bench)
    await bench.control("DELETE", "/rows/deleted")
    await bench.control("PUT", "/rows/inserted", {"status": "open"})

    await up(bench)
    bench.pass_time(1)

    assert [await bench.state("deleted"), await bench.state("inserted")] == ["absent", "connecting"]


async def test_row_inserted_after_the_start_stays_a_ghost(bench: Bench) -> None:
    await repairs.restart_server(bench)
    bench.pass_time(1)

    await bench.control("PUT", "/rows/inserted", {"status": "open"})
    bench.pass_time(3600)

    assert await bench.state("inserted") is None


async def test_chosen_ghosts_are_ghosts_after_up_as_well(bench: Bench) -> None:
    await bench.create_open()
    await bench.create_open("two")
    await down(bench)

    await up(bench, ghosts=["one"])
    bench.pass_time(5)

    assert [await bench.state(), await bench.state("two")] == [None, "open"]


async def test_database_that_is_away_lets_no_process_start_until_it_is_back(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/database", {"down": True})
    await down(bench)
    await up(bench)
    bench.pass_time(300)
    with pytest.raises(httpx.ConnectError):
        await bench.state()

    await bench.control("POST", "/database", {"down": False})
    await bench.control("POST", "/clock", {"advance": 12})

    assert await bench.state() == "open"


async def test_database_that_goes_away_while_rows_load_leaves_ghosts_until_the_next_start(bench: Bench) -> None:
    await bench.control("POST", "/seed", {"count": 4})
    await down(bench)
    await up(bench, loadSeconds=1)
    bench.pass_time(2.5)
    await bench.control("POST", "/database", {"down": True})
    bench.pass_time(5)
    await bench.control("POST", "/database", {"down": False})
    bench.pass_time(3600)
    assert [memory is None for memory, _ in (await states(bench)).values()] == [False, False, True, True]

    await repairs.restart_server(bench)
    bench.pass_time(2)

    assert {memory for memory, _ in (await states(bench)).values()} == {"open"}


async def test_up_of_a_process_that_runs_changes_nothing(bench: Bench) -> None:
    await bench.create_open()
    await down(bench)
    await up(bench, loadSeconds=5)
    await up(bench)
    bench.pass_time(1)
    assert await bench.state() is None
    bench.pass_time(6)

    await up(bench)
    bench.pass_time(1)

    assert len(bench.baileys().own_connections) == 1


async def test_up_before_its_time_leaves_nothing_to_start_later(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/server/restart", {"downSeconds": 60})
    await up(bench, loadSeconds=200)

    bench.pass_time(120)
    assert await bench.state() is None

    bench.pass_time(120)
    assert await bench.state() == "open"


async def test_down_calls_off_a_restart_under_way(bench: Bench) -> None:
    await bench.create_open()
    await bench.control("POST", "/server/restart", {"downSeconds": 60})
    await down(bench)

    await bench.control("POST", "/clock", {"advance": 120})

    assert (await bench.control("GET", "/state"))["running"] is False


async def test_deletion_that_a_dead_receiver_holds_up_dies_with_the_process(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S10")
    await repairs.delete(bench)
    bench.pass_time(60)

    await repairs.replace_process(bench)
    bench.pass_time(3600)

    assert await bench.state() == "close"
    assert await bench.row() is not None


async def test_answer_of_a_receiver_that_comes_after_the_end_of_the_process_ends_no_deletion(bench: Bench) -> None:
    await bench.create_open()
    slow = SlowReceiver()
    bench.world.webhooks.sender = slow
    webhook = {"enabled": True, "url": HOOK, "events": ["REMOVE_INSTANCE"]}
    await bench.request("POST", "/webhook/set/one", json={"webhook": webhook})
    await repairs.delete(bench)
    assert len(slow.waiting) == 1
    await repairs.replace_process(bench)

    slow.waiting[0](200)
    bench.pass_time(5)

    assert await bench.row() is not None


async def test_loops_of_connects_that_multiplied_are_one_again(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S6")
    while bench.world.memory["one"].state != "close":
        bench.pass_time(0.02)
    await repairs.connect(bench)
    assert bench.baileys().loops == 2

    await repairs.restart_server(bench)
    bench.pass_time(5)

    assert bench.baileys().loops == 1


async def test_what_is_corrupt_is_as_corrupt_after_a_start(bench: Bench) -> None:
    await bench.create_open()
    await bench.break_("one", "S7")

    await repairs.replace_process(bench)

    stored = bench.world.database.sessions[bench.baileys().instance_id]
    assert stored.kind is database.CredentialsKind.CORRUPT
