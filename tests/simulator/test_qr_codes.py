"""QR codes rotate, run out, and go stale."""

from typing import Any

from simulator import repairs
from simulator.conftest import Bench, Start


async def shown(bench: Bench) -> dict[str, Any]:
    """What `connect` returns."""
    body: dict[str, Any] = (await bench.request("GET", "/instance/connect/one")).json()
    return body


async def updated_at(bench: Bench) -> str:
    """`updatedAt` of the row."""
    row = await bench.row()
    assert row is not None
    return str(row["updatedAt"])


async def test_code_rotates_every_45_seconds_without_anybody_asking(bench: Bench) -> None:
    first = await bench.create_showing_code()
    before = await updated_at(bench)

    bench.pass_time(45)

    second = await shown(bench)
    assert second["count"] == 2
    assert second["code"] != first["code"]
    assert await updated_at(bench) > before


async def test_connect_while_connecting_only_reads(bench: Bench) -> None:
    first = await bench.create_showing_code()

    assert await shown(bench) == first
    assert len(bench.baileys().own_connections) == 1


async def test_count_moves_a_moment_before_the_code(bench: Bench) -> None:
    first = await bench.create_showing_code()
    while bench.world.memory["one"].qr.count == 1:
        bench.pass_time(0.005)

    between = await shown(bench)

    assert (between["count"], between["code"]) == (2, first["code"])


async def test_codes_run_out_after_the_limit_and_the_database_stays_connecting(bench: Bench) -> None:
    await bench.create_showing_code()

    bench.pass_time(30 * 60)

    assert str(await repairs.look(bench)) == str(repairs.outside("close", "connecting"))
    again = await shown(bench)
    assert again["count"] == 1


async def test_used_code_is_returned_after_a_logout_without_whatsapp(bench: Bench) -> None:
    used = await bench.create_showing_code()
    await repairs.scan(bench)
    bench.pass_time(2)
    await repairs.logout(bench)
    await bench.control("POST", "/whatsapp", {"reach": "refused"})

    assert await shown(bench) == used


async def test_restart_while_connecting_returns_the_old_code_and_shows_a_new_one(bench: Bench) -> None:
    old = await bench.create_showing_code()

    assert (await bench.request("POST", "/instance/restart/one")).json() == old

    bench.pass_time(1)
    assert (await shown(bench))["code"] != old["code"]


async def test_no_code_yet_is_a_bare_count(bench: Bench) -> None:
    await bench.create("one")
    await bench.control("POST", "/whatsapp", {"reach": "silent"})

    assert await shown(bench) == {"count": 0}


async def test_pairing_code_that_nobody_types_ends_in_a_401_without_owner(bench: Bench) -> None:
    await bench.create("one")
    body = (await bench.request("GET", "/instance/connect/one?number=5511999990000")).json()
    assert len(body["pairingCode"]) == 8

    bench.pass_time(6 * 45 + 1)

    row = await bench.row()
    assert row is not None
    assert (row["connectionStatus"], row["disconnectionReasonCode"], row["ownerJid"]) == ("close", 401, None)


async def test_create_with_qrcode_waits_and_returns_one(bench: Bench) -> None:
    body = (await bench.create("one", qrcode=True)).json()

    assert body["qrcode"]["count"] == 1


async def test_auto_scan_pairs_whatever_shows_a_code(start: Start) -> None:
    bench = await start("2.3.7", "--auto-scan", "20")
    await bench.create_showing_code()

    bench.pass_time(25)

    assert await bench.state() == "open"


async def test_code_that_is_not_live_cannot_be_scanned(bench: Bench) -> None:
    await bench.create_showing_code()
    await bench.break_("one", "S4")

    assert bench.world.scan("one") is None
