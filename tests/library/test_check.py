"""What a check concludes, what it reads for that, and that it changes nothing."""

from __future__ import annotations

import pytest

from library.conftest import Stage, Stages, surroundings
from simulator.conftest import Start
from whatsapp_operator.library import AsyncInstanceManager, HealthCheck, Reason, SQLiteRecordStore


async def check(stage: Stage, name: str = "one") -> HealthCheck:
    """One check, which must change nothing on the server."""
    before = stage.mark()
    found = await stage.run(stage.manager.check_instance_health(name))
    assert stage.changes(name, since=before) == []
    return found


async def test_an_open_instance_is_healthy_after_one_look_at_both_witnesses(stage: Stage) -> None:
    await stage.bench.create_open()
    began, before = stage.bench.simulator.clock.now(), stage.mark()

    found = await check(stage)

    assert (found.healthy, found.state, found.reason, found.should_cleanup) == (True, "healthy", Reason.HEALTHY, False)
    assert found.protected
    routes = [entry.route for entry in stage.bench.simulator.listener.journal.select(since=before)]
    assert routes == ["fetchInstances", "metrics"]
    assert stage.bench.simulator.clock.now() == began


async def test_a_stuck_instance_is_observed_for_the_stuck_timeout_before_it_is_called_so(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    began = stage.bench.simulator.clock.now()

    found = await check(stage)

    assert (found.healthy, found.state, found.reason) == (False, "stuck", Reason.CONNECTING)
    assert not found.should_cleanup, "a restart was not tried yet"
    assert 30 <= found.seconds <= stage.bench.simulator.clock.now() - began <= 36


async def test_an_instance_that_opens_while_it_is_observed_is_healthy(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.control("POST", "/whatsapp", {"reach": "stalled", "instance": "one"})
    stage.bench.pass_time(1)
    await stage.bench.control("POST", "/whatsapp", {"reach": "reachable", "instance": "one"})
    assert await stage.bench.state() == "connecting"

    assert (await check(stage)).healthy


async def test_an_instance_that_flaps_is_neither_stuck_nor_to_be_cleaned_up(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S6")

    found = await check(stage)

    assert (found.state, found.reason) == ("degraded", Reason.FLAPPING)
    assert not found.should_cleanup


async def test_an_instance_that_waits_for_a_scan_is_well(stage: Stage) -> None:
    await stage.bench.create_showing_code()

    found = await check(stage)

    assert (found.healthy, found.state, found.reason) == (True, "disconnected", Reason.AWAITING_SCAN)
    assert not found.protected


async def test_a_new_code_that_was_seen_to_come_makes_the_next_check_quick(stage_on: Stages) -> None:
    stage = await stage_on(stuck_timeout_seconds=60)
    await stage.bench.create_showing_code()
    await check(stage)
    began = stage.bench.simulator.clock.now()

    assert (await check(stage)).healthy
    assert stage.bench.simulator.clock.now() == began


async def test_a_code_that_is_never_renewed_is_found_out_by_a_later_check(stage: Stage) -> None:
    await stage.bench.create_showing_code()
    await stage.bench.break_("one", "S4")
    await check(stage)
    stage.bench.pass_time(120)

    found = await check(stage)

    assert (found.healthy, found.state, found.reason) == (False, "stuck", Reason.NO_QR_CODE)
    assert found.seconds > 120


async def test_an_instance_that_was_never_connected_is_not_well_while_a_code_is_wanted(stage: Stage) -> None:
    await stage.bench.create("one")

    found = await check(stage)

    assert (found.healthy, found.state, found.reason) == (False, "disconnected", Reason.NOT_STARTED)
    assert not found.should_cleanup


async def test_an_unknown_name_is_not_found_and_leaves_no_record(stage: Stage) -> None:
    found = await check(stage, "nobody")

    assert (found.healthy, found.state, found.should_cleanup) == (False, "not_found", False)
    assert await stage.store.names() == ()


async def test_what_is_gone_from_the_server_is_gone_from_the_store(stage: Stage) -> None:
    await stage.bench.create("one")
    await check(stage)
    assert await stage.store.names() == ("one",)
    await stage.bench.request("DELETE", "/instance/delete/one")
    stage.bench.pass_time(5)

    await check(stage)

    assert await stage.store.names() == ()


@pytest.mark.parametrize("trouble", ["down", "status", "half"])
async def test_a_server_that_does_not_answer_proves_nothing(stage: Stage, trouble: str) -> None:
    await stage.bench.create_open()
    await check(stage)
    kept = await stage.store.get("one")
    if trouble == "down":
        await stage.bench.control("POST", "/server/down", {})
    elif trouble == "status":
        await stage.bench.control("POST", "/faults", {"kind": "status", "status": 500})
    else:
        await stage.bench.control("POST", "/faults", {"kind": "truncated"})

    found = await check(stage)

    assert (found.healthy, found.state, found.should_cleanup) == (False, "unknown", False)
    assert await stage.store.get("one") == kept


async def test_a_server_that_stays_away_is_called_less_and_the_reason_stays_the_same(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.control("POST", "/faults", {"kind": "status", "status": 503})

    found = [await check(stage) for _ in range(8)]

    assert {one.reason for one in found} == {Reason.SERVER_ERROR}
    assert len(stage.bench.simulator.listener.journal.select(route="fetchInstances")) < len(found)


async def test_a_wrong_key_is_said_to_be_one(start: Start) -> None:
    bench = await start()
    await bench.create_open()
    around = surroundings(bench)

    async with AsyncInstanceManager(url=bench.simulator.url, api_key="wrong", surroundings=around) as manager:
        found = await bench.advancing(manager.check_instance_health("one"))

    assert (found.state, found.reason) == ("unknown", Reason.KEY_REJECTED)


async def test_another_database_behind_the_same_address_proves_nothing(stage: Stage) -> None:
    await stage.bench.create_open()
    await check(stage)
    await stage.bench.control("POST", "/client-name", {"clientName": "another"})

    found = await check(stage)

    assert (found.state, found.reason) == ("unknown", Reason.OTHER_IDENTITY)


async def test_another_database_is_found_out_by_the_next_process(stage_on: Stages) -> None:
    first = await stage_on()
    await first.bench.create_open()
    await check(first)
    await first.bench.control("POST", "/client-name", {"clientName": "another"})

    second = await stage_on(bench=first.bench, store=first.store)

    assert (await check(second)).reason is Reason.OTHER_IDENTITY


async def test_what_was_written_meanwhile_ends_what_lasted(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    await check(stage)
    await stage.bench.request("POST", "/instance/restart/one")
    stage.bench.pass_time(600)
    assert await stage.bench.state() == "open"
    await stage.bench.break_("one", "S17")
    stage.bench.pass_time(1)
    assert await stage.bench.state() == "connecting"

    assert (await check(stage)).seconds < 40


async def test_a_server_that_answers_slowly_does_not_stretch_a_check(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.break_("one", "S17")
    await stage.bench.control("POST", "/faults", {"kind": "latency", "seconds": 5, "route": "connectionState"})
    began = stage.bench.simulator.clock.now()

    found = await check(stage)

    assert (found.state, found.reason) == ("degraded", Reason.SETTLING)
    assert stage.bench.simulator.clock.now() - began < 90


async def test_a_scan_during_a_check_is_seen_by_both_witnesses_at_once(stage_on: Stages, start: Start) -> None:
    bench = await start("2.3.7", "--auto-scan", "10")
    stage = await stage_on(bench=bench, database_poll_seconds=1000)
    await bench.create_showing_code()
    began = bench.simulator.clock.now()

    assert (await check(stage)).state == "healthy"
    assert bench.simulator.clock.now() - began < 20


async def test_lists_take_a_tenth_of_a_slow_servers_time_at_most(stage: Stage) -> None:
    await stage.bench.create_open()
    await stage.bench.control("POST", "/faults", {"kind": "latency", "seconds": 5, "route": "fetchInstances"})
    await check(stage)

    assert (await check(stage)).healthy

    journal = stage.bench.simulator.listener.journal
    first, second = (entry.time for entry in journal.select(route="fetchInstances"))
    assert second - first >= 50


async def test_a_ghost_is_believed_only_when_the_server_has_had_time_to_load_it(stage: Stage) -> None:
    await stage.bench.create_open()
    await check(stage)
    await stage.bench.break_("one", "S1")

    early = await check(stage)
    stage.bench.pass_time(300)
    late = await check(stage)

    assert (early.state, early.reason, early.should_cleanup) == ("degraded", Reason.WARMING_UP, False)
    assert (late.state, late.reason, late.should_cleanup) == ("corrupted", Reason.GHOST, True)


async def test_a_dead_socket_is_found_only_where_it_is_probed(stage_on: Stages) -> None:
    probing = await stage_on(probe=True)
    await probing.bench.create_open()
    assert (await check(probing)).healthy
    await probing.bench.break_("one", "S3")
    blind = await stage_on(bench=probing.bench)

    found = await check(probing)

    assert (found.state, found.reason) == ("degraded", Reason.DEAD_SOCKET)
    assert (await check(blind)).healthy


async def test_a_server_without_metrics_is_read_instance_by_instance(stage_on: Stages, start: Start) -> None:
    bench = await start("2.3.7", "--no-metrics")
    stage = await stage_on(bench=bench)
    await bench.create_open()

    assert (await check(stage)).healthy
    assert (await check(stage, "nobody")).state == "not_found"


async def test_how_long_a_connection_lasts_is_known_to_the_next_process(
    stage_on: Stages, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("records") / "records.db"
    first = await stage_on(store=SQLiteRecordStore(path))
    await first.bench.create_open()
    await first.bench.break_("one", "S17")
    assert (await check(first)).seconds < 40
    first.bench.pass_time(600)

    second = await stage_on(bench=first.bench, store=SQLiteRecordStore(path))

    assert (await check(second)).seconds > 600


async def test_another_incarnation_of_the_name_begins_with_an_empty_record(stage: Stage) -> None:
    await stage.bench.create_open()
    await check(stage)
    first = await stage.store.get("one")
    stage.bench.world.database.delete("one")
    stage.bench.world.memory.pop("one").destroy()
    await stage.bench.create("one")

    found = await check(stage)
    second = await stage.store.get("one")

    assert first is not None
    assert second is not None
    assert first.instance_id != second.instance_id
    assert (second.paired, second.last_healthy_at, found.protected) == (False, None, False)


async def test_another_database_of_a_server_without_metrics_proves_nothing(stage_on: Stages, start: Start) -> None:
    stage = await stage_on(bench=await start("2.3.7", "--no-metrics"))
    await stage.bench.create_open()
    await check(stage)
    await stage.bench.control("POST", "/client-name", {"clientName": "another"})
    await stage.bench.control("POST", "/server/restart", {})
    stage.bench.pass_time(30)

    found = await check(stage)

    assert (found.state, found.reason) == ("unknown", Reason.OTHER_IDENTITY)
    assert await stage.store.get("one") is not None


@pytest.mark.parametrize("options", [(), ("--no-metrics",)])
async def test_an_empty_database_behind_the_same_address_resets_no_record(
    stage_on: Stages, start: Start, options: tuple[str, ...]
) -> None:
    first = await stage_on(bench=await start("2.3.7", *options))
    await first.bench.create_open()
    await check(first)
    other = await start("2.3.7", "--client-name", "another", *options)

    second = await stage_on(bench=other, store=first.store)

    assert (await check(second)).reason is Reason.OTHER_IDENTITY
    assert await first.store.get("one") is not None
